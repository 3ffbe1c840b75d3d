"""The report as one HTML file: no script, no network, no font to fetch; it opens from a mail and prints on A4.

Ordered by the questions of someone who was not there: current state, course, figures, incidents, decisions and their
evidence, lessons; the log and how to check the report come last.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

from engine.measures.figure import MetricValue
from engine.plan.durations import format_duration
from engine.report import charts, html_record
from engine.report.elements import Child, Element, el, page
from engine.report.html_parts import Content, figure_of, table, tile, when
from engine.report.model import METRICS, RolloutReport, StageStory
from engine.report.timeline import span
from engine.text import milliseconds, percent, rate_percent

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
NOT_ENTERED = "not entered"


def html(story: RolloutReport) -> str:
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
    return page(el("html", head, body(story), lang="en"))


def body(story: RolloutReport) -> Element:
    """What the report says; its Markdown is made from this too."""
    sections = [(name, title, made) for name, title, make in SECTIONS if (made := make(story)) is not None]
    contents = [el("a", title, href=f"#{name}") for name, title, _ in sections]
    return el(
        "body",
        el("a", "To the report", class_="skip", href="#report"),
        _header(story),
        el("nav", *contents, aria_label="Contents"),
        el("main", *(_section(*made) for made in sections), id="report"),
        _footer(story),
    )


def _section(name: str, title: str, content: Content) -> Element:
    return el("section", el("h2", title, id=name), *content, aria_labelledby=name)


# -- the first page ----------------------------------------------------------------------------------------------------


def _header(story: RolloutReport) -> Element:
    dates: list[Child] = ["The rollout has not begun: the log is empty."]
    if story.began is not None:
        dates = ["As of ", when(story.at), ", begun ", when(story.began)]
        dates += [f", {format_duration(story.at - story.began)} in total."]
    simulated = ": a simulated LLM service, sample documents, accelerated time."
    return el(
        "header",
        el("p", f"{story.service} · {story.environment} · report", class_="kicker"),
        el("h1", story.title),
        el("p", story.headline, class_="headline"),
        el("p", *dates, class_="dates"),
        el("p", el("strong", "This was a rehearsal"), simulated, class_="rehearsal") if story.rehearsal else None,
        _glance(story),
    )


def _glance(story: RolloutReport) -> Element:
    """Five figures, each with its evidence."""
    shown = next((s for s in reversed(story.measured) if s.error_rate.value is not None), None)
    documents, llm = sum(s.documents for s in story.measured), sum(s.llm_documents for s in story.measured)
    tiles = [
        tile("Now", percent(story.percent_bp), "stable" if story.stable else f"stage {story.stage}"),
        tile("Documents", f"{documents:,}", f"{llm:,} by the LLM"),
    ]
    if shown is not None:
        for name, figure in (("Error rate", shown.error_rate), ("Mean latency", shown.latency)):
            evidence = " · ".join(filter(None, (figure.evidence, shown.label.lower())))
            tiles.append(tile(name, figure.short or figure.words, evidence))
    incidents = sum(i.within is None for i in story.incidents)
    rolled = sum(i.percent_to < i.percent_from for i in story.incidents)
    tiles.append(tile("Incidents", str(incidents or "none"), f"{rolled} rolled back" if incidents else ""))
    return el("dl", *tiles, class_="figures")


def _summary(story: RolloutReport) -> Content:
    return [el("ul", *(el("li", entry) for entry in story.summary), class_="summary")]


def _course(story: RolloutReport) -> Content | None:
    curves, target = story.curves, story.target
    if curves is None:
        return None
    rates = [("error rate", "first", curves.error_rate)]
    times = [("mean", "first", curves.latency_mean), ("p95", "second", curves.latency_p95)]
    return [
        figure_of(
            "Share of documents that may use the LLM.",
            "A person decided each step up; red numbers mark the incidents below.",
            charts.percentage(curves, story.stages, len(story.stages)),
        ),
        figure_of(
            "Error rate",
            "of documents sent to the LLM. No line: nothing was measured.",
            charts.measured(curves, "Error rate", rates, rate_percent, target.error_rate, 0.01, 1.0),
        ),
        figure_of(
            "Latency",
            "of documents sent to the LLM, fresh calls only.",
            charts.measured(curves, "Latency", times, milliseconds, target.latency_ms, 500.0),
        ),
    ]


# -- figures -----------------------------------------------------------------------------------------------------------


def _metrics(story: RolloutReport) -> Content:
    stages = [s for s in story.measured if s.number >= 2 or s.llm_documents]
    head: list[Child] = ["Metric", *(_stage_head(s) for s in stages)]
    rows: list[list[Child]] = [[name, *(_cell(s, of(s)) for s in stages)] for name, of in METRICS]
    rows.append(["Documents", *(_documents(s) for s in stages)])
    rows.append(["Complaints", *(str(s.complaints) if s.entered is not None else NOT_ENTERED for s in stages)])
    note = (
        "Figures of each stage over all visits. ✓ within the stage's target, ✗ outside it; without a mark there is no "
        "target or nothing to judge. “At most” is the upper 95 % confidence bound, which a gate judges."
    )
    return [table("Metrics by stage", head, rows), el("p", note, class_="note")]


def _documents(stage: StageStory) -> Child:
    if not stage.documents:
        return "none" if stage.entered is not None else NOT_ENTERED
    return el("span", f"{stage.documents}", el("small", f"{stage.llm_documents} by the LLM"))


def _stage_head(stage: StageStory) -> Element:
    return el("span", stage.label, el("small", f"{stage.name}, {percent(stage.percent_bp)}"))


def _cell(stage: StageStory, figure: MetricValue) -> Child:
    if stage.entered is None:
        return el("span", NOT_ENTERED, class_="quiet")
    if figure.value is None:
        return el("span", figure.words, class_="quiet")
    mark = {
        True: el("span", "✓ ", class_="good", title="within target"),
        False: el("span", "✗ ", class_="bad", title="outside the target"),
        None: None,
    }[figure.good]
    evidence = el("small", figure.evidence.replace(" %", "\u00a0%")) if figure.evidence else None
    return el("span", mark, figure.short or figure.words, evidence)


def _spent(story: RolloutReport) -> Content | None:
    entered = [s for s in story.stages if s.entered is not None]
    if not entered:
        return None
    head = ("Stage", "Entered", "Left", "In all", "Bake", "For figures", "For people", "Held or locked")
    rows: list[list[Child]] = []
    for s in entered:
        name = el("span", f"{s.number} {s.name}", el("small", f"{s.visits} visits") if s.visits > 1 else None)
        spans = (s.spent_s, s.baked_s, s.figures_s, s.waited_s, s.held_s)
        left: Child = when(s.left) if s.left is not None else "still there"
        rows.append([name, when(s.entered or 0.0), left, *(span(value) for value in spans)])
    drawing = figure_of("Bake and waiting for people.", "", charts.spent(story.stages))
    note = (
        "Bake: the stage's minimum time. For figures: from then until the gate's conditions on figures were met, to "
        "the hour. For people: the rest until the next step, without holds and locks."
    )
    return [drawing, table("Time by stage", head, rows), el("p", note, class_="note")]


def _footer(story: RolloutReport) -> Element:
    return el(
        "footer",
        f"Made by rollout {dict(story.appendix.versions).get('rollout', '')} from the decision log. ",
        "The same store gives the same report; ",
        el("code", "rollout log --verify"),
        " checks that nothing in the log was changed.",
    )


# anchor, title, content; without content it is left out
SECTIONS: tuple[tuple[str, str, Callable[[RolloutReport], Content | None]], ...] = (
    ("summary", "In short", _summary),
    ("course", "How it went", _course),
    ("metrics", "Metrics by stage", _metrics),
    ("incidents", "Incidents", html_record.incidents),
    ("decisions", "Decisions and their evidence", html_record.decisions),
    ("overrides", "Overrides", html_record.overrides),
    ("quality", "Quality and the A/B test", html_record.quality),
    ("review", "Review", html_record.review),
    ("time", "Where the time went", _spent),
    ("checklists", "Checklists", html_record.checklists),
    ("messages", "Communications", html_record.messages),
    ("timeline", "Timeline", html_record.timeline),
    ("appendix", "To reproduce this report", html_record.appendix),
)
