"""Everything a screen shows, in one value: composed by the engine at each tick, stored, read by every console.

`rollout status --json` prints it. Unknown numbers are None, never 0 or NaN. Sentences are ready to show; the numbers
beside them carry value, threshold, n and window.
"""

from typing import Literal

from msgspec import Struct

from engine.measures.backlog import Backlog

Health = Literal["ok", "watch", "alert", "blind", "rolled_back", "held", "locked", "idle", "no_traffic"]
URGENT: frozenset[Health] = frozenset({"alert", "blind", "locked", "rolled_back"})  # a person is needed now


class Gauge(Struct, frozen=True):
    """One measured number. `ok` is None if it cannot be judged (no data, or too few)."""

    metric: str
    value: float | None
    n: int
    k: int | None
    window_s: float
    target: float | None
    op: str
    ok: bool | None
    sentence: str
    p95: float | None = None
    bound: float | None = None  # the confidence bound that the gate judges
    control: float | None = None  # the same number on the frequency arm
    arm: Literal["treatment", "shadow"] = "treatment"


class TriggerView(Struct, frozen=True):
    id: str
    text: str
    action: str
    severity: str
    verdict: str  # a `triggers.wording.Verdict`, or unknown: at a moment in the past that left no record
    value: float | None
    threshold: float | None
    n: int
    k: int | None
    held_s: float
    for_s: float
    rule: str  # which rule acts: literal, fallback-100, cusum, ...
    sentence: str
    resets_when: str
    fires_in_s: float | None
    timeline_s: float = 0.0
    headline: str = ""  # "errors 12.2 % over 5 %": what is wrong, in a few words
    evidence: str = ""  # "17 of 139 in 5 min": the figures behind the headline
    fired: bool = False  # its rollback locked promotion
    acts_by: str = ""  # the detector that `held_s`, `for_s` and `fires_in_s` belong to; "" for the plan's own window

    @property
    def is_urgent(self) -> bool:
        """In breach, and it matters now: a trigger that only asks for a look does so when its time is over, since there
        is nothing to prevent before."""
        return self.verdict == "breach" and (self.action != "investigate" or self.fires_in_s == 0)


class ConditionView(Struct, frozen=True):
    id: str
    text: str
    met: bool | None = None
    value: float | None = None
    n: int = 0
    bound: float | None = None
    bound_name: str = ""
    sentence: str = ""
    missing: str = ""
    eta_s: float | None = None
    metric: str = ""
    unproven: bool = False  # the figure meets the target; only its bound does not: more samples can prove it

    @property
    def lacks_samples(self) -> bool:
        """Not met, and only for want of samples: it is open, not failed."""
        # an engine of an older version sends only `eta_s`
        return self.met is False and bool(self.unproven or self.eta_s)


ItemState = Literal["open", "done", "failed"]


class ItemView(Struct, frozen=True):
    id: str
    text: str
    kind: str  # manual, or how the machine checks it
    state: ItemState
    by: str
    at: float | None
    note: str
    evidence: str
    required: bool
    lapsed: bool = False  # it was signed or proven before a rollback or a change of model
    signed_manually: bool = False  # a person signed it although the machine check failed


class GateView(Struct, frozen=True):
    """What promotion from the current stage needs. `open` only if nothing is missing or blocked."""

    open: bool
    next_stage: int
    next_name: str
    next_percent_bp: int
    sentence: str  # the plan's decision gate
    missing: tuple[str, ...]
    conditions: tuple[ConditionView, ...]
    items: tuple[ItemView, ...]
    bake_s: float
    baked_s: float
    approvals_needed: int
    approvals: tuple[str, ...]
    blocked: tuple[str, ...]  # hold, lock, cool-down, quiet hours, freeze, blind: each with its end
    met: int
    total: int
    others: tuple[str, ...] = ()  # what of `missing` is neither a condition nor a checklist item
    returns: bool = False  # the short way back to the stage that a rollback left


