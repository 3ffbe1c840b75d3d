"""Verbs that measure: compare two exports, search quality, performance over days, errors by shape."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from console.context import CliContext
from console.output import (
    FILE,
    Failed,
    fail,
    is_json,
    is_quiet,
    output_option,
    raw_stream,
    readable,
    say_result,
    verb,
    write_json,
    write_prose,
    wrote,
)
from console.upload.progress import Progress
from console.verbs.quality import draft_gold, mark_gold, quality, stored

if TYPE_CHECKING:
    from engine.quality.compare import ComparedDocument, ExportRow

EXAMPLES = 2
NONE = {"error": "error", "warning": "warning", "all": "error or warning"}


@click.group()
def analyze() -> None:
    """Measure keywords: against each other, as a search index, against a gold file."""


analyze.add_command(quality)
analyze.add_command(draft_gold)
analyze.add_command(mark_gold)


@analyze.command("compare-keywords")
@click.option("--llm", type=FILE, required=True, help="An export of LLM keywords.")
@click.option("--frequency", type=FILE, required=True, help="An export of frequency keywords.")
@output_option
@verb
def compare_keywords(context: CliContext, llm: Path, frequency: Path, output: Path) -> None:
    """Per document and overall: overlap, counts, grounding, duplicates, examples.

    If there is a store, it fills in what the exports lack (texts, the other method's keywords), with a note.
    """
    from engine.quality.compare import compare, complete

    first, second = _rows(llm), _rows(frequency)
    completed = complete(first, second, _kept(context, {row.key for row in (*first, *second)}))
    result = compare(*completed, each=partial(_each_shown))
    write_json(output, result)
    wrote(output, "\n".join([result.overall.sentence, *result.notes, f"Wrote {output}."]))


def _each_shown(documents: Collection[str]) -> Iterator[str]:
    """The documents one by one; on a terminal, standard error shows how far that is."""
    shown = not is_json() and not is_quiet() and sys.stderr.isatty()
    progress = Progress("compare", len(documents), raw_stream(sys.stderr), shown=shown)
    try:
        for done, document in enumerate(documents):
            progress.step(bool(done), done)
            yield document
    finally:
        progress.end()


def _kept(context: CliContext, keys: set[str]) -> dict[str, ComparedDocument]:
    """These documents as the store has them; {} without a store."""
    from engine.quality.compare import ComparedDocument

    return {
        name: ComparedDocument(d.llm if d.llm is not None else d.shadow, d.frequency, d.text)
        for name, d in stored(context, sorted(keys)).items()
    }


def _rows(path: Path) -> tuple[ExportRow, ...]:
    from engine.quality.compare import read_rows

    with readable(path, "`rollout export` writes such a file."):
        rows = read_rows(path.read_bytes(), str(path))
    if not rows:
        fail(f"{path} holds no documents: nothing to compare.")
    return rows


@analyze.command("search-quality")
@click.option("--queries", type=FILE, help='More queries: [{"query": "...", "relevant_docs": ["id", ...]}].')
@output_option
@verb
def search_quality(context: CliContext, queries: Path | None, output: Path) -> None:
    """Search each method's keywords for titles, headings and your queries: MRR, nDCG and success at 10."""
    from engine.quality.queries import read_queries
    from engine.trial import search_scores

    if queries is None:
        written, trouble = search_scores.written_queries(context.plan)
    else:
        with readable(queries, "Check the path given with --queries."):
            written, trouble = read_queries(queries.read_bytes(), str(queries)), ""
    if trouble:
        raise Failed(trouble)
    import msgspec

    from engine.plan.durations import iso

    now = context.now()
    result = context.reader.read(lambda conn: search_scores.measure(conn, now, written))
    if not result.quality.queries:
        fail(f"{result.quality.sentence} It needs documents that have both methods' keywords.")
    write_json(output, {**msgspec.to_builtins(result), "at": iso(result.at)})
    wrote(output, f"{result.quality.sentence}\nWrote {output}.")


@click.group()
def metrics() -> None:
    """Numbers over time."""


@metrics.command("analyze")
@click.option("--days", type=click.FloatRange(0.01, 3650), default=7.0, show_default=True, help="How far back.")
@output_option
@verb
def metrics_analyze(context: CliContext, days: float, output: Path) -> None:
    """Performance over days: documents, errors, latency, cache; one row per day and a total."""
    from engine.metrics.analysis import performance_report

    now = context.now()
    report = context.reader.read(lambda conn: performance_report(conn, now, days))
    write_json(output, report)
    wrote(output, "\n".join([*report["summary"], f"Wrote {output}."]))


@metrics.command()
@verb
def snapshot(context: CliContext) -> None:
    """The current figures, for your own records."""
    from console.verbs.status import look
    from engine.metrics.analysis import snapshot as take

    now = context.now()
    glance, engine, _ = look(context)
    if engine == "dead" or glance is None:
        percent_bp = 0
    else:
        percent_bp = glance.state.percent_bp if glance.view is None else glance.view.effective_bp
    engine = "not running" if engine == "dead" else engine
    result = context.reader.read(lambda conn: take(conn, now, percent_bp, engine))
    say_result(result, json.dumps(result, indent=2))


@metrics.command()
@click.option("--output", type=FILE, default=Path("-"), help="A rules file, or - for standard output.")
@verb
def alerts(context: CliContext, output: Path) -> None:
    """The plan's triggers as Prometheus alert rules, for teams that page from Prometheus."""
    from engine.metrics.alerts import alert_rules

    write_prose(output, alert_rules(context.plan.triggers, context.plan.trigger_settings))
    wrote(output, f"Wrote {output}. `promtool check rules {output}` reads it.")


@metrics.command()
@click.option("--engine", "url", help="The engine's address as Grafana reaches it; by default that of [http].")
@click.option("--output", type=FILE, default=Path("-"), help="A JSON file, or - for standard output.")
@verb
def dashboard(context: CliContext, url: str | None, output: Path) -> None:
    """The plan's panels and trends as a Grafana dashboard, with the decisions as annotations."""
    from engine.metrics.dashboard import dashboard as drawn

    http = context.plan.http
    host = f"[{http.host}]" if ":" in http.host else http.host
    write_json(output, drawn(context.plan, (url or f"http://{host}:{http.port}").rstrip("/")))
    wrote(output, f"Wrote {output}. Grafana: Dashboards, New, Import.")


@click.group()
def logs() -> None:
    """Errors and warnings, by kind."""


@logs.command("analyze")
@click.option(
    "--level", type=click.Choice(["error", "warning", "all"]), default="error", show_default=True, help="What to list."
)
@click.option(
    "--filter", "text", default="", help="Only kinds or messages that contain this; keyword_extraction matches all."
)
@click.option("--days", type=click.FloatRange(0.01, 3650), default=7.0, show_default=True, help="How far back.")
@verb
def logs_analyze(context: CliContext, level: Literal["error", "warning", "all"], text: str, days: float) -> None:
    """Errors grouped by kind and message pattern: count, first and last seen, examples."""
    from engine.metrics.errors import error_analysis
    from engine.plan.durations import iso

    now = context.now()
    result = context.reader.read(lambda conn: error_analysis(conn, now - days * 86400, now, level, text))
    lines = []
    for group in result["groups"]:
        seen = f"first {iso(group['first_seen'])}, last {iso(group['last_seen'])}"
        lines.append(f"{group['count']:>6}  {group['kind']}: {group['shape']}  ({seen})")
        lines += [
            f"        {one['at']} {one['document'] or ''} {one['message']}" for one in group["examples"][:EXAMPLES]
        ]
    say_result(result, "\n".join(lines) or f"No {NONE[level]} in the last {days:g} {'day' if days == 1 else 'days'}.")
