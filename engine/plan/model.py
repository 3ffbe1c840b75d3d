"""The plan as data: what rollout.toml says, typed. `engine.plan.load` loads it; everyone else only reads it.

Durations are seconds (float), percentages basis points (0..10000), rates 0..1, latencies milliseconds.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from engine.plan.settings import (
    Access,
    Apply,
    Calendar,
    Freeze,
    Hours,
    HttpSettings,
    Llm,
    Notify,
    StoreSettings,
    TriggerSettings,
)
from engine.plan.vocabulary import (
    Action,
    BasisPoints,
    Id,
    Metric,
    Mode,
    Op,
    Part,
    Seconds,
    Severity,
    Threshold,
    Title,
    says,
)

__all__ = [
    "Access",
    "Action",
    "Apply",
    "Calendar",
    "Check",
    "Condition",
    "Contact",
    "Experiment",
    "Freeze",
    "Hours",
    "HttpSettings",
    "Item",
    "Llm",
    "MatrixRow",
    "Message",
    "Metric",
    "Mode",
    "MonitoringCommand",
    "Notify",
    "Op",
    "Panel",
    "Plan",
    "Reminder",
    "Sampling",
    "Severity",
    "Stage",
    "StoreSettings",
    "Trigger",
    "TriggerSettings",
]


class Condition(Part, frozen=True):
    """A condition of a gate: `metric op value`."""

    id: Annotated[Id, says("Its name, once in the stage.", example="error_rate")]
    text: Annotated[Title, says("As people read it.", example="Error rate < 1 %")]
    metric: Annotated[Metric, says("What is measured.")]
    op: Annotated[Op, says("How it is compared.")]
    value: Annotated[Threshold, says("With what.", example="1 %")]
    confidence: Annotated[
        float,
        says(
            "The bound that is compared: 0.95 wants 95 % certainty (an error rate below 1 % then takes 300 "
            "clean documents), 0.5 takes the figure itself.",
            least=0.5,
            most=0.9999,
        ),
    ] = 0.95
    min_n: Annotated[int, says("Fewest samples that count.", least=0)] = 0
    required: Annotated[
        bool, says("false: without any figures it does not hold the gate; a figure that misses still does.")
    ] = True


class Check(Part, frozen=True):
    """How the machine proves a checklist item; `kind` picks which of the other keys count."""

    kind: Annotated[
        Literal[
            "manual", "llm", "http", "command", "metric", "backup", "notify", "rollback_drill", "rehearsal", "triggers"
        ],
        says(
            "manual: a person signs; llm: service healthy, model present, answers in time; "
            "http: `url` answers; command: `command` ends with 0; metric: `metric op value`; "
            "backup: one is taken and verified; "
            "notify: a test message arrives; rollback_drill: a dry run takes effect; "
            "rehearsal: one was passed `within`; triggers: armed and backtested."
        ),
    ] = "manual"
    url: Annotated[
        str,
        says(
            "http: what to fetch; one that begins with / is asked of this engine.",
            pattern=r"^(https?://\S+|/\S*)?$",
            example="/metrics",
        ),
    ] = ""
    status: Annotated[int, says("http: the status it must answer.", least=100, most=599)] = 200
    contains: Annotated[str, says("http: a text that the answer must contain.")] = ""
    command: Annotated[str, says("command: a shell command line.", lines=True)] = ""
    timeout_s: Annotated[Seconds, says("http, command: its time limit.", least=0.1, example="1m")] = 60.0
    message: Annotated[
        str,
        says(
            "notify: this message of the plan was delivered; without it a test message is sent.",
            example="before_rollout",
        ),
    ] = ""
    metric: Annotated[Metric | Literal[""], says("metric: what is measured.")] = ""
    op: Annotated[Op, says("metric: how it is compared.")] = "<"
    value: Annotated[Threshold, says("metric: with what.", example="1 %")] = 0.0
    within_s: Annotated[Seconds, says("rehearsal: passed no longer ago than this; 0: ever.", example="30d")] = 0.0


class Item(Part, frozen=True):
    """One box to tick."""

    id: Annotated[Id, says("Its name, once in its list.", example="backups")]
    text: Annotated[Title, says("What must be so.", example="Database backups created")]
    check: Annotated[Check, says("How it is proven; without it a person signs.")] = Check()
    required: Annotated[bool, says("false: it does not hold the gate.")] = True
    keeps: Annotated[
        bool,
        says(
            "true: a signature or proof outlasts a rollback or a change of model, since neither can undo what it is about; "
            "without it the item is asked for again."
        ),
    ] = False


class MonitoringCommand(Part, frozen=True):
    """A line that a person may copy or run; it is never run by itself."""

    text: Annotated[Title, says("What it is for.", example="Average processing time (target: < 2000ms)")]
    run: Annotated[Title, says("The command line.", lines=True)]
    timeout_s: Annotated[Seconds, says("Its time limit.", least=1, example="30m")] = 600.0


class Message(Part, frozen=True):
    """A message of the communication plan."""

    id: Annotated[Id, says("Its name, once in the file; `rollout notify preview ID`.")]
    audience: Annotated[Literal["team", "stakeholders", "users"], says("Whom it is for.")]
    when: Annotated[
        Literal["daily", "weekly", "before", "gate", "rollback", "hold", "after", "stage"],
        says(
            "What it belongs to: daily and weekly while a stage of `stages` lasts, before the rollout, "
            "each stage gate, a rollback, a hold, after completion, or the beginning of a stage of `stages`."
        ),
    ]
    subject: Annotated[Title, says("Its subject; may hold placeholders.")]
    body: Annotated[Title, says("Its text; may hold placeholders in braces.", lines=True)]
    stages: Annotated[tuple[int, ...], says("Stages that it belongs to; none means all.", least=0)] = ()
    automatic: Annotated[
        bool, says("true: goes out by itself (daily and weekly at `notify.daily_at`); false: by a key.")
    ] = False


class Sampling(Part, frozen=True):
    """How many LLM documents people review in this stage, and at what they look."""

    documents: Annotated[int, says("How many.", least=1)]
    look_for: Annotated[tuple[str, ...], says("What a reviewer judges.")] = ()
    every_s: Annotated[Seconds, says("How often; 0: once.", example="7d")] = 0.0
    commands: Annotated[tuple[MonitoringCommand, ...], says("The same outside the console.")] = ()


class Reminder(Part, frozen=True):
    """Monitoring that is due."""

    id: Annotated[Id, says("Its name, once in the stage.")]
    text: Annotated[Title, says("What is to be done.")]
    every_s: Annotated[Seconds, says("How often.", least=1, example="4h")]
    from_s: Annotated[Seconds, says("From this long after the stage began.", example="1d")] = 0.0
    until_s: Annotated[Seconds, says("Until this long after the stage began; 0: while it lasts.", example="1d")] = 0.0


class Experiment(Part, frozen=True):
    """The A/B test as declared before its start."""

    duration_s: Annotated[Seconds, says("It is read once, after this long.", least=3600, example="7d")]
    control: Annotated[str, says("What the control group gets.")] = ""
    treatment: Annotated[str, says("What the treatment group gets.")] = ""
    sample: Annotated[str, says("Which documents take part.")] = ""
    alpha: Annotated[float, says("Significance level.", least=0.0001, most=0.2)] = 0.05
    uplift: Annotated[float, says("The improvement it is to find; 0.15 is +15 %.", least=0.001, most=10)] = 0.15
    power: Annotated[float, says("Chance of finding it, for the n still needed.", least=0.5, most=0.999)] = 0.8
    documents: Annotated[int, says("Fewest documents in each group before it is read.", least=50, most=10_000_000)] = (
        700
    )
    decide_by: Annotated[
        Literal["end", "daily"],
        says("end: by the tests at the end; daily: by O'Brien-Fleming bounds, one look a day, which may end it early."),
    ] = "end"
    load_time_s: Annotated[
        Seconds,
        says(
            "What loading a document takes beside extraction, on both arms, for the limit of twice the processing time; "
            "0: unknown, and the limit is left to the checklist.",
            example="4s",
        ),
    ] = 0.0
    performance: Annotated[tuple[str, ...], says("What the groups are compared on: performance.")] = ()
    quality: Annotated[tuple[str, ...], says("What the groups are compared on: quality.")] = ()
    tests: Annotated[tuple[str, ...], says("The tests that are read at the end.")] = ()


class Stage(Part, frozen=True):
    """One stage, in order; the next one opens through this one's gate."""

    number: Annotated[int, says("0, 1, 2, ... in order.", least=0, most=99)]
    name: Annotated[Title, says("Its name.", example="Canary")]
    objective: Annotated[str, says("What it is for.")]
    percent_bp: Annotated[
        BasisPoints,
        says("Documents whose keywords come from the LLM: 0 to 100, at most two decimals; never falls.", example="25"),
    ]
    duration_text: Annotated[str, says("As the plan says it.", example="2-3 days")] = field(name="duration")
    bake_s: Annotated[Seconds, says("Least time in this stage before its gate opens.", example="2d")]
    ab_test: Annotated[bool, says("true: an A/B test runs in this stage.")] = False
    rebake: Annotated[
        Threshold,
        says(
            "After a rollback from this stage, once its cause is written: the share of `bake` that fresh evidence must last before "
            "a person may return to it. 100 %: no short way; every gate below it is passed again.",
            example="25 %",
        ),
    ] = 0.25
    rebake_least_s: Annotated[
        Seconds, says("... and at least this long, where `bake` itself is not shorter.", example="4h")
    ] = 14_400.0
    shadow_bp: Annotated[
        BasisPoints,
        says(
            "Of this share of documents the LLM's answer is stored beside the one that is served, and "
            "never served: paired data before any canary.",
            example="100",
        ),
    ] = 0
    approvals: Annotated[int, says("How many different people must approve.", least=0, most=20)] = 1
    gate: Annotated[str, says("The decision gate in one sentence.")] = ""
    checklist: Annotated[tuple[Item, ...], says("Boxes to tick before the gate opens.")] = ()
    actions: Annotated[tuple[str, ...], says("What else people do in this stage.")] = ()
    validation: Annotated[tuple[MonitoringCommand, ...], says("Commands that put the stage in place or prove it.")] = ()
    monitoring: Annotated[tuple[MonitoringCommand, ...], says("Commands to watch it by.")] = ()
    reminders: Annotated[tuple[Reminder, ...], says("Monitoring that is due.")] = ()
    success: Annotated[tuple[Condition, ...], says("Conditions of the gate.")] = field(name="conditions", default=())
    sampling: Annotated[Sampling | None, says("The quality review.")] = None
    experiment: Annotated[Experiment | None, says("The A/B test; needed where `ab_test` is true.")] = None
    feedback: Annotated[tuple[str, ...], says("What to ask users.")] = ()
    id: Annotated[
        str,
        says(
            "Its identity, once in the file: a running rollout knows its stage by it. Without it the name is. Change the name, "
            "not the id.",
            pattern=r"^([a-z0-9][a-z0-9_-]*)?$",
            example="canary",
        ),
    ] = ""

    @property
    def commands(self) -> tuple[MonitoringCommand, ...]:
        """All that people may copy or run in this stage."""
        sampling = self.sampling.commands if self.sampling is not None else ()
        return (*self.validation, *self.monitoring, *sampling)


