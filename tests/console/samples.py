"""Views of a rollout in every state a screen must show, and a link that serves them without an engine."""

from __future__ import annotations

import contextlib
import math
import sqlite3
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from console.link import EngineSnapshot, corrected
from console.liveness import IN_SHELL, STARTS_ONE, Liveness, SeenEngine, judge
from engine.client.client import Reply
from engine.client.without_engine import RollbackResult
from engine.measures.bucket import Bucket
from engine.plan.durations import iso
from engine.plan.load import load_plan
from engine.plan.model import Plan
from engine.store.documents import Document, DocumentOrder
from engine.store.folder import Folder, StoreError
from engine.store.migrations import migrate
from engine.view.attribution import of_errors
from engine.view.model import (  # fmt: skip
    ConditionView,
    DecisionView,
    EngineView,
    GateView,
    Gauge,
    ItemView,
    MatrixView,
    PresenceView,
    ProofView,
    ReminderView,
    RestoreView,
    ServerView,
    TaskView,
    TriggerView,
    View,
)

T = TypeVar("T")


@cache
def _empty_store() -> bytes:
    """Making the tables takes longer than most tests of a screen take to read from them."""
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        migrate(conn)
        return conn.serialize()


PLAN: Plan = load_plan(Path(__file__).parents[2] / "rollout.toml")
NOW = 1_800_021_787.0  # 2027-01-15T14:03:07Z


def gauge(
    metric: str, value: float | None, n: int, k: int | None, target: float, op: str, ok: bool | None, **more: Any
) -> Gauge:
    return Gauge(metric, value, n, k, 300.0, target, op, ok, "", **more)


ERROR = gauge("error_rate", 0.004, 287, 1, 0.01, "<", True, bound=0.0162, control=0.001)
LATENCY = gauge("latency_mean", 1240.0, 286, None, 2000.0, "<", True, p95=2110.0)
CACHE = gauge("cache_hit_rate", 0.31, 304, 94, 0.20, ">", True)


def trigger(
    id: str,
    verdict: str = "ok",
    value: float | None = 0.0,
    held: float = 0.0,
    fires: float | None = None,
    n: int = 287,
    sentence: str = "",
) -> TriggerView:
    t = next(t for t in PLAN.triggers if t.id == id)
    output = sentence or {
        "ok": "within bounds",
        "insufficient": f"n = {n} of 20, about 13m 20s to go",
        "blind": "blind: timer paused",
        "muted": "error_critical acts first",
    }.get(verdict, "")
    return TriggerView(
        t.id, t.text, t.action.value, t.severity.value, verdict, value, t.above, n, None, held, t.for_s, "literal", output,
        "falls below the threshold", fires, t.timeline_s,
    )  # fmt: skip


CALM = (
    trigger("error_critical", sentence="0.4 % (1 of 287) against 5 %"), trigger("error_high", sentence="0.4 % (1 of 287) against 3 %"),
    trigger("latency_high", sentence="mean 1.24 s against 3 s"), trigger("latency_medium", sentence="mean 1.24 s against 2 s"),
    trigger("llm_unavailable", sentence="last answer 2 s ago"), trigger("complaints_many", sentence="1 of more than 10"),
    trigger("complaints", sentence="1 of more than 5"), trigger("cache_low", sentence="31 % against 10 %"),
    trigger("error_creep", sentence="CUSUM 0.8 of 5.9"),
)  # fmt: skip


def lit(matrix_ids: tuple[str, ...] = (), left: float | None = None) -> tuple[MatrixView, ...]:
    return tuple(
        MatrixView(
            r.condition,
            r.severity.value,
            r.action,
            r.timeline,
            r.trigger,
            r.trigger in matrix_ids,
            left if r.trigger in matrix_ids else None,
        )
        for r in PLAN.matrix
    )


SERVERS = (
    ServerView("ollama-1", "http://10.0.0.11:11434", True, "up", 3, 8.0, 38.0, 0, ""),
    ServerView("ollama-2", "http://10.0.0.12:11434", True, "up", 2, 8.0, 41.0, 0, ""),
)

