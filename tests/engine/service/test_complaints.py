"""Complaints: whom they speak about."""

from __future__ import annotations

from engine.metrics import figures
from engine.server.requests.feedback import _complaint
from engine.service.feedback import Feedback
from tests.engine.report.history import History


def test_complaints_are_attributed_to_an_arm_and_to_the_keywords_that_were_served() -> None:
    h = History()
    h.conn.executemany(
        "INSERT INTO feedback VALUES (?, ?, 'complaint', ?, ?, 2, NULL, '', 'u')",
        [
            ("a", 5.0, "x", "treatment"),
            ("b", 6.0, "y", "control"),
            ("c", 7.0, "z", "treatment"),
            ("d", 8.0, None, None),
        ],
    )
    assert figures.complaints_by_arm(h.conn, 2, 0.0) == "4: LLM arm 2, frequency arm 1, no known document 1"
    assert figures.complaints_by_arm(h.conn, 2, 7.5) == "1: no known document 1"
    assert figures.complaints_by_arm(h.conn, 3, 0.0) == "0"
    given = Feedback("a", "complaint", 5.0, "x", text="useless", by="u")
    assert _complaint(given, "frequency") == "complaint about x (frequency keywords) from u: useless"
    assert _complaint(given, "llm") == "complaint about x (LLM keywords) from u: useless"
    assert _complaint(given, None) == "complaint about x (not in the store) from u: useless"
    assert _complaint(Feedback("a", "complaint", 5.0, by="u"), None) == "complaint from u"
    h.conn.close()
