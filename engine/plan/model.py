"""The plan as data: rollout.toml, typed. `engine.plan.load` loads it; everything else only reads it.

Durations are seconds (float), percentages basis points (0..10000), rates 0..1, latencies milliseconds.
"""

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
    Otel,
    StoreSettings,
    TriggerSettings,
)
from engine.plan.vocabulary import (
    Action,
    BasisPoints,
    Doc,
    Id,
    Metric,
    Mode,
    Op,
    Part,
    Seconds,
    Severity,
    Threshold,
    Title,
)

__all__ = [
    "Access", "Action", "Apply", "Calendar", "Check", "Condition", "Contact", "Experiment", "Freeze", "Hours",
    "HttpSettings", "Item", "Llm", "MatrixRow", "Message", "Metric", "Mode", "MonitoringCommand", "Notify", "Op",
    "Otel", "Panel", "Plan", "Reminder", "Sampling", "Severity", "Stage", "StoreSettings", "Trigger",
    "TriggerSettings",
]  # fmt: skip


class Condition(Part, frozen=True):
    """A condition of a gate: `metric op value`."""

    id: Annotated[Id, Doc("Its name, unique in the stage.", example="error_rate")]
    text: Annotated[Title, Doc("Text shown to people.", example="Error rate < 1 %")]
    metric: Annotated[Metric, Doc("The metric it measures.")]
    op: Annotated[Op, Doc("The comparison.")]
    value: Annotated[Threshold, Doc("With what.", example="1 %")]
    confidence: Annotated[
        float,
        Doc(
            "Which bound is compared: 0.95 asks for 95 % certainty (an error rate below 1 % then takes 300 clean "
            "documents), 0.5 uses the figure itself.",
            least=0.5,
            most=0.9999,
        ),
    ] = 0.95
    min_n: Annotated[int, Doc("Minimum number of samples.", least=0)] = 0
    required: Annotated[
        bool, Doc("false: having no figures does not block the gate; a figure that misses still does.")
    ] = True


class Check(Part, frozen=True):
    """How the engine proves a checklist item; `kind` selects which of the other keys apply."""

    kind: Annotated[
        Literal[
            "manual", "llm", "http", "command", "metric", "backup", "notify", "rollback_drill", "rehearsal", "triggers"
        ],
        Doc(
            "manual: a person signs; llm: service healthy, model present, answers in time; "
            "http: `url` answers; command: `command` exits with 0; metric: `metric op value`; "
            "backup: one is taken and verified; "
            "notify: a test message arrives; rollback_drill: a dry run takes effect; "
            "rehearsal: one was passed `within`; triggers: armed and backtested."
        ),
    ] = "manual"
    url: Annotated[
        str,
        Doc(
            "http: the URL to fetch; a path starting with / is on this engine.",
            pattern=r"^(https?://\S+|/\S*)?$",
            example="/metrics",
        ),
    ] = ""
    status: Annotated[int, Doc("http: the expected status code.", least=100, most=599)] = 200
    contains: Annotated[str, Doc("http: text that the answer must contain.")] = ""
    command: Annotated[str, Doc("command: a shell command line.", lines=True)] = ""
    timeout_s: Annotated[Seconds, Doc("http, command: its time limit.", least=0.1, example="1m")] = 60.0
    message: Annotated[
        str,
        Doc(
            "notify: this message of the plan must have been delivered; empty: a test message is sent.",
            example="before_rollout",
        ),
    ] = ""
    metric: Annotated[Metric | Literal[""], Doc("metric: the metric to measure.")] = ""
    op: Annotated[Op, Doc("metric: the comparison.")] = "<"
    value: Annotated[Threshold, Doc("metric: the value to compare with.", example="1 %")] = 0.0
    within_s: Annotated[Seconds, Doc("rehearsal: passed at most this long ago; 0: at any time.", example="30d")] = 0.0


class Item(Part, frozen=True):
    """One item of a checklist."""

    id: Annotated[Id, Doc("Its name, unique in its list.", example="backups")]
    text: Annotated[Title, Doc("What must be true.", example="Database backups created")]
    check: Annotated[Check, Doc("How it is proven; if missing, a person signs.")] = Check()
    required: Annotated[bool, Doc("false: it does not block the gate.")] = True
    keeps: Annotated[
        bool,
        Doc(
            "true: its signature or proof survives a rollback or a change of model, because neither can undo "
            "what it attests; false: the item must be signed or proven again."
        ),
    ] = False


