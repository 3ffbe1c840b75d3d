"""The running A/B test: its declaration, its documents, and what was counted, scored and read."""
