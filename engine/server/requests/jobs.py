"""Jobs that workers outside the engine carry out: begin, parts, run, stop."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.client.client import Reply
from engine.decoding import convert
from engine.rollout.state import Ask
from engine.service.engine import Engine
from engine.service.jobs import NoJob
from engine.store.jobs import JobPart, JobRequest
from engine.text import clean_line, counted

NO_REHEARSAL = (
    "A rehearsal has no workers: its LLM service is simulated beside its engine. Use `rollout load` without --on."
)


class _Parts(Struct, frozen=True):
    job: int
    first: int
    parts: list[JobPart]


class _Named(Struct, frozen=True):
    job: int


async def begin(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if engine.rehearsal:
        return Reply(False, NO_REHEARSAL, {"code": "rehearsal"})
    asked = convert(fields, JobRequest)
    asked = replace(asked, sources=clean_line(asked.sources, 2000))
    if asked.output and asked.kind != "backfill":
        why = "Only a back-fill's keywords can go elsewhere: live documents are served from the store."
        return Reply(False, why, {"code": "output"})
    try:
        number = await engine.jobs.begin(ask.actor.name, asked)
    except NoJob as error:
        return Reply(False, str(error), {"code": error.code})
    return Reply(True, f"Job {number} begins.", {"job": number})


async def add_parts(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    asked = convert(fields, _Parts)
    try:
        await engine.jobs.add_parts(asked.job, asked.first, asked.parts)
    except NoJob as error:
        return Reply(False, str(error), {"code": error.code})
    return Reply(True, f"Job {asked.job} has {counted(len(asked.parts), 'more part')}.")


async def run(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    if engine.rehearsal:
        return Reply(False, NO_REHEARSAL, {"code": "rehearsal"})
    number = convert(fields, _Named).job
    try:
        await engine.jobs.run(number)
    except NoJob as error:
        return Reply(False, str(error), {"code": error.code})
    engine.event(f"{ask.actor.name} runs job {number}.")
    return Reply(True, f"Job {number} runs.", {"job": number})


async def stop(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    number = convert(fields, _Named).job
    try:
        stopped = await engine.jobs.stop(number)
    except NoJob as error:
        return Reply(False, str(error), {"code": error.code})
    resume = f"`rollout load --on local:2 --resume {number}` continues it."
    if not stopped:
        return Reply(True, f"Job {number} was already stopped. {resume}", {"job": number})
    engine.event(f"{ask.actor.name} stopped job {number}.")
    return Reply(True, f"Job {number} is stopped: its workers end. {resume}", {"job": number})
