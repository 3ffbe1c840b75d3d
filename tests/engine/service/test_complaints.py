"""Complaints: whose keywords they are about."""

from __future__ import annotations

from engine.metrics import figures
from engine.server.requests.feedback import _complaint
from engine.service import feedback
from engine.service.feedback import Feedback
from engine.store import documents
from engine.store.documents import DocumentWrite
from tests.engine.report.history import History


def test_complaints_are_attributed_to_an_arm_and_to_the_keywords_that_were_served() -> None:
    h = History()
    h.up("complaints are tried", ("all",))
    stage, at = h.state.stage, h.at
    documents.write(
        h.conn,
        [
            DocumentWrite("x", "", "text", "dx", at, "treatment", "llm", ("a",), (), ("b",), (), stage, 1),
            DocumentWrite("y", "", "text", "dy", at, "control", "frequency", ("a",), (), None, (), stage, 1),
        ],
    )
    given = [
        Feedback("1", "complaint", at + 5, "x", text="useless", by="u"),
        Feedback("2", "complaint", at + 6, "y", by="u"),
        Feedback("3", "complaint", at + 7, "x", by="v"),
        Feedback("4", "complaint", at + 8, "gone", by="v"),
    ]
    for one in given:
        assert feedback.store(h.conn, one)
    assert figures.complaints_by_arm(h.conn, stage, at) == "4 (LLM arm 2, frequency arm 1, no known document 1)"
    assert figures.complaints_by_arm(h.conn, stage, at + 7.5) == "1 (no known document 1)"
    assert figures.complaints_by_arm(h.conn, stage + 1, 0.0) == "0"
    assert [feedback.method_of(h.conn, one.document) for one in given] == ["llm", "frequency", "llm", None]
    assert _complaint(given[0], "llm") == "complaint about x (LLM keywords) from u: useless"
    assert _complaint(given[1], "frequency") == "complaint about y (frequency keywords) from u"
    assert _complaint(given[3], None) == "complaint about gone (not in the store) from v"
    assert _complaint(Feedback("5", "complaint", at, by="u"), None) == "complaint from u"
    h.conn.close()
