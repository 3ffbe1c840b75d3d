"""What is counted of the A/B test: who takes part, once, in which arm; and what users report about it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.experiment.declaration import Declaration
from engine.experiment.moments import Counts, Moments, Ratio
from engine.measures.record import Extraction
from engine.routing import buckets
from engine.service import feedback
from engine.store.migrations import migrate
from engine.trial import ledger
from engine.trial.ledger import Scored

START, SALT, EPOCH = 1_800_000_000.0, "salt", 5


def store() -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    migrate(conn)
    ledger.begin(conn, Declaration(started=START), stage=4, epoch=EPOCH, percent_bp=5000, salt=SALT)
    return conn


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    made = store()
    yield made
    made.close()


def extraction(name: str, at: float = START + 1, **more: object) -> Extraction:
    arm = buckets.arm(SALT, name, 5000)
    facts: dict[str, object] = {"ms": 2.0, "keywords": 12, **more}
    if arm == "treatment":
        facts = {"attempted": True, "lookup": True, "proposed": 12, **facts}
    return Extraction(at, name, arm, "llm" if arm == "treatment" else "frequency", 4, EPOCH, **facts)  # type: ignore[arg-type]


def names(arm: str, count: int) -> list[str]:
    drawn = (f"d{i}" for i in range(100_000))
    return [name for name in drawn if buckets.arm(SALT, name, 5000) == arm][:count]


def documents(conn: sqlite3.Connection) -> tuple[int, int]:
    trial = ledger.last(conn)
    assert trial is not None
    control, treatment = ledger.stats(conn, trial.id)
    return control.documents, treatment.documents


def measure(conn: sqlite3.Connection, arm: int, name: str) -> object:
    trial = ledger.last(conn)
    assert trial is not None
    return ledger.stats(conn, trial.id)[arm].measures.get(name)


def test_a_document_counts_once_by_its_first_extraction(conn: sqlite3.Connection) -> None:
    (one,) = names("control", 1)
    ledger.fold(conn, [extraction(one, keywords=10), extraction(one, keywords=15)])
    ledger.fold(conn, [extraction(one, at=START + 99, keywords=15)])
    assert documents(conn) == (1, 0)
    assert measure(conn, 0, "keywords") == Moments(1, 10.0, 100.0)


def test_a_forced_method_another_percentage_and_shadow_do_not_take_part(conn: sqlite3.Connection) -> None:
    drawn = extraction(names("control", 1)[0])
    forced = replace(drawn, arm="treatment", method="llm")
    ledger.fold(conn, [forced, replace(drawn, epoch=EPOCH + 1), replace(drawn, shadow=True)])
    assert documents(conn) == (0, 0)


def test_nothing_is_counted_after_the_end(conn: sqlite3.Connection) -> None:
    one, other = names("control", 2)
    ledger.fold(conn, [extraction(one)])
    ledger.end(conn, 1, START + 50, "the percentage changed")
    ledger.fold(conn, [extraction(other)])
    ledger.people(conn, "impression", one, None, START + 60)
    assert documents(conn) == (1, 0)
    assert measure(conn, 0, "click_through") is None


def test_a_fallback_is_a_document_of_the_arm_it_was_drawn_into(conn: sqlite3.Connection) -> None:
    ok, failed = names("treatment", 2)
    ledger.fold(conn, [extraction(ok, ms=700.0)])
    bad = Extraction(
        START + 2,
        failed,
        "treatment",
        "frequency",
        4,
        EPOCH,
        attempted=True,
        lookup=True,
        fallback=True,
        error="http",
        keywords=9,
    )
    ledger.fold(conn, [bad])
    assert documents(conn) == (0, 2)
    assert measure(conn, 1, "error_rate") == Counts(2, 1)
    assert measure(conn, 1, "keywords") == Moments(2, 21.0, 225.0)
    assert measure(conn, 1, "processing_ms") == Moments(1, 700.0, 490_000.0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 20), st.floats(0.0, 5000.0)), max_size=60), st.integers(1, 7)
)
def test_sums_are_those_of_the_first_extractions_however_they_are_batched(
    result: list[tuple[int, int, float]], batch: int
) -> None:
    conn = store()
    records = [extraction(f"d{i}", keywords=keywords, ms=ms) for i, keywords, ms in result]
    for begin in range(0, len(records), batch):
        ledger.fold(conn, records[begin : begin + batch])
    first: dict[str, Extraction] = {}
    for record in records:
        first.setdefault(record.document_id, record)
    control, treatment = ledger.stats(conn, 1)
    for arm, stats in (("control", control), ("treatment", treatment)):
        mine = [r for r in first.values() if r.arm == arm]
        assert stats.documents == len(mine)
        if mine:
            assert stats.measures["keywords"] == Moments(
                len(mine), float(sum(r.keywords for r in mine)), float(sum(r.keywords**2 for r in mine))
            )
            ms = stats.measures["processing_ms"]
            assert isinstance(ms, Moments)
            assert ms.sum == pytest.approx(sum(r.ms for r in mine))
    drawn = dict(ledger.assignments(conn, 1))
    assert drawn == {r.document_id: r.arm for r in first.values()}
    conn.close()


def test_measures_are_the_moments_of_the_documents_that_were_timed(conn: sqlite3.Connection) -> None:
    chance = random.Random(5)
    treated = [
        extraction(name, ms=chance.lognormvariate(7, 1), keywords=chance.randint(8, 15))
        for name in names("treatment", 50)
    ]
    control = [
        extraction(name, ms=chance.lognormvariate(1, 1), keywords=chance.randint(8, 15))
        for name in names("control", 40)
    ]
    cached = replace(extraction(names("treatment", 51)[-1]), attempted=False, cached=True, ms=0.0)
    ledger.fold(conn, [*treated, *control, cached])
    for arm, rows in ((0, control), (1, treated)):
        ms, exact = measure(conn, arm, "processing_ms"), Moments.of(r.ms for r in rows)
        assert isinstance(ms, Moments)
        assert (ms.n, ms.mean, ms.variance) == (exact.n, pytest.approx(exact.mean), pytest.approx(exact.variance))
    assert measure(conn, 1, "cache_hit_rate") == Counts(51, 1)
    assert measure(conn, 1, "error_rate") == Counts(50, 0)
    assert measure(conn, 0, "cache_hit_rate") is None


def test_a_document_is_scored_once(conn: sqlite3.Connection) -> None:
    a, b = names("control", 2)
    ledger.fold(conn, [extraction(a), extraction(b)])
    ledger.scored(conn, 1, [Scored(a, 0.5, 0.25), Scored("unknown", 1.0, 1.0)], START + 10)
    ledger.scored(conn, 1, [Scored(a, 1.0, 1.0), Scored(b, None, None)], START + 20)
    assert measure(conn, 0, "search_quality") == Moments(1, 0.5, 0.25)
    assert measure(conn, 0, "relevance") == Moments(1, 0.25, 0.0625)
    assert ledger.search_scores(conn, 1) == {"control": [0.5], "treatment": []}


# -- users -----------------------------------------------------------------------------------------------------------------


def say(conn: sqlite3.Connection, kind: str, document: str, at: float = START + 30, **more: object) -> bool:
    content = feedback.read({"kind": kind, "document": document, **more}, "a server", at)
    assert not isinstance(content, str), content
    return feedback.store(conn, content)


def test_clicks_are_counted_by_document_and_only_after_an_impression(conn: sqlite3.Connection) -> None:
    a, b = names("control", 2)
    ledger.fold(conn, [extraction(a), extraction(b)])
    say(conn, "click", a)
    for _ in range(3):
        say(conn, "impression", a)
    for _ in range(9):
        say(conn, "click", a)
    say(conn, "impression", b)
    assert measure(conn, 0, "click_through") == Ratio.one(3, 3) + Ratio.one(0, 1)


def test_one_person_counts_once_a_document_however_often(conn: sqlite3.Connection) -> None:
    (a,) = names("treatment", 1)
    ledger.fold(conn, [extraction(a)])
    for second in range(500):
        say(conn, "impression", a, source="bot", at=START + 40 + second)
        say(conn, "click", a, source="bot", at=START + 40 + second)
        say(conn, "rating", a, source="bot", value=1, id=f"r{second}")
    say(conn, "impression", a, source="anna")
    say(conn, "click", a, source="someone who saw nothing")
    say(conn, "rating", a, source="anna", value=5)
    assert measure(conn, 1, "click_through") == Ratio.one(1, 2)
    assert measure(conn, 1, "satisfaction") == Ratio.one(1, 2)
    kept = conn.execute("SELECT count(*) FROM feedback WHERE kind = 'rating'").fetchone()[0]
    assert kept == 501  # all are kept, and count in the stage's satisfaction


def test_what_was_reported_before_the_test_or_of_other_documents_changes_nothing(conn: sqlite3.Connection) -> None:
    (a,) = names("control", 1)
    ledger.fold(conn, [extraction(a)])
    say(conn, "rating", a, value=5, at=START - 100)
    say(conn, "rating", "never loaded", value=5)
    assert measure(conn, 0, "satisfaction") is None


def test_the_same_id_counts_once_and_anonymous_clicks_are_all_different(conn: sqlite3.Connection) -> None:
    (a,) = names("control", 1)
    ledger.fold(conn, [extraction(a)])
    assert say(conn, "impression", a, id="i1")
    assert not say(conn, "impression", a, id="i1")
    say(conn, "impression", a)
    say(conn, "impression", a)
    assert measure(conn, 0, "click_through") == Ratio.one(0, 3)


def steps(conn: sqlite3.Connection, work: Callable[[], object]) -> int:
    """How many instructions SQLite carries out for it."""
    counted = 0

    def one() -> int:
        nonlocal counted
        counted += 1
        return 0

    conn.set_progress_handler(one, 1)
    work()
    conn.set_progress_handler(None, 0)
    return counted


@pytest.mark.parametrize("runs", [True, False])
def test_what_feedback_costs_does_not_grow_with_documents_or_feedback(conn: sqlite3.Connection, runs: bool) -> None:
    def grow(first: int, last: int) -> int:
        ledger.fold(conn, [extraction(f"d{i}") for i in range(first, last)])
        for i in range(first, last):
            say(conn, "impression", f"d{i}", source=f"u{i}")
        return sum(
            steps(conn, lambda kind=kind: say(conn, kind, "d7", source=f"new {last}", value=5))  # type: ignore[misc]
            for kind in ("impression", "click", "rating")
        )

    if not runs:
        ledger.end(conn, 1, START + 5, "for a test")
    few, many = grow(0, 50), grow(50, 2000)
    assert many < 2 * few