class Trigger(Part, frozen=True):
    """A reason to act: `metric` above `above` (or below `below`) for `for` -> `action`.

    A band (3-5 %) has only its lower edge here: above the band counts on, and the stronger trigger mutes it
    when it fires.
    """

    id: Annotated[Id, says("Its name, once in the file.", example="error_critical")]
    text: Annotated[Title, says("As people read it.")]
    metric: Annotated[Metric, says("What is measured.")]
    action: Annotated[
        Action,
        says(
            "to_zero: rolls back to 0 %; previous_stage: rolls back one stage; halve: halves the percentage; "
            "pause: holds promotion; investigate: asks a person to look. None raises the percentage."
        ),
    ]
    severity: Annotated[Severity, says("A critical trigger that fires mutes the lower ones.")]
    for_s: Annotated[Seconds, says("For how long; 0: at once.", example="5m")] = 0.0
    above: Annotated[Threshold | None, says("Fires above this ...", example="5 %")] = None
    inclusive: Annotated[bool, says("... or, when true, at exactly this too (also for `below`).")] = False
    below: Annotated[Threshold | None, says("Fires below this.", example="10 %")] = None
    mode: Annotated[Mode | None, says("guarded, literal or early; without it `trigger_settings.mode`.")] = None
    timeline_s: Annotated[
        Seconds, says("People are to have dealt with it in this time; 0: not said.", example="15m")
    ] = 0.0
    page: Annotated[bool, says("true: also calls people at once, whatever the action.")] = False
    enabled: Annotated[bool, says("false: shown, never acts.")] = True


