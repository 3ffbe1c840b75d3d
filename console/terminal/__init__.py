"""The terminal itself: the driver for slow lines, escape sequences, type-ahead, the filter of what is printed."""
