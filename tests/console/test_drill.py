"""Enter goes deeper, esc comes back: from a figure to its documents, on a store with rows in it."""

from __future__ import annotations

import sqlite3

import msgspec
import pytest
from textual.pilot import Pilot

from console.app import Console
from console.screens.drill import servers
from console.screens.drill.counted import Counted
from console.screens.drill.decision import OneDecision, _rows, label, short
from console.screens.drill.error_kinds import ErrorKinds
from console.screens.drill.evidence import EvidencePage
from console.screens.drill.request import OneRequest
from console.screens.drill.requests import Requests
from console.screens.drill.servers import Servers
from console.screens.gate import Gate
from console.screens.page import Page
from console.screens.triggers import Triggers
from console.widgets import words
from console.widgets.blocks import Area
from console.widgets.canvas import Canvas
from console.widgets.keywords import keyword_list
from console.widgets.sheet import Sheet
from engine.measures.record import Extraction
from engine.rollout.state import ENGINE, Decision, State
from engine.service import feedback
from engine.service.feedback import Feedback
from engine.store import log
from engine.store.rollup import insert_and_fold
from engine.triggers import history
from engine.triggers.wording import Reading
from engine.view.model import WorkerView
from tests.console.samples import NORMAL, NOW, FakeLink
from tests.console.screen_walk import console, ready, until

pytestmark = pytest.mark.anyio
ONE, TWO = "http://10.0.0.11:11434", "http://10.0.0.12:11434"


def attempt(at: float, document: str, server: str = ONE, error: str | None = None, **facts: object) -> Extraction:
    return Extraction(
        at, document, "treatment", "frequency" if error else "llm", 2, NORMAL.epoch, attempted=True, lookup=True, error=error,
        server=server, ms=900.0, tries=1, keywords=8, **facts,  # type: ignore[arg-type]
    )  # fmt: skip


def filled(state: str = "normal") -> Console:
    """A console on a store with requests, evidence, ratings."""
    app = console(state)
    link = app.link
    assert isinstance(link, FakeLink)
    rows = [
        attempt(NOW - 60, "docs/asyncio.md"),
        attempt(NOW - 50, "docs/re.md", TWO, "invalid", message="not JSON", answer="Sure! Here are the keywords"),
        attempt(NOW - 40, "docs/pickle.md", TWO, "invalid", message="not JSON, again"),
        attempt(NOW - 30, "docs/pickle.md", TWO, "timeout", message="no answer within 20 s"),
    ]
    reading = Reading(
        "error_critical", "breach", 0.5, 0.05, 40, 20, 60.0, 300.0, "literal", "error rate 50 % over 5 %", "", 240.0
    )

    def write(conn: sqlite3.Connection) -> None:
        log.append(conn, State(), Decision("promote", ENGINE, "", 2, 1000, NOW - 3600, "up", "to Canary"))
        insert_and_fold(conn, rows)
        for minute in range(5):
            history.keep(conn, NOW - 60 * minute, [reading])
        feedback.store(conn, Feedback("f", "rating", NOW - 20, "docs/re.md", 2.0, by="api"))

    link.read(write)
    return app


async def deeper(pilot: Pilot[int], keys: str, kind: type[Page]) -> Page:
    await pilot.press(*keys.split())
    app = pilot.app
    await until(pilot, lambda: isinstance(app.screen, kind) and not getattr(app.screen, "busy", False))
    await until(pilot, lambda: bool(getattr(app.screen, "lines", True)))
    await pilot.pause()
    assert isinstance(app.screen, kind)
    return app.screen


async def test_from_a_server_to_its_errors_to_a_document_and_back() -> None:
    app = filled()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        servers = await deeper(pilot, "s", Servers)
        assert "ollama-2" in servers.text()
        await pilot.press("j")
        kinds = await deeper(pilot, "enter", ErrorKinds)
        assert [line.cells[0][0] for line in kinds.shown()] == ["invalid", "timeout"]  # type: ignore[attr-defined]
        assert "10.0.0.11" not in kinds.text()
        requests = await deeper(pilot, "enter", Requests)
        assert len(requests.shown()) == 2  # type: ignore[attr-defined]
        await pilot.press("j")
        one = await deeper(pilot, "enter", OneRequest)
        text = one.text()
        for part in ("Sure! Here are the keywords", "not JSON", "900 ms", "1 call", "regular expression", "string"):
            assert part in text, part
        for kind in (Requests, ErrorKinds, Servers):
            await pilot.press("escape")
            await until(pilot, lambda kind=kind: isinstance(app.screen, kind))  # type: ignore[misc]


