"""A rollback from the key press to its proof: what was done, how, and how long ago. Pure except for the call itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Literal

import msgspec

from console.link import EngineSnapshot, Link
from engine.client.without_engine import RollbackResult
from engine.decoding import convert
from engine.plan.durations import format_duration
from engine.text import took
from engine.view.model import ProofView

OVERDUE_S = 5.0
WATCHED_S = 30.0  # how long the screen polls faster for a proof
ASK_EVERY_S = 0.05


class RollbackAttempt:
    """One press of R. `start` returns immediately; a thread does the rest, and the screen can't stop it."""

    def __init__(self, link: Link, seen: str, rev: int, changed: Callable[[], None]) -> None:
        self.link = link
        self.seen = seen
        self.rev = rev  # the last decision known at the key press
        self.pressed = time.monotonic()
        self.result: RollbackResult | None = None
        self.unreachable = False
        self.beside = ""  # without an engine: "done" or "failed" for the neighbouring service
        self.proven_s: float | None = None
        self.proven_rev: int | None = None  # the decision that the proof covers; None without an engine
        self.engine_proof: ProofView | None = None  # its own answer, which it gives even if the store takes no writes
        self._changed = changed

    def start(self) -> None:
        threading.Thread(target=self._run, name="rollback", daemon=False).start()

    def _run(self) -> None:
        try:
            self.result = self.link.rollback(seen=self.seen)
        except Exception as error:  # the client promises not to raise; if it does, the user must know what to do
            self.result = RollbackResult(
                False,
                f"NOT CERTAIN ({type(error).__name__}: {error}). Run in any shell: {self.link.folder.armed_removal}",
                (),
                "",
            )
        self._changed()
        if self.result.engine == "none" and self.result.ok:
            state, sentence = self.link.apply_to_neighbour()
            if state:
                how = (
                    f"neighbouring service: {sentence}"
                    if state == "done"
                    else f"neighbouring service FAILED: {sentence}"
                )
                self.beside = state
                self.result = msgspec.structs.replace(self.result, ways=(*self.result.ways, how))
                self._changed()
        if self.result.engine != "none" and self.result.request_id:
            self._ask_for_proof(self.result.request_id)

    def _ask_for_proof(self, request_id: str) -> None:
        """Ask the engine itself: a locked or full store can't show what the engine has observed."""
        until = time.monotonic() + OVERDUE_S
        while time.monotonic() < until:
            reply = self.link.command("proof", timeout_s=1.0, of=request_id)
            proof = reply.data.get("proof")
            if proof is not None:
                self.engine_proof = convert(proof, ProofView)
                self._changed()
            if (
                self.engine_proof is not None
                and (self.engine_proof.effective_ms is not None or self.engine_proof.overdue)
            ) or (reply.ok and proof is None):
                return
            time.sleep(ASK_EVERY_S)

    def proof(self, snapshot: EngineSnapshot) -> ProofView | None:
        """The engine's proof for this press: a rollback newer than the last decision known then."""
        proof = snapshot.view.rollback if snapshot.view else None
        known = self.rev + 1 if self.result is None or self.result.rev is None else self.result.rev
        return proof if proof is not None and proof.rev >= known else self.engine_proof

    def sentence(self, snapshot: EngineSnapshot) -> str:
        """The sentence to show now: the proof, or the progress and what blocks it."""
        proof = self.proof(snapshot)
        if proof is not None:
            return proof.sentence
        if self.result is None:
            return "Removing the armed file …"
        if self.proven_s is not None and self.unreachable:
            sentence = "No engine, no armed file: nothing can call the LLM through this engine."
            return f"{sentence} The neighbouring service may still use it." if self.beside == "failed" else sentence
        if snapshot.view is not None and snapshot.liveness.state == "gone":
            return snapshot.liveness.sentence
        late = snapshot.liveness.sentence if snapshot.liveness.state == "late" else ""  # else the banner has it
        return f"{self.result.sentence} {late}".strip()

    def state(self, snapshot: EngineSnapshot, now: float | None = None) -> Literal["running", "proven", "overdue"]:
        """`now` is monotonic seconds. Once proven, always proven; unproven for 5 s is overdue."""
        elapsed = (time.monotonic() if now is None else now) - self.pressed
        proof = self.proof(snapshot)
        if self.proven_s is None:
            if proof is not None and proof.effective_ms is not None:
                self.proven_s, self.proven_rev = proof.effective_ms / 1000, proof.rev
            elif self.unreachable and self.result is not None and elapsed >= self._leases_end_s:
                self.proven_s = elapsed
        if self.proven_s is not None:
            return "proven"
        return "overdue" if elapsed > OVERDUE_S or (proof is not None and proof.overdue) else "running"

    def overtaken(self, snapshot: EngineSnapshot) -> bool:
        """Whether the screens must show a later rollback, by a trigger or another person."""
        later = snapshot.view.rollback if snapshot.view else None
        return self.proven_rev is not None and later is not None and later.rev > self.proven_rev

    @property
    def _leases_end_s(self) -> float:
        """How long after the key press workers outside a dead engine may still call."""
        result = self.result
        return result.took_s + result.leases_end_s if result is not None and result.leases_end_s else 0.0

    def awaited(self) -> bool:
        """Whether the proof may still come: poll fast until then."""
        return self.proven_s is None and time.monotonic() - self.pressed <= WATCHED_S

    def clock(self, now: float | None = None) -> str:
        """The stopwatch: "0.4 s" while it runs, "38 ms" when proven."""
        if self.proven_s is not None:
            return took(self.proven_s * 1000)
        elapsed = (time.monotonic() if now is None else now) - self.pressed
        return f"{elapsed:.1f} s" if elapsed < 60 else format_duration(elapsed)
