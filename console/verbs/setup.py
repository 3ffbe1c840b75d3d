"""Verbs before the rollout: check, init, env."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import click

from console.place import Failed, Place, fail, json_option, say


@click.command()
@json_option
@click.option("--offline", is_flag=True, help="Validate the file only; probe nothing.")
@click.pass_obj
def check(place: Place, as_json: bool, offline: bool) -> None:
    """Validate rollout.toml and probe everything it names: the LLM service, the store, the port, addresses, contacts."""
    plan = place.plan
    findings: list[dict[str, Any]] = [
        {
            "what": "plan",
            "ok": True,
            "sentence": f"{place.plan_path}: {len(plan.stages)} stages, {len(plan.triggers)} triggers, no mistake.",
        }
    ]
    placeholders = [c.role for c in plan.contacts if "[" in c.name or "[" in c.phone or "[" in c.email]
    if placeholders:
        findings.append(
            {
                "what": "contacts",
                "ok": False,
                "sentence": f"Placeholders instead of people: {', '.join(placeholders)}. Fill in [[contacts]].",
            }
        )
    if not offline:
        findings += _probes(place)
    ok = all(found["ok"] for found in findings)
    lines = [f"{'ok  ' if found['ok'] else 'FAIL'} {found['what']}: {found['sentence']}" for found in findings]
    say({"ok": ok, "findings": findings}, "\n".join(lines), as_json)
    if not ok:
        raise SystemExit(1)


def _probes(place: Place) -> list[dict[str, Any]]:
    from engine.clock import SystemClock
    from engine.extraction.llm import LlmPool
    from engine.notify import addresses
    from engine.store.folder import StoreError

    plan = place.plan
    found: list[dict[str, Any]] = []

    async def probe() -> tuple[bool, str]:
        key = os.environ.get(plan.llm.api_key_env) if plan.llm.api_key_env else None
        pool = LlmPool(plan.llm, SystemClock(), api_key=key)
        await pool.start()
        try:
            report = await pool.check()
            bad = [line.text for line in report.lines if line.state != "ok"]
            return report.ok, "; ".join(bad or [line.text for line in report.lines])
        finally:
            await pool.close()

    ok, sentence = asyncio.run(probe())
    found.append({"what": "llm", "ok": ok, "sentence": sentence})
    try:
        place.folder.prepare()
        free = shutil.disk_usage(place.folder.path).free
        enough = free > 200_000_000
        found.append(
            {
                "what": "store",
                "ok": enough,
                "sentence": f"{place.folder.path}, {free / 1e9:.1f} GB free"
                + ("." if enough else ": too little for weeks."),
            }
        )
    except (StoreError, OSError) as error:
        found.append({"what": "store", "ok": False, "sentence": str(error)})
    urls, trouble = addresses(plan.notify, os.environ)
    found.append(
        {
            "what": "messages",
            "ok": bool(urls),
            "sentence": f"{len(urls)} addresses." if urls else trouble[0].upper() + trouble[1:] + ".",
        }
    )
    if plan.apply.env_file:
        parent = Path(plan.apply.env_file).parent
        writable = os.access(parent, os.W_OK)
        found.append(
            {
                "what": "apply",
                "ok": writable,
                "sentence": f"{parent} is {'writable' if writable else 'not writable: the environment file cannot be replaced there'}.",
            }
        )
    return found


@click.command()
@click.option("--yes", is_flag=True, help="Take the defaults, ask nothing.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("rollout.toml"), show_default=True)
@click.option("--force", is_flag=True, help="Replace a file that is there; it is kept as .bak.")
@click.pass_obj
def init(place: Place, yes: bool, output: Path, force: bool) -> None:
    """Write a commented rollout.toml: the whole plan, for your own service."""
    from engine.plan.init import Answers, initial_plan

    if output.exists() and not force:
        raise Failed(
            f"{output} is there already; nothing was changed. --force replaces it and keeps the old one as {output}.bak."
        )
    answers = Answers()
    if not yes:
        given: dict[str, Any] = {
            "service": click.prompt("Service", default="keyword-extraction"),
            "environment": click.prompt("Environment", default="production"),
            "llm_url": click.prompt("LLM service's address", default="http://127.0.0.1:11434"),
            "llm_model": click.prompt("Model", default="llama3.2:3b"),
            "llm_api": click.prompt("Its API", default="ollama", type=click.Choice(["ollama", "openai"])),
            "http_port": click.prompt("Port of the engine's HTTP API", default=8080, type=click.IntRange(0, 65535)),
        }
        answers = Answers(**given)
    text = initial_plan(answers)
    try:
        if output.exists():
            shutil.copy2(output, output.with_name(output.name + ".bak"))
        output.write_text(text)
    except OSError as error:
        fail(f"{output} could not be written: {error.strerror}.")
    click.echo(f"Wrote {output}. Next: `rollout check`, then `rollout`.")


@click.command()
@json_option
@click.pass_obj
def env(place: Place, as_json: bool) -> None:
    """The export lines of the current stage, at the percentage decided now."""
    from engine.plan.environment import environment
    from engine.store.folder import StoreError

    try:
        state = place.reader.state()
        stage, bp = state.stage, state.percent_bp
    except StoreError:
        stage, bp = 0, place.plan.stages[0].percent_bp
    lines = environment(place.plan, stage, bp)
    values = dict(line.removeprefix("export ").split("=", 1) for line in lines)
    say(values, "\n".join(lines), as_json)
