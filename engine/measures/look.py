"""Someone who came to a console or left it: kept, so that an incident's timeline says who looked."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

LOOK = "look"  # the kind of row in the table `measure`


class Attendance(Struct, frozen=True):
    name: str
    terminal: str
    what: Literal["came", "left"]