class MatrixRow(Part, frozen=True):
    """A row of the rollback decision matrix as people read it."""

    condition: Annotated[Title, says("When.")]
    severity: Annotated[Severity, says("How bad.")]
    action: Annotated[Title, says("What is done.")]
    timeline: Annotated[Title, says("How soon.", example="< 15 min")]
    trigger: Annotated[Id, says("The trigger that lights it.")]


class Contact(Part, frozen=True):
    """Whom to call; shown on the rollback screen."""

    role: Annotated[Title, says("Role.", example="Technical Lead")]
    name: Annotated[str, says("Name. `[Name]` is a placeholder; `rollout check` asks for it.")]
    phone: Annotated[str, says("Phone.")]
    email: Annotated[str, says("Mail address.")]

    @property
    def missing(self) -> tuple[str, ...]:
        """What of it is empty or still a placeholder in brackets."""
        given = {"name": self.name, "phone": self.phone, "email": self.email}
        return tuple(key for key, text in given.items() if not text.strip() or text.strip().startswith("["))


class Panel(Part, frozen=True):
    """A panel of the dashboard with the plan's metric name and its target or alert threshold."""

    panel: Annotated[Title, says("Its title.")]
    metric: Annotated[Title, says("The metric's name at /metrics.")]
    type: Annotated[Literal["gauge", "time_series", "pie_chart"], says("How it is drawn.")]
    target: Annotated[Threshold | None, says("Drawn as the goal.", example="20 %")] = None
    alert_threshold: Annotated[Threshold | None, says("Drawn as the limit.", example="2000 ms")] = None
    thresholds: Annotated[tuple[float, ...], says("Marks on a gauge.")] = ()


