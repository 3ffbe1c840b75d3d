"""Feedback is limited by source and by caller, and a flood of it costs no memory."""

from __future__ import annotations

from engine.service.feedback import CALLER_PER_MINUTE, COMPLAINTS_PER_MINUTE, PER_MINUTE, RateLimiter


def accepted(limiter: RateLimiter, count: int, at: float, kind: str = "", source: str = "") -> int:
    """How many of so many are accepted; without a `source`, each names another."""
    return sum(limiter.allows(source or f"{at}-{n}", "uid:1", at, kind) for n in range(count))


def test_a_source_has_its_limit_and_another_one_its_own() -> None:
    limiter = RateLimiter()
    assert accepted(limiter, PER_MINUTE + 5, 0.0, source="a") == PER_MINUTE
    assert accepted(limiter, 1, 1.0, source="b") == 1
    assert accepted(limiter, 1, 60.0, source="a") == 0
    assert accepted(limiter, PER_MINUTE + 5, 60.5, source="a") == PER_MINUTE


def test_complaints_of_a_caller_have_a_limit_whatever_sources_it_names() -> None:
    limiter = RateLimiter()
    assert accepted(limiter, COMPLAINTS_PER_MINUTE + 5, 0.0, "complaint") == COMPLAINTS_PER_MINUTE
    assert accepted(limiter, 5, 1.0, "rating") == 5
    assert limiter.allows("x", "uid:2", 1.0, "complaint")


def test_a_flood_of_ever_new_sources_is_refused_and_not_kept() -> None:
    limiter = RateLimiter()
    assert accepted(limiter, CALLER_PER_MINUTE, 0.0) == CALLER_PER_MINUTE
    kept = len(limiter._seen)
    assert accepted(limiter, 3000, 1.0) == 0
    assert len(limiter._seen) == kept
    for minute in range(1, 4):
        accepted(limiter, CALLER_PER_MINUTE, minute * 61.0)
        assert len(limiter._seen) <= 2 * CALLER_PER_MINUTE + 2