async def test_a_document_whose_request_failed_is_not_called_one_that_was_never_sent() -> None:
    app = filled()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await deeper(pilot, "s", Servers)
        await pilot.press("j")
        await deeper(pilot, "enter", ErrorKinds)
        await deeper(pilot, "enter", Requests)
        one = await deeper(pilot, "enter", OneRequest)
        assert "not JSON, again" in one.text()
        assert "none: no LLM answer is stored" in one.text()


async def test_from_a_trigger_to_its_evidence_to_the_requests_of_that_moment() -> None:
    app = filled("alert")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3")
        evidence = await deeper(pilot, "enter", EvidencePage)
        assert len(evidence.shown()) == 5  # type: ignore[attr-defined]
        assert "error rate 50 % over 5 %" in evidence.text()
        requests = await deeper(pilot, "enter", Requests)
        assert [line.cells[1][0] for line in requests.shown()] == ["timeout", "invalid", "invalid", "answered"]  # type: ignore[attr-defined]


async def test_from_a_condition_to_what_it_counted() -> None:
    app = filled()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, Gate))
        gate = app.screen
        assert isinstance(gate, Gate)
        gate.rows.place(1)
        v = gate.snapshot.view
        assert v is not None
        link = app.link
        assert isinstance(link, FakeLink)
        conditions = tuple(
            msgspec.structs.replace(c, metric=m)
            for c, m in zip(
                v.gate.conditions, ("error_rate", "latency_mean", "cache_hit_rate", "satisfaction"), strict=True
            )
        )
        link.view = msgspec.structs.replace(v, gate=msgspec.structs.replace(v.gate, conditions=conditions))
        await app._read()
        requests = await deeper(pilot, "enter", Requests)
        assert len(requests.shown()) == 4  # type: ignore[attr-defined]
        await pilot.press("escape", "j", "j", "j")
        counted = await deeper(pilot, "enter", Counted)
        assert "rating 2" in counted.text()
        one = await deeper(pilot, "enter", OneRequest)
        assert "Patterns." in one.text() or "regular expression" in one.text()


async def test_from_a_decision_to_all_that_is_kept_of_it() -> None:
    app = filled()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("8")
        await until(pilot, lambda: bool(getattr(app.screen, "decisions", ())))
        one = await deeper(pilot, "enter", OneDecision)
        await until(pilot, lambda: "20.4" in one.text() or "0.204" in one.text())
        assert "pts/3, ssh 10.1.2.3" in one.text()


def test_what_an_override_lacked_is_shown_in_full() -> None:
    """One missing fact a row, none cut without a sign."""
    lacks = [f"condition {n}: " + "0/12 errors: at most 22.1 %; 287 more documents, about 1h 53m" for n in range(4)]
    assert [text for _, text, _ in _rows("missing", lacks)] == lacks
    assert short("x" * 2000).endswith("…")


async def test_a_table_sorts_by_each_column_and_marks_it_in_the_heading() -> None:
    app = filled()
    async with app.run_test(size=(120, 36)) as pilot:
        await ready(pilot)
        page = await deeper(pilot, "s", Servers)
        assert isinstance(page, Servers)
        for index, column in enumerate(Servers.COLUMNS):
            await pilot.press("S")
            assert f"{column.title}{'▼' if column.largest else '▲'}" in page.text()
            orders = [line.order[index] for line in page.shown() if line.order[index] is not None]
            assert orders == sorted(orders, reverse=column.largest)  # type: ignore[type-var]
        await pilot.press("escape", "s")  # the same list, opened again, is sorted as it was left
        assert isinstance(app.page, Servers)
        assert app.page.sorted_by == len(Servers.COLUMNS) - 1
        first = page.shown()[0].key
        await pilot.press("S")
        assert app.page.sorted_by == -1  # as read
        assert {first} <= {line.key for line in page.shown()}


