"""What the debrief makes of the log and of the game day's journal."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from console.context import CliContext
from console.verbs import gameday
from engine.gameday import debrief, results
from engine.gameday.director import DELAYED_S, delay
from engine.gameday.journal import JournalEntry
from engine.gameday.scenario import load
from engine.gameday.scoring import score
from engine.gameday.shift import Act, Shift
from engine.measures import stored
from engine.measures.attendance import LOOK, Attendance
from engine.rehearsal import record
from engine.rollout.state import Actor, Decision
from engine.server.rehearse import GameDay
from engine.store.log import Row
from tests.engine.report.history import History

ENGINE = Actor("engine", kind="engine")
BO = Actor("bo", uid=1000)  # a player with a name of the cast
CAST = Actor("bo", kind="person", terminal="pts/7")


def row(at: float, kind: str, actor: Actor, percent: tuple[int, int] = (0, 0), **more: str) -> Row:
    decision = Decision(kind, actor, "", 3, percent[1], at, f"id-{at}", f"{actor.name} {kind}", **more)
    return Row(int(at), decision, percent[0], 1, "", "")


def acts(*rows: Row) -> tuple[Act, ...]:
    return debrief._acts(rows, (), 10.0, 100.0)


def test_a_player_differs_from_the_cast_by_account_not_by_name() -> None:
    mine, theirs, fired = acts(
        row(20, "rollback", BO, (2500, 0)), row(21, "promote", CAST, (0, 1000)), row(22, "trigger", ENGINE, (1000, 0))
    )
    assert (mine.by, mine.lowers) == ("player", True)
    assert theirs.by == "colleague"
    assert (fired.by, fired.lowers) == ("trigger", True)


def test_a_resume_that_lifts_nothing_does_not_reopen() -> None:
    """After a manual rollback the inbox asks for it, for measuring; no percentage rises."""
    assert [act.kind for act in acts(row(20, "rollback", BO, (2500, 0)), row(30, "resume", BO))] == [
        "rollback",
        "rearm",
    ]
    held = acts(row(20, "hold", BO, held="bo: looking"), row(30, "resume", BO, held="", locked=""))
    assert [act.kind for act in held] == ["hold", "resume"]
    locked = acts(row(5, "trigger", ENGINE, (2500, 0), locked="fired"), row(30, "resume", BO, held="", locked=""))
    assert [act.kind for act in locked] == ["resume"], "it was locked before the shift"


def test_screens_that_are_passed_on_the_way_do_not_count() -> None:
    looks = [(20.0, "Triggers"), (50.0, "Rollback"), (90.0, "Triggers"), (90.1, "Live")]
    entries = tuple(JournalEntry(0.0, at, "look", screen) for at, screen in looks)
    assert [look.screen for look in debrief._looks(entries, 10.0)] == ["Triggers", "Rollback", "Live"]


def test_a_started_engine_counts_from_the_key_press_and_only_if_it_ran() -> None:
    entries = [JournalEntry(0.0, at, kind) for at, kind in ((20.0, "start"), (25.0, "start"), (60.0, "back"))]
    assert [(act.at, act.took_s) for act in debrief._starts(tuple(entries))] == [(20.0, 40.0)]
    assert debrief._starts(tuple(entries[:2])) == []
    assert [act.at for act in debrief._starts((entries[2],))] == [60.0]


def test_a_step_that_came_late_moves_the_start_of_the_clock() -> None:
    scenario = load("empty")
    step = JournalEntry(0.0, 1000.0 + scenario.fault_after_s + 7.0, "step", step=0)
    assert debrief._late(scenario, (step,), 1000.0) == 7.0
    assert debrief._late(scenario, (), 1000.0) == 0.0


def test_a_shift_s_fault_begins_at_its_own_time_in_each_of_its_engines() -> None:
    """Else whoever has played three would know a fourth by when it begins."""
    begun = [JournalEntry(1000.25 + place, 0.0, "begun") for place in range(40)]
    delays = [delay(entry) for entry in begun]
    assert delays == [delay(entry) for entry in begun]
    assert 0.0 <= min(delays) < 20.0 < 80.0 < max(delays) <= DELAYED_S


def test_a_full_disk_is_reported_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1 << 20))
    assert "has 1 MiB free" in GameDay(load("empty"), keep=tmp_path / "game").start()


def test_a_result_that_no_folder_takes_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = load("false-alarm")
    scored = score(scenario, Shift(0.0, scenario.lasts_s, 10.0))
    made = debrief.Debrief("id", 0.0, "bo", scenario.name, scenario.title, 10.0, 0.0, scored, (), "", "")
    context = CliContext(store=tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setattr(record, "home", lambda: tmp_path / "file")  # as little a folder as a full disk
    assert not gameday._keep(made, context)
    monkeypatch.setattr(record, "home", lambda: tmp_path / "home")
    assert gameday._keep(made, context)
    assert results.read(tmp_path / "home") == [made]


def test_a_console_that_attaches_to_a_new_engine_is_not_a_moment_of_the_shift() -> None:
    h = History()
    h.tell("start", "the rollout begins", actor=ENGINE)
    began = JournalEntry(time.time() - 60.0, h.at + 1, "begun")
    look = JournalEntry(began.real + 2, began.at + 20, "look", "Live")
    stored.keep(h.conn, began.at + 30, LOOK, Attendance("bo", "pts/3", "came"))
    made = debrief.debrief(h.conn, h.plan, load("dead"), (began, look), 10.0, "bo")
    assert made is not None
    assert [moment.sentence for moment in made.moments if moment.kind == "look"] == ["you opened Live"]
