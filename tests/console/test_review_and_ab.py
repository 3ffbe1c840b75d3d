"""The review screen judges by sides and leaks no method; the A/B screen shows intervals and shuts the tests until their day."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from textual.pilot import Pilot

from console.app import Console
from console.screens.review import Review
from engine.client.client import Reply
from engine.experiment.analysis import analyse
from engine.experiment.declaration import DAY, declare
from engine.measures.record import Extraction
from engine.quality import review
from engine.routing import buckets
from engine.store import documents
from engine.store.documents import DocumentWrite
from engine.trial import ledger
from engine.trial.ledger import Scored
from tests.console.samples import NORMAL, NOW, PLAN, FakeLink
from tests.machine import patience

pytestmark = pytest.mark.anyio
LLM = (
    "worker pool",
    "retry policy",
    "exponential backoff",
    "jitter",
    "queue",
    "deadline",
    "breaker",
    "probe",
    "lease",
    "epoch",
)
PLAIN = ("pool", "worker", "policy", "failed", "tasks", "request", "server", "timeout", "window", "budget")


def with_sample(link: FakeLink, blind: bool, size: int = 5) -> review.Sample:
    """A sample of the current stage in the link's store; its commands write there, as the engine would."""

    def fill(conn: sqlite3.Connection) -> review.Sample:
        text = "\n".join(f"Line {i} of a long text about a worker pool." for i in range(60))
        documents.write(
            conn,
            [
                DocumentWrite(f"d{i}", f"Document {i}", text, str(i), NOW, "treatment", "llm", PLAIN, (), LLM, (), 2, 7)
                for i in range(size)
            ],
        )  # fmt: skip
        drawn = review.draw_sample(conn, size, 3)
        sample = review.read_sample(conn, review.keep_sample(conn, NOW, 2, 3, blind, "ann", drawn))
        assert sample is not None
        return sample

    sample = link.read(fill)
    answer = link.command

    def command(kind: str, /, **fields: Any) -> Reply:
        if kind == "judge":
            shown = next(one for one in sample.documents if one.document == fields["document"])
            marks = review.marks(
                shown, fields["better"], {side: tuple(result) for side, result in fields["flaws"].items()}
            )
            link.read(lambda conn: review.keep_judgement(conn, sample.id, shown.document, link.who, NOW, marks))
        return answer(kind, **fields)

    link.command = command  # type: ignore[method-assign]
    return sample


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    for _ in patience(10.0):
        if holds():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"it did not come to pass\n{pilot.app.page.text()}")  # type: ignore[attr-defined]


async def on(
    number: str,
    link: FakeLink,
    steps: Callable[[Console, Pilot[int]], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
) -> None:
    app = Console(link, PLAN)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.key_guard.ready)
        await pilot.press(number)
        await steps(app, pilot)


def text(app: Console) -> str:
    page = app.page
    assert page is not None
    return page.text()


async def test_a_blind_review_names_no_method_until_all_is_judged_and_is_read_back_right() -> None:
    link = FakeLink()
    sample = with_sample(link, blind=True)

    async def steps(app: Console, pilot: Pilot[int]) -> None:
        for number, one in enumerate(sample.documents):
            await until(pilot, lambda n=number: f"{n + 1}/5" in text(app) and f"{n} judged by you" in text(app))
            shown = text(app).replace("REHEARSAL", "")
            body = "\n".join(shown.splitlines()[3:])
            assert "LLM" not in body
            assert "frequency" not in body
            left = body[body.index("10 keywords") :]
            assert (LLM[0] in left) == (PLAIN[3] in left)  # both lists are there
            await pilot.press("a" if one.first == "llm" else "b")  # always for the LLM's list, on whichever side
        await until(pilot, lambda: "LLM better 5, frequency better 0" in text(app))
        assert "5 of 5 reviewed documents are good" in text(app)

    await on("5", link, steps)
    judged = link.read(lambda conn: review.judgements(conn, sample.id))
    assert {j.marks.winner for j in judged} == {"llm"}


async def test_a_review_resumes_where_it_was_left_and_a_judgement_can_be_changed() -> None:
    link = FakeLink()
    sample = with_sample(link, blind=False)

    async def first(app: Console, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "1/5" in text(app))
        await pilot.press("i", "a")
        await until(pilot, lambda: "2/5" in text(app) and "1 judged" in text(app))

    async def again(app: Console, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "2/5" in text(app) and "1 judged by you" in text(app))
        await pilot.press("k")
        await until(pilot, lambda: "1/5" in text(app) and "your verdict: not good" in text(app))
        assert "✖ something invented" in text(app)
        await pilot.press("i")
        await until(pilot, lambda: "marks not saved: a b e saves them" in text(app))
        await pilot.press("a")
        await until(pilot, lambda: "2/5" in text(app))
        await pilot.press("k")
        await until(pilot, lambda: "1/5" in text(app) and "your verdict: good" in text(app))

    await on("5", link, first)
    await on("5", link, again)
    (judged,) = link.read(lambda conn: review.judgements(conn, sample.id))
    assert judged.marks.good


