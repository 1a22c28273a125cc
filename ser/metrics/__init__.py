"""Arrays in, numbers out: UAR, CCC and the rest. Knows no file."""
