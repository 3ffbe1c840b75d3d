"""What people may ask the engine for, a function each."""
