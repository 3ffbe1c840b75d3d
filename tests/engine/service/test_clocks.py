"""A wrong wall clock and a sleeping machine: nothing is deleted, silenced, locked for years or fired by old failures."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.clock import BelievedClock
from engine.measures.record import Extraction
from engine.messages import outbox
from engine.messages.draft import ESCALATION
from engine.service import deferred
from engine.service.engine import Engine
from engine.service.escalation import Escalation, acknowledged
from engine.service.loop import ControlLoop
from engine.store import log, series
from tests.clock import ManualClock
from tests.engine.service.clocked import Clocked
from tests.engine.service.test_blind import hanging_service

pytestmark = pytest.mark.anyio
LONG = {
    "trigger_settings.blind_after": "20h",
    "trigger_settings.blind_step_down": "21h",
    "trigger_settings.probe_every": "1h",
}
DAY = 86400.0
TWO_HOURS = 7200.0


def believing(root: Path, ahead_s: float = 0.0) -> Clocked:
    """An engine with the clock that the process gives it, started when the wall clock is so far ahead."""
    made = Clocked(root, LONG)
    made.clock.step_wall(ahead_s)
    made.engine = Engine(made.rig.plan, made.rig.folder, BelievedClock(made.clock))
    made.loop = ControlLoop(made.engine)
    return made


def attempt(c: Clocked, name: str, error: str | None = None) -> Extraction:
    state = c.engine.state
    return Extraction(
        c.engine.clock.now(), name, "treatment", "frequency" if error else "llm", state.stage, state.epoch, attempted=True, lookup=True,
        fallback=error is not None, error=error, ms=900.0,
    )  # fmt: skip


async def happen(c: Clocked, count: int, error: str | None = None) -> None:
    for n in range(count):
        record = attempt(c, f"d{c.clock.now()}-{n}", error)
        c.engine.monitor.observations.add(record)
        c.engine.writer.append(record).result(60)


def rows(c: Clocked, table: str) -> int:
    return int(c.engine.conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_a_clock_two_months_ahead_for_a_minute_deletes_nothing(tmp_path: Path) -> None:
    async with Clocked(tmp_path, LONG) as c:
        await c.climb(2)
        await happen(c, 40)
        await c.passes(120)
        raw, rolled = rows(c, "extraction"), rows(c, "rollup")
        c.clock.step_wall(60 * DAY)
        await c.passes(180)
        c.clock.step_wall(-60 * DAY)
        await c.passes(60)
        c.engine.writer.write(lambda conn: None).result(60)
        assert rows(c, "extraction") == raw
        assert rows(c, "rollup") >= rolled


async def test_an_engine_that_starts_with_a_clock_two_months_ahead_deletes_nothing(tmp_path: Path) -> None:
    async with Clocked(tmp_path, LONG) as c:
        await c.climb(2)
        await happen(c, 40)
        await c.passes(120)
        raw = rows(c, "extraction")
    ahead = Clocked(tmp_path, LONG)
    ahead.clock.step_wall(60 * DAY)
    async with ahead as c:
        await c.passes(180)
        c.engine.writer.write(lambda conn: None).result(60)
        assert rows(c, "extraction") == raw


async def test_what_is_older_than_the_plan_keeps_still_goes_as_the_engine_runs(tmp_path: Path) -> None:
    async with Clocked(tmp_path, {**LONG, "store.raw_days": 1}) as c:
        await c.climb(2)
        await happen(c, 10)
        await c.passes(1.1 * DAY, step=300.0)  # of which retention sees each
        await c.settled(lambda: rows(c, "extraction") == 0)


async def test_complaints_count_after_a_clock_that_was_ahead_is_corrected_between_two_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deferred, "ANSWER_S", 0.0)  # a slow store: the correction is recorded after the start
    early = Clocked(tmp_path, LONG)
    early.clock.step_wall(TWO_HOURS)
    async with early as c:
        await c.climb(3)
        for n in range(3):
            await c.command("complaint", text=f"early {n}", id=f"early-{n}")
        await happen(c, 30)
        await c.passes(20)
    async with Clocked(tmp_path, LONG) as c:
        row = log.last(c.engine.conn, ("clock",))
        assert row is not None
        assert "had been ahead" in row.decision.sentence
        assert c.engine.state.entered_at <= c.clock.now()
        assert c.engine.monitor.observations.complaints == 3
        bucket = series.window(c.engine.conn, c.clock.now(), 300, since_epoch=c.engine.state.epoch)
        assert bucket.attempts == 30
        for n in range(8):
            await c.command("complaint", text=f"late {n}", id=f"late-{n}")
        await c.passes(20)
        await c.settled(lambda: c.engine.state.percent_bp == 0)  # more than ten
        assert c.rig.reader.read(log.verify).ok
    async with Clocked(tmp_path, LONG) as c:  # and it is reported once
        rev = c.engine.state.rev
        await c.passes(20)
        assert log.last(c.engine.conn, ("clock",)).rev <= rev  # type: ignore[union-attr]


async def test_a_cool_down_from_a_clock_a_year_ahead_ends_within_its_own_time(tmp_path: Path) -> None:
    early = Clocked(tmp_path, LONG)
    async with early as c:
        await c.climb(3)
        c.clock.step_wall(365 * DAY)
        await c.passes(20)
        for n in range(11):
            await c.command("complaint", text=f"bad {n}", id=f"bad-{n}")
        await c.passes(20)
        await c.settled(lambda: c.engine.state.locked)
        await c.settled(lambda: any(d.message == "rollback" for d in outbox.deliveries(c.engine.conn)))
    async with Clocked(tmp_path, LONG) as c:
        until = c.engine.state.cooldown_until
        assert until is not None
        assert until - c.clock.now() <= 1800
        (latest,) = c.engine.conn.execute("SELECT max(next_try) FROM outbox WHERE state = 'waiting'").fetchone()
        assert latest is None or latest <= c.clock.now() + 3600
        assert c.rig.reader.read(log.verify).ok


async def test_the_ends_of_cool_down_and_undo_keep_their_length_over_a_step_and_back(tmp_path: Path) -> None:
    async with Clocked(tmp_path, LONG) as c:
        await c.climb(3)
        await c.passes(600)
        entered = c.engine.state.entered_at
        c.clock.step_wall(TWO_HOURS)
        await c.passes(60)
        c.clock.step_wall(-TWO_HOURS)
        await c.passes(20)
        assert c.engine.state.entered_at == entered
        assert [row.decision.kind for row in log.rows(c.engine.conn, limit=2)] == ["clock", "clock"]


async def test_failures_from_before_eight_hours_of_sleep_do_not_fire(tmp_path: Path) -> None:
    with hanging_service() as url:
        async with Clocked(tmp_path, {**LONG, "llm.url": url}) as c:
            await c.settled(lambda: c.engine.monitor.probing.servers)
            await c.climb(3)
            await happen(c, 60)
            for _ in range(8):
                await happen(c, 4, "timeout")
                await c.passes(10)
            assert any(r.verdict == "breach" for r in c.engine.monitor.verdict.readings)
            assert c.engine.state.percent_bp == 2500
            c.clock.suspend(8 * 3600)
            await c.passes(900)
            assert c.engine.state.percent_bp == 2500
            await c.settled(lambda: log.last(c.engine.conn, ("lease",)))
            row = log.last(c.engine.conn, ("lease",))
            assert row is not None
            assert "earlier failures do not count" in row.decision.sentence
            for _ in range(60):  # and what fails after it does
                await happen(c, 4, "timeout")
                await c.passes(10)
            await c.settled(lambda: c.engine.state.percent_bp < 2500)


async def test_hours_in_which_the_engine_was_stopped_are_no_bake(tmp_path: Path) -> None:
    async with Clocked(tmp_path, LONG, ticking=False) as c:
        await c.climb(1)
        await c.passes(100)
        baked = c.engine.monitor.watch.baked(c.engine.state)
        assert baked >= 90
        c.clock.advance(8 * 3600)
        await c.loop.tick()
        assert c.engine.monitor.watch.baked(c.engine.state) == baked
        await c.passes(50)
        assert c.engine.monitor.watch.baked(c.engine.state) == baked + 50


@pytest.mark.parametrize("step", [7 * DAY, -DAY])
async def test_an_alarm_reaches_the_next_contact_after_its_own_time_whatever_the_clock_does(
    tmp_path: Path, step: float
) -> None:
    async with Clocked(tmp_path, {**LONG, "notify.escalate_to": ["DevOps Engineer"]}) as c:
        await c.climb(3)
        for n in range(11):
            await c.command("complaint", text=f"bad {n}", id=f"bad-{n}")
        await c.passes(20)
        await c.settled(lambda: c.engine.monitor.alarm)

        def escalated() -> bool:
            return any(d.message == ESCALATION for d in outbox.deliveries(c.engine.conn))

        c.clock.step_wall(step)
        await c.passes(60)
        await Escalation(c.engine).tick()
        assert not escalated()
        await c.passes(300)
        await Escalation(c.engine).tick()
        await c.settled(escalated)


async def test_who_has_an_alarm_keeps_it_when_the_clock_is_set_and_does_not_have_the_next(tmp_path: Path) -> None:
    async with Clocked(tmp_path, LONG) as c:
        await c.climb(3)
        for n in range(11):
            await c.command("complaint", text=f"bad {n}", id=f"bad-{n}")
        await c.passes(20)
        await c.settled(lambda: c.engine.monitor.alarm)
        assert (await c.command("acknowledge")).ok
        c.clock.step_wall(DAY)
        await c.passes(20)
        assert acknowledged(c.engine) is not None
        c.clock.step_wall(-2 * DAY)
        await c.passes(20)
        assert acknowledged(c.engine) is not None
        await c.passes(1900)  # the cool-down
        assert (await c.command("resume", reason="the index was stale", epoch=c.engine.state.epoch)).ok
        await c.passes(20)
        assert not c.engine.monitor.alarm
        await c.climb(3)
        for n in range(11):
            await c.command("complaint", text=f"more {n}", id=f"more-{n}")
        await c.passes(20)
        await c.settled(lambda: c.engine.monitor.alarm)
        assert acknowledged(c.engine) is None


def times_of(c: Clocked) -> list[object]:
    """Every time in the records, by the store."""
    c.engine.writer.write(lambda conn: None).result(60)
    times: list[object] = c.engine.conn.execute("SELECT id, at FROM extraction ORDER BY id").fetchall()
    return times + c.engine.conn.execute("SELECT level, t, stage, epoch FROM rollup ORDER BY 1, 2, 3, 4").fetchall()


@pytest.mark.parametrize("wrong", [-55 * 365 * DAY, 78 * 365 * DAY, -60 * DAY, -TWO_HOURS])
async def test_records_keep_their_times_when_the_clock_is_wrong_for_a_moment(tmp_path: Path, wrong: float) -> None:
    async with believing(tmp_path) as c:
        await c.climb(2)
        await happen(c, 40)
        await c.passes(120)
        before = times_of(c)
        c.clock.step_wall(wrong)
        await c.passes(50)
        assert "Check it with `timedatectl`" in c.engine.events[-1][1]
        await happen(c, 1)
        c.clock.step_wall(-wrong)
        await c.passes(20)
        assert [one for one in times_of(c) if one in before] == before
        (latest,) = c.engine.conn.execute("SELECT max(at) FROM extraction").fetchone()
        assert c.clock.now() - 60 < latest <= c.clock.now()
        assert "clock" not in [row.decision.kind for row in log.rows(c.engine.conn, limit=20)]


@pytest.mark.parametrize("wrong", [-55 * 365 * DAY, -60 * DAY])
async def test_records_keep_their_times_over_a_start_with_a_clock_that_was_behind(tmp_path: Path, wrong: float) -> None:
    """As on a board whose battery is empty, until NTP answers."""
    async with believing(tmp_path) as c:
        await c.climb(2)
        await happen(c, 40)
        await c.passes(120)
        before = times_of(c)
    async with believing(tmp_path, wrong + 3600) as c:
        await c.passes(50)
        c.clock.step_wall(-wrong)
        await c.passes(20)
        assert [one for one in times_of(c) if one in before] == before
        assert c.engine.clock.now() == c.clock.now()
        assert c.rig.reader.read(log.verify).ok


async def test_records_keep_their_distances_when_an_engine_starts_with_the_right_time_again(tmp_path: Path) -> None:
    async with believing(tmp_path, 60 * DAY) as c:
        await c.climb(2)
        await happen(c, 1)
        await c.passes(600)
        await happen(c, 1)
        times_of(c)
    async with believing(tmp_path) as c:
        await c.passes(70)
        assert c.engine.clock.now() == c.clock.now()
        latest = "SELECT max(at) FROM extraction"
        await c.settled(lambda: c.engine.conn.execute(latest).fetchone()[0] <= c.clock.now())
        first, last = (at for (at,) in c.engine.conn.execute("SELECT at FROM extraction ORDER BY id"))
        assert last - first == pytest.approx(600, abs=5)
        assert c.engine.state.entered_at <= c.clock.now()


async def test_a_clock_that_stays_set_back_is_believed(tmp_path: Path) -> None:
    async with believing(tmp_path) as c:
        await c.climb(2)
        c.clock.step_wall(-TWO_HOURS)
        await c.passes(50)
        assert c.engine.clock.now() == c.clock.now() + TWO_HOURS
        await c.passes(30)
        assert c.engine.clock.now() == c.clock.now()
        await c.settled(lambda: log.last(c.engine.conn, ("clock",)))


async def test_each_way_back_of_the_clock_must_last_to_be_believed() -> None:
    clock = ManualClock()
    believed = BelievedClock(clock)
    for step in (-TWO_HOURS, TWO_HOURS, -TWO_HOURS, -TWO_HOURS):
        clock.step_wall(step)
        for _ in range(51):
            clock.advance(1)
            assert believed.now() == clock.real() + 1_800_000_000.0
    clock.advance(10)
    assert believed.now() == clock.now()
    for step in (DAY, -DAY):  # and it may come back to where it was
        clock.step_wall(step)
        assert believed.now() == clock.now()
