"""The plan as data: what rollout.toml says, typed. Loaded by `engine.plan.load`; everything else only reads it.

Durations are seconds (float), percentages basis points (0..10000), rates 0..1, latencies milliseconds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct


class Action(StrEnum):
    """What a trigger does, strongest first. None of them raises the percentage."""

    to_zero = "to_zero"
    previous_stage = "previous_stage"
    halve = "halve"
    pause = "pause"
    investigate = "investigate"


class Severity(StrEnum):
    critical = "critical"
    high = "high"
    medium = "medium"


Mode = Literal["guarded", "literal", "early"]
Metric = Literal[
    "error_rate",  # LLM attempts without usable keywords / LLM attempts
    "latency_mean",  # ms, LLM arm, fresh calls
    "latency_p95",
    "cache_hit_rate",  # hits / look-ups on the LLM arm
    "llm_available",  # 1 while the service answers
    "complaints",  # in this stage
    "error_creep",  # the CUSUM 1 % -> 6 %
    "grounded_rate",  # keywords that the document supports / keywords
    "quality_score",  # reviewed documents judged good / reviewed
    "search_improvement",  # relative change of the search score, LLM against frequency
    "satisfaction",  # positive ratings / ratings
    "documents",  # LLM documents since the stage began
    "ab_verdict",  # 1 when the declared A/B test ended in favour of the LLM
    "critical_incidents",  # since the stage began
    "latency_ratio",  # mean time of the LLM arm / mean time of the frequency arm
]
Op = Literal["<", "<=", ">", ">="]


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """A gate condition or success metric: `metric op value`. `confidence` is that of the bound it is judged by."""

    id: str
    text: str
    metric: Metric
    op: Op
    value: float
    confidence: float = 0.95
    min_n: int = 0


class Check(Struct, frozen=True, forbid_unknown_fields=True):
    """How the machine proves a checklist item; `kind` picks which of the other fields count."""

    kind: Literal[
        "manual", "llm", "http", "command", "metric", "backup", "notify", "rollback_drill", "rehearsal", "triggers"
    ] = "manual"
    url: str = ""
    status: int = 200
    contains: str = ""
    command: str = ""
    timeout_s: float = 60.0
    metric: str = ""
    op: Op = "<"
    value: float = 0.0
    within_s: float = 0.0  # for `rehearsal`: passed no longer ago than this


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    """One box to tick."""

    id: str
    text: str
    check: Check = Check()
    required: bool = True


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the plan that a person may copy or run; it is never run by itself."""

    text: str
    run: str


class Message(Struct, frozen=True, forbid_unknown_fields=True):
    """A message of the communication plan. `body` is a template with {placeholders}."""

    id: str
    audience: Literal["team", "stakeholders", "users"]
    when: Literal["daily", "weekly", "before", "gate", "rollback", "hold", "after", "stage"]
    subject: str
    body: str
    stages: tuple[int, ...] = ()
    automatic: bool = False


class Sampling(Struct, frozen=True, forbid_unknown_fields=True):
    """How many LLM documents a person reviews at this stage, and at what."""

    documents: int
    look_for: tuple[str, ...] = ()
    every_s: float = 0.0


class Reminder(Struct, frozen=True, forbid_unknown_fields=True):
    """Monitoring that is due: every `every_s` until `until_s` after the stage began (0 = for as long as it lasts)."""

    id: str
    text: str
    every_s: float
    from_s: float = 0.0
    until_s: float = 0.0


class Stage(Struct, frozen=True, forbid_unknown_fields=True):
    number: int
    name: str
    objective: str
    percent_bp: int
    duration_text: str  # as the plan says it: "2-3 days"
    bake_s: float  # least time in this stage before its gate opens
    ab_test: bool = False
    shadow_bp: int = 0
    approvals: int = 1
    gate: str = ""  # the decision gate's sentence
    checklist: tuple[Item, ...] = ()
    actions: tuple[str, ...] = ()
    validation: tuple[Command, ...] = ()
    monitoring: tuple[Command, ...] = ()
    reminders: tuple[Reminder, ...] = ()
    success: tuple[Condition, ...] = ()  # the gate's conditions
    sampling: Sampling | None = None
    feedback: tuple[str, ...] = ()


