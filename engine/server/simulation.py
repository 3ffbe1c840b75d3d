"""What an engine in a rehearsal or a game day runs beside itself: a simulated LLM service, its documents and users, and
the game day's director."""

from __future__ import annotations

import asyncio
import shlex
from typing import TYPE_CHECKING, Any

from engine.clock import LapseClock
from engine.rollout.state import Actor
from engine.routing.reading import AskedDocument
from engine.store.folder import Folder, StoreError
from engine.store.reader import Reader

if TYPE_CHECKING:
    from engine.gameday.director import Director
    from engine.rehearsal.environment import World
    from engine.service.engine import Engine


class Simulation:
    """The world, and the director of a game day (`scenario`). Start it before the engine; attach the engine later."""

    def __init__(self, folder: Folder, clock: LapseClock, scenario: str) -> None:
        from engine.gameday import journal
        from engine.rehearsal.environment import SEED, World

        # an engine after a killed one meets new documents, not those that its cache holds
        seed = SEED + (len(journal.read(folder.path.parent)) if scenario else 0)
        self.world = World(clock, seed, hidden=bool(scenario))
        self.director = _director(scenario, folder, clock, self.world) if scenario else None
        self._playing: asyncio.Task[None] | None = None

    def attach(self, engine: Engine) -> None:
        """Send it documents and users, and begin the game day."""
        _populate(self.world, engine)
        if self.director is not None:
            self._playing = asyncio.create_task(self.director.run(_Stage(engine)))

    async def stop(self) -> None:
        if self._playing is not None:
            self._playing.cancel()
        await self.world.stop()


def refuse_a_rehearsals(folder: Folder) -> None:
    exercise = _exercise(folder)
    if exercise == "GAME DAY":
        raise StoreError(
            f"{folder.path} is the store of a game day, which ends with its console. `rollout gameday` plays another."
        )
    if exercise:
        raise StoreError(
            f"{folder.path} is the store of a rehearsal, with its own calendar and a simulated LLM. "
            f"`rollout rehearse --keep {shlex.quote(str(folder.path.absolute().parent))}` continues it."
        )


def _exercise(folder: Folder) -> str:
    """What the last engine on this store was, if not a real one."""
    reader = Reader(folder)
    try:
        view = reader.engine_record().view
    except StoreError:  # none yet, or of another version
        return ""
    finally:
        reader.close()
    return view.exercise if view is not None else ""


def _director(scenario: str, folder: Folder, clock: LapseClock, world: World) -> Director:
    """A game day's director. In an engine that follows a killed one, the calendar continues where it would be by
    now."""
    from engine.gameday.director import Director
    from engine.gameday.scenario import load

    director = Director(load(scenario), folder.path.parent, clock, clock.speed, world.switch)
    director.resume()
    return director


class _Stage:
    """The engine, as a game day's director uses it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def stage(self) -> int:
        return self._engine.state.stage

    @property
    def epoch(self) -> int:
        return self._engine.state.epoch

    @property
    def percent_bp(self) -> int:
        return self._engine.state.percent_bp

    async def request(self, kind: str, fields: dict[str, Any], actor: Actor) -> bool:
        from engine.server.commands import carry_out

        return (await carry_out(self._engine, kind, fields, actor)).ok

    def llm_document(self) -> str:
        """A document that serves LLM keywords; "" if none does."""
        from engine.store import documents

        latest = documents.recent(self._engine.conn, "llm", 1)
        return latest[0].id if latest else ""


def _populate(world: World, engine: Engine) -> None:
    """Connect a rehearsal's documents and users to its engine."""
    from engine.server.commands import carry_out
    from engine.store import documents

    def served_by_llm(document_id: str) -> bool:
        document = documents.get(engine.conn, document_id)
        return document is not None and document.method == "llm"

    async def feedback(fields: dict[str, Any], actor: Actor) -> None:
        await carry_out(engine, "feedback", fields, actor)

    async def extract(document_id: str, text: str, title: str) -> None:
        await engine.extract(AskedDocument(document_id, text, title))

    world.attach(extract, feedback, served_by_llm, visit=f"visit-{engine.token}")
