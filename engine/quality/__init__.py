"""How good are the keywords? Review samples and agreement, comparison of two exports, search quality."""
