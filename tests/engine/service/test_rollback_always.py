"""Rollback always works: on real processes, with each thing broken that a rollback must not need."""

from __future__ import annotations

import grp
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from engine.client.client import EngineClient
from engine.client.identity import whoami
from engine.rollout.state import Actor
from engine.store import database, log
from engine.store.folder import Folder
from tests.engine.service.rig import QUIET, TEXT, EngineRig, as_nobody
from tests.machine import crowd


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with EngineRig(tmp_path_factory.mktemp("always"), QUIET) as made:
        made.engine()
        yield made


# -- the engine busy, stopped, out of reach ---------------------------------------------------------------------------------


def test_a_rollback_works_while_the_cpu_is_at_100_percent(rig: EngineRig) -> None:
    rig.climb(4)
    going = threading.Event()
    going.set()
    big = TEXT * 200  # 80 kB: a thread of the engine counts words without a pause

    def flood(number: int) -> None:
        while going.is_set():
            rig.client.request(
                "POST", "/v1/extract", {"id": f"cpu-{number}-{time.monotonic_ns()}", "text": f"{number} {big}"}, 30.0
            )

    floods = [threading.Thread(target=flood, args=(n,)) for n in range(8)]
    for one in floods:
        one.start()
    time.sleep(0.7)
    pressed = time.monotonic()
    result = rig.client.rollback("busy")
    took = time.monotonic() - pressed
    gone = not rig.folder.is_armed()
    recorded = rig.until(lambda: rig.percent_bp == 0, 5)
    going.clear()
    for one in floods:
        one.join()
    assert gone
    assert result.ok
    assert took < 1.0 * crowd()
    assert recorded


def test_a_rollback_works_without_the_socket_file_which_is_recreated(rig: EngineRig) -> None:
    rig.climb(3)
    rig.folder.socket.unlink()
    result = rig.client.rollback("no socket")
    assert result.ok
    assert result.engine == "silent"
    assert not rig.folder.is_armed()
    assert rig.until(lambda: rig.percent_bp == 0, 3)
    assert rig.until(lambda: rig.client.command("proof", of=result.request_id).ok, 3)
    assert rig.proof(result.request_id)["effective_ms"] is not None


def test_a_rollback_works_from_an_old_screen_and_with_a_broken_plan(rig: EngineRig) -> None:
    rig.climb(3)
    whole = rig.plan_path.read_text()
    rig.plan_path.write_text("[[stages]\nthis is not TOML")
    try:
        done = rig.cli("rollback", "--reason", "the plan is being edited")
    finally:
        rig.plan_path.write_text(whole)
    assert done.returncode == 0, done.stderr
    assert "Effective in" in done.stdout
    assert "frequency" in done.stdout
    assert rig.percent_bp == 0


def test_with_the_engine_stopped_the_command_line_warns_and_the_engine_obeys_when_it_wakes(rig: EngineRig) -> None:
    rig.climb(2)
    os.kill(rig.pid, signal.SIGSTOP)
    try:
        done = rig.cli("rollback")
    finally:
        os.kill(rig.pid, signal.SIGCONT)
    assert done.returncode == 1
    assert "NOT OBSERVED within 5 s" in done.stderr
    assert "is stopped" in done.stderr
    assert f"rm -f {rig.folder.armed}" in done.stderr
    assert rig.until(lambda: rig.percent_bp == 0 and not rig.folder.has_intents(), 5)
    assert rig.until(lambda: rig.kinds()[-1] == "proof", 5)
    row = rig.reader.read(lambda conn: log.last(conn, ("proof",)))
    assert row is not None
    assert row.decision.evidence["effective_ms"] > 4000  # from the key, not from when the engine woke


def test_another_user_without_rights_gets_a_sentence(rig: EngineRig) -> None:
    rig.climb(2)
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    results = as_nobody(lambda: {"result": structs.asdict(EngineClient(rig.folder, rig.plan).rollback())})
    assert "result" in results, results
    assert not results["result"]["ok"]
    assert f"rm {rig.folder.armed}" in " ".join(results["result"]["ways"])
    assert rig.percent_bp > 0


# -- against a promotion ------------------------------------------------------------------------------------------------------


