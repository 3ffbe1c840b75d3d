"""Sections of the HTML report about events and people: incidents, decisions, reviews, checklists, messages, the log."""

from __future__ import annotations

from collections.abc import Sequence

from engine.report import charts
from engine.report.elements import Child, Element, el
from engine.report.html_parts import Section, scrolling, table, when
from engine.report.markdown import NO_FINDING, NO_INCIDENT, PROMPTS, delivery, no_override, times
from engine.report.model import Chapter, Incident, LoggedDecision, MeasuredResult, RolloutReport, SignedItem
from engine.text import counted, percent

TICKS = {"done": ("✓", "good", "done"), "failed": ("✗", "bad", "failed"), "open": ("○", "quiet", "open")}


# -- what went wrong, who decided --------------------------------------------------------------------------------------


def incidents(story: RolloutReport) -> Section:
    if not story.incidents:
        return "incidents", "Incidents", [el("p", NO_INCIDENT)]
    note = (
        "Time to detect: from the first failure to the trigger's first breach. To decide: from there to the decision, "
        "including the trigger's own duration. To take effect: until routed documents showed the lower percentage."
    )
    return (
        "incidents",
        "Incidents",
        [
            *(
                _incident(number, entry)
                for number, entry in zip(_numbers(story.incidents), story.incidents, strict=True)
            ),
            el("p", note, class_="note"),
        ],
    )


def _numbers(incidents: Sequence[Incident]) -> list[int]:
    """Each incident's number. A part of a later one has that one's."""
    numbers, number = [], 1
    for entry in incidents:
        numbers.append(number)
        number += entry.within is None
    return numbers


def _incident(number: int, i: Incident) -> Element:
    named = ("time to detect", "time to decide", "time to take effect", "promotion possible after")
    facts: list[Child] = [i.proof] if i.proof else []
    if i.restored:
        facts.append(
            f" {counted(i.restored, 'document was given its', 'documents were given their')} frequency keywords back."
        )
    how = f"by trigger {i.trigger}" if i.automatic and i.trigger else "automatic" if i.automatic else "manual"
    return el(
        "article",
        el("h3", f"{number}. {i.what}" if i.within is None else f"Part of {number}: {i.what}"),
        el(
            "p",
            when(i.decided),
            f", stage {i.stage}, {i.change}, {how}, ",
            el("a", f"decision {i.rev}", href=f"#decision-{i.rev}"),
            class_="by",
        ),
        el(
            "dl",
            *(el("div", el("dt", name), el("dd", value)) for name, value in zip(named, times(i), strict=True)),
            class_="times",
        ),
        scrolling(drawn, f"Incident {number}", "drawing") if (drawn := charts.moments(i)) else None,
        el("p", *facts) if facts else None,
        el("p", i.cost) if i.cost else None,
        el("ol", *(el("li", when(moment.at, seconds=True), f" {moment.sentence}") for moment in i.happened))
        if i.happened
        else None,
        el("p", *_whole(i.within)) if i.within is not None else None,
        el("p", el("strong", "Cause: "), i.cause)
        if i.cause
        else el("p", "No cause has been recorded yet.", class_="prompt"),
        class_="incident-card",
    )


def _whole(rev: int) -> list[Child]:
    return ["Its moments are listed with ", el("a", f"decision {rev}", href=f"#decision-{rev}"), ", which followed."]


def decisions(story: RolloutReport) -> Section:
    if not story.verdicts:
        return "decisions", "Decisions", [el("p", "None yet.")]
    return (
        "decisions",
        "Decisions and their evidence",
        [el("ol", *(_verdict(entry) for entry in story.verdicts), class_="decisions")],
    )


def _override_mark() -> Element:
    return el("span", "override", class_="mark override")


def _verdict(v: LoggedDecision) -> Element:
    moved = f", {percent(v.percent_from)} to {percent(v.percent_to)}" if v.percent_from != v.percent_to else ""
    evidence = [*v.evidence, *((("on screen", v.seen),) if v.seen else ()), ("hash", v.hash)]
    return el(
        "li",
        el("h3", v.sentence, " " if v.override else None, _override_mark() if v.override else None),
        el("p", f"{v.rev}. ", when(v.at), f", {v.who} ({v.where}){moved}", class_="by"),
        el("blockquote", v.reason) if v.reason and v.reason not in v.sentence else None,
        el(
            "details",
            el("summary", f"Evidence, {len(evidence)} {'fact' if len(evidence) == 1 else 'facts'}"),
            el(
                "dl",
                *(part for name, value in evidence for part in (el("dt", name), el("dd", value))),
                class_="evidence",
            ),
        ),
        id=f"decision-{v.rev}",
    )


