"""The moves of a script, one subject a file.

A new one is an `async def name(scene, draw)` under `@move(weight)`: its docstring describes what happens, `draw` is its own
random numbers, and what it makes people know goes to `scene.world.observer`.
"""

from __future__ import annotations

from tests.simulate.moves import consoles, documents, machine, nights, plan_file, races, service
from tests.simulate.moves.registry import MOVES, do

__all__ = ["MOVES", "consoles", "do", "documents", "machine", "nights", "plan_file", "races", "service"]
