"""A rollback is proven, not claimed: a stopwatch until 0 % is observed in routed documents and the last LLM call has ended.

Observed means: no call is in flight, none was sent after the rollback, and every document routed since (or, without traffic,
every probe document) was drawn for the frequency arm. Not observed within 5 s is said loudly.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from msgspec.structs import replace

from engine import routing
from engine.clock import Clock
from engine.pipeline import Pipeline
from engine.plan.durations import iso
from engine.switch import Switch
from engine.view import ProofView

LIMIT_S = 5.0
PROBE_AFTER_S = 0.02
PROBES = 20
STEP_S = 0.002


class Proof:
    """The proof of one rollback. `view` is what is known so far; `running` until proven or overdue."""

    def __init__(
        self, pipeline: Pipeline, switch: Switch, clock: Clock, salt: str, armed_path: str, *,
        actor: str, reason: str, automatic: bool, target_bp: int,
    ) -> None:  # fmt: skip
        self._pipeline = pipeline
        self._switch = switch
        self._clock = clock
        self._salt = salt
        self._armed_path = armed_path
        self._target_bp = target_bp
        self._began = clock.real()
        self._cancelled = 0
        self.done = asyncio.Event()
        at = clock.now()
        self.view = ProofView(
            0,
            at,
            actor,
            reason,
            automatic,
            None,
            pipeline.last_call,
            pipeline.last_call_ended,
            0,
            0,
            0,
            0,
            False,
            "proving",
        )

    def effect(self) -> None:
        """The moment of the rollback, in this instruction: calls in flight end, no further one starts."""
        if self._target_bp == 0:
            self._cancelled = self._pipeline.cancel_calls()

    async def run(self, stored: Callable[[ProofView], None]) -> None:
        """Watch until observed, or for 5 s; then once more keep `documents_since` current through `refresh`."""
        probes = 0
        while True:
            elapsed = self._clock.real() - self._began
            if elapsed > PROBE_AFTER_S and not self._since() and not probes:
                probes = self._probe()
                if probes < 0:
                    probes = 0
            if self._observed(probes):
                self._conclude(elapsed, probes, overdue=False)
                break
            if elapsed > LIMIT_S:
                self._conclude(None, probes, overdue=True)
                break
            await asyncio.sleep(STEP_S)
        stored(self.view)
        self.done.set()

    def _since(self) -> list[str]:
        return [method for at, method in self._pipeline.routed if at >= self.view.at]

    def _observed(self, probes: int) -> bool:
        if self._target_bp > 0:
            return self._switch.read().percent_bp <= self._target_bp
        if self._pipeline.in_flight or self._switch.read().percent_bp:
            return False
        since = self._since()
        return (bool(since) and since[-1] == "frequency") or probes >= PROBES

    def _probe(self) -> int:
        """Route probe documents as real ones are; how many were drawn for frequency, or -1 if one was not."""
        for _ in range(PROBES):
            permit = self._switch.read()
            if routing.arm(self._salt, f"probe-{uuid.uuid4().hex}", permit.percent_bp) != "control":
                return -1
        return PROBES

    def _conclude(self, elapsed: float | None, probes: int, overdue: bool) -> None:
        self.view = replace(
            self.view,
            effective_ms=None if elapsed is None else round(elapsed * 1000, 2),
            last_call=self._pipeline.last_call,
            last_call_ended=self._pipeline.last_call_ended,
            cancelled=self._cancelled,
            probes=probes,
            overdue=overdue,
        )
        self.refresh()

    def refresh(self) -> None:
        """Count the documents routed since, and put the whole into words."""
        since = self._since()
        llm = sum(method == "llm" for method in since)
        view = replace(self.view, documents_since=len(since), llm_since=llm)
        self.view = replace(view, sentence=sentence(view, self._target_bp, self._switch.read().why, self._armed_path))


def sentence(view: ProofView, target_bp: int, why: str, armed_path: str) -> str:
    """ "Effective in 38 ms; last LLM call 14:03:07.112Z; 214 documents since, all by frequency." """
    if view.overdue:
        return (
            f"NOT OBSERVED within {LIMIT_S:g} s: a call is still in flight or the percentage still stands"
            f"{f' ({why})' if why else ''}. Now, in any shell: rm {armed_path}"
        )
    if view.effective_ms is None:
        return "Proving: waiting for the first document routed after the rollback."
    parts = [
        f"Effective in {view.effective_ms:.0f} ms"
        if view.effective_ms >= 1
        else f"Effective in {view.effective_ms:.1f} ms"
    ]
    if target_bp:
        return f"{parts[0]}: routers obey {target_bp / 100:g} %."
    parts.append(f"last LLM call {iso(view.last_call, ms=True)}" if view.last_call else "no LLM call was ever made")
    if view.cancelled:
        parts.append(f"{view.cancelled} in flight ended")
    if view.documents_since:
        how = "all by frequency" if not view.llm_since else f"{view.llm_since} of them still by the LLM"
        parts.append(f"{view.documents_since} documents since, {how}")
    elif view.probes:
        parts.append(f"no traffic, so {view.probes} probe documents were routed, all to frequency")
    return "; ".join(parts) + "."
