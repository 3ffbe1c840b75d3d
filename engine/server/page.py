"""`GET /`: the rollout as a page, and `GET /live`: what changed, as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from engine.plan.durations import format_duration
from engine.report import live
from engine.report.live import LiveTrends, Trend
from engine.service.engine import Engine
from engine.store import series
from engine.text import milliseconds, rate_percent
from engine.view.gauge import targets
from engine.view.model import View

VIEWERS = 50  # each holds a connection
LOOK_S = 1.0
SEND_S = 5.0  # at least this often, so that a page notices that the engine is gone
TRENDS_S = 30.0
LONGEST_S, SHORTEST_S, POINTS = 7 * 86_400.0, 3600.0, 84
METRICS = ("error_rate", "latency_mean", "latency_p95", "llm_share", "cache_hit_rate", "documents")


class StatusPage:
    """Renders once for all who look."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.viewers = 0
        self._trends: tuple[float, LiveTrends] | None = None
        self._made: tuple[View, str] | None = None

    @property
    def full(self) -> str:
        """Why no more may look, "" while more may."""
        return f"{VIEWERS} pages are open already. Close one, or try again later." if self.viewers >= VIEWERS else ""

    @property
    def policy(self) -> str:
        return live.policy()

    def document(self, view: View) -> str:
        return live.document(view, self._curves(view))

    async def stream(self) -> AsyncIterator[str]:
        """A `view` event whenever the state changes and every SEND_S; ends with the engine."""
        self.viewers += 1
        try:
            sent, sent_at = None, 0.0
            while not self._engine.stopping:
                view, now = self._engine.view, self._engine.clock.real()
                if view is not None and (_state(view) != sent or now - sent_at >= SEND_S):
                    yield f"event: view\ndata: {self._fragment(view)}\n\n"
                    sent, sent_at = _state(view), now
                elif view is None:
                    yield "event: alive\ndata:\n\n"
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._engine.ending.wait(), LOOK_S)
                    return
        finally:
            self.viewers -= 1

    def _fragment(self, view: View) -> str:
        if self._made is None or self._made[0] is not view:
            self._made = view, live.fragment(view, self._curves(view))
        return self._made[1]

    def _curves(self, view: View) -> LiveTrends:
        now = self._engine.clock.real()
        if self._trends is None or now - self._trends[0] >= TRENDS_S:
            self._trends = now, self._read(view)
        return self._trends[1]

    def _read(self, view: View) -> LiveTrends:
        """The plan's five trends, over a week at most."""
        conn, end = self._engine.conn, view.at
        began = series.began(conn)
        if began is None:
            return LiveTrends(end, end)
        start = end - min(LONGEST_S, max(SHORTEST_S, end - began))
        of = {name: tuple(curve) for name, curve in series.series_of(conn, METRICS, start, end, POINTS).items()}
        plain = tuple(series.series(conn, "error_rate", start, end, POINTS, "control"))
        share = tuple((at, None if value is None else 1 - value) for at, value in of["llm_share"])
        wanted = targets(self._engine.plan, self._engine.state)
        documents = Trend(
            title=f"Documents per {format_duration((end - start) / POINTS)}",
            names=("now", ""),
            first=of["documents"],
            least=1.0,
            unit=live.count,
        )
        methods = Trend(
            title="LLM and frequency",
            names=("LLM", "frequency"),
            first=of["llm_share"],
            second=share,
            least=1.0,
            most=1.0,
            unit=rate_percent,
        )
        errors = Trend(
            title="Error rate",
            names=("LLM", "frequency"),
            first=of["error_rate"],
            second=plain,
            target=wanted.get("error_rate"),
            least=0.01,
            most=1.0,
            unit=rate_percent,
        )
        latency = Trend(
            title="Latency",
            names=("mean", "p95"),
            first=of["latency_mean"],
            second=of["latency_p95"],
            target=wanted.get("latency_mean"),
            least=500.0,
            unit=milliseconds,
        )
        hits = Trend(
            title="Cache hits",
            first=of["cache_hit_rate"],
            target=wanted.get("cache_hit_rate"),
            least=0.2,
            most=1.0,
            unit=rate_percent,
        )
        return LiveTrends(start, end, (documents, methods, errors, latency, hits))


def _state(view: View) -> tuple[object, ...]:
    """What is sent at once when it changes."""
    return view.rev, view.epoch, view.effective_bp, view.health, view.gate.open
