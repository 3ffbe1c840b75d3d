"""What a rollback takes away and what it leaves: signatures, bake, the A/B test; and what an undo gives back."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.plan.durations import iso
from engine.store import log
from engine.trial import ledger
from engine.view.model import ItemView
from tests.engine.service.clocked import Clocked
from tests.engine.service.test_blind import hanging_service

pytestmark = pytest.mark.anyio


def item(c: Clocked, name: str) -> ItemView:
    view = c.engine.view
    assert view is not None
    return next(i for i in view.gate.items if i.id == name)


async def sign(c: Clocked, name: str) -> None:
    reply = await c.command("sign", item=name, note="seen with my own eyes")
    assert reply.ok, reply.sentence


async def test_signatures_from_before_a_rollback_are_needed_again_and_show_since_when(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(1)
        for name in ("deployed_disabled", "tested_by_hand", "logs_reviewed", "rollback_dry_run"):
            await sign(c, name)
        await c.climb(2)
        await c.command("rollback", reason="bad keywords")
        await c.passes(20)
        at = iso(log.last(c.engine.conn, ("rollback",)).decision.at)  # type: ignore[union-attr]
        assert c.engine.state.stage == 1
        again = item(c, "tested_by_hand")
        assert (again.state, again.lapsed) == ("open", True)
        assert f"signed before the rollback of {at[11:16]}" in again.note
        assert f"proven before the rollback of {at[11:16]}" in item(c, "rollback_dry_run").note
        assert item(c, "deployed_disabled").state == "done"  # keeps = true
        assert any("checklist items open" in missing for missing in c.engine.view.gate.missing)  # type: ignore[union-attr]
        await sign(c, "tested_by_hand")
        await c.passes(10)
        assert item(c, "tested_by_hand").state == "done"
        reply = await c.command(
            "promote", epoch=c.engine.state.epoch
        )  # the gate is shut; but machine checks are run again
        assert not reply.ok
        await c.passes(10)
        assert item(c, "rollback_dry_run").state == "done"
        assert item(c, "logs_reviewed").state == "open"


async def test_a_rollback_at_zero_takes_nothing_away_and_lapses_nothing(tmp_path: Path) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(1)
        await sign(c, "tested_by_hand")
        await c.command("rollback", reason="trying the key")
        await c.passes(10)
        assert item(c, "tested_by_hand").state == "done"


async def test_an_undo_gives_back_the_signatures_the_bake_and_since_when_without_the_gap(tmp_path: Path) -> None:
    with hanging_service() as url:
        async with Clocked(tmp_path, {"llm.url": url, "trigger_settings.blind_after": "1h"}) as c:
            await c.climb(4)
            await sign(c, "satisfaction_kept")
            await c.passes(600)
            entered, baked = c.engine.state.entered_at, c.engine.monitor.watch.baked_s
            assert baked >= 590
            await c.command("rollback", reason="the wrong window")
            await c.passes(30)
            assert (await c.command("undo_rollback", epoch=c.engine.state.epoch)).ok
            assert c.engine.monitor.gatekeeper.baked(c.engine.state)[0] == baked
            await c.passes(20)
            assert c.engine.state.entered_at == entered
            assert baked <= c.engine.monitor.watch.baked_s <= baked + 20
            assert item(c, "satisfaction_kept").state == "done"


async def test_an_undo_continues_the_a_b_test_and_without_one_it_ends_after_the_minute(tmp_path: Path) -> None:
    async with Clocked(tmp_path, {"trigger_settings.blind_after": "1h"}) as c:
        await c.climb(4)
        await c.passes(20)
        await c.settled(lambda: ledger.running(c.engine.conn))
        first = ledger.running(c.engine.conn)
        assert first is not None
        await c.command("rollback", reason="the wrong window")
        await c.passes(30)
        assert ledger.running(c.engine.conn) is not None
        assert (await c.command("undo_rollback", epoch=c.engine.state.epoch)).ok
        await c.passes(10)
        await c.settled(lambda: log.last(c.engine.conn, ("ab_continue",)))
        going = ledger.running(c.engine.conn)
        assert going is not None
        assert (going.id, going.epoch, going.declaration) == (first.id, c.engine.state.epoch, first.declaration)
        await c.command("rollback", reason="now it is meant")
        await c.passes(80)
        await c.settled(lambda: ledger.running(c.engine.conn) is None)
        assert log.last(c.engine.conn, ("ab_end",)) is not None


@pytest.mark.parametrize("name", ["AB_TEST", "METRICS"])
async def test_the_environment_is_a_ceiling_for_the_a_b_test_and_reports_it(tmp_path: Path, name: str) -> None:
    variable = f"XZE_KEYWORD_EXTRACTION_{name}"
    async with Clocked(tmp_path, {"trigger_settings.blind_after": "1h"}, environ={variable: "false"}) as c:
        await c.climb(4)
        await c.passes(40)
        assert ledger.last(c.engine.conn) is None
        view = c.engine.view
        assert view is not None
        assert variable in str(view.limits)
        condition = next(x for x in view.gate.conditions if x.id == "ab_test")
        assert variable in condition.missing
        assert "export XZE_KEYWORD_EXTRACTION_AB_TEST=false" in c.engine.environment()
        await c.passes(1800)
        measured = {kind for (kind,) in c.engine.conn.execute("SELECT kind FROM measure")}
        assert measured <= {"trigger_rules"}, "no A/B report and no search measurement"
