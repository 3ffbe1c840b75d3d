"""Watches whether the program's files are still the ones that the engine was started from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import engine
from engine import VERSION

DISTRIBUTION = "rollout-console"


def installed_version() -> str:
    """The version that an engine started now would have; "" if there is none."""
    from importlib import metadata

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return ""


class ProgramWatch:
    """An upgrade replaces every file, so one of them stands for all."""

    def __init__(self, file: Path = Path(engine.__file__), installed: Callable[[], str] = installed_version) -> None:
        self._file = file
        self._installed = installed
        self._started_from = self._seen = self._look()
        self.sentence = ""

    def check(self) -> None:
        seen = self._look()
        if seen != self._seen:
            self._seen, self.sentence = seen, self._changed(seen)

    def _changed(self, seen: tuple[int, ...]) -> str:
        if seen == self._started_from:
            return ""
        if not seen:
            return f"The program's files are gone from {self._file.parent}; no engine can start until they are back."
        installed = self._installed()
        versions = f": {VERSION} runs, {installed} is installed" if installed not in ("", VERSION) else ""
        return f"The program's files were replaced after this engine started{versions}. Restart the engine."

    def _look(self) -> tuple[int, ...]:
        """What changes when the file is replaced; () if it is gone."""
        try:
            status = self._file.stat()
        except OSError:
            return ()
        return status.st_ino, status.st_mtime_ns, status.st_size