LOG = (
    DecisionView(41, NOW - 3657, "sign", "bo", "pts/3, ssh 10.1.2.3", "", 2, 1000, 1000, 7, 'bo signed "Rollback procedures tested"'),
    DecisionView(40, NOW - 7900, "promote", "alice", "pts/1", "", 2, 0, 1000, 7, "alice promoted to stage 2 Canary Rollout, 10 %"),
    DecisionView(39, NOW - 8200, "approve", "bo", "pts/3", "", 1, 0, 0, 6, "bo approved the step to Canary Rollout, 10 %"),
    DecisionView(38, NOW - 90000, "promote", "alice", "pts/1", "", 1, 0, 0, 6, "alice promoted to stage 1 Internal Testing, 0 %"),
)  # fmt: skip

GATE = GateView(
    False, 3, "Limited Rollout", 2500, PLAN.stages[2].gate,
    ("bake time: 19h 48m to go", "error rate: 13 more clean documents for the bound", "quality: 12 of 20 reviewed"),
    (
        ConditionView("error_rate", "Error rate < 1%", False, 0.004, 287, 0.0162, "at most", "0.4 % (1 of 287), at most 1.6 %", "187 more clean documents for the bound", 11_200.0),
        ConditionView("processing_time", "Average processing time < 2000ms", True, 1240.0, 286, 1310.0, "at most", "1.24 s (n 286), at most 1.31 s", "", None),
        ConditionView("cache_hits", "Cache hit rate > 20%", True, 0.31, 304, 0.266, "at least", "31 % (94 of 304), at least 26.6 %", "", None),
        ConditionView("quality", "No quality issues", None, None, 12, None, "at least", "12 of 20 reviewed", "8 more documents to review (5)", None),
    ),
    (
        ItemView("rollback_tested", "Rollback procedures documented and tested", "rollback_drill", "done", "bo", NOW - 3657, "dry run, 0.03 s", "0 % observed after 0.03 s", True),
        ItemView("backups", "Database backups created", "backup", "open", "", None, "", "", True),
        ItemView("team", "Team trained on monitoring and rollback", "manual", "open", "", None, "", "", True),
        ItemView("llm", "LLM service (Ollama) healthy and scaled appropriately", "llm", "failed", "", NOW - 60, "", "ollama-2 refused the connection", True),
    ),
    172_800.0, 101_520.0, 1, (), (), 3, 9,
    ("bake time: 19h 48m to go", "error rate: 13 more clean documents for the bound", "quality: 12 of 20 reviewed"),
)  # fmt: skip

INBOX = tuple(
    TaskView("item", f"{'failed' if i.state == 'failed' else 'sign' if i.kind == 'manual' else 'check'}: {i.text}", "gate", i.id)
    for i in GATE.items if i.state != "done"
)  # fmt: skip
REVIEW = TaskView("review", "review 8 documents: 12 of 20 done", "review")

NORMAL = View(
    at=NOW, name="LLM keywords", environment="production", service="keyword-extraction", rehearsal=False, speed=1.0, plan_digest="ab12",
    engine=EngineView(4242, NOW - 200_000, 3, "active", 31.4, 3.2, 2, 0, "127.0.0.1:8080", ()),
    stage=2, stages=6, stage_name="Canary Rollout", stage_objective=PLAN.stages[2].objective, stage_percent_bp=1000, percent_bp=1000,
    effective_bp=1000, why_effective="", stable=False, ab_test=False, shadow_bp=0, epoch=7, rev=41, armed=True, entered_at=NOW - 101_520,
    changed_at=NOW - 101_520, held="", locked="", blind="", cooldown_until=None, undo_until=None, health="ok",
    health_sentence="all within targets, no trigger running", attribution="frequency arm 0.1 % errors", error_rate=ERROR, latency=LATENCY,
    cache=CACHE, methods={"llm": 157, "frequency": 1413, "fallback": 1, "cached": 49}, servers=SERVERS, triggers=CALM, matrix=lit(),
    next=("only a person raises the percentage", "bake 1d 4h of 2d, over at 10:51 tomorrow", "daily summary goes out at 09:00"),
    waiting=("8 more documents to review (5)", "sign 2 checklist items (2)", "error rate check, every 4 h, due in 22 min"), gate=GATE,
    reminders=(ReminderView("first_day", "Check error rate, time, cache", NOW + 1320, False),), rollback=None, restore=RestoreView(1612, NOW - 101_000, NOW - 3, 1612, None, 0, False, "1 612 documents serve LLM keywords, written since 01-14 09:51"),
    operators=(PresenceView("alice", "pts/1", "Live", NOW - 600), PresenceView("bo", "pts/3", "Gate", NOW - 90)), log=LOG,
    events=((NOW - 240, "ollama-2 answers again after 3 min"), (NOW - 432, "ollama-2 refused connections (7 in a row): breaker open")),
    stage_percents=(0, 0, 1000, 2500, 5000, 10000), stage_names=tuple(s.name for s in PLAN.stages), quality={"reviewed": 12.0, "good": 11.0, "wanted": 20.0},
    inbox=(*INBOX, REVIEW),
)  # fmt: skip

