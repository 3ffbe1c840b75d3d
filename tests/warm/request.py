"""The protocol between the two sides: one message for each process, its files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

MOST = 1 << 20  # bytes of a message


class Request(NamedTuple):
    argv: Sequence[str]
    cwd: str
    environ: Mapping[bytes, bytes]
    new_session: bool
    terminal: bool  # standard input becomes the terminal that controls it
    umask: int
    ignored: Sequence[int]  # signals
    blocked: Sequence[int]  # signals
    limits: Mapping[int, tuple[int, int]]
    priority: int