def test_of_two_rollbacks_at_once_each_is_recorded_and_none_is_lost(rig: EngineRig) -> None:
    """Whoever comes first, it ends at 0 % without the armed file, and every press that was answered is in the log."""
    rig.climb(1)
    bo = EngineClient(rig.folder, rig.plan, Actor("bo", os.getuid()))
    rig.client.rollback("from the start")
    pressed: list[str] = []
    won = 0
    for number in range(100):
        state = rig.reader.state()
        start = threading.Barrier(2)
        replies = {}

        def up(start: threading.Barrier = start, epoch: int = state.epoch, replies: dict = replies) -> None:  # type: ignore[type-arg]
            start.wait()
            replies["up"] = rig.client.command("promote", epoch=epoch, override=True, reason="a race in a test")

        def down(start: threading.Barrier = start, replies: dict = replies, late: float = number % 10 / 1000) -> None:  # type: ignore[type-arg]
            start.wait()
            time.sleep(late)
            replies["down"] = bo.rollback("a race in a test")

        both = [threading.Thread(target=up), threading.Thread(target=down)]
        for one in both:
            one.start()
        for one in both:
            one.join()
        assert replies["down"].ok
        pressed.append(replies["down"].request_id)
        won += replies["up"].ok
        assert rig.until(lambda: rig.percent_bp == 0, 3)
        assert not rig.folder.is_armed(), f"round {number}"
        if state.stage == 0:
            rig.climb(1)
    rows = {row.decision.request_id: row for row in rig.reader.read(lambda conn: list(log.every(conn)))}
    assert all(one in rows for one in pressed)
    assert 0 < won < 100, "both orders must have occurred for this test to mean anything"
    assert rig.reader.read(log.verify).ok


def test_while_another_program_holds_the_database_nothing_is_lost_even_by_a_kill(rig: EngineRig) -> None:
    process = rig.running()
    rig.climb(3)
    blocker = database.open_writer(rig.folder, "NORMAL", 5.0)
    blocker.execute("BEGIN EXCLUSIVE")
    began = time.monotonic()
    result = rig.client.rollback("another process holds the database")
    assert time.monotonic() - began < 1.0 * crowd()
    assert result.ok
    assert result.rev is None
    assert rig.proof(result.request_id)["effective_ms"] < 1000 * crowd()
    assert rig.until(rig.folder.has_intents, 3)
    process.kill()
    process.wait()
    began = time.monotonic()
    second = rig.client.rollback("and now the engine is dead too")
    assert time.monotonic() - began < 1.0 * crowd()
    assert second.ok
    blocker.execute("ROLLBACK")
    blocker.close()
    rig.engine()
    assert rig.percent_bp == 0
    assert rig.until(lambda: not rig.folder.has_intents())  # a file goes when its row is there
    rows = {row.decision.request_id: row.decision.reason for row in rig.reader.read(lambda c: list(log.every(c)))}
    assert rows[result.request_id] == "another process holds the database"
    assert rows[second.request_id] == "and now the engine is dead too"


# -- from the command line, cold ------------------------------------------------------------------------------------------------


