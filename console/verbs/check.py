"""`rollout check`: validate the plan and probe what it names. Prints each finding as soon as it is known."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from console.context import CliContext
from console.output import is_json, json_option, outcome, say_result

if TYPE_CHECKING:
    from engine.extraction.llm import CheckLine, LlmPool
    from engine.plan.model import Plan

ROOM = 200_000_000  # bytes: weeks of measures and a backup
OBEY_S = 0.05  # how soon a rollback ends a request of this process
_WORD = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


class CheckOutcome(NamedTuple):
    """`state`: ok, warn (works, but could be better) or fail. `where`: which server, "" if there is only one."""

    what: str
    state: str
    sentence: str
    where: str = ""

    @property
    def line(self) -> str:
        where = f" {self.where}" if self.where else ""
        return f"{_WORD[self.state]} {self.what}{where}: {self.sentence}"

    @property
    def row(self) -> dict[str, Any]:
        more = {"server": self.where} if self.where else {}
        return {"what": self.what, "ok": self.state != "fail", "state": self.state, "sentence": self.sentence, **more}


Say = Callable[..., None]


@click.command()
@json_option
@click.option("--offline", is_flag=True, help="Validate the file only; probe nothing.")
@click.pass_obj
def check(context: CliContext, offline: bool) -> None:
    """Validate rollout.toml and probe everything it names: the LLM service (is it up, does it have the model, does it
    follow a schema, what is its capacity), the store, the port, addresses, contacts.

    Exit code 1 if a check fails; a warning is not a failure.
    """
    findings: list[CheckOutcome] = []

    def report(what: str, state: str, sentence: str, where: str = "") -> None:
        findings.append(CheckOutcome(what, state, sentence, where))
        if not is_json():
            click.echo(findings[-1].line)

    _plan(context, report)
    _secrets(context.file_plan, report)
    _environment(context.file_plan, report)
    if not offline:
        _store(context, report)
        _port(context, report)
        _messages(context.file_plan, report)
        _apply(context.file_plan, report)
        asyncio.run(_llm(context, report))
    failed = sum(finding.state == "fail" for finding in findings)
    warned = sum(finding.state == "warn" for finding in findings)
    summary = _summary(failed, warned, offline)
    body = {**outcome(failed, "check"), "sentence": summary, "findings": [one.row for one in findings]}
    say_result(body, summary)
    if failed:
        raise SystemExit(1)


def _summary(failed: int, warned: int, offline: bool) -> str:
    warnings = f"{warned} warning{'s' if warned != 1 else ''}"
    if failed:
        return f"{failed} failed, {warnings}: fix each FAIL, then check again."
    verdict = f"Nothing failed, {warnings}." if warned else "No problems found."
    return verdict + (" Nothing was probed." if offline else " Next: `rollout`.")


def _plan(context: CliContext, report: Say) -> None:
    plan = context.file_plan
    report("plan", "ok", f"{context.plan_path}: {len(plan.stages)} stages, {len(plan.triggers)} triggers, no mistakes.")
    _since_read(context, report)
    missing = [contact.role for contact in plan.contacts if not contact.is_complete]
    if missing:
        report("contacts", "warn", f"Placeholders instead of people: {', '.join(missing)}. Fill in [[contacts]].")


def _since_read(context: CliContext, report: Say) -> None:
    """Warn if the running engine read an older version of the file."""
    from engine.store import plans
    from engine.store.folder import StoreError

    try:
        if not context.folder.exists or not context.folder.is_locked():
            return
        digest = context.reader.read(plans.digest_read)
    except (StoreError, OSError):
        return
    if digest and digest != context.file_plan.digest:
        report(
            "plan",
            "warn",
            f"{context.plan_path.name} has changed since the engine read it: `rollout plan diff` shows "
            "the difference; a restart applies it.",
        )


def _secrets(plan: Plan, report: Say) -> None:
    """The LLM's API key and the HTTP API's token, read as the engine reads them."""
    from engine.plan.environment import EnvironmentProblem, secret

    for what, table, name in (
        ("key", "[llm] api_key_env", plan.llm.api_key_env),
        ("token", "[http] token_env", plan.http.token_env),
    ):
        try:
            value = secret(os.environ, name)
        except EnvironmentProblem as error:
            report(what, "fail", str(error))
            continue
        if what == "key" and name and not value:
            report(what, "warn", f"{table} names {name}, which is not set here: no key is sent.")


def _environment(plan: Plan, report: Say) -> None:
    """Environment settings that keep the engine from starting."""
    from engine.plan.environment import EnvironmentProblem, ceiling
    from engine.server.binding import exposed

    try:
        ceiling(os.environ)
    except EnvironmentProblem as error:
        for sentence in str(error).splitlines():
            report("environment", "fail", sentence + ".")
    why = exposed(plan.http, os.environ)
    if why:
        report("token", "fail", why)


def _size(free: int) -> str:
    return f"{free / 1e9:.1f} GB" if free >= 1e8 else f"{free / 1e6:.1f} MB"


def _store(context: CliContext, report: Say) -> None:
    from engine.store.folder import StoreError

    try:
        context.folder.prepare()
        free = shutil.disk_usage(context.folder.path).free
    except (StoreError, OSError) as error:
        report("store", "fail", str(error))
        return
    enough = free > ROOM
    more = "." if enough else ": too little for weeks; free some space or set [store] path."
    report("store", "ok" if enough else "fail", f"{context.folder.path}, {_size(free)} free{more}")


def _port(context: CliContext, report: Say) -> None:
    """Check that the engine listens, or could listen, on the plan's port."""
    from engine.server.binding import why_unbound

    http = context.file_plan.http
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((http.host, http.port))
        except OSError as error:
            if context.folder.path.is_dir() and context.folder.is_locked():
                report("port", "ok", f"{http.host}:{http.port}, this store's engine is running.")
                return
            report("port", "fail", why_unbound(http, error))
            return
    report("port", "ok", f"{http.host}:{http.port} is free.")