async def test_a_document_that_was_passed_over_comes_again_before_the_results() -> None:
    link = FakeLink()
    with_sample(link, blind=False)

    async def steps(app: Console, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "1/5" in text(app))
        await pilot.press("j")
        for number in (2, 3, 4, 5):
            await until(pilot, lambda n=number: f"{n}/5" in text(app) and "LLM's: r" in text(app))
            await pilot.press("a")
        await until(pilot, lambda: "1/5" in text(app) and "4 judged by you" in text(app))
        await pilot.press("a")
        await until(pilot, lambda: "5 of 5 reviewed documents are good" in text(app))

    await on("5", link, steps)


async def test_a_long_text_scrolls_and_all_keywords_are_seen() -> None:
    link = FakeLink()
    with_sample(link, blind=False)

    async def steps(app: Console, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "Line 0 of" in text(app))
        assert all(keyword.split()[-1] in text(app) for keyword in (*LLM, *PLAIN))
        await pilot.press("space")
        await until(pilot, lambda: "Line 0 of" not in text(app))
        await pilot.press("pageup")
        await until(pilot, lambda: "Line 0 of" in text(app))

    await on("5", link, steps)


async def test_without_a_sample_the_screen_explains_what_to_press_and_draws() -> None:
    link = FakeLink()

    async def steps(app: Console, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: isinstance(app.screen, Review) and "d draws 20 recent LLM documents" in text(app))
        await pilot.press("D")
        await until(pilot, lambda: ("sample", {"blind": True}) in link.asked)

    await on("5", link, steps)


# -- the A/B test ----------------------------------------------------------------------------------------------------------


def with_trial(link: FakeLink, days: float, per_day: int = 300) -> None:
    """A test that has run for `days`, with what the engine would have kept."""
    start = NOW - days * DAY

    def fill(conn: sqlite3.Connection) -> None:
        experiment = PLAN.stages[4].experiment
        assert experiment is not None
        declaration = declare(experiment, start, 0.5, {})
        ledger.begin(conn, declaration, 4, 7, 5000, "salt")
        report = None
        for day in range(int(days) + 1):
            records, scores = [], []
            for i in range(per_day):
                name, at = f"d{day}-{i}", start + day * DAY + 1 + i
                arm = buckets.arm("salt", name, 5000)
                treated = arm == "treatment"
                records.append(
                    Extraction(
                        at, name, arm, "llm" if treated else "frequency", 4, 7, attempted=treated, lookup=treated,
                        ms=600.0 + i if treated else 2.0 + i / 1000, keywords=10 + i % 5, proposed=12 if treated else 0,
                    )
                )  # fmt: skip
                scores.append(Scored(name, 1.0 if i % 10 < (8 if treated else 6) else 0.2, 0.3 + (i % 7) / 10))
            if day < days:
                ledger.fold(conn, records)
                ledger.scored(conn, 1, scores, start + (day + 1) * DAY)
            report = analyse(declaration, *ledger.stats(conn, 1), min(NOW, start + (day + 1) * DAY), report)
            ledger.keep(conn, 1, report)

    link.read(fill)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_while_it_runs_no_p_value_is_shown_and_the_tests_are_shut(size: tuple[int, int]) -> None:
    link = FakeLink()
    with_trial(link, days=3)

    async def steps(app: Console, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "NOT YET" in text(app))
        shown = " ".join(text(app).split())
        assert "sealed until" in shown
        assert "look 3 of 7 taken" in shown
        assert "day 3.0 of 7" in shown
        assert "p =" not in shown
        for label in ("Search quality", "Processing time", "Error rate", "Click-through"):
            assert label in shown
        assert "●" in shown

    await on("6", link, steps, size)


async def test_at_the_end_the_screen_shows_the_verdict_and_the_tests_read_once() -> None:
    link = FakeLink()
    with_trial(link, days=7)

    async def steps(app: Console, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "SHIP" in text(app))
        assert "read once" in text(app)
        assert "Search quality: Welch's t-test p <" in text(app)

    await on("6", link, steps, (160, 48))


async def test_before_it_begins_the_screen_explains_what_is_declared() -> None:
    link = FakeLink()
    assert link.view is NORMAL

    async def steps(app: Console, pilot: Pilot[int]) -> None:
        await until(pilot, lambda: "starts with stage 4" in text(app))
        assert "+15 %" in text(app)

    await on("6", link, steps)


@pytest.mark.parametrize("size", [(30, 8), (44, 12), (61, 17), (109, 24), (110, 30), (220, 70)], ids=str)
async def test_review_and_ab_fit_any_size_of_terminal(size: tuple[int, int]) -> None:
    link = FakeLink()
    with_trial(link, days=7)
    with_sample(link, blind=True)

    async def steps(app: Console, pilot: Pilot[int]) -> None:
        for number in "5", "6":
            await pilot.press(number)
            await until(pilot, lambda: not app.screen.busy)  # type: ignore[attr-defined]
            page = app.page
            assert page is not None
            lines = page.canvas(*size).text().splitlines()
            assert len(lines) == size[1]

    await on("5", link, steps, size)
