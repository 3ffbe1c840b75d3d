"""The store: SQLite with one writer, the decision log, roll-ups, restore, backup."""
