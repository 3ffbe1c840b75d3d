"""Someone who opened or left a console: kept so that an incident's timeline shows who was looking."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

LOOK = "look"  # the kind of row in the table `measure`


class Attendance(Struct, frozen=True):
    name: str
    terminal: str
    what: Literal["came", "left"]
