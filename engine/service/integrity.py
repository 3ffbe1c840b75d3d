"""Looks into the database after something outside the engine touched its file and left no other trace."""

from __future__ import annotations

import asyncio
import sqlite3

from engine.service.engine import Engine
from engine.store import database
from engine.store.folder import StoreError
from engine.store.verification import verify


class Integrity:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._looking = False

    def check(self) -> None:
        """Once a tick: look in the background if the file was touched."""
        files = self._engine.writer.opened.files
        if files.touched and not self._looking:
            files.touched, self._looking = False, True
            self._engine.background(self._look())

    async def _look(self) -> None:
        engine = self._engine
        try:
            why = await asyncio.to_thread(_damage, engine)
        finally:
            self._looking = False
        what = f"the database {engine.folder.database} was modified by another program"
        if why:
            engine.writer.opened.files.overwritten = f"{what} and is damaged ({why})"
        else:
            engine.event(
                f"{what[0].upper()}{what[1:]} without changing its size or modification time: a backup program "
                "does that, and so does someone who hides a write. The pages are well formed and the log verifies; the "
                "contents of documents are not checked."
            )


def _damage(engine: Engine) -> str:
    """Reads every page; "" when all are well formed and the log verifies."""
    try:
        conn = database.open_reader(engine.folder)
    except StoreError as error:
        return str(error)
    try:
        (problem,) = conn.execute("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            return " ".join(str(problem).split())
        checked = verify(conn)
        return "" if checked.chain else checked.sentence
    except sqlite3.DatabaseError as error:
        return "" if database.is_locked(error) else str(error)
    finally:
        conn.close()