def _messages(plan: Plan, report: Say) -> None:
    from engine.messages.addresses import addresses

    urls, trouble = addresses(plan.notify, os.environ)
    if urls and not trouble:
        kinds = ", ".join(sorted({address.kind for address in urls}))
        report("messages", "ok", f"{len(urls)} addresses ({kinds}); `rollout notify test` tries them.")
    else:
        report("messages", "warn", trouble[0].upper() + trouble[1:] + ".")


def _apply(plan: Plan, report: Say) -> None:
    if not plan.apply.env_file:
        return
    parent = Path(plan.apply.env_file).parent
    if os.access(parent, os.W_OK):
        report("apply", "ok", f"{parent} is writable.")
    else:
        report("apply", "fail", f"{parent} is not writable: {plan.apply.env_file} cannot be replaced there.")


def _may_ask(context: CliContext) -> bool:
    """Whether a model may be called: not while a rollback is in force."""
    from engine.store import log
    from engine.store.folder import StoreError

    if not context.folder.exists:
        return True
    try:
        state, rolled_back = context.reader.read(lambda conn: (log.read_state(conn), log.rolled_back(conn)))
    except StoreError:
        return context.folder.is_armed()
    if rolled_back or context.folder.has_intents():  # whatever lies under the armed file's name now
        return False
    return context.folder.is_armed() or state.stage == 0


async def _llm(context: CliContext, report: Say) -> None:
    from engine.clock import SystemClock
    from engine.extraction.llm import LlmPool
    from engine.plan.environment import EnvironmentProblem, secret

    llm = context.file_plan.llm

    def one(line: CheckLine) -> None:
        text = line.text.removeprefix(f"{line.server}: ")
        sentence = text[0].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")
        report(f"llm {line.what}", line.state, sentence, line.server)

    try:
        key = secret(os.environ, llm.api_key_env)
    except EnvironmentProblem:  # `_secrets` names it
        return
    pool = LlmPool(llm, SystemClock(), api_key=key or None, permit=lambda: _may_ask(context))
    await pool.start()
    obeying = asyncio.create_task(_obey(context, pool))
    try:
        await pool.check(one)
    finally:
        obeying.cancel()
        await pool.close()


async def _obey(context: CliContext, pool: LlmPool) -> None:
    """End the requests in flight when a rollback comes: they belong to no engine, and its proof does not see them."""
    while True:
        if pool.gate.open and not _may_ask(context):
            pool.gate.cut()
        await asyncio.sleep(OBEY_S)
