"""The screen on which people mark gold keywords."""
