"""A process that this user cannot inspect counts as the store's engine only if it may be it; never the other way round.

| its user | can write here | names another store | the store's record names | may be this store's engine |
|---|---|---|---|---|
| another | no | - | - | no |
| another | yes (group, all, access list) | no | nothing | yes |
| another | yes | yes | nothing | no |
| another | yes | no | another engine | no: one that was succeeded makes no LLM call |
| root | always | no | nothing | yes |
| root | always | yes | nothing | no |
| root | always | no | it | yes |
| root, in a container | always | yes: that name may be this folder | nothing, or its number there | yes |
| any, hidden by hidepid | - | - | it | yes |
| any, hidden by hidepid | - | - | nothing, or another | no |

The lock comes before all of this: while its file is in place, the kernel says who holds it.
"""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.client import engine_process
from engine.store import database, lease, reader, schema
from engine.store.folder import Folder
from engine.store.holders import ACCESS_LIST, holders, numbers
from tests.engine.service.rig import NOBODY, as_nobody

assert reader, schema  # loaded before a child process drops its rights: it may not read this machine's modules
OTHER = 65533
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 1 << 18
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start processes of others")


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of the user nobody."""
    with tempfile.TemporaryDirectory(prefix="hidden-home-") as above:
        os.chmod(above, 0o711)
        place = Path(above) / "home"
        place.mkdir(0o755)
        os.chown(place, NOBODY, NOBODY)
        yield place


@contextmanager
def locker(user: int, *arguments: str, groups: tuple[int, ...] = (), container: bool = False) -> Iterator[int]:
    """A process of this user that holds a lock on a file of its own, as an engine does; its number."""
    with tempfile.TemporaryDirectory(prefix="rollout-") as its_own:
        os.chown(its_own, user, user)
        command = ["flock", "-x", f"{its_own}/lock", "sh", "-c", "echo; read line", "rollout", "serve", *arguments]
        if container:
            command = ["unshare", "--pid", "--fork", "--kill-child", *command]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=user, group=user, extra_groups=groups
        )
        try:
            assert process.stdout is not None
            assert process.stdin is not None
            if not process.stdout.readline():
                pytest.skip("no process can be started so here")
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            yield int(children[0]) if container else process.pid
        finally:
            process.stdin.close()
            process.wait(20)


def seen(folder: Folder, pid: int = 0, heartbeat: float = 0.0) -> str:
    """What nobody learns of the store's engine."""

    def ask() -> dict[str, Any]:
        answer = engine_process.ask(folder, pid, heartbeat)
        return {"state": answer.state, "why": answer.why}

    answer = as_nobody(ask)
    return str(answer.get("state", answer))


def record(folder: Folder, pid: int) -> None:
    """The store of nobody, last taken by an engine with this number."""
    folder.prepare()
    database.create(folder)
    conn = database.open_writer(folder, "NORMAL")
    conn.execute("BEGIN IMMEDIATE")
    lease.take(conn, pid, time.time(), time.time())
    conn.execute("COMMIT")
    conn.close()


def may_hold(folder: Folder, pid: int) -> bool:
    """Whether that process may hold the folder's lock, as nobody sees it. Other processes of this machine may too."""
    hidden = as_nobody(lambda: {"pids": holders(folder)[1]})
    return pid in hidden["pids"]


def test_an_engine_of_a_user_who_cannot_write_here_is_not_this_store_s(home: Path) -> None:
    with locker(OTHER) as engine:
        for mode in (0o755, 0o700):
            home.chmod(mode)
            assert not may_hold(Folder(home), engine)
            assert not may_hold(Folder(home / "fresh"), engine)


def by_group(home: Path) -> None:
    os.chown(home, NOBODY, 4711)
    home.chmod(0o2770)


def by_all(home: Path) -> None:
    home.chmod(0o777)


def by_access_list(home: Path) -> None:
    # version 2; owner rwx, user OTHER rwx, group r-x, mask rwx, other r-x
    entries = [(1, 7, 2**32 - 1), (2, 7, OTHER), (4, 5, 2**32 - 1), (16, 7, 2**32 - 1), (32, 5, 2**32 - 1)]
    body = b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(home, ACCESS_LIST, struct.pack("<I", 2) + body)
    except OSError as error:
        pytest.skip(f"no access lists here: {error.strerror}")


@pytest.mark.parametrize("permit", [by_group, by_all, by_access_list])
def test_an_engine_of_a_user_who_can_write_here_may_be_this_store_s(home: Path, permit: Callable[[Path], None]) -> None:
    permit(home)
    with locker(OTHER, groups=(4711,)) as engine:
        assert may_hold(Folder(home), engine)
        assert may_hold(Folder(home / "fresh"), engine)
        assert seen(Folder(home)) == "unknown"
    with locker(OTHER, "--store", str(home / "another"), groups=(4711,)) as engine:
        assert not may_hold(Folder(home), engine)


def test_an_engine_of_root_may_be_this_store_s_unless_it_names_another(home: Path) -> None:
    folder = Folder(home / "fresh")
    with locker(0) as engine:
        assert may_hold(folder, engine)
        assert seen(folder) == "unknown"
        assert as_nobody(lambda: {"runs": engine_process.runs(folder)}) == {"runs": False}, "one may be started"
    with locker(0, "--store", str(folder.path)) as engine:
        assert may_hold(folder, engine)
    with locker(0, "--store", "fresh") as engine:
        assert may_hold(folder, engine), "relative to a folder that cannot be seen"
    with locker(0, "--store", "/var/lib/rollout") as engine:
        assert not may_hold(folder, engine)
    with locker(0, "--store", "/data", container=True) as engine:
        assert may_hold(folder, engine), "a container's /data may be any folder"


def test_what_the_store_s_record_names_decides_between_engines(home: Path) -> None:
    folder = Folder(home)
    with locker(0) as engine:
        record(folder, engine)
        folder.lock.unlink(missing_ok=True)
        assert seen(folder) == "unknown"
        assert seen(folder, engine) == "silent"
        record(folder, 1)
        assert seen(folder) == "none"
    with locker(0, "--store", "/data", container=True) as engine:
        inside = numbers(engine)[-1]
        assert inside != engine
        record(folder, inside)
        assert seen(folder) == "unknown"


def test_the_recorded_engine_is_found_where_processes_of_others_are_hidden(home: Path) -> None:
    """With hidepid=2 /proc does not even list them; it still shows which numbers hold a lock."""
    folder = Folder(home)
    with locker(0) as engine, locker(0) as other:
        record(folder, engine)
        assert in_a_hidden_proc(lambda: seen(folder, engine)) == "silent"
        assert in_a_hidden_proc(lambda: seen(folder)) == "none"
        assert in_a_hidden_proc(lambda: seen(folder, other + 100_000)) == "none"


def in_a_hidden_proc(work: Callable[[], str]) -> str:
    """What `work` returns in a child process whose /proc, a mount of its own, hides the processes of other users."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
                raise OSError(ctypes.get_errno(), "no mounts of its own")
            if libc.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=2"):
                raise OSError(ctypes.get_errno(), "no /proc of its own")
            os.write(write, work().encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    if "of its own" in text:
        pytest.skip(text)
    return text
