"""Two people of one group on one store over real ssh, and a third who is not in the group.

The people exist in a mount namespace of the sshd alone: its /etc/passwd and /etc/group are copies. Needs root.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan.init import set_value
from engine.plan.load import default_plan_text
from engine.store.folder import Folder
from engine.store.holders import holders
from tests.console import sshd
from tests.console.sshd import SSHD
from tests.machine import free_port, patience
from tests.terminal import ROOT, Terminal

PEOPLE = {"anna": 64001, "ben": 64002, "cleo": 64003}
GROUP, GID = "oncallers", 64010


def _may_mount() -> bool:
    unshare = shutil.which("unshare")
    return unshare is not None and subprocess.run([unshare, "-m", "true"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or SSHD is None or shutil.which("ssh-keygen") is None or not _may_mount(),
    reason="needs root, openssh and mount namespaces",
)


class Host:
    """An sshd on loopback whose users are anna and ben, of the store's group, and cleo."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        sshd.make_keys(folder)
        people = "".join(f"{n}:*:{i}:{i}::{folder}/{n}:/bin/sh\n" for n, i in PEOPLE.items())
        groups = "".join(f"{n}:x:{i}:\n" for n, i in PEOPLE.items()) + f"{GROUP}:x:{GID}:anna,ben\n"
        for name, more in (("passwd", people), ("group", groups)):
            (folder / name).write_text(Path(f"/etc/{name}").read_text() + more)
            (folder / name).chmod(0o644)
        for name, uid in PEOPLE.items():
            (folder / name).mkdir()
            os.chown(folder / name, uid, uid)
        text = default_plan_text()
        settings = {"environment": "test", "http.port": 0, "store.group": GROUP, "access.promote": ["anna"]}
        for place, value in {**settings, "store.path": str(folder / "anna" / "store")}.items():
            text = set_value(text, place, value)
        (folder / "rollout.toml").write_text(text)
        (folder / "rollout.toml").chmod(0o644)
        (folder / "anna").chmod(0o755)
        self.store = Folder(folder / "anna" / "store", GROUP)
        sshd.install_rollout(folder)
        self.port = free_port()
        given = {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": ROOT, "ROLLOUT_PLAN": folder / "rollout.toml"}
        sshd.write_config(folder, self.port, {"LANG": "C.UTF-8", **given})
        (folder / "start").write_text(
            f"set -e\nmount --bind {folder}/passwd /etc/passwd\nmount --bind {folder}/group /etc/group\n"
            f"{_opened(folder)}mkdir -p -m 755 /run/sshd\nexec {SSHD} -D -e -f {folder}/config\n"
        )
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["unshare", "-m", "sh", str(folder / "start")], stdout=log, stderr=log, start_new_session=True
            )
        for _ in patience(20.0):
            if sshd.listens(self.port) or self.process.poll() is not None:
                break
            time.sleep(0.05)
        assert sshd.listens(self.port), (folder / "log").read_text()

    def ssh(self, person: str, *words: str) -> list[str]:
        return sshd.command(self.folder, self.port, person, *words)

    def run(self, person: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.ssh(person, "rollout", *words), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
        )

    def attach(self, person: str) -> Terminal:
        command = self.ssh(person, "rollout")
        return Terminal([command[0], "-tt", *command[1:]])

    @property
    def engine(self) -> int:
        held, _ = holders(self.store)
        return held[0] if held else 0

    def end_engine(self) -> None:
        if pid := self.engine:
            os.kill(pid, signal.SIGKILL)
            for _ in patience(20.0):
                if self.engine != pid:
                    return
                time.sleep(0.02)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.end_engine()


def _opened(folder: Path) -> str:
    """Commands that let other users reach this Python and this checkout where a folder above them is closed to them."""
    needed = {Path(place).resolve() for place in (sys.base_prefix, sys.prefix, ROOT)}
    closed: dict[Path, list[Path]] = {}
    for place in sorted(needed):
        above = [path for path in reversed(place.parents) if not path.stat().st_mode & 0o001]
        if above:
            closed.setdefault(above[0], []).append(place)
    lines = []
    for wall, places in closed.items():
        for number, place in enumerate(places):
            kept = folder / f"kept-{wall.name}-{number}"
            kept.mkdir()
            lines.append(f"mount --bind '{place}' '{kept}'")
        lines.append(f"mount -t tmpfs -o mode=755 none '{wall}'")
        for number, place in enumerate(places):
            lines += [f"mkdir -p '{place}'", f"mount --bind '{folder}/kept-{wall.name}-{number}' '{place}'"]
    return "".join(f"{line}\n" for line in lines)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    folder = Path(tempfile.mkdtemp(prefix="group-"))
    folder.chmod(0o755)
    made = Host(folder)
    try:
        yield made
    finally:
        made.close()
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)


def test_two_of_a_group_share_one_store_and_a_third_is_refused_with_a_sentence(host: Host) -> None:
    with host.attach("anna") as anna:
        anna.until("STAGE 0")  # her console started the engine
        with host.attach("ben") as ben:
            ben.until("STAGE 0")

            refused = host.run("ben", "promote", "--override", "--reason", "'not on the list'")
            assert refused.returncode == 1
            assert "ben may not promote: [access] allows anna" in refused.stdout + refused.stderr
            done = host.run("anna", "promote", "--override", "--reason", "'on the list'")
            assert done.returncode == 0, done.stderr
            for terminal in (anna, ben):
                terminal.until("STAGE 1")

            assert host.run("ben", "rollback", "--reason", "'anyone may'").returncode == 0
            anna.until("ben")

            stranger = host.run("cleo", "status")
            assert stranger.returncode == 1
            assert f"is open to the group {GROUP}, which cleo is not in" in stranger.stdout + stranger.stderr
            with host.attach("cleo") as cleo:
                cleo.until("which cleo is not in")
                assert cleo.ended(20)
                assert b"Traceback" not in cleo.raw
            back = host.run("cleo", "rollback", "--reason", "'tries it'")
            assert back.returncode == 1
            assert f"rm {host.store.armed}" in back.stdout + back.stderr
            for terminal in (ben, anna):
                terminal.press("q")
                assert terminal.ended(20)
    rows = [
        row for row in json.loads(host.run("anna", "log", "--json").stdout) if row["kind"] in ("promote", "rollback")
    ]
    assert [(row["kind"], row["actor"]) for row in rows] == [("promote", "anna"), ("rollback", "ben")]


def test_either_takes_over_when_the_other_s_engine_dies(host: Host) -> None:
    with host.attach("anna") as anna:
        anna.until("STAGE")
        first = host.engine
        host.end_engine()
        assert host.run("ben", "rollback", "--reason", "'the engine is gone'").returncode == 0
        with host.attach("ben") as ben:
            ben.until("STAGE 1")
            second = host.engine
            assert second not in (0, first)
            assert Path(f"/proc/{second}").stat().st_uid == PEOPLE["ben"]
            note = host.run("anna", "note", "lesson", "'written through the engine of ben'")
            assert note.returncode == 0, note.stderr
            ben.press("q")
            assert ben.ended(20)
        anna.press("q")
        assert anna.ended(20)
    host.end_engine()  # of ben: his files must not lock anna out
    with host.attach("anna") as anna:
        anna.until("STAGE 1")
        assert Path(f"/proc/{host.engine}").stat().st_uid == PEOPLE["anna"]
        anna.press("q")
        assert anna.ended(20)
    assert host.run("ben", "log", "--verify").returncode == 0
