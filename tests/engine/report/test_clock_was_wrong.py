"""A clock that was wrong for a while, and was corrected, changes neither the report's lengths of time nor its incidents."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from engine.history.past import view_at
from engine.measures.record import Extraction
from engine.report import gather
from engine.store import log
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio
LONG = {
    "trigger_settings.blind_after": "20h",
    "trigger_settings.blind_step_down": "21h",
    "trigger_settings.probe_every": "1h",
    "trigger_settings.mode": "literal",
}
HOUR, DAY = 3600.0, 86400.0
# of each stage that was left: minutes in all and held; of each incident: detected, decided, percentage, cost; when it was decided; documents
Told = tuple[list[tuple[int, int, int]], list[tuple[int, int, int, str]], float, int]


async def documents(c: Clocked, minutes: int, failing: bool = False) -> None:
    for _ in range(minutes):
        for n in range(30):
            failed = failing and n % 2 == 0
            state, at = c.engine.state, c.clock.now()
            record = Extraction(
                at, f"d{at}-{n}", "treatment", "frequency" if failed else "llm", state.stage, state.epoch, attempted=True,
                lookup=True, fallback=failed, error="http" if failed else None, ms=900.0,
            )  # fmt: skip
            c.engine.monitor.observations.add(record)
            c.engine.writer.append(record)
        await c.passes(60, step=20.0)


async def proven(c: Clocked) -> None:
    while log.last(c.engine.conn, ("proof",)) is None:
        await c.loop.tick()
        await asyncio.sleep(0.01)


async def told(root: Path, step: float) -> Told:
    """What the report says of a rollout whose clock was set by `step` half way through its incident, and back."""
    async with Clocked(root, LONG) as c:
        began = c.clock.now()
        await c.climb(3)
        await documents(c, 30)
        c.clock.step_wall(step)
        await documents(c, 10)
        while c.engine.state.percent_bp:
            await documents(c, 1, failing=True)
        await proven(c)
        c.clock.step_wall(-step)
        await c.passes(1200, step=25.0)
        await asyncio.wrap_future(c.engine.writer.write(lambda conn: None))
        story = gather(c.engine.conn, c.rig.plan)
        stages = [(s.number, round(s.spent_s / 60), round(s.held_s / 60)) for s in story.stages if s.left is not None]
        incidents = [
            (round((i.detect_s or 0) / 60), round((i.decide_s or 0) / 60), i.percent_to, i.cost)
            for i in story.incidents
        ]
        decided = max(i.decided for i in story.incidents)
        before, after = (view_at(c.engine.conn, c.rig.plan, decided + s) for s in (-30.0, 30.0))
        assert (before.percent_bp, after.percent_bp) == (2500, 0)
        return stages, incidents, (decided - began) / 60, story.stages[3].documents


@pytest.fixture(scope="module")
async def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return await told(tmp_path_factory.mktemp("undisturbed"), 0.0)


@pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY])
async def test_a_clock_that_was_wrong_for_a_while_changes_no_length_of_time(
    tmp_path: Path, undisturbed: Told, step: float
) -> None:
    stages, incidents, decided, count = await told(tmp_path, step)
    assert stages == undisturbed[0]
    assert incidents == undisturbed[1]
    assert count == undisturbed[3]
    if step > 0:  # a clock that was behind is not known to have been wrong until it is corrected
        assert decided == pytest.approx(undisturbed[2], abs=1.0)