class ServerView(Struct, frozen=True):
    name: str
    url: str
    up: bool | None
    state: str  # "up", "refused", "breaker open, tries again in 9 s"
    in_flight: int = 0
    window: float = 0.0
    latency_ms: float | None = None
    failures: int = 0
    error: str = ""
    learnt: str = ""  # what is left out of requests since the server refuses it


class WorkerView(Struct, frozen=True):
    """A worker outside the engine: what its lease permits, and until when it may call the LLM without a renewal."""

    name: str
    host: str
    pid: int
    state: Literal["active", "silent", "ended"]
    percent_bp: int
    in_flight: int
    until: float  # epoch seconds
    sentence: str
    job: int | None = None  # whose part it has
    waits: str = ""  # why that job's documents wait: for a person, a source or the output


class DecisionView(Struct, frozen=True):
    rev: int
    at: float
    kind: str
    actor: str
    where: str
    reason: str
    stage: int
    percent_from: int
    percent_to: int
    epoch: int
    sentence: str


class ProofView(Struct, frozen=True):
    """The last rollback, and the proof of it. `effective_ms` is None until 0 % is observed."""

    rev: int
    at: float
    actor: str
    reason: str
    automatic: bool
    effective_ms: float | None
    last_call: float | None  # when the last LLM call started
    last_call_ended: float | None
    cancelled: int
    documents_since: int
    llm_since: int
    probes: int
    overdue: bool  # not observed within 5 s, or before the percentage was raised again
    sentence: str
    recorded_ms: float | None = None  # from the key to the commit
    workers: int = 0  # outside the engine, that acknowledged it with nothing in flight
    silent: tuple[str, ...] = ()  # workers that did not, and when their leases ended, a phrase each
    applied: Literal["", "waiting", "done", "failed"] = ""  # the neighbouring service; "": the plan names none
    applied_sentence: str = ""
    raised: bool = False  # it was not observed before the percentage was raised again


class RestoreView(Struct, frozen=True):
    """Documents that still serve LLM keywords, and since when."""

    documents: int
    since: float | None
    until: float | None
    window_documents: int
    last_id: int | None
    last_documents: int
    undoable: bool
    sentence: str


class PresenceView(Struct, frozen=True):
    name: str
    terminal: str
    screen: str
    since: float


class ReminderView(Struct, frozen=True):
    id: str
    text: str
    due: float
    overdue: bool


TaskKind = Literal[
    "acknowledge", "adopt", "overruled", "blind", "problem", "plan", "resume", "release", "reason", "complaint",
    "monitoring", "promote", "item", "approve", "review", "backtest", "message",
]  # fmt: skip


class AckView(Struct, frozen=True):
    """Who acknowledged the active alarm, and when."""

    name: str
    at: float


class HandoverView(Struct, frozen=True):
    """What someone left for the next on-call."""

    at: float
    name: str
    text: str


class TaskView(Struct, frozen=True):
    """One task that waits for a person. `sentence` has no countdown: `not_before` is when it becomes possible, `due`
    when it fell due."""

    kind: TaskKind
    sentence: str
    screen: str  # the screen for it: gate, triggers, review, log, commands, messages, rollback; "" if no screen does it
    id: str = ""  # of the item, reminder, message or decision
    due: float | None = None
    not_before: float | None = None


class MatrixView(Struct, frozen=True):
    condition: str
    severity: str
    action: str
    timeline: str
    trigger: str
    lit: bool
    left_s: float | None


class EngineView(Struct, frozen=True):
    pid: int = 0  # of an engine in the past neither this nor its calls are known
    started: float = 0.0
    token: int = 0
    state: Literal["active", "standby", "stopping"] = "active"
    documents_per_min: float = 0.0
    llm_per_min: float = 0.0
    in_flight: int = 0
    queue: int = 0
    address: str = ""
    problems: tuple[str, ...] = ()
    late_s: float = 0.0  # how late the engine's own loop was in the last 10 s, in all
    unjudged: int = 0  # timeouts and latencies since the start discarded because of that
    notices: tuple[str, ...] = ()  # possibly intentional: shown where it belongs, not on every screen
    backlog: Backlog = Backlog()  # of the engine's own documents; a worker's are in its `in_flight`


