"""Who is at this terminal: login name, uid, SSH connection, terminal. The engine trusts only the kernel's facts."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from msgspec import structs

from engine.rollout.state import Actor
from engine.text import clean_line

NO_LOGIN = 2**32 - 1
NAME_CHARS = 40
MOST_ANCESTORS = 64
_NO_PARENTHESES = str.maketrans("", "", "()")


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def login_uid(pid: int) -> int | None:
    """The uid a process's session logged in as (the kernel's audit record), which `sudo` does not change.

    Without that record (a container without audit): the user whose process is the outermost above this one, such as
    the shell that ran `sudo` or `su`. None if only root is (a service), or the process is gone.
    """
    try:
        uid = int(Path(f"/proc/{pid}/loginuid").read_text())
    except (OSError, ValueError):
        return _outermost_uid(pid)
    return _outermost_uid(pid) if uid == NO_LOGIN else uid


def _outermost_uid(pid: int) -> int | None:
    uid = None
    for _ in range(MOST_ANCESTORS):
        if pid <= 1:  # the process that started the container is behind everything in it
            break
        try:
            fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            real, pid = int(fields["Uid"].split()[0]), int(fields["PPid"])
        except (OSError, ValueError, KeyError):
            break
        uid = real or uid
    return uid


def named_actor(actor: Actor, name: str) -> Actor:
    """The person under a name of their own, for several people in one account: "alice (uid 1000)". The uid in it is the
    kernel's, so that no one can pass for another account. Without a name: unchanged."""
    plain = clean_line(name, NAME_CHARS).translate(_NO_PARENTHESES).strip()
    if not plain or actor.kind != "person":
        return actor
    return structs.replace(actor, name=f"{plain} (uid {actor.uid})", account=actor.account or actor.name)


def whoami() -> Actor:
    """The person behind this process. `sudo` puts the login name in SUDO_USER, which is read only for root."""
    uid = os.getuid()
    name = (os.environ.get("SUDO_USER") if uid == 0 else "") or name_of(uid)
    terminal = ""
    for descriptor in (0, 1, 2):
        try:
            terminal = os.ttyname(descriptor)
            break
        except OSError:
            continue
    return Actor(clean_line(name, 64), uid, "person", clean_line(os.environ.get("SSH_CONNECTION", ""), 100), terminal)


def peer(uid: int, pid: int, claimed: str, ssh: str, terminal: str) -> Actor:
    """Who is at the other end of the socket: the kernel's uid and, behind root, the login it came from.

    Another account keeps its name and rights and carries the login, which approvals count (`sudo -u bo`). If the kernel
    knows no login, root gets the name it claims (`sudo`'s), but remains root.
    """
    behind = login_uid(pid)
    if uid != 0:
        other = behind is not None and behind not in (0, uid)
        return Actor(name_of(uid), uid, "person", ssh, terminal, login=behind if other and behind else -1)
    if behind:
        return Actor(name_of(behind), behind, "person", ssh, terminal)
    return Actor(claimed or name_of(uid), uid, "person", ssh, terminal)
