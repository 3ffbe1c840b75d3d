"""One screen a file; each paints what the engine's view says and turns keys into commands."""
