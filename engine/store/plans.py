"""The plan files that engines ran under, by digest: shown by a console while the file is edited, and compared to
describe a change."""

from __future__ import annotations

import contextlib
import sqlite3
import tomllib
from typing import Any

import msgspec
from msgspec import Struct

from engine.plan.load import parse_plan
from engine.plan.model import Plan
from engine.plan.pins import Change, PinnedModel, PinnedStage, Pins, differences, misplaced, stage_id, under
from engine.plan.problems import PlanError
from engine.rollout.state import State
from engine.store import live, log


def keep(conn: sqlite3.Connection, plan: Plan, at: float) -> None:
    """Store a plan file, inside the caller's transaction."""
    conn.execute("INSERT OR IGNORE INTO plan_file VALUES (?,?,?,?)", (plan.digest, at, plan.source, plan.text))


def text_of(conn: sqlite3.Connection, digest: str) -> str | None:
    """The plan with this digest; None if the store does not have it, for example from before plans were kept."""
    with contextlib.suppress(sqlite3.OperationalError):
        row = conn.execute("SELECT text FROM plan_file WHERE digest = ?", (digest,)).fetchone()
        return row[0] if row else None
    return None


def read(conn: sqlite3.Connection, digest: str, source: str = "") -> Plan | None:
    """The plan with this digest; None when the store does not have it or this version cannot parse it."""
    text = text_of(conn, digest)
    if text is None:
        return None
    with contextlib.suppress(PlanError):
        return msgspec.structs.replace(parse_plan(text, source or "rollout.toml"), digest=digest)
    return None


class _Shown(Struct, frozen=True):
    """The part of the last view that identifies its plan."""

    plan_digest: str = ""
    stage_names: tuple[str, ...] = ()
    stage_percents: tuple[int, ...] = ()


def digest_read(conn: sqlite3.Connection) -> str:
    """Digest of the plan file the last engine read; "" when no engine has published a view."""
    return live.parts(conn, _Shown).plan_digest


def known(conn: sqlite3.Connection, plan: Plan, state: State) -> Pins | None:
    """The pins; for a rollout older than pins, what its last engine showed."""
    if state.pins is not None or state.rev == 0:
        return state.pins
    shown = live.parts(conn, _Shown)
    if not shown.stage_names or len(shown.stage_names) != len(shown.stage_percents):
        return None
    stages = tuple(
        PinnedStage(_id(plan, n), n, bp) for n, bp in zip(shown.stage_names, shown.stage_percents, strict=True)
    )
    return Pins(shown.plan_digest, plan.salt, "", stages, PinnedModel(plan.llm.model, ""))


def _id(plan: Plan, name: str) -> str:
    return next((stage_id(stage) for stage in plan.stages if stage.name == name), name)


def running(conn: sqlite3.Connection, source: str) -> Plan | None:
    """The plan of the last engine: the file as it read it, with pinned stages where they differ."""
    plan, state = read(conn, digest_read(conn), source), log.read_state(conn)
    if plan is None or state.pins is None or not misplaced(plan, state.pins, state.stage):
        return plan
    return in_force(conn, plan, state.pins)


def in_force(conn: sqlite3.Connection, plan: Plan, pins: Pins) -> Plan:
    """The plan with the stages and the salt that the rollout runs under."""
    return under(plan, pins, read(conn, pins.digest, plan.source))


def changes(conn: sqlite3.Connection, before: str, text: str) -> list[Change] | None:
    """Differences between the plan with digest `before` and `text`; None if either cannot be read."""
    was = text_of(conn, before)
    try:
        return None if was is None else differences(_data(was), _data(text))
    except (ValueError, RecursionError):
        return None


def _data(text: str) -> dict[str, Any]:
    return tomllib.loads(text.removeprefix("\ufeff"))