class MonitoringCommand(Part, frozen=True):
    """A command line that a person may copy or run; it never runs automatically."""

    text: Annotated[Title, Doc("Its purpose.", example="Average processing time (target: < 2000ms)")]
    run: Annotated[Title, Doc("The command line.", lines=True)]
    timeout_s: Annotated[Seconds, Doc("Its time limit.", least=1, example="30m")] = 600.0


class Message(Part, frozen=True):
    """A message of the communication plan."""

    id: Annotated[Id, Doc("Its name, unique in the file; `rollout notify preview ID`.")]
    audience: Annotated[Literal["team", "stakeholders", "users"], Doc("Its audience.")]
    when: Annotated[
        Literal["daily", "weekly", "before", "gate", "rollback", "hold", "after", "stage"],
        Doc(
            "When it is due: daily or weekly during a stage of `stages`, before the rollout, at each stage gate, "
            "on a rollback, on a hold, after completion, or at the start of a stage of `stages`."
        ),
    ]
    subject: Annotated[Title, Doc("Its subject; may contain placeholders.")]
    body: Annotated[Title, Doc("Its text; may contain placeholders in braces.", lines=True)]
    stages: Annotated[tuple[int, ...], Doc("The stages it applies to; empty: all.", least=0)] = ()
    automatic: Annotated[
        bool, Doc("true: sent automatically (daily and weekly at `notify.daily_at`); false: a person sends it.")
    ] = False


class Sampling(Part, frozen=True):
    """How many LLM documents people review in this stage, and what they look for."""

    documents: Annotated[int, Doc("How many.", least=1)]
    look_for: Annotated[tuple[str, ...], Doc("What a reviewer judges.")] = ()
    every_s: Annotated[Seconds, Doc("How often; 0: once.", example="7d")] = 0.0
    commands: Annotated[tuple[MonitoringCommand, ...], Doc("Commands that do the same outside the console.")] = ()


class Reminder(Part, frozen=True):
    """A monitoring task that falls due during the stage."""

    id: Annotated[Id, Doc("Its name, unique in the stage.")]
    text: Annotated[Title, Doc("What to do.")]
    every_s: Annotated[Seconds, Doc("How often.", least=1, example="4h")]
    from_s: Annotated[Seconds, Doc("Starts this long after the stage began.", example="1d")] = 0.0
    until_s: Annotated[Seconds, Doc("Ends this long after the stage began; 0: when the stage ends.", example="1d")] = (
        0.0
    )


class Experiment(Part, frozen=True):
    """The A/B test, declared before it starts."""

    duration_s: Annotated[
        Seconds, Doc("How long it runs; its result is read once, at the end.", least=3600, example="7d")
    ]
    control: Annotated[str, Doc("What the control group gets.")] = ""
    treatment: Annotated[str, Doc("What the treatment group gets.")] = ""
    sample: Annotated[str, Doc("Documentation only: which documents take part. It selects none.")] = ""
    alpha: Annotated[float, Doc("Significance level.", least=0.0001, most=0.2)] = 0.05
    uplift: Annotated[float, Doc("The improvement it should detect; 0.15 is +15 %.", least=0.001, most=10)] = 0.15
    power: Annotated[
        float, Doc("The chance of detecting it; determines the n still needed.", least=0.5, most=0.999)
    ] = 0.8
    documents: Annotated[
        int, Doc("Documents needed in each group before the result is read.", least=50, most=10_000_000)
    ] = 700
    decide_by: Annotated[
        Literal["end", "daily"],
        Doc("end: the tests decide once, at the end; daily: O'Brien-Fleming bounds, one look a day, may end it early."),
    ] = "end"
    load_time_s: Annotated[
        Seconds,
        Doc(
            "Time to load a document apart from extraction, the same on both arms, for the limit of twice "
            "the processing time; 0: unknown; a person signs the limit on the checklist.",
            example="4s",
        ),
    ] = 0.0
    performance: Annotated[
        tuple[str, ...], Doc("Documentation only: the performance measures to compare. It selects none.")
    ] = ()
    quality: Annotated[
        tuple[str, ...], Doc("Documentation only: the quality measures to compare. It selects none.")
    ] = ()
    tests: Annotated[
        tuple[str, ...], Doc("Documentation only: the statistical tests to read at the end. It selects none.")
    ] = ()