def test_the_armed_file_is_gone_before_the_command_loads_anything_slow(tmp_path: Path) -> None:
    """No plan parser, HTTP, SQLite or engine code runs between the start of the command and the unlink."""
    script = (
        "import os, sys\n"
        "unlink = os.unlink\n"
        "def spy(path, *a, **k):\n"
        "    print(sorted(m for m in sys.modules if m in SLOW), file=sys.stderr)\n"
        "    return unlink(path, *a, **k)\n"
        "SLOW = {'http.client', 'sqlite3', 'asyncio', 'engine.plan.load', 'engine.service.engine', 'textual', 'httpx'}\n"
        "os.unlink = spy\n"
        "from console.cli import main\n"
        "main()\n"
    )
    store = tmp_path / "store"
    store.mkdir()
    (store / "armed").touch()
    done = subprocess.run(
        [sys.executable, "-c", script, "--store", str(store), "rollback", "--json"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stderr.splitlines()[0] == "[]"
    answer = json.loads(done.stdout)
    assert answer["ok"]
    assert "armed file removed" in answer["ways"]
    assert not (store / "armed").exists()


def test_a_rollback_without_a_store_does_not_claim_to_have_worked(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from console.cli import main; main()", "--store", str(tmp_path / "none"), "rollback"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 1
    assert "There is no store in" in done.stderr


def test_a_group_shares_the_store_and_its_members_roll_back_under_their_own_name(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    group = next((g for g in grp.getgrall() if g.gr_name == "games"), None)
    if group is None:
        pytest.skip("there is no group to share with")
    base = Path(tempfile.mkdtemp(prefix="rollout-shared-"))  # pytest's own folders are closed to other users

    def press() -> dict[str, object]:
        folder = Folder(rig.folder.path)
        return {"result": structs.asdict(EngineClient(folder, rig.plan).rollback("by a member"))}

    before = os.umask(0o077)
    try:
        with EngineRig(base, QUIET, {"store.group": "games"}) as rig:
            os.chmod(base, 0o755)
            process = rig.engine()
            rig.climb(2)
            results = as_nobody(press, (group.gr_gid,))
            assert results["result"]["ok"], results
            assert rig.until(lambda: rig.percent_bp == 0, 3)
            assert rig.reader.log(5, kind="rollback")[0].actor == as_nobody(lambda: {"name": whoami().name})["name"]
            process.kill()
            process.wait()
            results = as_nobody(press, (group.gr_gid,))
            assert "committed by this console" in results["result"]["ways"], results
            assert not rig.folder.is_armed()
    finally:
        os.umask(before)
        shutil.rmtree(base, ignore_errors=True)


def test_a_rollback_works_with_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    with EngineRig(tmp_path) as rig:
        rig.folder.prepare()
        rig.folder.database.write_bytes(os.urandom(8192))
        rig.folder.prepare_armed_file("")
        rig.folder.arm()
        result = rig.client.rollback("the store is damaged")
        assert result.ok
        assert not rig.folder.is_armed()
        assert any("refused it" in way for way in result.ways)
        with pytest.raises(sqlite3.DatabaseError):
            database.open_writer(rig.folder, "FULL").execute("SELECT * FROM control")


def test_who_rolled_back_is_on_the_disk_before_it_is_answered_that_it_is_not_recorded(tmp_path: Path) -> None:
    with EngineRig(tmp_path, QUIET) as rig:
        engine = rig.engine()
        rig.climb(3)
        holder = sqlite3.connect(rig.folder.database, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        status, answer = rig.client.request(
            "POST", "/v1/control/rollback", {"reason": "they called", "request_id": "kept"}, 20.0
        )
        engine.kill()
        engine.wait()
        holder.execute("ROLLBACK")
        holder.close()
        assert (status, answer["data"]["recorded"]) == (200, False)
        rig.engine()
        assert rig.until(lambda: rig.percent_bp == 0)
        row = rig.reader.log(1, kind="rollback")[0]
        assert (row.actor, row.reason) == (whoami().name, "they called")


CONSOLE_WITHOUT_PROGRAM = """
import sys
from pathlib import Path
import console.app
from engine.client.client import EngineClient
from engine.plan.load import load_plan
from engine.store.folder import Folder
from engine.store.reader import Reader

class Gone:
    def find_spec(self, name, *_):
        raise ImportError(f"{name} is gone")

store, plan = Folder(Path(sys.argv[1])), load_plan(sys.argv[2])
sys.meta_path.insert(0, Gone())
result = EngineClient(store, plan).rollback("bad keywords", "Live")
print(result.sentence)
sys.exit(not result.ok)
"""


def test_an_open_console_rolls_back_without_an_engine_when_its_program_is_gone(tmp_path: Path) -> None:
    """It was upgraded, or its folder unmounted: R imports nothing then."""
    with EngineRig(tmp_path, speed=None) as rig:
        rig.engine()
        rig.climb(2)
        process = rig.running()
        process.kill()
        process.wait()
        command = [sys.executable, "-c", CONSOLE_WITHOUT_PROGRAM, str(rig.folder.path), str(rig.plan_path)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
        assert ended.returncode == 0, ended
        assert rig.percent_bp == 0
