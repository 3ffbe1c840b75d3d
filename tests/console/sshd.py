"""What the tests over ssh share: keys, `rollout` on the PATH, and the settings of both ends."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
SSH = shutil.which("ssh")
OPTIONS = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "IdentitiesOnly=yes")


def make_keys(folder: Path) -> None:
    """The host's and the user's, who is let in."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    shutil.copyfile(folder / "user.pub", folder / "authorized")
    (folder / "authorized").chmod(0o644)


def install_rollout(folder: Path) -> None:
    """`rollout`, executed for real each time."""
    rollout = folder / "rollout"
    rollout.write_text(f'#!/bin/sh\nexec {sys.executable} -c "from console.cli import main; main()" "$@"\n')
    rollout.chmod(0o755)


def listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def write_config(folder: Path, port: int, environ: Mapping[str, object]) -> None:
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/authorized\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPrintMotd no\nPrintLastLog no\n"
        f"PidFile none\nSetEnv {' '.join(f'{name}={value}' for name, value in environ.items())}\n"
    )


def command(folder: Path, port: int, person: str, *words: str) -> list[str]:
    """`ssh` as the person, and what to run there."""
    given = [part for option in OPTIONS for part in ("-o", option)]
    return [
        SSH or "ssh",
        *given,
        *("-F", "none", "-p", str(port), "-i", str(folder / "user")),
        f"{person}@127.0.0.1",
        *words,
    ]
