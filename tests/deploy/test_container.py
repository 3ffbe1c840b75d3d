"""The Containerfile's user, environment, volumes, command and health check, in namespaces like those of a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.service.rig import SETTINGS, plan_with
from tests.machine import crowd

ROOT = Path(__file__).parents[2]
CONTAINER = (ROOT / ".deploy" / "Containerfile").read_text()
PROGRAMS = ("unshare", "nsenter", "setpriv", "chroot")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces with another user in them"),
    pytest.mark.skipif(any(shutil.which(name) is None for name in PROGRAMS), reason="util-linux is missing"),
]
# A root file system of its own, read-only but for /tmp and the volumes. $1 is the folder for it, $2 holds the plan and the volumes.
BUILD = """
set -e
mount --make-rprivate /
mount -t tmpfs root "$1"
cd "$1"
mkdir -p proc tmp dev etc/rollout opt/rollout var/lib/rollout var/lib/rollout-state
mount -t tmpfs tmp tmp
for path in $SHARED; do mkdir -p ".$path"; mount --rbind "$path" ".$path"; done
for path in /bin /lib /lib64; do if [ -L $path ]; then cp -P $path .$path; else mkdir .$path; mount --rbind $path .$path; fi; done
mount -t proc proc proc
mount --bind "$VENV" opt/rollout
touch etc/rollout/rollout.toml
mount --bind "$2/rollout.toml" etc/rollout/rollout.toml
mount --bind "$2/store" var/lib/rollout
mount --bind "$2/state" var/lib/rollout-state
mount -o remount,ro "$1"
shift 2
exec chroot . "$@"
"""


def command(instruction: str) -> list[str]:
    match = re.search(rf"^{instruction}\b[^[]*?(\[.*?\])$", CONTAINER, re.M | re.S)
    assert match is not None
    made: list[str] = json.loads(match.group(1))
    return made


USER = re.findall(r"^USER (\d+)$", CONTAINER, re.M)[-1]
VARIABLES = re.findall(r"(\w+)=(\S+)", re.findall(r"^ENV (.+)$", CONTAINER, re.M)[-1])
ENVIRONMENT = [f"{name}={value.replace('$PATH', '/usr/bin:/bin')}" for name, value in VARIABLES]
AS_USER = [
    "setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--bounding-set=-all", "--no-new-privs", "env", "-i",
    *ENVIRONMENT,
]  # fmt: skip


class Container:
    def __init__(self, folder: Path) -> None:
        files = folder / "files"
        for path in (folder / "root", files / "store", files / "state"):
            path.mkdir(parents=True)
        for path in (files / "store", files / "state"):
            os.chown(path, int(USER), int(USER))
        (files / "rollout.toml").write_text(plan_with(SETTINGS))
        shared = {"/usr", sys.base_prefix, sys.prefix, *(str(ROOT / name) for name in ("engine", "console"))}
        self.log = folder / "log"
        self.socket = files / "store" / "engine.sock"
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", BUILD, "sh",
             str(folder / "root"), str(files), *AS_USER, *command("ENTRYPOINT"), *command("CMD")],
            stdout=subprocess.DEVNULL, stderr=self.log.open("wb"),
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SHARED": " ".join(sorted(shared)), "VENV": sys.prefix},
        )  # fmt: skip

    @property
    def first(self) -> int:
        """The container's process 1, as the host numbers it."""
        return int(Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text())

    def healthy(self) -> bool:
        inside = ["nsenter", f"--target={self.first}", "--mount", "--pid", "--root", "--wd=/"]
        done = subprocess.run([*inside, *AS_USER, *command("HEALTHCHECK")], capture_output=True, check=False)
        assert done.returncode in (0, 1), done.stderr  # 2 is reserved, and 127 means that the program is missing
        return done.returncode == 0


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    made = Container(tmp_path)
    try:
        yield made
    finally:
        made.process.kill()  # and with it everything in its namespaces
        made.process.wait(10)


def test_the_health_check_follows_the_containers_engine(container: Container) -> None:
    end = time.monotonic() + 30 * crowd()
    while not (container.socket.exists() and container.healthy()):
        assert container.process.poll() is None, container.log.read_text()
        assert time.monotonic() < end, container.log.read_text()
        time.sleep(0.2)
    engine = container.first
    status = dict(
        re.findall(r"^(Uid|CapEff|CapBnd|NoNewPrivs):\s*(\w+)", Path(f"/proc/{engine}/status").read_text(), re.M)
    )
    assert status == {"Uid": USER, "CapEff": "0" * 16, "CapBnd": "0" * 16, "NoNewPrivs": "1"}
    os.kill(engine, signal.SIGSTOP)
    assert not container.healthy()
    os.kill(engine, signal.SIGCONT)
    assert container.healthy()
    os.kill(engine, signal.SIGTERM)  # what `podman stop` sends
    assert container.process.wait(20 * crowd()) == 0, container.log.read_text()
    assert not container.socket.exists()
