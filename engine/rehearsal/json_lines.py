"""Files with one JSON object a line, to which a line is added at each event."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TypeVar

import msgspec

from engine import files
from engine.decoding import UNREADABLE, decode

T = TypeVar("T")
READ_BYTES = 1 << 24  # of a larger file, the end


def append(path: Path, line: object, make_folder: bool = False) -> bool:
    """Add a line; False if it cannot be written."""
    with contextlib.suppress(OSError):
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = files.open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(line) + b"\n")
        return True
    return False


def read(path: Path, of: type[T]) -> list[T]:
    """The lines, oldest first, without those that are malformed; [] if there is no such file."""
    lines: list[T] = []
    with contextlib.suppress(OSError):
        for line in files.tail(path, READ_BYTES).splitlines():
            with contextlib.suppress(*UNREADABLE):
                lines.append(decode(line, of))
    return lines
