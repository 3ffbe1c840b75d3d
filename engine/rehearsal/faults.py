"""Faults of the simulated LLM service, and what the console should show when one is on.

A rate is a share of *texts*, not of calls (except for `busy`): a text that fails once fails at every retry, on every
server. A fault in 20 % of calls would vanish behind two retries (0.8 %), and a rehearsal exists to show it.
"""

from __future__ import annotations

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


def _kind(name: str, title: str, on: float, explanation: str) -> FaultKind:
    unit = _UNITS[get_type_hints(ServerFaults, include_extras=True)[name]]
    return FaultKind(name, title, unit, float(getattr(ServerFaults(), name)), on, explanation)


FAULTS: tuple[FaultKind, ...] = (
    _kind(
        "error_rate",
        "Errors",
        0.2,
        "This share of documents is answered with HTTP 500, as when the model's process crashes on them. The "
        "error rate climbs to it, on the LLM arm only; above 5 % for 5 minutes, error_critical takes the "
        "percentage to 0.",
    ),
    _kind(
        "invalid_rate",
        "Broken answers",
        0.2,
        "This share of answers is JSON that stops midway. The server reports success; the error rate shows "
        "the failures, with `invalid` as the reason.",
    ),
    _kind(
        "empty_rate",
        "Empty answers",
        0.2,
        "This share of answers has no text at all. The error rate rises, with `empty` as the reason.",
    ),
    _kind(
        "slow",
        "Slow",
        5.0,
        "Every answer takes this many times longer. Mean latency passes 2 s, then 3 s: latency_high rolls "
        "back one stage after 10 minutes. Calls queue; far above that, documents run into their deadline and "
        "count as errors.",
    ),
    _kind(
        "hang",
        "Hanging calls",
        0.3,
        "This share of documents is accepted and never answered, while the health check still passes. Slots stay taken "
        "until the client gives up: `timeout` is the reason, and after several in a row the server's breaker opens: "
        "`breaker_open`.",
    ),
    _kind(
        "down",
        "Down",
        1.0,
        "The server refuses connections and resets those it had. With every server down, llm_unavailable takes the "
        "percentage to 0 after 60 s; with one of several down, the others take over and only that server's "
        "line turns red.",
    ),
    _kind(
        "busy",
        "Queue full",
        0.5,
        'This share of calls is refused with 503, "server busy". The client lowers its concurrency and '
        "retries: latency grows, with hardly an error.",
    ),
    _kind(
        "not_found",
        "Model missing",
        1.0,
        "The server no longer has the model: 404 to every call, and it is gone from the list of models. Every LLM "
        "document fails at once, with `model_missing` as the reason and the command that fixes it.",
    ),
    _kind(
        "drip",
        "Dripping answers",
        0.3,
        "This share of answers arrives one byte at a time, so that no single read ever times out. Only the "
        "document's own deadline ends them: `timeout` is the reason, and after several in a row the "
        "server's breaker opens.",
    ),
    _kind(
        "hallucinate",
        "Hallucinations",
        0.5,
        "This share of keywords is about something else. Grounding drops what the document does not "
        "support, so the error rate "
        "stays low: watch dropped keywords, keywords per document, ratings, and complaints, which pause the "
        "rollout above 5.",
    ),
    _kind(
        "quota",
        "Quota used up",
        1.0,
        "Every call is turned away with 429, quota exceeded, for the next hour. Documents get frequency "
        "keywords at once, with `quota` as the reason; waiting does not help, so llm_unavailable takes the "
        "percentage to 0.",
    ),
)

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
