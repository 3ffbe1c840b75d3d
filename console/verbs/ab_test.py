"""The A/B test for scripts: assignments, both groups' figures, and the plan's t-test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from console.context import CliContext
from console.output import FILE, fail, json_option, output_option, say, verb, write_json, write_prose, wrote


@click.group("ab-test")
def ab_test() -> None:
    """The A/B test of the plan's stage 4."""


@ab_test.command("export")
@output_option
@verb
def export(context: CliContext, output: Path) -> None:
    """Which document of the test is in which group."""
    from engine.trial.results import assignments

    percent_bp = context.reader.state().percent_bp
    body = context.reader.read(lambda conn: assignments(conn, context.plan.salt, percent_bp))
    if not body["assignments"]:
        fail("No document has been extracted yet.", code="no_data")
    write_json(output, body)
    since = (
        f"of the A/B test begun {body['started']}" if body["started"] else "of all documents (no A/B test has begun)"
    )
    wrote(output, f"{body['summary']['total']} assignments {since}, in {output}.")


@ab_test.command("analyze")
@output_option
@verb
def analyze(context: CliContext, output: Path) -> None:
    """Both groups' metrics, the verdict, and the search quality scores that the plan's script reads."""
    from engine.trial.results import results

    now = context.now()
    result = context.reader.read(lambda conn: results(conn, now))
    write_json(output, result)
    wrote(output, f"{result['verdict']}\nWrote {output}.")


@ab_test.command("script")
@click.option(
    "--output", type=FILE, default=Path("-"), show_default=True, help="The file to write; - is standard output."
)
@click.option(
    "--run",
    type=FILE,
    metavar="RESULTS",
    help="Run the script on this file, written by `ab-test analyze`, instead of printing it.",
)
@json_option
def script(output: Path, run: Path | None) -> None:
    """The plan's t-test as a Python script, corrected: the original fails at `treatment.mean()`, because JSON yields
    lists."""
    from importlib.resources import files

    text = (files("engine.trial") / "script.txt").read_text("utf-8")
    if run is None:
        write_prose(output, text)
        wrote(output, f"Wrote {output}: python3 {output} ab_test_results.json")
        return
    if not run.is_file():
        fail(f"{run} does not exist: `rollout ab-test analyze --output {run}` writes it.", code="no_data")
    ended = subprocess.run([sys.executable, "-c", text, str(run)], capture_output=True, text=True)
    if ended.returncode:
        fail(ended.stderr.strip().splitlines()[-1] if ended.stderr.strip() else "The script failed.")
    say({"ok": True, "sentence": ended.stdout.strip()}, ended.stdout.strip())
