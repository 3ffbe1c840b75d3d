"""From a figure to its documents: servers, errors by kind, the requests behind a count, and a single request."""

from __future__ import annotations

import sqlite3

from hypothesis import given, settings

from engine.measures.bucket import Bucket
from engine.measures.record import Extraction
from engine.metrics import requests
from engine.metrics.requests import Scope
from engine.store.migrations import migrate
from engine.store.rollup import insert_and_fold
from tests.engine.metrics.samples import HOUR, T0, cached, failed, record, records


def everything(**more: object) -> Scope:
    return Scope(T0 - HOUR, T0 + 3 * HOUR, **more)  # type: ignore[arg-type]


ROWS = (
    failed("invalid", T0, document_id="a", server="http://one", message="not JSON", answer="Sure! Here are", tries=2, queue_ms=40.0),
    failed("invalid", T0 + 10, document_id="b", server="http://one", message="not JSON either", answer="{", tries=3),
    failed("timeout", T0 + 20, document_id="a", server="http://two", message="no answer within 20 s"),
    failed("full", T0 + 30, document_id="c", message="the queue is full"),
    record(T0 + 40, document_id="d", server="http://one", ms=1500.0, queue_ms=500.0, tries=1),
    cached(T0 + 50, document_id="d"),
)  # fmt: skip


def test_each_server_has_its_requests_errors_and_mean(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, ROWS)
    by_name = {one.server: one for one in requests.servers(conn, T0 - 1, T0 + 60)}
    assert (by_name["http://one"].requests, by_name["http://one"].errors, by_name["http://one"].mean_ms) == (
        3,
        2,
        1000.0,
    )
    assert by_name["http://one"].last_error == T0 + 10
    assert (by_name[""].requests, by_name[""].errors) == (1, 1)


def test_errors_are_grouped_by_kind_with_the_newest_message(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, ROWS)
    first = requests.error_kinds(conn, everything())[0]
    assert (first.kind, first.count, first.documents, first.first, first.last, first.message) == (
        "invalid", 2, 2, T0, T0 + 10, "not JSON either",
    )  # fmt: skip
    assert {k.kind for k in requests.error_kinds(conn, everything(server="http://two"))} == {"timeout"}
    assert {k.kind for k in requests.error_kinds(conn, everything(server=""))} == {"full"}


def test_a_request_keeps_its_timing_and_the_models_first_words(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, ROWS)
    newest, first = requests.requests(conn, everything(kind="invalid"))
    assert (newest.document, first.document) == ("b", "a")
    one = requests.request(conn, first.id)
    assert one == first
    assert (one.answer, one.tries, one.queue_ms, one.title) == ("Sure! Here are", 2, 40.0, "")
    last = requests.of_document(conn, "a", T0 + 60)
    assert last is not None
    assert last.error == "timeout"


@settings(max_examples=40, deadline=None)
@given(records)
def test_the_lists_hold_what_the_figures_count(made: list[Extraction]) -> None:
    """As many requests as the gate's n: the list and the figure never disagree."""
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn)
    insert_and_fold(conn, made)
    total = Bucket()
    for one in made:
        if one.arm == "treatment":
            total.add(one)

    def n(counted: str) -> int:
        return len(requests.requests(conn, everything(counted=counted, shadow=False), 10_000))

    assert (n("attempts"), n("failed"), n("timed"), n("lookups"), n("served")) == (
        total.attempts, total.errors, total.fresh, total.lookups, total.llm,
    )  # fmt: skip
    conn.close()


def test_a_store_of_an_older_version_opens(conn: sqlite3.Connection) -> None:
    """Its rows have no first words and no count of calls."""
    conn.execute("DELETE FROM _sqlite_migrations WHERE name = 'words_and_tries'")
    conn.execute("ALTER TABLE extraction DROP COLUMN answer")
    conn.execute("ALTER TABLE extraction DROP COLUMN tries")
    conn.execute(
        "INSERT INTO extraction (at, document_id, arm, method, stage, epoch, attempted, cached, lookup, fallback, skipped, shadow, "
        "error, message, ms, queue_ms, keywords, proposed, ungrounded, server) VALUES (?, 'old', 'treatment', 'frequency', 2, 1, 1, "
        "0, 1, 1, 0, 0, 'http', 'said 500', 10.0, 0.0, 5, 0, 0, 'http://one')",
        (T0,),
    )
    migrate(conn)
    (old,) = requests.requests(conn, everything())
    assert (old.document, old.answer, old.tries) == ("old", "", 0)
