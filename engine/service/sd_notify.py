"""Notifies the service manager: up, alive, stopping (sd_notify(3)). Does nothing without one.

Alive means that the triggers were evaluated: an engine that hangs is restarted, not only taken to 0 % by its lease.
"""

from __future__ import annotations

import contextlib
import os
import socket

READY, ALIVE, ENDING = "READY=1", "WATCHDOG=1", "STOPPING=1"


def notify(*states: str) -> None:
    """Send states such as `READY`, or "STATUS=..."; never waits, never fails."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):  # Linux's abstract namespace
        address = "\0" + address[1:]
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto("\n".join(states).encode(), socket.MSG_DONTWAIT, address)
