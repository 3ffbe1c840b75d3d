"""Every raise needs what the person saw: the epoch, the armed file as the engine left it, and a ceiling that a person raised."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.client.client import EngineClient
from engine.plan.environment import PERCENTAGE
from engine.rollout.state import Actor
from tests.engine.service.rig import COMMAND, QUIET, EngineRig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[EngineRig]:
    with EngineRig(tmp_path, QUIET) as made:
        made.engine()
        yield made


def promote(rig: EngineRig, **more: object) -> bool:
    fields = {"epoch": rig.reader.state().epoch, "override": True, "reason": "climbing in a test", **more}
    return rig.client.command("promote", **fields).ok


def test_a_stale_undo_does_not_cancel_another_persons_later_rollback(rig: EngineRig) -> None:
    rig.climb(3)
    assert rig.client.rollback("alice's").ok
    seen = rig.reader.state().epoch
    bo = EngineClient(rig.folder, rig.plan, Actor("bo"))
    assert bo.rollback("bo's: I see it too").ok
    stale = rig.client.command("undo_rollback", epoch=seen)
    assert not stale.ok
    assert "bo's: I see it too" in stale.sentence
    assert rig.percent_bp == 0
    assert not rig.client.command("undo_rollback").ok  # reveals nothing of what was seen
    assert rig.client.command("undo_rollback", epoch=rig.reader.state().epoch).ok


def test_resume_needs_the_epoch_that_was_seen(rig: EngineRig) -> None:
    rig.climb(2)
    seen = rig.reader.state().epoch
    assert rig.client.command("hold", reason="lunch").ok
    assert rig.client.rollback("meanwhile").ok
    assert not rig.client.command("resume", epoch=seen).ok
    assert not rig.folder.is_armed()
    assert rig.client.command("resume", epoch=rig.reader.state().epoch).ok
    assert rig.folder.is_armed()


def unaccepted(rig: EngineRig) -> int:
    """Connections that wait in the socket of a stopped engine."""
    own = {os.readlink(path) for path in Path(f"/proc/{rig.pid}/fd").iterdir()}
    lines = Path("/proc/net/unix").read_text().splitlines()
    rows = [fields for fields in map(str.split, lines) if len(fields) == 8]
    (listening,) = {path for *_, flags, _, _, inode, path in rows if flags == "00010000" and f"socket:[{inode}]" in own}
    return sum((inode, path) == ("0", listening) for *_, inode, path in rows)


@pytest.mark.parametrize("named", [True, False])
def test_two_promotions_from_two_shells_climb_one_stage(rig: EngineRig, named: bool) -> None:
    words = ["--store", str(rig.folder.path), "--plan", str(rig.plan_path)]
    for target in (2, 3, 4):
        rig.climb(target - 1)
        to = ["--to", str(target)] if named else []
        command = [*COMMAND, *words, "promote", *to, "--override", "--reason", "both of us pressed"]
        os.kill(rig.pid, signal.SIGSTOP)  # until both have looked and asked
        try:
            both = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
            assert rig.until(lambda: unaccepted(rig) == 2, 30)
        finally:
            os.kill(rig.pid, signal.SIGCONT)
        assert sorted(one.wait(60) for one in both) == [0, 1]
        assert rig.reader.state().stage == target


def test_promotions_one_after_the_other_climb_one_stage_each(rig: EngineRig) -> None:
    for target in (1, 2, 3):
        assert rig.cli("promote", "--override", "--reason", "a script climbs").returncode == 0
        assert rig.reader.state().stage == target


@pytest.mark.parametrize("delay", [0.0, 0.15, 0.6, 1.2, 1.8])
def test_a_removed_armed_file_beats_a_promotion_that_comes_before_it_is_recorded(rig: EngineRig, delay: float) -> None:
    rig.climb(2)
    epoch = rig.reader.state().epoch  # before it is recorded, however late this process comes to ask
    rig.folder.armed.unlink()
    time.sleep(delay)
    reply = rig.client.command("promote", epoch=epoch, override=True, reason="did not see it")
    assert not reply.ok, reply.sentence
    assert "armed file" in reply.sentence or "changed after you looked" in reply.sentence
    assert not rig.folder.is_armed()
    assert rig.until(lambda: rig.percent_bp == 0, 10)
    assert "armed file was removed" in rig.reader.log(5, kind="rollback")[0].sentence
    assert promote(rig)  # the one who decides now has seen it


def folder_instead(armed: Path) -> None:
    armed.unlink()
    armed.mkdir()


def copied(armed: Path) -> None:
    content = armed.read_bytes()
    armed.unlink()
    armed.write_bytes(content)


def emptied(armed: Path) -> None:
    os.truncate(armed, 0)


@pytest.mark.parametrize("change", [folder_instead, copied, emptied])
def test_another_thing_in_place_of_the_armed_file_is_a_rollback_that_names_it(
    rig: EngineRig, change: Callable[[Path], None]
) -> None:
    rig.climb(2)
    change(rig.folder.armed)
    assert rig.extract("changed")["method"] == "frequency"
    assert rig.until(lambda: rig.percent_bp == 0, 10)
    assert "armed file was replaced or changed" in rig.reader.log(5, kind="rollback")[0].sentence
    assert promote(rig)


def test_an_armed_file_removed_at_0_percent_is_recorded_before_the_first_canary(rig: EngineRig) -> None:
    rig.climb(1)
    rig.folder.armed.unlink()
    assert not promote(rig)
    assert rig.until(lambda: "rollback" in rig.kinds(), 10)
    assert promote(rig)
    assert rig.percent_bp == 1000


def test_an_armed_file_that_someone_else_made_opens_nothing_and_is_removed(rig: EngineRig) -> None:
    rig.climb(2)
    assert rig.client.rollback("off").ok
    rig.folder.armed.write_text("made at 1.0 by engine 1\n")
    assert rig.extract("foreign")["method"] == "frequency"
    assert rig.until(lambda: not rig.folder.is_armed(), 5)
    rig.climb(2)
    rig.folder.armed.unlink()
    rig.folder.armed.touch()  # put back as if nothing had been
    answers = [rig.extract(f"put-back-{n}")["method"] for n in range(60)]
    assert "llm" not in answers
    assert rig.until(lambda: rig.percent_bp == 0, 10)


def test_an_exported_ceiling_and_a_restart_before_a_promotion_raise_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan's own way: export the next stage's percentage, restart, promote."""
    monkeypatch.setenv(PERCENTAGE, "10")
    with EngineRig(tmp_path, QUIET) as rig:
        engine = rig.engine()
        rig.climb(2)
        assert rig.cli("stop").returncode == 0
        engine.wait(20)
        monkeypatch.setenv(PERCENTAGE, "25")
        rig.engine()
        rig.climb(3)
        assert rig.until(lambda: rig.view.effective_bp == 2500)
        assert "raised the ceiling from 10 % to 25 %" in rig.reader.log(3, kind="ceiling")[0].sentence


