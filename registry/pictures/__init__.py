"""What people see: the values that techniques return, and arrays as pictures."""
