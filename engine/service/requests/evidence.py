"""Is it better: samples drawn for review, judgements, measures."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import msgspec

from engine import trial
from engine.client import Reply
from engine.control import Ask, note
from engine.service.engine import Engine, told
from engine.store import database, log
from engine.text import clean_line
from engine.triggers.sample import Ok


async def draw_sample(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Draw documents for a quality review: seeded and stored, so that it can be drawn again."""
    state = engine.state
    stage = engine.monitor.stage_of(state)
    size = int(fields.get("size") or (stage.sampling.documents if stage and stage.sampling else 20))
    seed = int(fields.get("seed") or engine.state.rev)
    ids = trial.draw_sample(engine.conn, max(1, min(500, size)), seed)
    if not ids:
        return Reply(False, "No document serves LLM keywords yet, so there is nothing to review.")
    number = 0

    def also(conn: sqlite3.Connection, rev: int) -> None:
        nonlocal number
        cursor = conn.execute(
            "INSERT INTO review_sample (at, stage, seed, size, blind, documents, actor) VALUES (?,?,?,?,?,?,?)",
            (ask.at, state.stage, seed, len(ids), bool(fields.get("blind")), log.json_body(list(ids)), ask.actor.name),
        )
        number = int(cursor.lastrowid or 0)

    sentence = f"{ask.actor.name} drew {len(ids)} LLM documents for review (seed {seed})"
    outcome = await engine.commit(
        ask, lambda now: note(now, ask, "sample", sentence, {"seed": seed, "size": len(ids)}), also
    )
    return told(outcome, sample=number, documents=list(ids), seed=seed)


async def judge(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """One reviewer's judgement of one document of a sample."""
    row = engine.conn.execute("SELECT documents FROM review_sample WHERE id = ?", (fields.get("sample"),)).fetchone()
    document = clean_line(str(fields.get("document") or ""), 512)
    if row is None or document not in msgspec.json.decode(row[0]):
        return Reply(False, "That document is not in that sample. Draw one first.")
    marks = {name: bool(fields.get(name)) for name in ("relevant", "grounded", "count", "better")}
    body = log.json_body({**marks, "good": bool(fields.get("good", all(marks.values())))})
    number, who, at = int(fields["sample"]), ask.actor.name, ask.at

    def job(conn: sqlite3.Connection) -> None:
        conn.execute("BEGIN IMMEDIATE")
        conn.execute("INSERT OR REPLACE INTO review VALUES (?,?,?,?,?)", (number, document, who, at, body))
        conn.execute("COMMIT")

    await asyncio.wrap_future(engine.writer.control(job))
    return Reply(True, f"{document}: {'good' if fields.get('good') else 'not good'}.")


async def measure(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Measure search quality and the A/B verdict now, as evidence for the gate. Runs beside the loop, on its own connection."""

    def work() -> tuple[Any, dict[str, Any]]:
        conn = database.open_reader(engine.folder)
        try:
            return trial.search_measure(conn), trial.results(conn, engine.plan, ask.at)
        finally:
            conn.close()

    quality, found = await asyncio.to_thread(work)
    change = trial.improvement(quality)
    word = found["report"]["verdict"]["word"]
    at = ask.at

    def also(conn: sqlite3.Connection, rev: int) -> None:
        if change is not None:
            conn.execute("INSERT INTO measure VALUES (?,?,?)", (at, "search_improvement", log.json_body(change)))
        conn.execute("INSERT INTO measure VALUES (?,?,?)", (at, "search_quality", log.json_body(quality)))
        conn.execute("INSERT INTO measure VALUES (?,?,?)", (at, "ab_report", log.json_body(found["report"])))
        if word in ("ship", "worse", "no difference"):
            conn.execute(
                "INSERT INTO measure VALUES (?,?,?)", (at, "ab_verdict", log.json_body(Ok(float(word == "ship"), 1)))
            )

    sentence = f"measured for {ask.actor.name}: {quality.sentence} A/B: {found['verdict']}"
    outcome = await engine.commit(ask, lambda now: note(now, ask, "measure", sentence), also)
    return told(outcome, search=msgspec.to_builtins(quality), verdict=found["verdict"])