def test_the_ceiling_outlives_the_environment_and_only_a_person_raises_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PERCENTAGE, "10")
    with EngineRig(tmp_path, QUIET) as rig:
        engine = rig.engine()
        rig.climb(4)
        assert rig.until(lambda: rig.view.percent_bp == 5000 and rig.view.effective_bp == 1000)
        assert [row.kind for row in rig.reader.log(20)].count("ceiling") == 1
        more = rig.client.command("ceiling", percent_bp=10_000, epoch=rig.reader.state().epoch)
        assert not more.ok
        assert f"{PERCENTAGE}=10" in more.sentence
        assert rig.cli("stop").returncode == 0
        engine.wait(20)
        monkeypatch.delenv(PERCENTAGE)
        rig.engine()
        assert rig.until(lambda: rig.view.percent_bp == 5000)
        time.sleep(1.5)
        assert rig.view.effective_bp <= 1000
        assert rig.until(lambda: rig.view.effective_bp == 1000 and "recorded ceiling" in rig.view.why_effective)
        stale = rig.client.command("ceiling", percent_bp=10_000, epoch=rig.reader.state().epoch - 1)
        assert not stale.ok
        assert rig.cli("ceiling", "100", "--reason", "the canary is over").returncode == 0
        assert rig.until(lambda: rig.view.effective_bp == 5000)
        assert "raised the ceiling from 10 % to 100 %" in rig.reader.log(3, kind="ceiling")[0].sentence
