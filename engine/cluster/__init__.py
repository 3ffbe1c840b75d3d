"""Extraction outside the engine's process: what a worker may do, and what the engine knows about it."""
