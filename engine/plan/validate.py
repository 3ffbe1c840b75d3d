"""Turns tomllib's output into the typed plan. Every mistake is reported; none stops the validation.

An unusable value is replaced with a harmless one, so that whatever depends on it is still checked.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from engine.plan.durations import format_duration, parse_duration
from engine.plan.positions import Path
from engine.plan.problems import Report
from engine.plan.shape import Key, Shape, keys
from engine.plan.vocabulary import METRICS, Part
from engine.text import clean_line, unprintable

P = TypeVar("P", bound=Part)
Table = dict[str, Any]

_QUANTITY = re.compile(r"(?a:\s*([+-]?\d+(?:\.\d+)?)\s*(%|ms|s)?\s*)")
_SCALE = {"%": 0.01, "ms": 1.0, "s": 1000.0}
_RANGE = {
    "rate": (0.0, 1.0),
    "change": (-1.0, 100.0),
    "ms": (0.0, 1e7),
    "count": (0.0, 1e12),
    "flag": (0.0, 1.0),
    "ratio": (0.0, 1e6),
}
_LONGEST_TEXT = 20_000
_LARGEST = 2**53
_ABSENT = {"whole": 0, "number": 0.0, "duration": 0.0, "percent": 0, "threshold": 0.0, "yes_no": False}

_NAMES = {
    "text": ("a text", ""),
    "id": ("an id", '"error_rate"'),
    "yes_no": ("true or false", ""),
    "whole": ("a whole number", ""),
    "number": ("a number", ""),
    "duration": ("a duration", '"5m"'),
    "percent": ("a percentage", "25"),
    "threshold": ("a number", ""),
    "table": ("a table of keys", ""),
}


class _Unusable(ValueError):
    """What is wrong with one value, and what is allowed."""


def build(model: type[P], table: Table, path: Path, report: Report) -> P:
    """The table as `model`; mistakes go to `report`."""
    known = keys(model)
    for name in table:
        if name not in known:
            report((*path, name), _unknown("key here", name, tuple(known)))
    values: dict[str, Any] = {}
    for key in known.values():
        here = (*path, key.name)
        if key.name in table:
            values[key.field] = _value(key.shape, table[key.name], here, table, report)
        elif key.required:
            report(here, _missing(key))
            values[key.field] = _placeholder_for(key.shape)
    return model(**values)


def closest(word: str, allowed: tuple[str, ...]) -> str:
    """`; did you mean "x"?`, or "" if no word is close."""
    from difflib import get_close_matches

    near = get_close_matches(word, allowed, 1, 0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


def _unknown(what: str, word: str, allowed: tuple[str, ...]) -> str:
    near = closest(word, allowed)
    listed = ", ".join(f'"{word}"' if word == "" else word for word in allowed)
    return f'"{clean_line(word, 60)}" is not a {what}{near or "."} Allowed: {listed}'


def _value(shape: Shape, raw: Any, here: Path, table: Table, report: Report) -> Any:
    if shape.kind == "list" and isinstance(raw, list):
        assert shape.of is not None
        if shape.of.kind == "table":
            tables = [(index, element) for index, element in enumerate(raw) if isinstance(element, dict)]
            if len(tables) == len(raw):
                return tuple(_value(shape.of, element, (*here, at), table, report) for at, element in tables)
        else:
            return tuple(_value(shape.of, element, (*here, at), table, report) for at, element in enumerate(raw))
    if shape.kind == "table" and isinstance(raw, dict):
        assert shape.table is not None
        return build(shape.table, raw, here, report)
    try:
        return _READERS[shape.kind](shape, raw, table)
    except _Unusable as wrong:
        report(here, str(wrong))
        return raw if isinstance(raw, str) and shape.kind in ("text", "id") else _placeholder_for(shape)


def _placeholder_for(shape: Shape) -> Any:
    if shape.kind == "table" and shape.table is not None:
        return build(shape.table, {}, (), lambda path, message: None)
    if shape.kind == "list":
        return ()
    if shape.kind == "choice":
        return shape.enum(shape.choices[0]) if shape.enum else shape.choices[0]
    return _ABSENT.get(shape.kind, "")


def _missing(key: Key) -> str:
    if key.shape.kind == "table":
        return f"the table [{key.name}] is missing; {_lower(key.meaning)}"
    if key.shape.of is not None and key.shape.of.kind == "table":
        return f"there are no [[{key.name}]]; {_lower(key.meaning)}"
    return f'"{key.name}" is missing; give {wanted(key.shape)}'


def _lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:].rstrip(".")


def wanted(shape: Shape) -> str:
    """Describes a value of this shape for an error message: 'a duration such as "5m"'."""
    if shape.kind == "choice":
        return "one of " + ", ".join(f'"{choice}"' for choice in shape.choices)
    if shape.kind == "list" and shape.of is not None:
        return "a list of tables" if shape.of.kind == "table" else f"a list: [{shape.of.sample() or '...'}]"
    name, example = _NAMES[shape.kind]
    sample = shape.sample() or example
    return f"{name} such as {sample}" if sample else name


def _shown(raw: Any) -> str:
    if isinstance(raw, dict):
        return "a table"
    if isinstance(raw, list):
        return "a list"
    if isinstance(raw, bool):
        return "true" if raw else "false"
    return f'"{clean_line(raw, 60)}"' if isinstance(raw, str) else str(raw)[:60]


def _read_text(shape: Shape, raw: Any, table: Table) -> str:
    rule = shape.rule
    if not isinstance(raw, str):
        raise _Unusable(f"{_shown(raw)} is not a string; give {wanted(shape)}, in quotes")
    if shape.filled and not raw.strip():
        raise _Unusable(f"the string is empty; give {wanted(shape)}")
    if len(raw) > _LONGEST_TEXT:
        raise _Unusable(f"the string has {len(raw)} characters; at most {_LONGEST_TEXT} are allowed")
    for character in unprintable(raw):
        if character == "\n" and rule.lines:
            continue
        if character in "\r\n":
            raise _Unusable("the string has a line break; write it on one line")
        raise _Unusable(f"the string contains U+{ord(character):04X}, a terminal control character; remove it")
    if rule.pattern and not re.search(rule.pattern, raw):
        raise _Unusable(f"{_shown(raw)} does not fit; give {wanted(shape)}")
    return raw


def _read_id(shape: Shape, raw: Any, table: Table) -> str:
    if not isinstance(raw, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", raw):
        raise _Unusable(
            f"{_shown(raw)} is not an id; use lower-case letters, digits, _ and -, such as "
            f"{shape.sample() or 'error_rate'}"
        )
    return raw


def _read_choice(shape: Shape, raw: Any, table: Table) -> Any:
    if not isinstance(raw, str):
        raise _Unusable(f"{_shown(raw)} is not a string; give {wanted(shape)}")
    if raw not in shape.choices:
        raise _Unusable(_unknown("choice", raw, shape.choices))
    return shape.enum(raw) if shape.enum else raw


def _read_yes_no(shape: Shape, raw: Any, table: Table) -> bool:
    if not isinstance(raw, bool):
        raise _Unusable(f"{_shown(raw)} is neither true nor false; write true or false without quotes")
    return raw


def _read_whole(shape: Shape, raw: Any, table: Table) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise _Unusable(f"{_shown(raw)} is not a whole number; give {wanted(shape)}, without quotes")
    _within(shape, raw, str)
    return raw


def _read_number(shape: Shape, raw: Any, table: Table) -> float:
    if not _is_number(raw):
        raise _Unusable(f"{_shown(raw)} is not a number; give {wanted(shape)}, without quotes")
    _within(shape, raw, lambda number: f"{number:g}")
    return float(raw)


def _read_duration(shape: Shape, raw: Any, table: Table) -> float:
    if not isinstance(raw, str):
        raise _Unusable(f"{_shown(raw)} has no unit; give {wanted(shape)}, in quotes")
    try:
        seconds = parse_duration(raw)
    except ValueError as wrong:
        raise _Unusable(str(wrong)) from None
    _within(shape, seconds, format_duration)
    return seconds


def _read_percent(shape: Shape, raw: Any, table: Table) -> int:
    if not _is_number(raw):
        raise _Unusable(f"{_shown(raw)} is not a number; give {wanted(shape)}, without quotes or %")
    if not 0 <= raw <= 100:
        raise _Unusable(f"{_shown(raw)} is outside 0 to 100; give {wanted(shape)}")
    points: int = round(raw * 100)
    if abs(points - raw * 100) > 1e-6:
        raise _Unusable(f"{_shown(raw)} has more than two decimals; give a percentage such as 12.5 or 0.25")
    return points


def _read_threshold(shape: Shape, raw: Any, table: Table) -> float:
    metric = table.get("metric")
    word = METRICS.get(metric) if isinstance(metric, str) else None
    if isinstance(raw, str):
        read = _QUANTITY.fullmatch(raw)
        if read is None:
            raise _Unusable(f"{_shown(raw)} is not a number with %, ms or s; give {wanted(shape)}")
        if read[2] and word and (read[2] == "%") != (word.unit in ("rate", "change")):
            raise _Unusable(f"{_shown(raw)} is not a value of {metric}, which is {_measure(word.unit)}")
        if read[2] in ("ms", "s") and word and word.unit != "ms":
            raise _Unusable(f"{_shown(raw)} is not a value of {metric}, which is {_measure(word.unit)}")
        number = round(float(read[1]) * _SCALE.get(read[2], 1.0), 9)
    elif _is_number(raw):
        number = float(raw)
    else:
        raise _Unusable(f"{_shown(raw)} is not a number; give {wanted(shape)}")
    if word:
        least, most = _RANGE[word.unit]
        if not least <= number <= most:
            hint = f'; for {number:g} % write "{number:g} %"' if word.unit == "rate" and 1 < number <= 100 else ""
            raise _Unusable(f"{_shown(raw)} is outside {least:g} to {most:g} for {metric}{hint}")
    return number


def _measure(unit: str) -> str:
    return {
        "rate": 'a rate, such as "5 %" or 0.05',
        "change": 'a change, such as "10 %" or 0.1',
        "ms": 'a time, such as "3000 ms" or "3 s"',
        "count": "a count, such as 10",
        "flag": "0 or 1",
        "ratio": "a ratio, such as 2",
    }[unit]


def _is_number(raw: Any) -> bool:
    """A finite number that fits a float; true and false do not count."""
    return isinstance(raw, int | float) and not isinstance(raw, bool) and abs(raw) <= 1e300


def _within(shape: Shape, value: float, show: Any) -> None:
    rule = shape.rule
    most = _LARGEST if rule.most is None else rule.most
    if rule.least is not None and value < rule.least:
        raise _Unusable(f"{show(value)} is too small; the minimum is {show(type(value)(rule.least))}")
    if not -_LARGEST <= value <= most:
        raise _Unusable(f"{show(value)} is too large; the maximum is {show(type(value)(most))}")


def _read_shape(shape: Shape, raw: Any, table: Table) -> Any:
    """Well-formed tables and lists never get here."""
    raise _Unusable(f"{_shown(raw)} is not {wanted(shape)}")


_READERS = {
    "text": _read_text, "id": _read_id, "choice": _read_choice, "yes_no": _read_yes_no, "whole": _read_whole,
    "number": _read_number, "duration": _read_duration, "percent": _read_percent, "threshold": _read_threshold,
    "list": _read_shape, "table": _read_shape,
}  # fmt: skip