@pytest.mark.parametrize(("key", "titles"), [("3", 4), ("7", 4), ("8", 3)])
async def test_the_lists_sort_too_and_their_title_shows_it(key: str, titles: int) -> None:
    """One key cycles through the orders and comes back to the first."""
    app = filled("alert")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press(key)
        page = app.page
        assert page is not None

        def title() -> str:
            text = page.text().splitlines()
            return next(line for line in text if line.startswith((" triggers", " documents", " decisions")))

        await until(pilot, lambda: page.is_mounted and not getattr(page, "busy", False))
        seen = [title()]
        for _ in range(titles):
            await pilot.press("S")
            await until(pilot, lambda: not getattr(page, "busy", False))
            await pilot.pause()
            seen.append(title())
        assert len({line.split("──")[0] for line in seen}) == titles
        assert seen[0].split("──")[0] == seen[-1].split("──")[0]
        assert all("▲" in line or "▼" in line for line in seen[1:-1])


async def test_a_filter_stays_is_shown_in_the_title_and_esc_clears_it_before_it_leaves() -> None:
    app = filled()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("3", "slash", *"latency", "enter")
        await pilot.press("2")
        await pilot.press("3")
        page = app.screen
        assert isinstance(page, Triggers)
        await until(pilot, lambda: "with “latency”" in page.text())
        assert "error_creep" not in page.text()
        await pilot.press("escape")
        assert app.screen is page
        await until(pilot, lambda: "error_creep" in page.text())
        await pilot.press("escape")
        assert app.screen is not page


async def test_a_click_selects_a_row_and_another_opens_it() -> None:
    app = filled()
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        page = await deeper(pilot, "s", Servers)
        assert isinstance(page, Servers)
        sheet = page.query_one(Sheet)
        y = next(i for i, row in enumerate(page.text().splitlines()) if "ollama-2" in row)
        await pilot.click(sheet, offset=(5, y))
        await until(pilot, lambda: page.rows.at == 1)
        assert app.screen is page
        await pilot.click(sheet, offset=(5, y))
        await until(pilot, lambda: isinstance(app.screen, ErrorKinds))


async def test_a_state_too_long_for_its_column_is_below_the_table() -> None:
    app = filled()
    link = app.link
    assert isinstance(link, FakeLink)
    state = "answered 488 of 1,500 calls in 5m"
    link.view = msgspec.structs.replace(NORMAL, servers=(msgspec.structs.replace(NORMAL.servers[0], state=state),))
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        page = await deeper(pilot, "s", Servers)
        await until(pilot, lambda: state in page.text())


def test_workers_follow_the_servers_with_what_each_does() -> None:
    sentence = "worker 812-ab12cd on db-1 is silent; its lease ends 12:00"
    worker = WorkerView("812-ab12cd", "db-1", 812, "silent", 1000, 3, NOW, sentence)
    results = servers.lines(msgspec.structs.replace(NORMAL, workers=(worker,)), [], NOW)
    assert [line.cells[0][0] for line in results] == ["ollama-1", "ollama-2", "812-ab12cd"]
    assert results[-1].cells[1] == ("worker, silent", "bad")
    assert results[-1].about == sentence


def test_a_keyword_that_differs_by_case_alone_is_marked_as_found_by_both() -> None:
    c = Canvas(40, 5)
    keyword_list(c, Area(0, 0, 40, 5), "LLM", "llm", ["MIT License", "cache"], ["mit license"], served=False)
    assert [line.rstrip() for line in c.text().splitlines()][:3] == ["LLM · 2", "= MIT License", "  cache"]


def test_a_decision_s_evidence_is_shown_in_words_with_units_and_not_by_the_names_of_fields() -> None:
    reading = {
        "held_s": 300.0,
        "fires_in_s": None,
        "percent_bp": 2500,
        "effective_ms": 20.0,
        "resets_when": "one clean",
        "k": 3,
    }
    assert short(reading) == (
        f"held 5m, fires in {words.NO_DATA}, percent 25 %, effective 20 ms, resets when one clean, failures 3"
    )
    assert label("by_hand") == "by hand"
