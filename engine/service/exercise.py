"""What an engine has beside it in a rehearsal and on a game day."""

from __future__ import annotations

from typing import Protocol


class FaultSwitches(Protocol):
    """Faults of a rehearsal that people can switch."""

    hidden: bool

    @property
    def faults(self) -> dict[str, float]: ...
    async def set_fault(self, name: str, value: float) -> str: ...


class Player(Protocol):
    """Plays a game day's scenario."""

    def begin(self) -> bool: ...
