"""The LLM servers at a moment, from the calls they answered and the probes they failed."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from engine.plan.durations import format_duration, time_of_day
from engine.plan.model import Plan
from engine.view import gauge
from engine.view.model import ServerView
from engine.view.servers import server_name

WINDOW_S = gauge.WINDOW_S
MOST_CALLS = 4000  # of the window, newest first: the evidence for each server's state
PROBED_S = 86400.0  # an older probe is not evidence


def servers_at(conn: sqlite3.Connection, plan: Plan, at: float, named: Sequence[str]) -> tuple[ServerView, ...]:
    """Servers by the window's calls and failed probes. One that was neither called nor failed a probe is unknown.
    `named`: the URLs to list; else the plan's."""
    calls = conn.execute(
        "SELECT server, count(*), sum(error IS NOT NULL), avg(CASE WHEN error IS NULL THEN ms - queue_ms END) FROM ("
        "SELECT server, error, ms, queue_ms FROM extraction WHERE at > ? AND at <= ? AND (attempted OR "
        "cached) AND attempted ORDER BY at DESC LIMIT ?) WHERE server IS NOT NULL GROUP BY server",
        (at - WINDOW_S, at, MOST_CALLS),
    ).fetchall()
    seen = {row[0]: row[1:] for row in calls}
    urls = list(dict.fromkeys([*(named or plan.llm.urls), *seen]))
    return tuple(_server(conn, plan, number, url, seen.get(url), at) for number, url in enumerate(urls, 1))


def _server(conn: sqlite3.Connection, plan: Plan, number: int, url: str, calls: Any, at: float) -> ServerView:
    probe = conn.execute(
        "SELECT at, ok, message FROM probe WHERE server = ? AND at <= ? AND at > ? ORDER BY at DESC LIMIT 1",
        (url, at, at - PROBED_S),
    ).fetchone()
    n, failed, mean = calls or (0, 0, None)
    up, error = None, ""
    if probe is not None and not probe[1]:
        up, state, error = False, f"failed its probe at {time_of_day(probe[0])}", probe[2]
    elif n:
        up, state = n > failed or None, f"answered {n - failed} of {n} calls in {format_duration(WINDOW_S)}"
    else:
        state = "not called"
    return ServerView(
        name=server_name(plan.llm.api, number, url),
        url=url,
        up=up,
        state=state,
        latency_ms=mean,
        failures=failed,
        error=error,
    )
