"""A document's way: the switch, the arm, the LLM or frequency, the store."""
