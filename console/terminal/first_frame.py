"""A frame that was drawn before the screen's library was there, and what it knows of the terminal."""

from __future__ import annotations

import os

from console.terminal.diff import Frame


class FirstFrame:
    """`typed`: keys that came before it, which must not act."""

    def __init__(self, frame: Frame, size: tuple[int, int], typed: str = "") -> None:
        self.frame, self.typed = frame, typed
        self.taken = False  # the screen's driver continues on it, and restores the terminal at the end
        self._size = size

    def take(self) -> bool:
        """Continue on it; False if it has to be drawn again, because the terminal has another size now."""
        self.taken = True
        with_size = tuple(os.get_terminal_size(2)) == tuple(self._size)
        if not with_size:
            self.frame.forget()
        return with_size
