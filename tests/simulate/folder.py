"""The store's folder as one engine sees it: its changes end with the engine, and a power cut may take unsynced ones."""

from __future__ import annotations

import os
from pathlib import Path

from engine.store.folder import Folder
from engine.store.intents import Intent
from tests.simulate.disk import Disk


class EngineFolder(Folder):
    """Only the armed file can be lost: intents and the prepared file are synced by the engine when it writes them."""

    def __init__(self, path: Path, disk: Disk) -> None:
        super().__init__(path)
        self._disk = disk
        self.dead = False

    def _alive(self) -> None:
        if self.dead:
            raise OSError("the process is dead")

    def prepare_armed_file(self, note: str) -> None:
        self._alive()
        super().prepare_armed_file(note)

    def arm(self) -> None:
        self._alive()
        super().arm()
        self._disk.unsynced.append(lambda: self.armed.unlink(missing_ok=True))

    def disarm(self) -> bool:
        self._alive()
        try:
            kept = self.path.with_name(f"unlinked-{self.armed.stat().st_ino}")  # it would be the same file again
            os.link(self.armed, kept)
        except FileNotFoundError:
            return False
        self._disk.unsynced.append(lambda: os.replace(kept, self.armed))
        return super().disarm()

    def sync(self) -> None:
        self._alive()
        self._disk.unsynced.clear()

    def leave_intent(self, intent: Intent) -> Path:
        self._alive()
        return super().leave_intent(intent)

    def lay_ballast(self) -> None:
        """Not as a file: writing 256 KiB at each start takes more time than all else in a rollout."""
        self._alive()
        self._disk.ballast = self._disk.ballast or self._disk.mood != "full"

    def drop_ballast(self) -> bool:
        self._alive()
        return self._disk.drop_ballast()
