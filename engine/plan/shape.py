"""What rollout.toml may contain, derived from the typed model: each table's keys with kind, default and meaning.

The loader validates a file against it and the configuration reference prints it, so the two cannot disagree.
"""

from __future__ import annotations

import types
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from engine.plan.vocabulary import Doc, Part, Unit

Kind = Literal["text", "id", "choice", "yes_no", "whole", "number", "duration", "percent", "threshold", "list", "table"]
_PLAIN: dict[Any, Kind] = {str: "text", bool: "yes_no", int: "whole", float: "number"}
_UNITS: dict[Unit, Kind] = {
    Unit.duration: "duration",
    Unit.percent: "percent",
    Unit.threshold: "threshold",
    Unit.id: "id",
    Unit.text: "text",
}


class Shape(Struct, frozen=True):
    """One kind of value. `of` is a list's element, `table` the model of a table, `optional` may be left out."""

    kind: Kind
    rule: Doc
    filled: bool = False  # a string that must not be empty
    choices: tuple[str, ...] = ()
    of: Shape | None = None
    table: type[Part] | None = None
    enum: type[StrEnum] | None = None

    def sample(self) -> str:
        """The example as written in the file; "" if there is none."""
        example = self.rule.example
        quoted = self.kind in ("text", "id", "duration", "threshold")
        return f'"{example}"' if example and quoted else example


class Key(Struct, frozen=True):
    """A key of a table: `name` in the file, `field` in the model. `default` is in the model's units."""

    name: str
    field: str
    shape: Shape
    required: bool
    default: object
    meaning: str


@cache
def keys(table: type[Part]) -> dict[str, Key]:
    """The keys of a table, in order; a field without `Doc` (such as where a plan came from) is not a key."""
    table_keys = {}
    for entry in fields(table):
        rule = next((mark for mark in getattr(entry.type, "__metadata__", ()) if isinstance(mark, Doc)), None)
        if rule is None:
            continue
        required = entry.default is NODEFAULT
        table_keys[entry.encode_name] = Key(
            entry.encode_name,
            entry.name,
            _shape(entry.type, rule),
            required,
            None if required else entry.default,
            rule.meaning,
        )
    return table_keys


def _shape(hint: Any, rule: Doc, unit: Unit | None = None) -> Shape:
    origin = get_origin(hint)
    if origin is Annotated:
        unit = next((mark for mark in hint.__metadata__ if isinstance(mark, Unit)), unit)
        return _shape(hint.__origin__, rule, unit)
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(hint) if member is not type(None)]
        if all(get_origin(member) is Literal for member in members):
            return Shape("choice", rule, choices=tuple(c for member in members for c in get_args(member)))
        (only,) = members
        return _shape(only, rule, unit)
    if origin is Literal:
        return Shape("choice", rule, choices=get_args(hint))
    if origin is tuple:
        return Shape("list", rule, of=_shape(get_args(hint)[0], rule))
    if isinstance(hint, type) and issubclass(hint, Part):
        return Shape("table", rule, table=hint)
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return Shape("choice", rule, choices=tuple(hint), enum=hint)
    return Shape(_UNITS[unit] if unit else _PLAIN[hint], rule, filled=unit is Unit.text)
