"""How long a gate had baked at a moment. Bake is watched time: it stops while the engine is blind or not running."""

from __future__ import annotations

import math
import sqlite3

from msgspec import Struct

from engine.rollout.state import State
from engine.store import live


class LatestGate(Struct, frozen=True):
    baked_s: float = 0.0
    returns: bool = False


class Latest(Struct, frozen=True):
    """The parts of the engine's last view that bound a bake: it never runs backwards."""

    stage: int = -1
    entered_at: float = 0.0
    gate: LatestGate = LatestGate()


def baked(conn: sqlite3.Connection, state: State, began: float, asked_s: float, returns: bool, at: float) -> float:
    """How much of a bake of `asked_s` was done. Time without traffic is not recorded, so it is an upper bound."""
    done = at - began - _blind(conn, began, at) - _away(conn, began, at)
    last = live.parts(conn, Latest)
    if (last.stage, last.entered_at, last.gate.returns) == (state.stage, state.entered_at, returns):
        done = min(done, last.gate.baked_s)
    return min(asked_s, max(0.0, done))


def _blind(conn: sqlite3.Connection, began: float, at: float) -> float:
    """Seconds between going blind and what ended it: documents seen again, or another percentage."""
    total, since = 0.0, None
    for when, kind in conn.execute(
        "SELECT at, kind FROM decision WHERE kind IN ('blind', 'seen', 'trigger', 'rollback', 'promote') "
        "AND at >= ? AND at <= ? ORDER BY rev",
        (began, at),
    ).fetchall():
        if kind == "blind":
            since = when if since is None else since
        elif since is not None:
            total, since = total + when - since, None
    return total if since is None else total + at - since


def _away(conn: sqlite3.Connection, began: float, at: float) -> float:
    """Seconds without an engine, as each start recorded them."""
    rows = conn.execute(
        "SELECT at, json_extract(body, '$.evidence.away_s') FROM decision WHERE kind = 'engine_start' AND at > ? "
        "AND at <= ?",
        (began, at),
    ).fetchall()
    return math.fsum(min(float(away or 0.0), started - began) for started, away in rows)
