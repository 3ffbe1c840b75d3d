"""Is it better? The A/B test's statistics, pure functions on sufficient statistics: cost does not grow with documents."""