class Stage(Part, frozen=True):
    """One stage, in order; this stage's gate leads to the next."""

    number: Annotated[int, Doc("0, 1, 2, ... in order.", least=0, most=99)]
    name: Annotated[Title, Doc("Its name.", example="Canary")]
    objective: Annotated[str, Doc("Its purpose.")]
    percent_bp: Annotated[
        BasisPoints,
        Doc("Documents whose keywords come from the LLM: 0 to 100, at most two decimals; never falls.", example="25"),
    ]
    duration_text: Annotated[str, Doc("The duration in words, as the plan gives it.", example="2-3 days")] = field(
        name="duration"
    )
    bake_s: Annotated[Seconds, Doc("Minimum time in this stage before its gate opens.", example="2d")]
    ab_test: Annotated[bool, Doc("true: an A/B test runs in this stage.")] = False
    rebake: Annotated[
        Threshold,
        Doc(
            "After a rollback from this stage, once its cause is recorded: the share of `bake` that fresh "
            "evidence must cover before a person may return to it. 100 %: no shortcut; every gate below it "
            "must be passed again.",
            example="25 %",
        ),
    ] = 0.25
    rebake_least_s: Annotated[Seconds, Doc("... and at least this long, unless `bake` is shorter.", example="4h")] = (
        14_400.0
    )
    shadow_bp: Annotated[
        BasisPoints,
        Doc(
            "For this share of documents, the LLM's answer is stored beside the served one and never served: "
            "paired data before any canary.",
            example="100",
        ),
    ] = 0
    approvals: Annotated[int, Doc("Number of people who must approve.", least=0, most=20)] = 1
    gate: Annotated[str, Doc("The decision gate in one sentence.")] = ""
    checklist: Annotated[tuple[Item, ...], Doc("Items to complete before the gate opens.")] = ()
    actions: Annotated[tuple[str, ...], Doc("What else people do in this stage.")] = ()
    validation: Annotated[
        tuple[MonitoringCommand, ...], Doc("Commands that put the stage into effect or verify it.")
    ] = ()
    monitoring: Annotated[tuple[MonitoringCommand, ...], Doc("Commands for monitoring it.")] = ()
    reminders: Annotated[tuple[Reminder, ...], Doc("Monitoring tasks that fall due.")] = ()
    success: Annotated[tuple[Condition, ...], Doc("Conditions of the gate.")] = field(name="conditions", default=())
    sampling: Annotated[Sampling | None, Doc("The quality review.")] = None
    experiment: Annotated[Experiment | None, Doc("The A/B test; needed where `ab_test` is true.")] = None
    feedback: Annotated[tuple[str, ...], Doc("What to ask users.")] = ()
    id: Annotated[
        str,
        Doc(
            "Its identity, unique in the file: a running rollout identifies its stage by it (by the name if "
            "there is no id). Change the name, not the id.",
            pattern=r"^([a-z0-9][a-z0-9_-]*)?$",
            example="canary",
        ),
    ] = ""

    @property
    def commands(self) -> tuple[MonitoringCommand, ...]:
        """Every command that people may copy or run in this stage."""
        sampling = self.sampling.commands if self.sampling is not None else ()
        return (*self.validation, *self.monitoring, *sampling)


class Trigger(Part, frozen=True):
    """A reason to act: `metric` above `above` (or below `below`) for `for` -> `action`.

    A band (3-5 %) has only its lower edge here: values above the band count too, and the stronger trigger mutes this
    one when it fires.
    """

    id: Annotated[Id, Doc("Its name, unique in the file.", example="error_critical")]
    text: Annotated[Title, Doc("Text shown to people.")]
    metric: Annotated[Metric, Doc("The metric it measures.")]
    action: Annotated[
        Action,
        Doc(
            "to_zero: rolls back to 0 %; previous_stage: rolls back one stage; halve: halves the percentage; "
            "pause: holds promotion; investigate: asks a person to look. None raises the percentage."
        ),
    ]
    severity: Annotated[Severity, Doc("A critical trigger that fires mutes the lower ones.")]
    for_s: Annotated[Seconds, Doc("How long the condition must last; 0: fires at once.", example="5m")] = 0.0
    above: Annotated[Threshold | None, Doc("Fires above this ...", example="5 %")] = None
    inclusive: Annotated[bool, Doc("... or, if true, at exactly this value too (also for `below`).")] = False
    below: Annotated[Threshold | None, Doc("Fires below this.", example="10 %")] = None
    mode: Annotated[Mode | None, Doc("guarded, literal or early; default: `trigger_settings.mode`.")] = None
    timeline_s: Annotated[
        Seconds, Doc("Time within which people should have dealt with it; 0: none given.", example="15m")
    ] = 0.0
    page: Annotated[bool, Doc("true: also pages people at once, whatever the action.")] = False
    enabled: Annotated[bool, Doc("false: shown, never acts.")] = True


