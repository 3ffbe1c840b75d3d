"""Who is at this terminal: login name, uid, SSH connection, terminal. The engine trusts only the uid that the kernel gives it."""

from __future__ import annotations

import os
import pwd

from engine.control import Actor
from engine.text import clean_line


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def whoami() -> Actor:
    """The person behind this process. `sudo` keeps the login name in SUDO_USER: that is who acts."""
    uid = os.getuid()
    name = os.environ.get("SUDO_USER") or name_of(uid)
    terminal = ""
    for descriptor in (0, 1, 2):
        try:
            terminal = os.ttyname(descriptor)
            break
        except OSError:
            continue
    return Actor(clean_line(name, 64), uid, "person", clean_line(os.environ.get("SSH_CONNECTION", ""), 100), terminal)
