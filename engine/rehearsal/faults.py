"""Faults of the simulated LLM service, and what the console should show when one is on.

A rate is a share of *texts*, not of calls (except for `busy`): a text that fails once fails at every retry, on every
server. A fault in 20 % of calls would vanish behind two retries (0.8 %), and a rehearsal exists to show it.
"""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Annotated, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from engine.decoding import convert

BASE_HALLUCINATE = 0.02  # no model is free of it

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Factor = Annotated[float, Meta(ge=0.1, le=100.0)]
OnOff = Annotated[float, Meta(ge=0.0, le=1.0, multiple_of=1.0)]
Unit = Literal["share", "factor", "on/off"]

_UNITS: dict[object, Unit] = {Share: "share", Factor: "factor", OnOff: "on/off"}


class ServerFaults(Struct, frozen=True, forbid_unknown_fields=True):
    """The faults of one server; the defaults are a healthy one."""

    error_rate: Share = 0.0
    invalid_rate: Share = 0.0
    empty_rate: Share = 0.0
    slow: Factor = 1.0
    hang: Share = 0.0
    down: OnOff = 0.0
    busy: Share = 0.0
    not_found: OnOff = 0.0
    drip: Share = 0.0
    hallucinate: Share = BASE_HALLUCINATE
    quota: OnOff = 0.0


class FaultKind(Struct, frozen=True):
    """One fault as the console lists it. `explanation`: what it does, and what the console should show."""

    name: str
    title: str
    unit: Unit
    off_value: float
    default_on_value: float
    explanation: str


def _read() -> tuple[FaultKind, ...]:
    hints = get_type_hints(ServerFaults, include_extras=True)
    off = ServerFaults()
    texts = tomllib.loads((files("engine.rehearsal") / "faults.toml").read_text(encoding="utf-8"))
    return tuple(
        FaultKind(name, text["title"], _UNITS[hints[name]], getattr(off, name), text["on"], text["explanation"])
        for name, text in texts.items()
    )


FAULTS = _read()
BY_NAME: dict[str, FaultKind] = {kind.name: kind for kind in FAULTS}


def checked(name: str, value: float) -> FaultKind:
    """The kind of this fault. Raises ValueError, with a sentence, if the name is unknown or the value out of
    range.
    """
    if name not in BY_NAME:
        raise ValueError(f"There is no fault {str(name)[:40]!r}. Known: {', '.join(BY_NAME)}.")
    try:
        convert({name: value}, ServerFaults)
    except msgspec.ValidationError:
        raise ValueError(f"{name} is {_range(name)}; {str(value)[:40]} is not.") from None
    return BY_NAME[name]


def changed(faults: ServerFaults, fields: object) -> ServerFaults:
    """`faults` with fields changed by a JSON object such as {"error_rate": 0.2}. The ValueError is a sentence for
    the user."""
    if not isinstance(fields, dict):
        raise ValueError('Send a JSON object of faults and their values, such as {"error_rate": 0.2}.')
    for name, value in fields.items():
        checked(name, value)
    return msgspec.structs.replace(faults, **{name: float(value) for name, value in fields.items()})


def _range(name: str) -> str:
    bounds = get_args(get_type_hints(ServerFaults, include_extras=True)[name])[1]
    kind = BY_NAME[name]
    if kind.unit == "on/off":
        return "0 (off) or 1 (on)"
    return f"a {kind.unit} from {bounds.ge:g} to {bounds.le:g}"


def active(faults: ServerFaults) -> tuple[FaultKind, ...]:
    """The faults that are on."""
    return tuple(kind for kind in FAULTS if getattr(faults, kind.name) != kind.off_value)
