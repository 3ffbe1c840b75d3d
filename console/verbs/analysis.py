"""Verbs that measure: compare two exports, performance over days, errors by shape, the A/B test."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from console.place import Failed, Place, fail, json_option, say, write_json

if TYPE_CHECKING:
    from engine.quality.compare import Row

output_option = click.option(
    "--output", type=click.Path(path_type=Path), default=Path("-"), help="A file, or - for standard output."
)


@click.group()
def analyze() -> None:
    """Compare what was exported."""


@analyze.command("compare-keywords")
@click.option("--llm", type=click.Path(path_type=Path), required=True, help="An export of LLM keywords.")
@click.option("--frequency", type=click.Path(path_type=Path), required=True, help="An export of frequency keywords.")
@output_option
def compare_keywords(llm: Path, frequency: Path, output: Path) -> None:
    """Per document and overall: overlap, counts, grounding, duplicates, examples."""
    from engine.quality.compare import compare

    found = compare(_rows(llm), _rows(frequency))
    write_json(output, found)
    if str(output) != "-":
        click.echo(f"{found.overall.sentence}\nWrote {output}.")


def _rows(path: Path) -> tuple[Row, ...]:
    from engine.quality.compare import read_rows

    try:
        return read_rows(path.read_bytes(), str(path))
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}. `rollout export` writes such a file.") from None
    except ValueError as error:
        raise Failed(str(error)) from None


@click.group()
def metrics() -> None:
    """Numbers over time."""


@metrics.command("analyze")
@click.option("--days", type=click.FloatRange(0.01, 3650), default=7.0, show_default=True)
@output_option
@click.pass_obj
def metrics_analyze(place: Place, days: float, output: Path) -> None:
    """Performance over days: documents, errors, latency, cache; a row a day and all together."""
    from engine.metrics.analysis import performance_report

    now = _now(place)
    report = place.reader.read(lambda conn: performance_report(conn, now, days))
    write_json(output, report)
    if str(output) != "-":
        click.echo(f"Wrote {output}.")


@metrics.command()
@json_option
@click.pass_obj
def snapshot(place: Place, as_json: bool) -> None:
    """The numbers of now, for a log of your own."""
    from engine.metrics.analysis import snapshot as take

    now = _now(place)
    found = place.reader.read(lambda conn: take(conn, now))
    say(found, json.dumps(found, indent=2), as_json)


def _now(place: Place) -> float:
    """The engine's clock: in a rehearsal it runs ahead of the machine's."""
    view = place.reader.glance().view
    return max(time.time(), view.at) if view is not None else time.time()


@click.group()
def logs() -> None:
    """What went wrong, by kind."""


@logs.command("analyze")
@click.option("--level", type=click.Choice(["error", "warning", "all"]), default="error", show_default=True)
@click.option(
    "--filter", "text", default="", help="Only kinds or messages that contain this; keyword_extraction is all of them."
)
@click.option("--days", type=click.FloatRange(0.01, 3650), default=7.0, show_default=True)
@json_option
@click.pass_obj
def logs_analyze(
    place: Place, level: Literal["error", "warning", "all"], text: str, days: float, as_json: bool
) -> None:
    """Errors grouped by kind and shape of message: how many, first and last seen, examples."""
    from engine.metrics.analysis import error_analysis
    from engine.plan.durations import iso

    now = _now(place)
    found = place.reader.read(lambda conn: error_analysis(conn, now - days * 86400, now, level, text))
    lines = [
        f"{group['count']:>6}  {group['kind']}: {group['shape']}  (first {iso(group['first_seen'])}, last {iso(group['last_seen'])})"
        for group in found["groups"]
    ]
    say(found, "\n".join(lines) or f"No {level} in the last {days:g} days.", as_json)


@click.group("ab-test")
def ab_test() -> None:
    """The A/B test of the plan's stage 4."""


@ab_test.command("export")
@output_option
@click.pass_obj
def ab_export(place: Place, output: Path) -> None:
    """Which document is in which arm."""
    rows = place.reader.read(lambda conn: conn.execute("SELECT id, arm FROM document ORDER BY id").fetchall())
    if not rows:
        fail("No document has been extracted yet.")
    treatment = sum(arm == "treatment" for _, arm in rows)
    state = place.reader.state()
    body = {
        "treatment_percentage": state.percent_bp / 100,
        "salt": place.plan.salt,
        "assignments": dict(rows),
        "summary": {"control_count": len(rows) - treatment, "treatment_count": treatment, "total": len(rows)},
    }
    write_json(output, body)
    if str(output) != "-":
        click.echo(f"{len(rows)} assignments in {output}.")


@ab_test.command("analyze")
@output_option
@click.pass_obj
def ab_analyze(place: Place, output: Path) -> None:
    """Both arms metric by metric, the verdict in words, and the search quality scores that the plan's script reads."""
    from engine import trial

    now = _now(place)
    found = place.reader.read(lambda conn: trial.results(conn, place.plan, now))
    write_json(output, found)
    if str(output) != "-":
        click.echo(f"{found['verdict']}\nWrote {output}.")
