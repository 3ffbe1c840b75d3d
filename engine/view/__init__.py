"""What a screen shows, computed once for all who show it."""