class MatrixRow(Part, frozen=True):
    """A row of the rollback decision matrix."""

    condition: Annotated[Title, Doc("When.")]
    severity: Annotated[Severity, Doc("How bad.")]
    action: Annotated[Title, Doc("The action to take.")]
    timeline: Annotated[Title, Doc("How soon.", example="< 15 min")]
    trigger: Annotated[Id, Doc("The trigger that highlights this row.")]


class Contact(Part, frozen=True):
    """A person to call; shown on the rollback screen."""

    role: Annotated[Title, Doc("Role.", example="Technical Lead")]
    name: Annotated[str, Doc("Name. `[Name]` is a placeholder; `rollout check` asks for it.")]
    phone: Annotated[str, Doc("Phone.")]
    email: Annotated[str, Doc("Mail address.")]

    @property
    def given(self) -> dict[str, str]:
        """Name, phone and email without those that are empty or still a placeholder in brackets."""
        texts = {"name": self.name.strip(), "phone": self.phone.strip(), "email": self.email.strip()}
        return {key: text for key, text in texts.items() if text and not text.startswith("[")}

    @property
    def is_complete(self) -> bool:
        return len(self.given) == 3

    @property
    def reach(self) -> str:
        """Who they are and how to reach them, as far as it is known."""
        return ", ".join(self.given.values())


class Panel(Part, frozen=True):
    """A dashboard panel: the plan's metric name and its target or alert threshold."""

    panel: Annotated[Title, Doc("Its title.")]
    metric: Annotated[Title, Doc("The metric's name on /metrics.")]
    type: Annotated[Literal["gauge", "time_series", "pie_chart"], Doc("How it is drawn.")]
    target: Annotated[Threshold | None, Doc("Drawn as the goal.", example="20 %")] = None
    alert_threshold: Annotated[Threshold | None, Doc("Drawn as the limit.", example="2000 ms")] = None
    thresholds: Annotated[tuple[float, ...], Doc("Marks on a gauge.")] = ()


class Plan(Part, frozen=True):
    """A staged rollout."""

    name: Annotated[Title, Doc("Title of the plan.")]
    service: Annotated[Title, Doc("What is rolled out; shown in the header.", example="keyword-extraction")]
    environment: Annotated[Title, Doc("Where; shown in the header in capitals.", example="production")]
    llm: Annotated[Llm, Doc("The LLM service.")]
    stages: Annotated[tuple[Stage, ...], Doc("The stages, in order.")]
    triggers: Annotated[tuple[Trigger, ...], Doc("The rollback triggers.")]
    salt: Annotated[
        Title, Doc("Decides which documents are in the LLM arm. Do not change it: that reassigns every document.")
    ] = "keyword-extraction"
    http: Annotated[HttpSettings, Doc("The engine's HTTP API.")] = HttpSettings()
    otel: Annotated[Otel, Doc("OpenTelemetry.")] = Otel()
    store: Annotated[StoreSettings, Doc("The store.")] = StoreSettings()
    notify: Annotated[Notify, Doc("Where messages go.")] = Notify()
    access: Annotated[Access, Doc("Who may promote.")] = Access()
    calendar: Annotated[Calendar, Doc("When nothing goes up.")] = Calendar()
    apply: Annotated[Apply, Doc("Hooks for a neighbouring service, such as the search server.")] = Apply()
    trigger_settings: Annotated[TriggerSettings, Doc("Settings shared by all triggers.")] = TriggerSettings()
    matrix: Annotated[tuple[MatrixRow, ...], Doc("The decision matrix.")] = ()
    messages: Annotated[tuple[Message, ...], Doc("The communication plan.")] = ()
    contacts: Annotated[tuple[Contact, ...], Doc("Emergency contacts.")] = ()
    dashboard: Annotated[tuple[Panel, ...], Doc("The dashboard's panels.")] = ()
    trends: Annotated[
        tuple[str, ...], Doc("Documentation only: the historical trends to follow. It selects none.")
    ] = ()
    post_rollout: Annotated[tuple[Item, ...], Doc("The final checklist, after the last stage's gate.")] = ()
    review: Annotated[tuple[str, ...], Doc("Headings of the review section that people fill in on the report.")] = ()
    references: Annotated[tuple[str, ...], Doc("Further reading.")] = ()
    source: str = ""  # the file it came from; not a key
    digest: str = ""  # SHA-256 of that file's bytes, hex; not a key
    text: str = ""  # the file's text; not a key

    def stage(self, number: int) -> Stage:
        """IndexError if the plan has no such stage."""
        return self.stages[number]

    @property
    def last_stage(self) -> int:
        return len(self.stages) - 1

    @property
    def stable(self) -> int:
        """The stage number that means *stable*: past the last stage's gate."""
        return len(self.stages)
