"""Evidence of quality: samples drawn for review, judgements, measurements."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Annotated, Any

import msgspec

from engine.client.client import Reply
from engine.decoding import convert
from engine.quality import review
from engine.quality.review import Better, Flaw, Side
from engine.rollout.state import Ask, stage_of
from engine.service.engine import Engine
from engine.service.replies import to_reply
from engine.text import clean_line, rate_percent
from engine.triggers import attempts


class _Draw(msgspec.Struct):
    size: int = 0
    seed: int | None = None
    blind: bool = False


class _Backtest(msgspec.Struct):
    rules: Annotated[str, msgspec.Meta(min_length=1)]
    documents: Annotated[int, msgspec.Meta(ge=1)]
    days: float
    fired: dict[str, int] = {}


class _Judge(msgspec.Struct):
    sample: int
    document: str
    better: Better
    flaws: dict[Side, tuple[Flaw, ...]] = {}


async def draw_sample(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Draw documents for a quality review: seeded and stored, so that the draw can be repeated."""
    try:
        asked = convert(fields, _Draw)
    except msgspec.ValidationError as error:
        return Reply(False, f"Not drawn: {error}. A sample has a size, a seed (numbers) and blind (true or false).")
    state = engine.state
    stage = stage_of(engine.plan, state)
    size = asked.size or (stage.sampling.documents if stage and stage.sampling else 20)
    seed = state.rev if asked.seed is None else asked.seed
    shown = review.draw_sample(engine.conn, size, seed)
    if not shown:
        return Reply(False, "No document serves LLM keywords yet, so there is nothing to review.")
    number = 0

    def keep(conn: sqlite3.Connection) -> None:
        nonlocal number
        number = review.keep_sample(conn, ask.at, state.stage, seed, asked.blind, ask.actor.name, shown)

    how = ", blind" if asked.blind else ""
    sentence = f"{ask.actor.name} drew {len(shown)} LLM documents for review (seed {seed}{how})"
    evidence = {"seed": seed, "size": len(shown), "blind": asked.blind, "documents": [one.document for one in shown]}
    outcome = await engine.note(ask, "sample", sentence, evidence, keep)
    return to_reply(outcome, sample=number, documents=evidence["documents"], seed=seed)


async def judge(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """One reviewer's judgement of one document of a sample, by sides; sides are mapped back to methods here."""
    try:
        asked = convert(fields, _Judge)
    except msgspec.ValidationError as error:
        return Reply(False, f"Not judged: {error}. A judgement has sample, document, better and flaws.")
    sample = review.read_sample(engine.conn, asked.sample)
    shown = next((one for one in sample.documents if one.document == asked.document), None) if sample else None
    if sample is None or shown is None:
        return Reply(False, "That document is not in that sample. Draw one first.")
    marks = review.marks(shown, asked.better, asked.flaws)

    def change(conn: sqlite3.Connection) -> None:
        review.keep_judgement(conn, asked.sample, asked.document, ask.actor.name, ask.at, marks)

    await asyncio.wrap_future(engine.writer.write(change))
    result = "judged" if sample.blind else "good" if marks.good else f"not good: {', '.join(marks.why_not)}"
    return Reply(True, f"{clean_line(shown.title or shown.document, 60)}: {result}.", {"sample": asked.sample})


async def measure(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Measure search quality as evidence for the gate. It runs in the background; the log gets the result."""
    if engine.measuring is not None:
        return Reply(True, f"Search quality is being measured: {rate_percent(engine.measuring, 0)} done.")
    engine.search_asked = ask
    return Reply(True, "Measuring search quality on the latest documents; the result will appear on this screen.")


async def backtest(engine: Engine, fields: dict[str, Any], ask: Ask) -> Reply:
    """Keep the result of a backtest run by a command: the gate requires one when triggers have changed."""
    made = convert(fields, _Backtest)
    digest, days = clean_line(made.rules, 12), made.days
    fired = {clean_line(name, 60): count for name, count in made.fired.items()}
    would = ", ".join(f"{name} {count}x" for name, count in fired.items()) or "nothing"
    sentence = (
        f"{ask.actor.name} replayed {made.documents} LLM documents of {days:g} days through the rules {digest}: "
        f"{would} would have fired"
    )

    def keep(conn: sqlite3.Connection) -> None:
        attempts.replayed(conn, ask.at, digest, {"documents": made.documents, "days": days, "fired": fired})

    return to_reply(await engine.note(ask, "backtest", sentence, {"fired": fired}, keep))
