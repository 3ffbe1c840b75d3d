"""The story as one HTML file: no script, no network, no font to fetch; it opens from a mail and prints on A4.

In the order in which someone asks who was not there: how it stands, how it went, the figures, what went wrong, who decided what on
which evidence, what was learned; the log and the way to check all of it come last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files

from engine.measures.figure import Figure
from engine.plan.durations import iso
from engine.report import charts
from engine.report.elements import Child, Element, el, page
from engine.report.markdown import METRICS, PROMPTS, delivery, times
from engine.report.model import Chapter, Incident, LoggedDecision, MeasuredResult, RolloutReport, Signed, StageStory
from engine.report.timeline import moment_of, span
from engine.rollout.control import percent
from engine.text import counted
from engine.triggers import words

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
TICKS = {"done": ("✓", "good", "done"), "failed": ("✗", "bad", "failed"), "open": ("○", "quiet", "open")}


def html(story: RolloutReport) -> str:
    sections = [section for make in SECTIONS if (section := make(story)) is not None]
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="robots", content="noindex"),
        el("meta", http_equiv="Content-Security-Policy", content=CSP),
        el("title", f"{story.title}: report"),
        el("style", (files("engine.report") / "page.css").read_text(encoding="utf-8")),
    )
    contents = [el("a", title, href=f"#{name}") for name, title, _ in sections]
    body = el(
        "body",
        el("a", "To the report", class_="skip", href="#report"),
        _header(story),
        el("nav", *contents, aria_label="Contents"),
        el("main", *(_section(*section) for section in sections), id="report"),
        _footer(story),
    )
    return page(el("html", head, body, lang="en"))


Section = tuple[str, str, list[Child]]  # anchor, title, content


def _section(name: str, title: str, content: Sequence[Child]) -> Element:
    return el("section", el("h2", title, id=name), *content, aria_labelledby=name)


def when(at: float, seconds: bool = False) -> Element:
    return el("time", moment_of(at, seconds), datetime=iso(at))


def table(caption: str, head: Sequence[Child], rows: Sequence[Sequence[Child]]) -> Element:
    """The first cell of a row is its header; scrolls by itself where the page is narrow."""
    body = [
        el("tr", *(el("th", cell, scope="row") if not at else el("td", cell) for at, cell in enumerate(row)))
        for row in rows
    ]
    made = el(
        "table",
        el("caption", caption),
        el("thead", el("tr", *(el("th", cell, scope="col") for cell in head))),
        el("tbody", *body),
    )
    return el("div", made, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _figure(title: str, about: str, drawing: Element) -> Element:
    return el("figure", el("figcaption", el("b", title), f" {about}"), drawing)


# -- the first page -----------------------------------------------------------------------------------------------------


def _header(story: RolloutReport) -> Element:
    dates: list[Child] = ["As of ", when(story.at)]
    if story.began is not None:
        dates += [", begun ", when(story.began), f", {words.duration(story.at - story.began)} in all"]
    return el(
        "header",
        el("p", f"{story.service} · {story.environment} · report", class_="kicker"),
        el("h1", story.title),
        el("p", story.headline, class_="headline"),
        el("p", *dates, ".", class_="dates"),
        el(
            "p",
            el("strong", "This was a rehearsal"),
            ": a simulated LLM service, sample documents, time in lapse.",
            class_="rehearsal",
        )
        if story.rehearsal
        else None,
        _glance(story),
    )


def _glance(story: RolloutReport) -> Element:
    """Five numbers, each with what it rests on."""
    shown = next((s for s in reversed(story.measured) if s.error_rate.value is not None), None)
    documents, llm = sum(s.documents for s in story.measured), sum(s.llm_documents for s in story.measured)
    pairs: list[tuple[str, str, str]] = [
        ("Now", percent(story.percent_bp), "stable" if story.stable else f"stage {story.stage}"),
        ("Documents", f"{documents:,}", f"{llm:,} by the LLM"),
    ]
    if shown is not None:
        for name, figure in (("Error rate", shown.error_rate), ("Average time", shown.latency)):
            value, rest = split(figure)
            pairs.append((name, value, f"{rest} · {shown.label.lower()}" if rest else shown.label.lower()))
    found = len(story.incidents)
    rolled = sum(i.percent_to < i.percent_from for i in story.incidents)
    pairs.append(("Incidents", str(found) if found else "none", f"{rolled} rolled back" if found else ""))
    return el(
        "dl",
        *(
            el("div", el("dt", name), el("dd", value, el("small", rest) if rest else None))
            for name, value, rest in pairs
        ),
        class_="figures",
    )


def split(figure: Figure) -> tuple[str, str]:
    """ "0.4 % (6 of 1520)" as the number and what it rests on."""
    value, _, rest = figure.words.partition(" (")
    return value, rest.removesuffix(")").replace(" %", "\u00a0%")


def _summary(story: RolloutReport) -> Section:
    return "summary", "In short", [el("ul", *(el("li", each) for each in story.summary), class_="summary")]


def _course(story: RolloutReport) -> Section | None:
    curves = story.curves
    if curves is None:
        return None
    target = story.target
    rate: Callable[[float], str] = words.percent

    def time(value: float) -> str:
        return words.measure("latency_mean", value)

    stable = len(story.stages)
    return (
        "course",
        "How it went",
        [
            _figure(
                "Share of documents that the LLM may write.",
                "Each step up was decided by a person; numbers in red are the incidents below.",
                charts.percentage(curves, story.stages, stable),
            ),
            _figure(
                "Error rate",
                "of documents that went to the LLM. Where there is no line nothing was measured.",
                charts.measured(
                    curves, "Error rate", [("error rate", "first", curves.error_rate)], rate, target.error_rate, 0.01
                ),
            ),
            _figure(
                "Processing time",
                "of documents that went to the LLM, fresh calls only.",
                charts.measured(
                    curves,
                    "Processing time",
                    [("mean", "first", curves.latency_mean), ("95th percentile", "second", curves.latency_p95)],
                    time,
                    target.latency_ms,
                    500.0,
                ),
            ),
        ],
    )


# -- figures ------------------------------------------------------------------------------------------------------------


def _metrics(story: RolloutReport) -> Section:
    stages = [s for s in story.measured if s.number >= 2 or s.llm_documents]
    head: list[Child] = ["Metric", *(_stage_head(s) for s in stages)]
    rows: list[list[Child]] = [[name, *(_cell(s, of(s)) for s in stages)] for name, of in METRICS]
    rows.append(
        [
            "Documents",
            *(
                el("span", f"{s.documents}", el("small", f"{s.llm_documents} by the LLM")) if s.documents else "none"
                for s in stages
            ),
        ]
    )
    rows.append(["Complaints", *(str(s.complaints) if s.entered is not None else "" for s in stages)])
    note = (
        "Everything that was measured in a stage, all visits to it together. ✓ within the stage's target, ✗ outside of it; without a "
        "mark the stage has no target for it or there is nothing to judge. “At most” is the upper 95 % confidence bound, which is what a gate judges."
    )
    return "metrics", "Metrics by stage", [table("Metrics by stage", head, rows), el("p", note, class_="note")]


def _stage_head(stage: StageStory) -> Element:
    return el("span", stage.label, el("small", f"{stage.name}, {percent(stage.percent_bp)}"))


def _cell(stage: StageStory, figure: Figure) -> Child:
    if stage.entered is None:
        return el("span", "not entered", class_="quiet")
    if figure.value is None:
        return el("span", figure.words, class_="quiet")
    value, rest = split(figure)
    mark = {
        True: el("span", "✓ ", class_="good", title="within target"),
        False: el("span", "✗ ", class_="bad", title="outside of the target"),
        None: None,
    }[figure.good]
    return el("span", mark, value, el("small", rest) if rest else None)


def _spent(story: RolloutReport) -> Section | None:
    entered = [s for s in story.stages if s.entered is not None]
    if not entered:
        return None
    head = ("Stage", "Entered", "Left", "In all", "Soaking", "For figures", "For people", "Held or locked")
    rows: list[list[Child]] = []
    for s in entered:
        name = el("span", f"{s.number} {s.name}", el("small", f"{s.visits} visits") if s.visits > 1 else None)
        spans = (s.spent_s, s.soaked_s, s.figures_s, s.waited_s, s.held_s)
        left: Child = when(s.left) if s.left is not None else "still there"
        rows.append([name, when(s.entered or 0.0), left, *(span(value) for value in spans)])
    note = (
        "Soaking is the least time that a stage lasts. For figures: from then until the gate's conditions on the figures held, to the hour. "
        "For people: what was left until the step was taken, without holds and locks."
    )
    return (
        "time",
        "Where the time went",
        [
            _figure("Waiting for people against soaking.", "", charts.spent(story.stages)),
            table("Time by stage", head, rows),
            el("p", note, class_="note"),
        ],
    )


# -- what went wrong, who decided ---------------------------------------------------------------------------------------


def _incidents(story: RolloutReport) -> Section:
    if not story.incidents:
        return "incidents", "Incidents", [el("p", "None: nothing rolled back and no trigger acted.")]
    note = (
        "Time to detect: from the first failure to the trigger's first breach. To decide: from there to the decision, the trigger's own "
        "waiting time included. To take effect: until the lower percentage was observed in routed documents."
    )
    return (
        "incidents",
        "Incidents",
        [*(_incident(number, each) for number, each in enumerate(story.incidents, 1)), el("p", note, class_="note")],
    )


def _incident(number: int, i: Incident) -> Element:
    named = ("time to detect", "time to decide", "time to take effect", "way up open after")
    facts: list[Child] = [i.proof] if i.proof else []
    if i.restored:
        facts.append(
            f" {counted(i.restored, 'document was given its', 'documents were given their')} frequency keywords back."
        )
    how = f"by trigger {i.trigger}" if i.automatic and i.trigger else "by itself" if i.automatic else "by hand"
    return el(
        "article",
        el("h3", f"{number}. {i.what}"),
        el(
            "p",
            when(i.decided),
            f", stage {i.stage}, {percent(i.percent_from)} to {percent(i.percent_to)}, {how}, ",
            el("a", f"decision {i.rev}", href=f"#decision-{i.rev}"),
            class_="by",
        ),
        el(
            "dl",
            *(el("div", el("dt", name), el("dd", value)) for name, value in zip(named, times(i), strict=True)),
            class_="times",
        ),
        charts.moments(i),
        el("p", *facts) if facts else None,
        el("p", el("strong", "Cause: "), i.cause)
        if i.cause
        else el("p", "Nobody wrote down a cause yet.", class_="prompt"),
        class_="incident-card",
    )


def _decisions(story: RolloutReport) -> Section:
    if not story.verdicts:
        return "decisions", "Decisions", [el("p", "None yet.")]
    return (
        "decisions",
        "Decisions and their evidence",
        [el("ol", *(_verdict(each) for each in story.verdicts), class_="decisions")],
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


def _overrides(story: RolloutReport) -> Section:
    if not story.overrides:
        return "overrides", "Overrides", [el("p", "None: every gate was open when it was passed.")]
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
            el("p", "Gates that were passed although something was missing, with the reason that was typed."),
            table("Overrides", ("Decision", "When", "Who", "Reason", "What was missing"), rows),
        ],
    )


# -- quality, people ----------------------------------------------------------------------------------------------------


def _quality(story: RolloutReport) -> Section:
    content: list[Child] = []
    for each in story.experiment:
        content += [el("h3", each.what), *_finding(each)]
    if story.quality:
        content.append(el("h3", "Reviews and search quality"))
        content += [part for each in story.quality for part in (el("h4", each.what, class_="kicker"), *_finding(each))]
    if not content:
        content = [el("p", "Neither a review nor a search measurement nor an A/B reading is stored.", class_="prompt")]
    return "quality", "Quality and the A/B test", content


def _finding(each: MeasuredResult) -> list[Child]:
    details = [el("ul", *(el("li", detail) for detail in each.details))] if each.details else []
    return [el("p", each.sentence), *details, el("p", when(each.at), class_="by")]


def _review(story: RolloutReport) -> Section:
    return "review", "Review", [part for chapter in story.review for part in _chapter(chapter)]


def _chapter(chapter: Chapter) -> list[Child]:
    if not chapter.written:
        return [el("h3", chapter.heading), el("p", PROMPTS[chapter.kind], class_="prompt")]
    items = [
        el("li", el("span", w.text, class_="said"), el("small", f" {w.who}, ", when(w.at), class_="by"))
        for w in chapter.written
    ]
    return [el("h3", chapter.heading), el("ul", *items)]


def _checklists(story: RolloutReport) -> Section:
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


def _signed(item: Signed) -> Element:
    sign, kind, said = TICKS.get(item.state, TICKS["open"])
    who: list[Child] = [item.by, ", ", when(item.at)] if item.by and item.at is not None else []
    words_: list[Child] = [": " if who else "", item.words] if item.words else []
    return el(
        "li",
        el("span", sign, class_=f"tick {kind}", role="img", aria_label=said),
        item.text,
        el("small", *who, *words_) if who or words_ else None,
    )


def _messages(story: RolloutReport) -> Section:
    if not story.messages:
        return "messages", "Communications", [el("p", "No message was sent.")]
    rows: list[list[Child]] = [[m.message, when(m.at), m.audience, m.subject, delivery(m)] for m in story.messages]
    return (
        "messages",
        "Communications",
        [table("Messages and their delivery", ("Message", "When", "To", "Subject", "Delivery"), rows)],
    )


# -- to check it --------------------------------------------------------------------------------------------------------


def _timeline(story: RolloutReport) -> Section:
    rows: list[list[Child]] = []
    for e in story.timeline:
        until: list[Child] = [el("small", "until ", when(e.until))] if e.until is not None else []
        said = el("span", _override_mark(), " ", e.sentence) if e.override else e.sentence
        rows.append([el("span", when(e.at), *until), str(e.stage), percent(e.percent_bp), said])
    if not rows:
        return "timeline", "Timeline", [el("p", "The log is empty.")]
    return (
        "timeline",
        "Timeline",
        [table("The decision log, oldest first", ("When", "Stage", "Percentage", "What"), rows)],
    )


def _appendix(story: RolloutReport) -> Section:
    a = story.appendix
    facts: list[Child] = [
        el("li", f"Plan: {a.plan_source or 'unknown'}, SHA-256 ", el("code", a.plan_digest or "unknown")),
        *(el("li", f"{name}: {value}") for name, value in a.versions),
        el("li", f"Log: {a.decisions} decisions, head ", el("code", a.head)),
        el("li", a.chain),
    ]
    content: list[Child] = [el("ul", *facts), el("pre", "\n".join(a.commands))]
    if story.references:
        content += [el("h3", "References"), el("ul", *(el("li", each) for each in story.references))]
    return "appendix", "To reproduce this report", content


def _footer(story: RolloutReport) -> Element:
    return el(
        "footer",
        f"Made by rollout {dict(story.appendix.versions).get('rollout', '')} from the decision log. ",
        "The same store gives the same report; ",
        el("code", "rollout log --verify"),
        " checks that nothing in the log was changed.",
    )


SECTIONS: tuple[Callable[[RolloutReport], Section | None], ...] = (
    _summary, _course, _metrics, _incidents, _decisions, _overrides, _quality, _review, _spent, _checklists, _messages,
    _timeline, _appendix,
)  # fmt: skip
