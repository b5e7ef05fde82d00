"""The programs that make the documentation and its pictures."""
