"""The protocol between the two sides: one message for each process, its files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

MOST = 1 << 20  # bytes of a message
MOST_PASSED = 4  # files beside the three streams


class Request(NamedTuple):
    argv: Sequence[str]
    cwd: str
    environ: Mapping[bytes, bytes]
    new_session: bool
    process_group: int  # to join, 0 for one of its own, -1 for its parent's
    terminal: bool  # standard input becomes the terminal that controls it
    umask: int
    ignored: Sequence[int]  # signals
    blocked: Sequence[int]  # signals
    passed: Sequence[int]  # what the files after the three streams are numbered
    limits: Mapping[int, tuple[int, int]]
    priority: int
