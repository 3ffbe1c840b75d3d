"""Verbs before the rollout: init, env."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import click

from console.context import CliContext
from console.output import FILE, Failed, fail, question, say_result, verb, write_text, wrote
from engine.files import write_whole

QUESTIONS: dict[str, tuple[str, Any, Any]] = {  # option -> question, default, type
    "service": ("Service", "keyword-extraction", None),
    "environment": ("Environment", "production", None),
    "llm_url": ("LLM service's address", "http://127.0.0.1:11434", None),
    "llm_model": ("Model", "llama3.2:3b", None),
    "llm_api": ("Its API", "ollama", click.Choice(["ollama", "openai"])),
    "http_port": ("Port of the engine's HTTP API", 8080, click.IntRange(0, 65535)),
}


@click.command()
@click.option("--yes", is_flag=True, help="Use defaults for what no option sets; don't ask.")
@click.option("--service", help="The service's name.")
@click.option("--environment", help="production, staging, ...")
@click.option("--llm-url", help="The LLM service's address.")
@click.option("--model", "llm_model", help="The model it serves.")
@click.option("--llm-api", type=click.Choice(["ollama", "openai"]), help="The API it speaks.")
@click.option("--port", "http_port", type=click.IntRange(0, 65535), help="Port of the engine's HTTP API.")
@click.option("--output", type=FILE, default=Path("rollout.toml"), show_default=True, help="The file to write.")
@click.option("--force", is_flag=True, help="Replace an existing file, keeping it as .bak.")
@verb
def init(context: CliContext, /, yes: bool, output: Path, force: bool, **given: Any) -> None:
    """Write a commented rollout.toml: the whole plan, for your own service. Asks for what no option sets."""
    from engine.plan.init import Answers, initial_plan
    from engine.plan.load import PlanError, default_plan_text, parse_plan

    if output.exists() and not force:
        raise Failed(
            f"{output} already exists; nothing was changed. --force replaces it and keeps the old file as {output}.bak."
        )
    answers = dict(given)
    if not yes:
        with question("Nothing was written, because a question got no answer. --yes uses the default for each."):
            for name, (text, default, kind) in QUESTIONS.items():
                if answers[name] is None:
                    answers[name] = click.prompt(text, default=default, type=kind)
            roles = [contact.role for contact in parse_plan(default_plan_text()).contacts]
            answers["contacts"] = dict(_contact(role) for role in roles)
    text = initial_plan(Answers(**answers))
    try:
        parse_plan(text, str(output))
    except PlanError as error:
        fail(f"Nothing was written, because an answer is invalid:\n{error}")
    try:
        if output.exists():
            mode = stat.S_IMODE(output.stat().st_mode)
            write_whole(output.with_name(output.name + ".bak"), output.read_bytes(), mode, exact=True)
    except OSError as error:
        fail(f"{output} could not be copied to {output.name}.bak: {error.strerror}. It was not changed.")
    write_text(output, text)
    wrote(output, f"Wrote {output}. Next: `rollout check`, then `rollout`.")


def _contact(role: str) -> tuple[str, dict[str, str]]:
    """Ask for the contacts one by one; one left empty stays a placeholder, and `rollout check` reports it."""
    asked = {key: click.prompt(f"{role}: {key}", default="", show_default=False) for key in ("name", "phone", "email")}
    return role, {key: text for key, text in asked.items() if text.strip()}


@click.command()
@verb
def env(context: CliContext) -> None:
    """The export lines of the current stage, at the percentage decided now, within what the engine's environment
    allows."""
    from engine.plan.environment import NO_LIMIT, Ceiling, environment
    from engine.store.folder import StoreError

    try:
        state = context.reader.state()
        view = context.reader.engine_record().view
        stage, bp = state.stage, state.percent_bp
    except StoreError:
        view, stage, bp = None, 0, context.plan.stages[0].percent_bp
    # the engine's limits, not this shell's: it may have run the lines of an earlier stage, which had no A/B test
    limits = NO_LIMIT if view is None else Ceiling(ab_test=view.may_test, metrics=view.measures)
    lines = environment(context.plan, stage, bp, limits)
    values = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    say_result(values, "\n".join(lines))
