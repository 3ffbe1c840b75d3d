"""S sorts and / filters every list; both show in its title and are the same when the screen is opened again."""

from __future__ import annotations

import pytest

from console.screens.commands import Commands, StoredRun, _name, listed
from console.screens.ordering import Order
from console.widgets.waiting import SLEEP
from tests.console.samples import NORMAL, NOW, PLAN
from tests.console.screen_walk import console, ready, until

BY_NAME, BY_RUN, BY_FAILURE = Commands.ORDERS[1:]


def test_a_filtered_list_has_no_empty_group_and_a_sorted_list_has_no_groups() -> None:
    every = listed(PLAN, NORMAL, {}, "", Order())
    assert {kind for kind, _ in every} == {"title", "reminder", "command"}
    left = listed(PLAN, NORMAL, {}, "CACHE HIT", Order())
    assert [_name(line) for line in left] == ["monitoring", "Cache hit rate (target: > 20%)"]
    assert listed(PLAN, NORMAL, {}, "no such command", Order()) == []
    by_name = [_name(line) for line in listed(PLAN, NORMAL, {}, "", BY_NAME)]
    assert by_name == sorted(by_name, key=str.lower)
    assert len(by_name) == sum(kind != "title" for kind, _ in every)


def test_commands_sort_by_their_last_run_and_by_failure() -> None:
    commands = [line[1] for line in listed(PLAN, NORMAL, {}, "", Order()) if line[0] == "command"]
    first, second = commands[0].run, commands[-1].run  # type: ignore[union-attr]
    ran = {first: StoredRun(NOW - 60, "bo", 0, 5.0, ""), second: StoredRun(NOW - 600, "bo", 1, 5.0, "")}
    newest = [line[1] for line in listed(PLAN, NORMAL, ran, "", BY_RUN)]
    assert [getattr(of, "run", "") for of in newest[:2]] == [first, second]
    assert getattr(listed(PLAN, NORMAL, ran, "", BY_FAILURE)[0][1], "run", "") == second


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("keys", "order", "wanted", "kept", "gone"),
    [
        ("9", "name ▲", "gate", "stage_gate", "weekly_meeting"),
        ("9 tab", "name ▲", "cache hit", "Cache hit rate", "Restart service"),
        ("exclamation_mark", "screen ▲", "review", "review 8 documents", "Team trained"),
    ],
)
async def test_a_list_sorts_and_filters_by_keys(keys: str, order: str, wanted: str, kept: str, gone: str) -> None:
    app = console("normal")

    def text() -> str:
        return app.page.text() if app.page is not None else ""

    async with app.run_test(size=(100, 44)) as pilot:
        await ready(pilot)
        await pilot.press(*keys.split())
        await until(pilot, lambda: gone in text() and kept in text())
        for _ in range(5):
            if order in text():
                break
            await pilot.press("S")
            await until(pilot, lambda: " ▲ " in text() or " ▼ " in text())
        assert order in text()
        await pilot.press("slash", *(letter if letter != " " else "space" for letter in wanted), "enter")
        await until(pilot, lambda: f"with “{wanted}”" in text() and gone not in text())
        assert kept in text()
        await pilot.press("1", *keys.split())  # opened again: sorted and filtered as before
        await until(pilot, lambda: f"{order} with “{wanted}”" in text() and gone not in text())
        await pilot.press("escape")
        await until(pilot, lambda: gone in text() and order in text())


@pytest.mark.anyio
async def test_an_inbox_that_a_filter_empties_never_suggests_sleep() -> None:
    app = console("normal")
    async with app.run_test(size=(80, 24)) as pilot:
        await ready(pilot)
        await pilot.press("exclamation_mark", "slash", *"zzz", "enter")
        page = app.page
        assert page is not None
        await until(pilot, lambda: "4 filtered out" in page.text())
        assert "No match; 4 are hidden." in page.text()
        await pilot.press("enter")
        await until(pilot, lambda: app.notice is not None)
        assert app.notice is not None
        assert SLEEP not in app.notice[0]
