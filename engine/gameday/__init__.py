"""A game day: its scenarios, and the score of what a player did."""
