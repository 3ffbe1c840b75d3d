"""Extractions of each kind, as the engine records them."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st

from engine.measures.record import Extraction

T0 = 1_800_000_000.0  # a whole hour
HOUR = 3600.0
DAY = 86400.0


def record(at: float = T0, **facts: Any) -> Extraction:
    """The LLM was asked and answered."""
    given = {
        "document_id": "d", "arm": "treatment", "method": "llm", "stage": 2, "epoch": 3, "attempted": True, "lookup": True,
        "ms": 1000.0, "keywords": 12, "proposed": 14, "ungrounded": 2, **facts,
    }  # fmt: skip
    return Extraction(at=at, **given)


def failed(kind: str = "timeout", at: float = T0, **facts: Any) -> Extraction:
    given = {"method": "frequency", "fallback": True, "error": kind, "proposed": 0, "ungrounded": 0, **facts}
    return record(at, **given)


def cached(at: float = T0, **facts: Any) -> Extraction:
    return record(at, **{"attempted": False, "cached": True, "ms": 0.0, "proposed": 0, "ungrounded": 0, **facts})


def skipped(at: float = T0, **facts: Any) -> Extraction:
    """Too short for the LLM."""
    return cached(at, **{"method": "frequency", "cached": False, "lookup": False, "skipped": True, **facts})


def fallen_back(at: float = T0, **facts: Any) -> Extraction:
    """A rollback ended the call."""
    given = {"method": "frequency", "cached": False, "fallback": True, "message": "ended by a rollback", **facts}
    return cached(at, **given)


def plain(at: float = T0, **facts: Any) -> Extraction:
    """A document of the frequency arm."""
    given = {"arm": "control", "method": "frequency", "cached": False, "lookup": False, "ms": 2.0, **facts}
    return cached(at, **given)


_times = st.floats(0, 7200).map(lambda at: T0 + at)
_ms = st.floats(0, 60_000)
_where = {"stage": st.integers(2, 3), "epoch": st.integers(3, 5)}
records = st.lists(
    st.one_of(
        st.builds(record, _times, ms=_ms, queue_ms=st.floats(0, 100), keywords=st.integers(0, 15), **_where),
        st.builds(failed, st.sampled_from(["timeout", "http", "invalid"]), _times, ms=_ms, **_where),
        st.builds(cached, _times, **_where),
        st.builds(skipped, _times, **_where),
        st.builds(fallen_back, _times, **_where),
        st.builds(plain, _times, ms=_ms, **_where),
        st.builds(record, _times, ms=_ms, shadow=st.just(True), arm=st.just("control"), **_where),
    ),
    max_size=60,
)