WATCH = replace(
    NORMAL, health="watch", health_sentence="error rate 5.6 % over 5 %, rolls back in 1:48",
    error_rate=gauge("error_rate", 0.056, 304, 17, 0.01, "<", False, bound=0.084, control=0.001),
    triggers=(trigger("error_critical", "breach", 0.056, 192.0, 108.0, sentence="5.6 % (17 of 304) over 5 %, continuously for 3:12"), trigger("error_high", "breach", 0.056, 192.0, 408.0, sentence="5.6 % over 3 %"), *CALM[2:]),
    matrix=lit(("error_critical", "error_high"), 108.0), next=("to 0 % in 1:48: error_critical", "then locked until resumed with cause", "bake 1d 4h of 2d"),
    waiting=("look at ollama-2: refused 7 times", *NORMAL.waiting), attribution="frequency arm 0.1 %: LLM arm only",
    servers=(SERVERS[0], ServerView("ollama-2", "http://10.0.0.12:11434", False, "refused", 0, 1.0, None, 7, "connection refused")),
)  # fmt: skip

ALERT = replace(
    WATCH, health="alert", health_sentence="error rate 20.4 % over 5 %, rolls back in 0:21",
    error_rate=gauge("error_rate", 0.204, 304, 62, 0.01, "<", False, bound=0.246, control=0.001),
    latency=gauge("latency_mean", 3420.0, 242, None, 2000.0, "<", False, p95=8100.0),
    triggers=(trigger("error_critical", "breach", 0.204, 279.0, 21.0, sentence="20.4 % (62 of 304) over 5 %"), trigger("error_high", "muted"), trigger("latency_high", "breach", 3420.0, 61.0, 539.0, sentence="mean 3.42 s over 3 s"), *CALM[3:]),
    matrix=lit(("error_critical", "error_high", "latency_high"), 21.0), next=("to 0 % in 0:21: error_critical", "one stage back in 8:59: latency_high", "then locked until resumed with cause"),
)  # fmt: skip

NONE_E, NONE_L, NONE_C = (
    replace(g, value=None, n=0, k=None, ok=None, p95=None, bound=None, control=None) for g in (ERROR, LATENCY, CACHE)
)
BLIND = replace(
    NORMAL, health="blind", health_sentence="BLIND: no LLM documents for 124 s while 83 arrived; one stage back in 27:55", blind="no LLM documents for 124 s while 83 arrived", error_rate=NONE_E,
    latency=NONE_L, cache=NONE_C, methods={"llm": 0, "frequency": 83}, attribution=of_errors(Bucket(plain_n=83), Bucket()),
    triggers=tuple(replace(t, verdict="blind", value=None, n=0, sentence="blind: timer paused") for t in CALM),
    next=("one stage back in 27:55: blind", "bake 1d 4h of 2d", "only a person raises the percentage"),
    inbox=(TaskView("blind", "find out why: no LLM documents for 124 s while 83 arrived", "triggers"), *INBOX, REVIEW),
)  # fmt: skip