class Trigger(Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the rollback triggers: `metric` above `above` (or below `below`) for `for_s` -> `action`.

    A row that the plan gives as a band (3-5 %) has only its lower edge here: above the band counts on, and the stronger
    trigger mutes it when it fires.
    """

    id: str
    text: str
    metric: Metric
    action: Action
    severity: Severity
    for_s: float = 0.0
    above: float | None = None
    inclusive: bool = False  # `>=` rather than `>`
    below: float | None = None
    mode: Mode | None = None  # None: the plan's default
    timeline_s: float = 0.0  # the decision matrix's "< 15 min"
    enabled: bool = True


class TriggerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    mode: Mode = "guarded"
    min_n: int = 20
    fallback_n: int = 100
    latency_fallback_n: int = 50
    blind_after_s: float = 120.0
    blind_step_down_s: float = 1800.0
    lease_s: float = 30.0
    cooldown_s: float = 1800.0
    unavailable_calls: int = 5
    unavailable_span_s: float = 15.0
    unavailable_probes: int = 3
    probe_every_s: float = 5.0


class MatrixRow(Struct, frozen=True, forbid_unknown_fields=True):
    """A row of the decision matrix as people read it; `trigger` names the one that lights it."""

    condition: str
    severity: Severity
    action: str
    timeline: str
    trigger: str


class Llm(Struct, frozen=True, forbid_unknown_fields=True):
    urls: tuple[str, ...]
    model: str
    api: Literal["ollama", "openai"] = "ollama"
    api_key_env: str = ""
    timeout_s: float = 30.0  # the deadline a document has for everything
    retries: int = 2
    num_ctx: int = 8192
    max_descriptive: int = 8
    max_technical: int = 10
    max_total: int = 15
    max_concurrency: int = 64
    temperature: float = 0.1
    min_length: int = 50
    chunk_chars: int = 12_000
    breaker_failures: int = 5
    breaker_open_s: float = 15.0
    cache_bytes: int = 64 * 1024 * 1024


class Hours(Struct, frozen=True, forbid_unknown_fields=True):
    """Times in which nothing goes up. `days` are mon..sun; times are local to `timezone`."""

    start: str
    end: str
    days: tuple[str, ...] = ()


class Freeze(Struct, frozen=True, forbid_unknown_fields=True):
    start: str  # ISO 8601 date or time
    end: str
    reason: str


class Calendar(Struct, frozen=True, forbid_unknown_fields=True):
    timezone: str = "UTC"
    quiet: tuple[Hours, ...] = ()
    freeze: tuple[Freeze, ...] = ()


class Access(Struct, frozen=True, forbid_unknown_fields=True):
    """Who may promote and configure; empty: everyone who can open the store. Rollback is everyone's."""

    promote: tuple[str, ...] = ()
    group: str = ""


class Apply(Struct, frozen=True, forbid_unknown_fields=True):
    """Run on each change of percentage, for a service beside the engine."""

    env_file: str = ""
    command: str = ""
    timeout_s: float = 30.0


class StoreSettings(Struct, frozen=True, forbid_unknown_fields=True):
    path: str = ""
    group: str = ""
    resume: Literal["last", "safe"] = "last"  # after an unclean start: the last percentage, or 0 %
    raw_days: float = 30.0
    ten_second_days: float = 2.0
    minute_days: float = 8.0


class Http(Struct, frozen=True, forbid_unknown_fields=True):
    host: str = "127.0.0.1"
    port: int = 8080
    token_env: str = "ROLLOUT_TOKEN"


class Contact(Struct, frozen=True, forbid_unknown_fields=True):
    role: str
    name: str
    phone: str
    email: str


class Notify(Struct, frozen=True, forbid_unknown_fields=True):
    """Where messages go: names of environment variables, or a 0600 file, that hold apprise URLs; never the URLs."""

    urls_env: str = "ROLLOUT_NOTIFY_URLS"
    urls_file: str = ""
    daily_at: str = ""


class Panel(Struct, frozen=True, forbid_unknown_fields=True):
    """A panel of the dashboard with the plan's metric name and its target or alert threshold."""

    panel: str
    metric: str
    type: str
    target: float | None = None
    alert_threshold: float | None = None
    thresholds: tuple[float, ...] = ()


class Plan(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    environment: str  # "production", "staging": shown in the header
    service: str
    stages: tuple[Stage, ...]
    triggers: tuple[Trigger, ...]
    llm: Llm
    matrix: tuple[MatrixRow, ...] = ()
    messages: tuple[Message, ...] = ()
    contacts: tuple[Contact, ...] = ()
    dashboard: tuple[Panel, ...] = ()
    trends: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    post_rollout: tuple[Item, ...] = ()
    trigger_settings: TriggerSettings = TriggerSettings()
    calendar: Calendar = Calendar()
    access: Access = Access()
    apply: Apply = Apply()
    store: StoreSettings = StoreSettings()
    http: Http = Http()
    notify: Notify = Notify()
    salt: str = "keyword-extraction"
    source: str = ""  # the file it came from
    digest: str = ""  # of that file's bytes

    def stage(self, number: int) -> Stage:
        """IndexError when the plan has no such stage."""
        return self.stages[number]

    @property
    def last_stage(self) -> int:
        return len(self.stages) - 1

    @property
    def stable(self) -> int:
        """The number that stands for *stable*: past the last stage's gate."""
        return len(self.stages)
