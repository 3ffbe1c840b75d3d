"""Sections of the HTML report about events and people: incidents, decisions, reviews, checklists, messages, the log."""

from __future__ import annotations

from engine.report import charts
from engine.report.elements import Child, Element, el
from engine.report.html_parts import Content, scrolling, table, tile, when
from engine.report.model import (
    PROMPTS,
    Chapter,
    Incident,
    LoggedDecision,
    MeasuredResult,
    RolloutReport,
    SentMessage,
    SignedItem,
)
from engine.report.timeline import duration
from engine.text import counted, percent

TICKS = {"done": ("✓", "good", "done"), "failed": ("✗", "bad", "failed"), "open": ("○", "quiet", "open")}


# -- what went wrong, who decided --------------------------------------------------------------------------------------


def incidents(story: RolloutReport) -> Content:
    if not story.incidents:
        return [el("p", "None: nothing rolled back and no trigger acted.")]
    note = (
        "Time to detect: from the first failure to the trigger's first breach. To decide: from there to the decision, "
        "including the trigger's own duration. To take effect: until routed documents showed the lower percentage."
    )
    content: Content = []
    number = 1  # a part of a later incident has that one's
    for entry in story.incidents:
        content.append(_incident(number, entry))
        number += entry.within is None
    return [*content, el("p", note, class_="note")]


def _incident(number: int, i: Incident) -> Element:
    facts = " ".join(filter(None, (i.proof, _restored(i))))
    how = f"by trigger {i.trigger}" if i.automatic and i.trigger else "automatic" if i.automatic else "manual"
    return el(
        "article",
        el("h3", f"{number}. {i.what}" if i.within is None else f"Part of {number}: {i.what}"),
        el("p", when(i.decided), f", stage {i.stage}, {i.change}, {how}, ", _link(i.rev), class_="by"),
        el("dl", *(tile(name, value) for name, value in _times(i)), class_="times"),
        scrolling(drawn, f"Incident {number}", "drawing") if (drawn := charts.moments(i)) else None,
        el("p", facts) if facts else None,
        el("p", i.cost) if i.cost else None,
        el("ol", *(el("li", when(moment.at, seconds=True), f" {moment.sentence}") for moment in i.happened))
        if i.happened
        else None,
        _whole(i.within) if i.within is not None else None,
        el("p", el("strong", "Cause: "), i.cause)
        if i.cause
        else el("p", "No cause has been recorded yet.", class_="prompt"),
        class_="incident-card",
    )


def _times(i: Incident) -> tuple[tuple[str, str], ...]:
    decide = (
        duration(i.decide_s) if i.detected is not None else "no trigger detected it" if not i.automatic else "not known"
    )
    effect = duration(i.effect_s) if i.effect_s is not None or i.percent_to < i.percent_from else "nothing to observe"
    resumed = duration(i.resumed - i.decided) if i.resumed is not None else "not yet" if i.automatic else "at once"
    return (
        ("time to detect", duration(i.detect_s)),
        ("time to decide", decide),
        ("time to take effect", effect),
        ("promotion possible after", resumed),
    )


def _restored(i: Incident) -> str:
    """How many documents have their frequency keywords back; "" for none."""
    count = counted(i.restored, "document was given its", "documents were given their")
    return f"{count} frequency keywords back." if i.restored else ""


def _link(rev: int) -> Element:
    return el("a", f"decision {rev}", href=f"#decision-{rev}")


def _whole(rev: int) -> Element:
    return el("p", "Its moments are listed with ", _link(rev), ", which followed.")


def decisions(story: RolloutReport) -> Content:
    if not story.verdicts:
        return [el("p", "None yet.")]
    return [el("ol", *(_verdict(entry) for entry in story.verdicts), class_="decisions")]


def _override_mark() -> Element:
    return el("span", "override", class_="mark override")


def _verdict(v: LoggedDecision) -> Element:
    moved = f", {percent(v.percent_from)} to {percent(v.percent_to)}" if v.percent_from != v.percent_to else ""
    evidence = [*v.evidence, *((("on screen", v.seen),) if v.seen else ()), ("hash", v.hash)]
    summary = f"Evidence, {counted(len(evidence), 'fact')}"
    facts = [part for name, value in evidence for part in (el("dt", name), el("dd", value))]
    return el(
        "li",
        el("h3", v.sentence, " " if v.override else None, _override_mark() if v.override else None),
        el("p", f"{v.rev}. ", when(v.at), f", {v.who} ({v.where}){moved}", class_="by"),
        el("blockquote", v.reason) if v.reason and v.reason not in v.sentence else None,
        el("details", el("summary", summary), el("dl", *facts, class_="evidence")),
        id=f"decision-{v.rev}",
    )


