"""Reads for consoles and commands, without the engine's help: the live view, the log, documents, series."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from engine.decoding import json_decoder
from engine.measures.record import SeenArm
from engine.rollout.state import State
from engine.store import database, documents, live, log
from engine.store.documents import Document, DocumentOrder
from engine.store.folder import Folder, StoreError
from engine.store.search import did_you_mean, search
from engine.view.model import DecisionView, View

T = TypeVar("T")
_view = json_decoder(View)


class EngineRecord(Struct, frozen=True):
    """The last view the engine wrote, and its last heartbeat (epoch seconds by the machine's clock, real time)."""

    view: View | None
    heartbeat: float
    token: int
    pid: int
    state: State


class Reader:
    """Read-only; reopens automatically when the store was replaced or was unavailable. Every method raises only
    StoreError.

    Thread-safe; runs one query at a time.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._conn: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._lock = threading.Lock()

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = os.stat(self.folder.database)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def close(self) -> None:
        with self._lock:
            if self._conn is not None:
                self._conn.close()
                self._conn = None

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Run `query(conn)`. It must exhaust its cursors: an open one keeps the write-ahead log from shrinking."""
        with self._lock:
            try:
                identity = self._identity()
                if (
                    self._conn is not None and identity != self._opened
                ):  # moved away or replaced: the old file would still answer
                    self._conn.close()
                    self._conn = None
                if self._conn is None:
                    self._conn = database.open_reader(self.folder)
                    self._opened = identity
                return query(self._conn)
            except msgspec.MsgspecError as error:
                raise StoreError(
                    f"The rollout state in {self.folder.database} cannot be read ({error}): it was changed, or "
                    "console and engine differ in version. `rollout log --verify` shows which; a rollback still "
                    "works."
                ) from None
            except sqlite3.Error as error:
                other = _of_another_version(self.folder, self._conn, error)
                if self._conn is not None:
                    self._conn.close()
                    self._conn = None
                raise StoreError(
                    other
                    or database.damaged(self.folder, error)
                    or f"The store {self.folder.database} cannot be read now: {error}."
                ) from None

    def engine_record(self) -> EngineRecord:
        """The live view and the control row: two prepared reads and one decode."""

        def query(conn: sqlite3.Connection) -> EngineRecord:
            written = live.body(conn)
            lease = conn.execute("SELECT heartbeat, token, pid FROM lease WHERE id = 1").fetchone() or (0.0, 0, 0)
            view = None
            if written is not None:
                try:
                    view = _view.decode(written)
                except msgspec.MsgspecError as error:
                    raise StoreError(
                        f"The engine's view has an unknown format ({error}): console and engine differ in "
                        "version. Run `rollout stop`, then `rollout`."
                    ) from None
            return EngineRecord(view, lease[0], lease[1], lease[2], log.read_state(conn))

        return self.read(query)

    def state(self) -> State:
        return self.read(log.read_state)

    def log(self, limit: int = 100, before: int | None = None, text: str = "", kind: str = "") -> list[DecisionView]:
        """Decisions, newest first; `text` filters over sentence, actor and reason, case-insensitively."""

        def query(conn: sqlite3.Connection) -> list[DecisionView]:
            views: list[DecisionView] = []
            at = before
            while len(views) < limit:
                page = log.rows(conn, before=at, limit=200)
                if not page:
                    break
                at = page[-1].rev
                for row in page:
                    shown = decision_view(row)
                    if kind and shown.kind != kind:
                        continue
                    if (
                        text
                        and text.lower() not in f"{shown.sentence} {shown.actor} {shown.reason} {shown.kind}".lower()
                    ):
                        continue
                    views.append(shown)
            return views[:limit]

        return self.read(query)

    def evidence(self, rev: int) -> dict[str, Any]:
        """What a decision acted on; {} when it has none."""

        def query(conn: sqlite3.Connection) -> dict[str, Any]:
            rows = log.rows(conn, after=rev - 1, before=rev + 1, limit=1)
            return dict(rows[0].decision.evidence) if rows else {}

        return self.read(query)

    def curves(
        self, metrics: Sequence[str], window_s: float, points: int, end: float, arm: SeenArm = "treatment"
    ) -> dict[str, list[float | None]]:
        """`points` values of each metric over the last `window_s`, oldest first; None without data. One read
        for all."""
        from engine.store.series import series_of

        series = self.read(lambda conn: series_of(conn, metrics, end - window_s, end, points, arm))
        return {metric: [value for _, value in curve] for metric, curve in series.items()}

    def documents(
        self, text: str = "", limit: int = 50, method: str | None = None, order: DocumentOrder = ""
    ) -> list[Document]:
        def query(conn: sqlite3.Connection) -> list[Document]:
            if text.strip():
                return search(conn, text, limit, order, method)
            return documents.recent(conn, method, limit, order=order)

        return self.read(query)

    def did_you_mean(self, text: str) -> str:
        """The query with misspelt words corrected; "" if nothing changes."""
        return self.read(lambda conn: did_you_mean(conn, text))

    def document(self, document_id: str) -> Document | None:
        return self.read(lambda conn: documents.get(conn, document_id))


def decision_view(row: log.Row) -> DecisionView:
    d = row.decision
    return DecisionView(
        rev=row.rev,
        at=d.at,
        kind=d.kind,
        actor=d.actor.name,
        where=d.actor.where,
        reason=d.reason,
        stage=d.stage,
        percent_from=row.percent_from,
        percent_to=d.percent_bp,
        epoch=row.epoch,
        sentence=d.sentence,
    )


def _of_another_version(folder: Folder, conn: sqlite3.Connection | None, error: sqlite3.Error) -> str:
    """The sentence for a table or column that a store of another version does not have; "" for any other error."""
    if conn is None or getattr(error, "sqlite_errorcode", 0) != sqlite3.SQLITE_ERROR:
        return ""
    from engine.store import migrations  # slow to import

    try:
        return migrations.of_another_version(conn, folder.is_locked())
    except (sqlite3.Error, OSError):
        return ""