class View(Struct, frozen=True):
    at: float
    name: str
    environment: str
    service: str
    rehearsal: bool
    speed: float
    plan_digest: str
    engine: EngineView
    # the state
    stage: int
    stages: int
    stage_name: str
    stage_objective: str
    stage_percent_bp: int
    percent_bp: int  # what was decided
    effective_bp: int  # what is in force: 0 without `armed` or with an expired lease
    why_effective: str  # "" if it is what was decided
    stable: bool
    ab_test: bool
    shadow_bp: int
    epoch: int
    rev: int
    armed: bool
    entered_at: float
    changed_at: float
    held: str  # who holds it and why; "" if not held
    locked: str
    blind: str
    cooldown_until: float | None
    undo_until: float | None  # a manual rollback can be undone until then
    # health
    health: Health
    health_sentence: str
    attribution: str
    error_rate: Gauge
    latency: Gauge
    cache: Gauge
    methods: dict[str, int]  # served in the window: llm, frequency; of these, fallback and cached
    servers: tuple[ServerView, ...]
    triggers: tuple[TriggerView, ...]
    matrix: tuple[MatrixView, ...]
    # what happens next
    next: tuple[str, ...]
    waiting: tuple[str, ...]
    gate: GateView
    reminders: tuple[ReminderView, ...]
    rollback: ProofView | None
    restore: RestoreView | None
    operators: tuple[PresenceView, ...]
    log: tuple[DecisionView, ...]
    events: tuple[tuple[float, str], ...]  # other than decisions: a server's breaker opened, blind, a hook failed
    stage_percents: tuple[int, ...] = ()
    stage_names: tuple[str, ...] = ()
    quality: dict[str, float | None] = {}
    faults: dict[str, float] = {}
    # error rate and latency of answers that were stored but not served; () without shadow
    shadow: tuple[Gauge, ...] = ()
    # quality_score, satisfaction, search_improvement, ab_test: the result, in a sentence
    judged: dict[str, str] = {}
    plan_changed: str = ""  # the plan file differs from the one the engine read
    misplaced: str = ""  # why a person has to choose the stage of the changed plan; promotion is held until then
    limits: tuple[str, ...] = ()  # what environment variables prevent, a sentence each
    may_test: bool = True  # whether the environment allows an A/B test,
    measures: bool = True  # and more than what safety needs to be recorded
    no_traffic: str = ""  # both arms are silent and the LLM service answers: promotion waits, nothing steps down
    measuring: float | None = None  # progress of a running measurement of search quality, 0..1
    as_of: bool = False  # of a moment in the past, read from the store
    not_kept: tuple[str, ...] = ()  # for such a moment: what the store does not know, one sentence each
    # tasks for a person; None from an older engine and for a moment in the past
    inbox: tuple[TaskView, ...] | None = None
    alarm_since: float | None = None  # an alarm is active: a severe trigger, blindness, or a lock after a rollback
    acknowledged: AckView | None = None  # the person who acknowledged it
    handover: HandoverView | None = None  # the last note for whoever comes next, while it is fresh
    resumes: bool = (
        False  # a resume would change something: release a hold or a lock, or allow LLM calls after a rollback
    )
    workers: tuple[WorkerView, ...] = ()  # outside the engine
    game: bool = False  # of a game day, which is a rehearsal too
    rolled_back: bool = False  # 0 % is what a rollback left, whatever `health` has to report before it

    @property
    def shows_faults(self) -> bool:
        """Whether people may switch faults and see them."""
        return self.rehearsal and not self.game

    @property
    def exercise(self) -> str:
        """What this is if it is not a real rollout: "GAME DAY", "REHEARSAL", or ""."""
        return "GAME DAY" if self.game else "REHEARSAL" if self.rehearsal else ""