PROVEN = ProofView(
    42,
    NOW - 12,
    "alice",
    "",
    False,
    41.0,
    NOW - 12.02,
    NOW - 12.0,
    2,
    37,
    0,
    6,
    False,
    "0 % observed 0.04 s after the key: 2 calls cancelled, 37 documents since, all by frequency",
)
ROLLED = replace(
    NORMAL, health="rolled_back", health_sentence="rolled back by alice 12 s ago, proven in 0.04 s", stage=1, stage_name="Internal Testing", stage_percent_bp=0,
    stage_objective=PLAN.stages[1].objective, percent_bp=0, effective_bp=0, armed=False, resumes=True, rolled_back=True, epoch=8, rev=42, undo_until=NOW + 48, rollback=PROVEN,
    methods={"llm": 129, "frequency": 1441}, next=("stays at 0 %: up again only through the gate",), waiting=("record why it was rolled back (w)", "restore 1 612 documents or leave them (t)"),
    inbox=(TaskView("reason", "record why it was rolled back", "rollback", "42"),),
    log=(DecisionView(42, NOW - 12, "rollback", "alice", "pts/1", "", 1, 1000, 0, 8, "alice rolled back from 10 % to 0 %"), *LOG),
)  # fmt: skip
RUNNING = replace(
    ROLLED,
    rollback=replace(
        PROVEN, effective_ms=None, documents_since=0, probes=1, sentence="waiting for the first documents since the key"
    ),
)
OVERDUE = replace(
    ROLLED,
    rollback=replace(
        PROVEN,
        effective_ms=None,
        overdue=True,
        llm_since=3,
        sentence="NOT OBSERVED after 6 s: 3 documents went to the LLM since the key",
    ),
)
# what the engine makes of it: `control.act`, `Monitor.blocked`, `next_steps.what_next` and `wording.read`
FIRED = "error_critical fired: error rate 20.4 % over 5 % for 5:00 of 5:00 (62 of 304 in 5m)"
LOCKED = replace(
    ROLLED, health="rolled_back", health_sentence="ROLLED BACK: error_critical fired; locked for 18:00 more", locked=FIRED, undo_until=None,
    triggers=tuple(replace(t, verdict="locked", sentence=f"locked: {FIRED}", fired=t.id == "error_critical") for t in CALM), next=("locked 18:00, then e (resume)", "only a person raises the percentage"),
    gate=replace(GATE, blocked=(f"locked; resume with the cause, not before {iso(NOW + 1080)}. {FIRED}",)),
    cooldown_until=NOW + 1080, rollback=replace(PROVEN, actor="error_critical", automatic=True), waiting=("write the cause and resume (2), possible in 18:00",),
    inbox=(TaskView("resume", "resume: error_critical fired; needs the cause", "gate", not_before=NOW + 1080), TaskView("complaint", "read 2 complaints about search quality", "log", "complaints", due=NOW - 700)),
    log=(DecisionView(42, NOW - 720, "trigger", "engine", "the engine", "error_critical", 1, 1000, 0, 8, f"error_critical took 10 % to 0 %: {FIRED[22:]}"), *LOG),
)  # fmt: skip
HELD = replace(
    NORMAL,
    health="held",
    health_sentence="held by bo: waiting for the search team",
    held="bo: waiting for the search team",
    gate=replace(GATE, blocked=("held by bo: waiting for the search team",)),
    inbox=(TaskView("release", "release bo's hold: waiting for the search team", "gate"), *INBOX),
)
IDLE = replace(
    NORMAL, health="idle", health_sentence="prepare: 9 items to sign, no documents yet", stage=0, stage_name="Pre-Rollout Preparation", stage_percent_bp=0, percent_bp=0, effective_bp=0,
    armed=False, epoch=1, rev=1, error_rate=NONE_E, latency=NONE_L, cache=NONE_C, methods={"llm": 0, "frequency": 0}, attribution="", restore=None,
    triggers=tuple(replace(t, verdict="insufficient", value=None, n=0, sentence="no LLM documents yet") for t in CALM), next=("nothing until a person acts",), waiting=("sign 9 checklist items (2)",), log=LOG[-1:], events=(),
    gate=replace(GATE, next_stage=1, next_name="Internal Testing", next_percent_bp=0, conditions=(), items=tuple(ItemView(i.id, i.text, i.check.kind, "open", "", None, "", "", i.required) for i in PLAN.stages[0].checklist), missing=("9 items open",), met=0, total=9, bake_s=0.0, baked_s=0.0),
    inbox=tuple(TaskView("item", f"{'sign' if i.check.kind == 'manual' else 'check'}: {i.text}", "gate", i.id) for i in PLAN.stages[0].checklist),
)  # fmt: skip
READY = replace(
    NORMAL,
    gate=replace(
        GATE,
        open=True,
        missing=(),
        others=(),
        met=9,
        total=9,
        conditions=tuple(replace(c, met=True, missing="", eta_s=None) for c in GATE.conditions),
        items=tuple(replace(i, state="done", by="bo", at=NOW - 100) for i in GATE.items),
        baked_s=172_800.0,
    ),
    inbox=(TaskView("promote", "the gate is open: promote to Limited Rollout, 25 %", "gate"),),
)
SLEEP = replace(NORMAL, waiting=(), inbox=(), gate=replace(GATE, items=()))
REHEARSAL = replace(
    NORMAL, rehearsal=True, environment="rehearsal", speed=60.0, faults={"error_rate": 0.2, "slow": 0.0, "down": 0.0}
)
REHEARSAL_ALERT = replace(
    ALERT, rehearsal=True, environment="rehearsal", speed=60.0, faults={"error_rate": 0.2, "slow": 0.0, "down": 0.0}
)