class Plan(Part, frozen=True):
    """A staged rollout."""

    name: Annotated[Title, says("Title of the plan.")]
    service: Annotated[Title, says("What is rolled out; shown in the header.", example="keyword-extraction")]
    environment: Annotated[Title, says("Where; shown in the header in capitals.", example="production")]
    llm: Annotated[Llm, says("The LLM service.")]
    stages: Annotated[tuple[Stage, ...], says("The stages, in order.")]
    triggers: Annotated[tuple[Trigger, ...], says("The rollback triggers.")]
    salt: Annotated[
        Title, says("Decides which documents are in the LLM arm. Changing it re-draws all of them: do not.")
    ] = "keyword-extraction"
    http: Annotated[HttpSettings, says("The engine's HTTP API.")] = HttpSettings()
    store: Annotated[StoreSettings, says("The store.")] = StoreSettings()
    notify: Annotated[Notify, says("Where messages go.")] = Notify()
    access: Annotated[Access, says("Who may promote.")] = Access()
    calendar: Annotated[Calendar, says("When nothing goes up.")] = Calendar()
    apply: Annotated[Apply, says("Hooks for a service beside the engine.")] = Apply()
    trigger_settings: Annotated[TriggerSettings, says("How triggers judge.")] = TriggerSettings()
    matrix: Annotated[tuple[MatrixRow, ...], says("The decision matrix.")] = ()
    messages: Annotated[tuple[Message, ...], says("The communication plan.")] = ()
    contacts: Annotated[tuple[Contact, ...], says("Emergency contacts.")] = ()
    dashboard: Annotated[tuple[Panel, ...], says("The dashboard's panels.")] = ()
    trends: Annotated[tuple[str, ...], says("Historical trends that are kept.")] = ()
    post_rollout: Annotated[tuple[Item, ...], says("The last checklist, after the last stage's gate.")] = ()
    review: Annotated[tuple[str, ...], says("Headings of the review that the report asks people to fill in.")] = ()
    references: Annotated[tuple[str, ...], says("Further reading.")] = ()
    source: str = ""  # the file it came from; not a key
    digest: str = ""  # SHA-256 of that file's bytes, hex; not a key
    text: str = ""  # what it says; not a key

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
