"""A whole rollout in a store, made without an engine: what a report is read from. Deterministic, with hostile texts in it."""

from __future__ import annotations

import sqlite3
from typing import Any

from engine.gate import checklist
from engine.gate.checklist import Signature
from engine.measures import stored
from engine.measures.record import Extraction
from engine.messages import outbox
from engine.messages.draft import Draft
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Action, Plan
from engine.rollout.control import Promotion, act, note, promote, resume
from engine.rollout.state import ENGINE, Actor, Ask, Decision, State
from engine.store import log, notes
from engine.store.migrations import migrate
from engine.store.rollup import insert_and_fold

DAY, HOUR = 86400.0, 3600.0
START = 20_500 * DAY + 9 * HOUR
HOSTILE = '<script>alert("x")</script> & <img src=x onerror=alert(1)> **bold** | pipe `code` \x1b[31mred'
ALICE, BO = Actor("alice", terminal="pts/1"), Actor("bo <b>", ssh="192.0.2.7 22")


class History:
    """Decisions and documents, one after the other; `at` is the time of the next."""

    def __init__(self, plan: Plan | None = None) -> None:
        self.plan = plan or parse_plan(default_plan_text())
        self.conn = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        migrate(self.conn)
        self.state = State()
        self.at = START
        self._count = 0

    def ask(self, actor: Actor, reason: str = "") -> Ask:
        self._count += 1
        return Ask(actor, self.at, f"request {self._count}", reason, "seen: 3 of 5 met")

    def decide(self, decision: Any) -> int:
        assert isinstance(decision, Decision), decision
        self.state = log.append(self.conn, self.state, decision)
        return self.state.rev

    def tell(self, kind: str, sentence: str, evidence: dict[str, Any] | None = None, actor: Actor = ALICE) -> int:
        return self.decide(note(self.state, self.ask(actor), kind, sentence, evidence))

    def up(self, reason: str = "", missing: tuple[str, ...] = ()) -> int:
        ask = self.ask(ALICE, reason)
        return self.decide(promote(self.plan, self.state, Promotion(ask, self.state.epoch, override=True), missing))

    def documents(self, n: int, failed: int = 0, ms: float = 800.0, at: float | None = None) -> None:
        """`n` documents of the LLM arm now, as many of the control arm, a quarter cache hits besides."""
        when, stage, epoch = self.at if at is None else at, self.state.stage, self.state.epoch
        rows = [
            Extraction(
                when, f"d{self._count}-{i}", "treatment", "frequency" if i < failed else "llm", stage, epoch, attempted=True,
                error="http_5xx" if i < failed else None, fallback=i < failed, ms=ms, lookup=True, keywords=12,
            )
            for i in range(n)
        ]  # fmt: skip
        rows += [
            Extraction(
                when, f"h{self._count}-{i}", "treatment", "llm", stage, epoch, cached=True, lookup=True, keywords=12
            )
            for i in range(n // 2)
        ]
        rows += [
            Extraction(when, f"c{self._count}-{i}", "control", "frequency", stage, epoch, ms=1.0, keywords=12)
            for i in range(n)
        ]
        self._count += 1
        insert_and_fold(self.conn, rows)

    def signs(self, item: str, state: str = "done", written: str = "", by: Actor = ALICE) -> int:
        """A person signs an item of the stage, or takes the signature back."""
        kind = "sign" if state == "done" else "revoke"
        rev = self.tell(kind, f"{by.name}: {kind}", {"item": item, "state": state, "evidence": ""}, by)
        checklist.write(self.conn, Signature(self.state.stage, item, state, by.name, self.at, written, "", rev))
        return rev

    def gives_up_on(self, draft: Draft, why: str) -> None:
        """A message that no address takes, for as long as it is tried."""
        outbox.put(self.conn, draft, self.at, "k")
        (queued,) = outbox.due(self.conn, self.at)
        for _ in range(outbox.TRIES):
            outbox.refused(self.conn, queued.id, why, self.at)

    def wait(self, seconds: float) -> None:
        self.at += seconds


def incident(h: History) -> int:
    """20 % errors for eight minutes; error_critical acts after five of them, 0 % is observed 40 ms later."""
    for minute in range(8):
        for second in range(0, 60, 20):
            h.documents(5, failed=1, at=h.at + 60 * minute + second)
    h.wait(8 * 60)
    sentence = "error rate 20 % over 5 % for 5 min"
    reading = {"value": 0.2, "threshold": 0.05, "n": 100, "k": 20, "held_s": 300.0, "for_s": 300.0, "rule": "literal"}
    evidence = {"trigger": "error_critical", "sentence": sentence, "reading": reading}
    rev = h.decide(act(h.plan, h.state, Action.to_zero, h.ask(ENGINE, "error_critical"), sentence, evidence))
    h.tell("proof", f"rollback {rev}: Effective in 40 ms", {"of": rev, "effective_ms": 40.0, "automatic": True, "sentence": "Effective in 40 ms."}, ENGINE)  # fmt: skip
    h.wait(2 * HOUR)
    h.decide(resume(h.state, h.ask(BO, f"a full disk {HOSTILE}")))
    return rev


def whole() -> History:
    """From the first checkbox to stable: an override, an incident in Canary, an A/B report, notes, messages, a checklist."""
    h = History()
    h.tell("start", "the rollout begins", actor=ENGINE)
    for name, output in (("code_deployed", "merged"), ("tests_pass", HOSTILE)):
        h.signs(name, written=output)
    h.wait(1.5 * DAY)
    h.up()
    h.wait(1 * DAY)
    h.up(f"the drill was done manually {HOSTILE}", ("1 of 10 checklist items (rollback_works)",))
    h.wait(HOUR)
    incident(h)
    h.wait(HOUR)
    h.up()
    for hours in (2.5, 3, 4, 5):
        h.wait(hours * DAY / 2)
        h.documents(400, failed=1)
        h.wait(hours * DAY / 2)
        if h.state.stage < h.plan.last_stage:
            h.up()
    h.wait(4 * DAY)
    h.documents(900, failed=2, ms=760.0)
    h.wait(4 * DAY)
    h.up()
    for kind, text in (("well", "The rollback came before the pager."), ("improve", "Waiting for bo."), ("lesson", HOSTILE), ("action", "carla: alert on disk by 12 Dec\n# not a heading")):  # fmt: skip
        notes.add(h.conn, h.at, kind, "alice", text)
    report = {"verdict": {"word": "ship", "sentence": "Ship: +17 % [+12 %, +22 %]."}, "final": True, "metrics": [{"label": "Search quality", "sentence": "+17 %"}], "correction": "Holm"}  # fmt: skip
    stored.keep(h.conn, h.at - 9 * DAY, "ab_report", report)
    h.gives_up_on(Draft("completion", "team", HOSTILE, "body"), "mailto: connection refused")
    return h