KEY_OUT = corrected(NORMAL, None, armed=False)  # R while the store is locked

WELL = Liveness("well")
STATES: dict[str, tuple[View | None, Liveness]] = {
    "normal": (NORMAL, WELL),
    "watch": (WATCH, WELL),
    "alert": (ALERT, WELL),
    "blind": (BLIND, WELL),
    "rolled_back": (ROLLED, WELL),
    "running": (RUNNING, WELL),
    "overdue": (OVERDUE, WELL),
    "locked": (LOCKED, WELL),
    "held": (HELD, WELL),
    "idle": (IDLE, WELL),
    "ready": (READY, WELL),
    "sleep": (SLEEP, WELL),
    "rehearsal": (REHEARSAL, WELL),
    "rehearsal_alert": (REHEARSAL_ALERT, WELL),
    "dead": (
        NORMAL,
        Liveness(
            "dead",
            "No engine: process 4242 ended, last heartbeat 12s ago; its lease runs out in 18s.",
            12.0,
            STARTS_ONE,
            IN_SHELL,
        ),
    ),
    "frozen": (NORMAL, judge(SeenEngine(NOW, 4242, "stopped", 30.0), NOW + 12)),
    "gone": (
        NORMAL,
        Liveness(
            "gone",
            "The store cannot be read now: database is locked. Retrying. You see the last figures that could be read.",
        ),
    ),
    "key_out": (KEY_OUT, Liveness("gone", "The store cannot be read now: database is locked. Retrying.")),
    "nothing": (None, Liveness("starting", "The engine has started and shows its first figures in a moment.")),
}

DOCS = (
    Document("docs/asyncio.md", "asyncio: coroutines and tasks", NOW - 60, "treatment", "llm", ("coroutine", "event loop", "task", "await"), ("asyncio",), ("task", "coroutine", "await", "loop"), ("coroutine", "event loop", "task", "await"), None, NOW - 60, 2, False, "A coroutine is awaited by the event loop."),
    Document("docs/pickle.md", "pickle: object serialization", NOW - 160, "control", "frequency", ("pickle", "object", "protocol"), (), ("pickle", "object", "protocol"), None, None, None, None, False, "Pickle protocols."),
    Document("docs/re.md", "re: regular expressions", NOW - 360, "treatment", "frequency", ("pattern", "match"), (), ("pattern", "match", "string"), ("regular expression", "pattern", "matching"), None, NOW - 360, 2, True, "Patterns."),
)  # fmt: skip