def overrides(story: RolloutReport) -> Content:
    if not story.overrides:
        passed = any(entry.kind == "promote" for entry in story.verdicts)
        why = "every gate was open when passed" if passed else "no gate has been passed yet"
        return [el("p", f"None: {why}.")]
    rows: list[list[Child]] = []
    for v in story.overrides:
        link = el("a", str(v.rev), href=f"#decision-{v.rev}")
        rows.append([link, when(v.at), v.who, v.reason, dict(v.evidence).get("missing", "")])
    about = el("p", "Gates passed although something was missing, with the reason given.")
    return [about, table("Overrides", ("Decision", "When", "Who", "Reason", "What was missing"), rows)]


# -- quality, people ---------------------------------------------------------------------------------------------------


def quality(story: RolloutReport) -> Content:
    content: Content = []
    for entry in story.experiment:
        content += [el("h3", entry.what), *_finding(entry)]
    if story.quality:
        content.append(el("h3", "Reviews and search quality"))
        for entry in story.quality:
            content += [el("h4", entry.what, class_="kicker"), *_finding(entry)]
    return content or [el("p", "No review, search measurement or A/B result yet.", class_="prompt")]


def _finding(entry: MeasuredResult) -> Content:
    details = [el("ul", *(el("li", detail) for detail in entry.details))] if entry.details else []
    return [el("p", entry.sentence), *details, el("p", when(entry.at), class_="by")]


def review(story: RolloutReport) -> Content:
    return [part for chapter in story.review for part in _chapter(chapter)]


def _chapter(chapter: Chapter) -> Content:
    if not chapter.written:
        return [el("h3", chapter.heading), el("p", PROMPTS[chapter.kind], class_="prompt")]
    items = [
        el("li", el("span", w.text, class_="said"), el("small", f" {w.who}, ", when(w.at), class_="by"))
        for w in chapter.written
    ]
    return [el("h3", chapter.heading), el("ul", *items)]


def checklists(story: RolloutReport) -> Content:
    lists = [(f"Stage {stage.number} {stage.name}", stage.signed) for stage in story.stages]
    content: Content = []
    for title, items in (*lists, ("After the rollout", story.post_rollout)):
        if items:
            content += [el("h3", title), el("ul", *(_signed(item) for item in items), class_="ticks")]
    return content or [el("p", "The plan has none.")]


def _signed(item: SignedItem) -> Element:
    sign, kind, label = TICKS.get(item.state, TICKS["open"])
    who: list[Child] = [item.by, ", ", when(item.at)] if item.by and item.at is not None else []
    words_: list[Child] = [": " if who else "", item.words] if item.words else []
    return el(
        "li",
        el("span", sign, class_=f"tick {kind}", role="img", aria_label=label),
        item.text,
        el("small", *who, *words_) if who or words_ else None,
    )


def messages(story: RolloutReport) -> Content:
    if not story.messages:
        return [el("p", "No message was sent.")]
    rows: list[list[Child]] = [[m.message, when(m.at), m.audience, m.subject, _delivery(m)] for m in story.messages]
    return [table("Messages and their delivery", ("Message", "When", "To", "Subject", "Delivery"), rows)]


def _delivery(message: SentMessage) -> str:
    """ "sent", "waiting after 2 tries: mailto: not accepted"."""
    tries = f" after {counted(message.tries, 'try', 'tries')}" if message.state != "sent" and message.tries else ""
    return f"{message.state}{tries}" + (f": {message.error}" if message.error else "")


# -- to check it -------------------------------------------------------------------------------------------------------


def timeline(story: RolloutReport) -> Content:
    rows: list[list[Child]] = []
    for e in story.timeline:
        until: list[Child] = [el("small", "until ", when(e.until))] if e.until is not None else []
        label = el("span", _override_mark(), " ", e.sentence) if e.override else e.sentence
        rows.append([el("span", when(e.at), *until), str(e.stage), percent(e.percent_bp), label])
    if not rows:
        return [el("p", "The log is empty.")]
    return [table("The decision log, oldest first", ("When", "Stage", "Percentage", "What"), rows)]


def appendix(story: RolloutReport) -> Content:
    a = story.appendix
    facts: Content = [
        el("li", f"Plan: {a.plan_source or 'unknown'}, SHA-256 ", el("code", a.plan_digest or "unknown")),
        *(el("li", f"{name}: {value}") for name, value in a.versions),
        el("li", f"Log: {a.decisions} decisions, head ", el("code", a.head)),
        el("li", a.chain),
    ]
    content: Content = [el("ul", *facts), el("pre", "\n".join(a.commands))]
    if story.references:
        content += [el("h3", "References"), el("ul", *(el("li", entry) for entry in story.references))]
    return content
