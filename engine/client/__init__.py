"""How a console or a command reaches the engine, and rolls back without it."""