class FakeLink:
    """Serves one state at a time, remembers what was asked of it."""

    def __init__(self, state: str = "normal", folder: Path | None = None) -> None:
        self.view, self.liveness = STATES[state]
        self.folder = Folder(folder or Path("/srv/rollout/.rollout"))
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.rollbacks: list[str] = []
        self.reply = Reply(True, "Done.")
        self.result = RollbackResult(
            True, "Rolled back to 0 %.", ("armed file removed", "pushed to the engine"), "r1", 42, "answered"
        )
        self.docs: tuple[Document, ...] = DOCS
        self.reads = 0
        self._conn: sqlite3.Connection | None = None

    who = "alice"
    terminal = "pts/1"
    acting_name = ""

    @property
    def reader(self) -> FakeLink:
        """What a `Reader` reads."""
        return self

    def act_as(self, name: str) -> None:
        self.acting_name, self.who = name, f"{name} (uid 1000)"

    def put(self, state: str) -> None:
        self.view, self.liveness = STATES[state]

    def poll(self) -> EngineSnapshot:
        self.reads += 1
        return EngineSnapshot(self.view, self.liveness, NOW, self.view is KEY_OUT)

    def log(self, limit: int = 100, before: int | None = None, text: str = "", kind: str = "") -> list[DecisionView]:
        if self.liveness.state == "gone":
            raise StoreError("The store cannot be read now: database is locked. Retrying.")
        rows = self.view.log if self.view else ()
        return [d for d in rows if text.lower() in f"{d.sentence} {d.actor} {d.reason}".lower()][:limit]

    def evidence(self, rev: int) -> dict[str, Any]:
        return {"value": 0.204, "threshold": 0.05, "n": 304, "window_s": 300.0}

    def curves(
        self, metrics: Sequence[str], window_s: float, points: int, end: float, arm: str = "treatment"
    ) -> dict[str, list[float | None]]:
        return {metric: self._curve(metric, points) for metric in metrics}

    def _curve(self, metric: str, points: int) -> list[float | None]:
        bad = self.view is not None and self.view.health in ("watch", "alert", "locked")
        out: list[float | None] = []
        for i in range(points):
            wave = math.sin(i / 7) * 0.5 + math.sin(i / 2.3) * 0.25
            value: float | None
            match metric:
                case "error_rate":
                    value = (
                        0.005
                        + 0.002 * wave
                        + (0.2 * max(0.0, (i - points * 0.82) / (points * 0.18)) ** 1.5 if bad else 0.0)
                    )
                case "latency_mean":
                    value = 1240 + 140 * wave + (2100 * max(0.0, (i - points * 0.86) / (points * 0.14)) if bad else 0.0)
                case "cache_hit_rate":
                    value = 0.30 + 0.03 * wave
                case "llm_share":
                    value = 0.10 + 0.01 * wave
                case "latency_p95":
                    value = 2100 + 240 * wave
                case _:
                    value = 3.2 + wave
            if (
                self.view is None
                or self.view.health == "idle"
                or (self.view.health == "blind" and i > points * 0.9)
                or points * 0.3 < i < points * 0.36
            ):
                value = None
            out.append(value)
        return out

    def documents(
        self, text: str = "", limit: int = 50, method: str | None = None, order: DocumentOrder = ""
    ) -> list[Document]:
        return [d for d in self.docs if text.lower() in f"{d.title} {' '.join(d.keywords)}".lower()][:limit]

    def document(self, document_id: str) -> Document | None:
        return next((d for d in self.docs if d.id == document_id), None)

    def command(self, kind: str, /, **fields: Any) -> Reply:
        if kind != "presence":
            self.asked.append((kind, fields))
        return self.reply

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """A real, empty store in memory."""
        if self._conn is None:
            self._conn = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self._conn.deserialize(_empty_store())
        return query(self._conn)

    def rollback(self, reason: str = "", seen: str = "") -> RollbackResult:
        self.rollbacks.append(seen)
        return self.result

    def apply_to_neighbour(self) -> tuple[str, str]:
        return "", ""

    def start_engine(self) -> str:
        self.asked.append(("start_engine", {}))
        return ""

    def out_of_reach(self) -> bool:
        return False
