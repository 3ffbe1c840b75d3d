"""Statistics of the A/B test: pure functions on sufficient statistics, so the cost doesn't grow with documents."""
