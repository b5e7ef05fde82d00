"""Photos: decoding of whatever people bring, and photo sets as they are declared and listed."""
