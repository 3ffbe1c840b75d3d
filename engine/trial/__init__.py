"""The A/B test as it runs: what is declared, which documents take part, what was counted, scored and read."""