def overrides(story: RolloutReport) -> Section:
    if not story.overrides:
        return "overrides", "Overrides", [el("p", no_override(story))]
    rows: list[list[Child]] = [
        [
            el("a", str(v.rev), href=f"#decision-{v.rev}"),
            when(v.at),
            v.who,
            v.reason,
            dict(v.evidence).get("missing", ""),
        ]
        for v in story.overrides
    ]
    return (
        "overrides",
        "Overrides",
        [
            el("p", "Gates passed although something was missing, with the reason given."),
            table("Overrides", ("Decision", "When", "Who", "Reason", "What was missing"), rows),
        ],
    )


# -- quality, people ---------------------------------------------------------------------------------------------------


def quality(story: RolloutReport) -> Section:
    content: list[Child] = []
    for entry in story.experiment:
        content += [el("h3", entry.what), *_finding(entry)]
    if story.quality:
        content.append(el("h3", "Reviews and search quality"))
        content += [
            part for entry in story.quality for part in (el("h4", entry.what, class_="kicker"), *_finding(entry))
        ]
    if not content:
        content = [el("p", NO_FINDING, class_="prompt")]
    return "quality", "Quality and the A/B test", content


def _finding(entry: MeasuredResult) -> list[Child]:
    details = [el("ul", *(el("li", detail) for detail in entry.details))] if entry.details else []
    return [el("p", entry.sentence), *details, el("p", when(entry.at), class_="by")]


def review(story: RolloutReport) -> Section:
    return "review", "Review", [part for chapter in story.review for part in _chapter(chapter)]


def _chapter(chapter: Chapter) -> list[Child]:
    if not chapter.written:
        return [el("h3", chapter.heading), el("p", PROMPTS[chapter.kind], class_="prompt")]
    items = [
        el("li", el("span", w.text, class_="said"), el("small", f" {w.who}, ", when(w.at), class_="by"))
        for w in chapter.written
    ]
    return [el("h3", chapter.heading), el("ul", *items)]


def checklists(story: RolloutReport) -> Section:
    content: list[Child] = []
    for stage in story.stages:
        if stage.signed:
            content += [
                el("h3", f"Stage {stage.number} {stage.name}"),
                el("ul", *(_signed(item) for item in stage.signed), class_="ticks"),
            ]
    if story.post_rollout:
        content += [
            el("h3", "After the rollout"),
            el("ul", *(_signed(item) for item in story.post_rollout), class_="ticks"),
        ]
    return "checklists", "Checklists", content or [el("p", "The plan has none.")]


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


def messages(story: RolloutReport) -> Section:
    if not story.messages:
        return "messages", "Communications", [el("p", "No message was sent.")]
    rows: list[list[Child]] = [[m.message, when(m.at), m.audience, m.subject, delivery(m)] for m in story.messages]
    return (
        "messages",
        "Communications",
        [table("Messages and their delivery", ("Message", "When", "To", "Subject", "Delivery"), rows)],
    )


# -- to check it -------------------------------------------------------------------------------------------------------


def timeline(story: RolloutReport) -> Section:
    rows: list[list[Child]] = []
    for e in story.timeline:
        until: list[Child] = [el("small", "until ", when(e.until))] if e.until is not None else []
        label = el("span", _override_mark(), " ", e.sentence) if e.override else e.sentence
        rows.append([el("span", when(e.at), *until), str(e.stage), percent(e.percent_bp), label])
    if not rows:
        return "timeline", "Timeline", [el("p", "The log is empty.")]
    return (
        "timeline",
        "Timeline",
        [table("The decision log, oldest first", ("When", "Stage", "Percentage", "What"), rows)],
    )


def appendix(story: RolloutReport) -> Section:
    a = story.appendix
    facts: list[Child] = [
        el("li", f"Plan: {a.plan_source or 'unknown'}, SHA-256 ", el("code", a.plan_digest or "unknown")),
        *(el("li", f"{name}: {value}") for name, value in a.versions),
        el("li", f"Log: {a.decisions} decisions, head ", el("code", a.head)),
        el("li", a.chain),
    ]
    content: list[Child] = [el("ul", *facts), el("pre", "\n".join(a.commands))]
    if story.references:
        content += [el("h3", "References"), el("ul", *(el("li", entry) for entry in story.references))]
    return "appendix", "To reproduce this report", content
