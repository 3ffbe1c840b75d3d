"""The report as Markdown, readable as plain text too. Texts from people and machines are escaped, never markup."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from engine.measures.figure import MetricValue
from engine.plan.durations import iso
from engine.report.model import Chapter, Incident, LoggedDecision, RolloutReport, SentMessage, SignedItem, StageStory
from engine.report.timeline import duration, span
from engine.text import counted, percent

_ACTS = re.compile(r"([\\`*\[\]<>|~])|(?<!\w)(_)|(_)(?!\w)|(&)(?=#?\w+;)|(!)(?=\[)")
_STARTS = re.compile(r"^(\s*)([#+\-=>]|\d+[.)])")

STATES = {"done": "[x]", "open": "[ ]", "failed": "[!]"}
QUESTIONS = {
    "well": "What worked, and should be done again?",
    "improve": "What was slow, unclear or missing?",
    "lesson": "What should the next rollout know?",
    "action": "Who does what until when?",
}
TIMES_NOTE = (
    "Bake: the stage's minimum time. For figures: from then until the gate's conditions on figures were met, to the "
    "hour. For people: the rest until the next step, without holds and locks."
)
NOT_BEGUN = "The rollout has not begun: the log is empty."
NO_INCIDENT = "None: nothing rolled back and no trigger acted."
NO_FINDING = "No review, search measurement or A/B result yet."
NOT_ENTERED = "not entered"
PROMPTS = {kind: f"Nothing written yet. {question}" for kind, question in QUESTIONS.items()}


def escape(text: str) -> str:
    """Escape text so that Markdown shows it unchanged."""
    return _ACTS.sub(lambda match: "\\" + match[0], text)


def block(text: str, indent: str = "  ") -> str:
    """Several lines as one list item."""
    lines = [_STARTS.sub(r"\1\\\2", escape(line)) for line in text.split("\n")]
    return f"\n{indent}".join(line or "" for line in lines)


def markdown(story: RolloutReport) -> str:
    parts = [
        f"# {escape(story.title)}: report",
        f"**{escape(story.headline)}**",
        f"{escape(story.service)}, {escape(story.environment)}. "
        + (f"As of {iso(story.at)}, begun {iso(story.began)}." if story.began is not None else NOT_BEGUN),
    ]
    if story.rehearsal:
        parts.append("**This was a rehearsal**: a simulated LLM service, sample documents, accelerated time.")
    parts += [_list(story.summary), "## Metrics by stage", _metrics(story), "## Time by stage", _times(story.stages)]
    parts += ["## Incidents", *_incidents(story), "## Decisions"]
    parts += [_verdict(entry) for entry in story.verdicts] or ["None yet."]
    parts += ["## Overrides", _overrides(story), "## Quality", _findings(story), "## Checklists", *_checklists(story)]
    parts += ["## Communications", _messages(story.messages), "## Review", *(_chapter(entry) for entry in story.review)]
    parts += ["## Timeline", _timeline(story), "## Appendix: to reproduce this report", _appendix(story)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _list(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {escape(item)}" for item in items)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "|".join(" --- " for _ in head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(cell or " " for cell in row) + " |" for row in rows])


def _metrics(story: RolloutReport) -> str:
    stages = [s for s in story.measured if s.number >= 2 or s.llm_documents]
    head = ("Metric", *(escape(s.label if s.stable else f"{s.label} {s.name}") for s in stages))
    rows = [(name, *(_cell(s, of(s)) for s in stages)) for name, of in METRICS]
    documents = (
        "Documents (by the LLM)",
        *(f"{s.documents} ({s.llm_documents})" if s.documents else documents_none(s) for s in stages),
    )
    complaints = ("Complaints", *(complaints_of(s) for s in stages))
    return (
        table(head, [*rows, documents, complaints])
        + "\n\nok: within the stage's target; MISSED: outside it; otherwise there is no target or nothing to judge."
    )


METRICS: tuple[tuple[str, Callable[[StageStory], MetricValue]], ...] = (
    ("Error Rate", lambda s: s.error_rate),
    ("Avg Time", lambda s: s.latency),
    ("p95 latency", lambda s: s.p95),
    ("Cache Hit Rate", lambda s: s.cache),
    ("Search Quality", lambda s: s.search),
    ("Reviewed quality", lambda s: s.quality),
    ("User Satisfaction", lambda s: s.satisfaction),
)


def documents_none(stage: StageStory) -> str:
    return "none" if stage.entered is not None else NOT_ENTERED


def complaints_of(stage: StageStory) -> str:
    return str(stage.complaints) if stage.entered is not None else NOT_ENTERED


def no_override(story: RolloutReport) -> str:
    """Instead of the overrides, if there are none."""
    passed = any(entry.kind == "promote" for entry in story.verdicts)
    return "None: every gate was open when passed." if passed else "None: no gate has been passed yet."


def _cell(stage: StageStory, figure: MetricValue) -> str:
    return NOT_ENTERED if stage.entered is None else escape(marked(figure))


def marked(figure: MetricValue) -> str:
    """The figure and whether it is within its target."""
    return figure.words + {True: ", ok", False: ", MISSED", None: ""}[figure.good]


def _times(stages: tuple[StageStory, ...]) -> str:
    head = ("Stage", "Percentage", "Entered", "Left", "In all", "Bake", "For figures", "For people", "Held or locked")
    rows: list[tuple[str, ...]] = []
    for s in stages:
        name = escape(f"{s.number} {s.name}") + (f" ({s.visits} visits)" if s.visits > 1 else "")
        if s.entered is None:
            rows.append((name, percent(s.percent_bp), "never", "", "", "", "", "", ""))
            continue
        left = iso(s.left) if s.left is not None else "still there"
        spans = (s.spent_s, s.baked_s, s.figures_s, s.waited_s, s.held_s)
        rows.append((name, percent(s.percent_bp), iso(s.entered), left, *(span(value) for value in spans)))
    return f"{table(head, rows)}\n\n{TIMES_NOTE}"


def _incidents(story: RolloutReport) -> list[str]:
    if not story.incidents:
        return [NO_INCIDENT]
    head = ("When", "What", "Detected after", "Decided after", "Effective after", "Promotion possible after")
    rows = [(iso(i.decided), f"{i.change}, {by(i)}{_part(i)}", *times(i)) for i in story.incidents]
    note = (
        "Detected: from the first failure to the trigger's first breach. Decided: from there to the decision (the "
        "trigger's own time included). Effective: until 0 %, or the lower percentage, was observed."
    )
    return [table(head, rows), note, *(_incident(i) for i in story.incidents)]


def _part(i: Incident) -> str:
    return f", part of the incident of decision {i.within}" if i.within is not None else ""


def by(incident: Incident) -> str:
    if not incident.automatic:
        return "manual"
    return escape(f"trigger {incident.trigger}") if incident.trigger else "automatic"


def times(i: Incident) -> tuple[str, str, str, str]:
    """Time to detect, to decide, to take effect, and until promotion was possible again."""
    decide = (
        duration(i.decide_s) if i.detected is not None else "no trigger detected it" if not i.automatic else "not known"
    )
    resumed = duration(i.resumed - i.decided) if i.resumed is not None else "not yet" if i.automatic else "at once"
    effect = duration(i.effect_s) if i.effect_s is not None or i.percent_to < i.percent_from else "nothing to observe"
    return duration(i.detect_s), decide, effect, resumed


def _incident(i: Incident) -> str:
    facts = [
        f"Stage {i.stage}.",
        f"Proof: {escape(i.proof)}" if i.proof else "",
        f"Cause, as written: {escape(i.cause)}" if i.cause else "No cause was recorded.",
        restored(i),
        escape(i.cost),
        f"Its moments are listed with decision {i.within}, which followed." if i.within is not None else "",
    ]
    moments = [f"{number}. {iso(moment.at)} {escape(moment.sentence)}" for number, moment in enumerate(i.happened, 1)]
    paragraphs = ("\n".join(f"- {fact}" for fact in facts if fact), "\n".join(moments))
    return "\n\n".join([f"### Decision {i.rev}: {escape(i.what)}", *filter(None, paragraphs)])


def restored(i: Incident) -> str:
    """How many documents have their frequency keywords back; "" for none."""
    count = counted(i.restored, "document was given its", "documents were given their")
    return f"{count} frequency keywords back." if i.restored else ""


def _verdict(v: LoggedDecision) -> str:
    mark = "**OVERRIDE** " if v.override else ""
    lines = [f"### {v.rev}. {mark}{escape(v.sentence)}", ""]
    lines.append(
        f"- {iso(v.at)}, {escape(v.who)} ({escape(v.where)}), {percent(v.percent_from)} to "
        f"{percent(v.percent_to)}, stage {v.stage}"
    )
    if v.reason:
        lines.append(f"- Reason: {escape(v.reason)}")
    if v.seen:
        lines.append(f"- On screen: {escape(v.seen)}")
    lines += [f"- {escape(name)}: {escape(value)}" for name, value in v.evidence]
    return "\n".join(lines)


def _overrides(story: RolloutReport) -> str:
    if not story.overrides:
        return no_override(story)
    rows = [
        (str(v.rev), iso(v.at), escape(v.who), escape(v.reason), escape(dict(v.evidence).get("missing", "")))
        for v in story.overrides
    ]
    return table(("Decision", "When", "Who", "Reason", "What was missing"), rows)


def _findings(story: RolloutReport) -> str:
    findings = [*story.quality, *story.experiment]
    if not findings:
        return NO_FINDING
    lines = []
    for entry in findings:
        lines.append(f"- {iso(entry.at)} {escape(entry.what)}: {escape(entry.sentence)}")
        lines += [f"  - {escape(detail)}" for detail in entry.details]
    return "\n".join(lines)


def _checklists(story: RolloutReport) -> list[str]:
    lists = [(f"Stage {stage.number} {escape(stage.name)}", stage.signed) for stage in story.stages]
    lists.append(("After the rollout", story.post_rollout))
    out = [f"### {title}\n\n" + "\n".join(_signed(item) for item in items) for title, items in lists if items]
    return out or ["The plan has none."]


def _signed(item: SignedItem) -> str:
    who = f" ({escape(item.by)}, {iso(item.at)})" if item.by and item.at is not None else ""
    note = f": {escape(item.words)}" if item.words else ""
    return f"- {STATES.get(item.state, '[ ]')} {escape(item.text)}{who}{note}"


def _messages(messages: tuple[SentMessage, ...]) -> str:
    if not messages:
        return "No message was sent."
    head = ("When", "To", "Message", "Subject", "Delivery")
    return table(head, [(iso(m.at), m.audience, m.message, escape(m.subject), escape(delivery(m))) for m in messages])


def delivery(message: SentMessage) -> str:
    """ "sent", "waiting after 2 tries: mailto: not accepted"."""
    tries = f" after {counted(message.tries, 'try', 'tries')}" if message.state != "sent" and message.tries else ""
    return f"{message.state}{tries}" + (f": {message.error}" if message.error else "")


def _chapter(chapter: Chapter) -> str:
    lines = [f"### {escape(chapter.heading)}", ""]
    if not chapter.written:
        lines.append(f"*{PROMPTS[chapter.kind]}*")
    lines += [f"- {block(w.text)} ({escape(w.who)}, {iso(w.at)})" for w in chapter.written]
    return "\n".join(lines)


def _timeline(story: RolloutReport) -> str:
    if not story.timeline:
        return "The log is empty."
    head = ("When", "Stage", "Percentage", "What")
    rows = []
    for e in story.timeline:
        mark = "**OVERRIDE** " if e.override else ""
        until = f" to {iso(e.until)}" if e.until is not None else ""
        rows.append((iso(e.at) + until, str(e.stage), percent(e.percent_bp), mark + escape(e.sentence)))
    return table(head, rows)


def _appendix(story: RolloutReport) -> str:
    a = story.appendix
    lines = [
        f"- Plan: {escape(a.plan_source or 'unknown')}, SHA-256 `{a.plan_digest or 'unknown'}`",
        *(f"- {name}: {escape(value)}" for name, value in a.versions),
        f"- Log: {a.decisions} decisions, head `{a.head}`",
        f"- {escape(a.chain)}",
    ]
    references = "\n\nReferences\n\n" + _list(story.references) if story.references else ""
    return "\n".join(lines) + "\n\n```\n" + "\n".join(a.commands) + "\n```" + references
