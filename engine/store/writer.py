"""The one writer: a thread that owns both writing connections.

Control jobs come first and are flushed to disk immediately. A document that comes alone is flushed at once. Under
load a batch waits until it has as many extractions as the last one, or for 20 ms; what comes during a flush goes
together into the next, so a slow disk makes larger batches. An extraction is acknowledged when its batch is on the
disk: a power cut takes none. Figures alone are not flushed. When the store fails (locked, full), the batch waits and
is retried, `problem` gives the reason, and a rollback on a full disk uses the ballast's space. A rollback does not wait
for what is being written: that is taken back and written after it.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

from engine.clock import switch_threads_at_once, switch_threads_soon
from engine.measures.record import Extraction
from engine.store import database, documents
from engine.store.documents import DocumentWrite
from engine.store.files import Replaced
from engine.store.folder import Folder
from engine.store.log import Fenced, begin
from engine.store.opened import OpenedStore
from engine.store.rollup import insert_and_fold
from engine.store.side_jobs import run_aside
from engine.store.write_health import WriteHealth
from engine.store.write_trouble import refusal

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], Any]
Item = tuple[Extraction, DocumentWrite | None]
Waiting = tuple[Sequence[Item], Future[None]]  # written and acknowledged together

LEAST_S = 0.004  # from one batch of extractions to the next: bulk work comes in between, and flushes stay below 250/s
GATHER_S = 0.02  # at most, to gather as many extractions as the last batch had
ASIDE_S = 0.05  # from a batch to one of side jobs alone
BATCH_MAX = 200
SLICE = 50  # documents of a batch that are written before the writer looks whether a rollback waits
PENDING_MAX = 20_000
RETRY_S = 0.1
BULK_MAX = 16  # batches of workers that wait; more are refused until some are written
FAULTS_MAX = 20
JOBS_MAX = 20_000  # while the store refuses writes; then the oldest are dropped


class _Bulk:
    """A worker's batch: what is written in pieces, what ends each transaction, and what became of the pieces that are
    committed."""

    def __init__(self, changes: Sequence[Job], end: Callable[[sqlite3.Connection, list[Any]], object]) -> None:
        self.left = deque(changes)
        self.end = end
        self.results: list[Any] = []
        self.future: Future[list[Any]] = Future()


class _GivesWay(Exception):
    """A rollback waits: the transaction under way is taken back, and done again after it."""


class Writer:
    """`token` is this engine's fencing token; every transaction checks it. `counted` receives each batch in its
    transaction."""

    def __init__(self, folder: Folder, token: int, counted: Callable[..., None] = lambda conn, records: None) -> None:
        self._folder = folder
        self._token = token
        self._counted = counted
        self._control: deque[tuple[Job, Future[Any], bool]] = deque()
        self._records: deque[Waiting] = deque()
        self._pending = 0  # extractions in `_records`
        self._bulk: deque[_Bulk] = deque()
        self._jobs: deque[Job] = deque(maxlen=JOBS_MAX)
        self._wake = threading.Condition()
        self._stopping = False
        self._given_up = False  # the store refused writes while the writer was to stop
        self._ended = -math.inf  # when the last batch did, monotonic seconds
        self._last = 0  # extractions in it
        self._again_at = 0.0  # when a batch that was refused is due, and a control job, monotonic seconds
        self._retry_at = 0.0
        self._health = WriteHealth()
        self.fenced = False
        self.faults: deque[Exception] = deque(maxlen=FAULTS_MAX)  # internal ones of batches, for the loop to log
        self.opened = OpenedStore(token)
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def start(self) -> None:
        """sqlite3.Error when the database cannot be opened."""
        self._durable = database.open_writer(self._folder, "FULL")
        self._fast = database.open_writer(self._folder, "NORMAL")
        for conn in (self._durable, self._fast):
            conn.execute("SELECT 1 FROM control").fetchone()  # opens the log too
        self.opened.open(self._folder)
        self._thread.start()

    def stop(self, timeout_s: float = 10.0) -> None:
        """Write what is queued, then end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout_s)

    @property
    def problem(self) -> str:
        """Why the store cannot take writes now, or ""."""
        return self._health.problem

    @property
    def slow(self) -> str:
        """That writes take so long that documents are refused, for the screen; "" while they do not."""
        return self._health.slow

    @property
    def refusing(self) -> str:
        """Why a document given to the writer now would wait indefinitely, or ""."""
        return self._health.refusing

    @property
    def pending(self) -> int:
        return self._pending

    def waiting(self) -> Future[None] | None:
        """A future that is done when every extraction given to the writer so far is committed or refused; None if
        none is waiting."""
        with self._wake:
            return self._records[-1][1] if self._records else None

    def control(self, job: Callable[[sqlite3.Connection], T], insist: bool = False) -> Future[T]:
        """Run `job(conn)` before anything else, on the durable connection; it begins and commits its own transaction.
        A transaction it leaves open is rolled back.

        With `insist` (a rollback), retry on a locked or full store until it succeeds, using the ballast's space if
        needed.
        """
        future: Future[T] = Future()
        with self._wake:
            self._control.append((job, future, insist))
            switch_threads_at_once()  # already now: the job may have to wait for the end of a batch
            self._wake.notify()
        return future

    def write(self, change: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run `change(conn)` in its own durable transaction: all of it or, when it raises, nothing."""

        return self.control(lambda conn: self._whole(conn, change))

    def _whole(self, conn: sqlite3.Connection, change: Callable[[sqlite3.Connection], T]) -> T:
        begin(conn, self._token)
        result = change(conn)
        conn.execute("COMMIT")
        return result

    def append(self, record: Extraction, document: DocumentWrite | None = None) -> Future[None]:
        """Store one extraction; the future is done when it is committed."""
        return self.append_all([(record, document)])

    def append_all(self, items: Sequence[Item]) -> Future[None]:
        """Store extractions in one transaction; the future is done when it is committed."""
        future: Future[None] = Future()
        with self._wake:
            if self._pending >= PENDING_MAX:
                future.set_exception(
                    OSError(f"the store is not taking writes ({self.problem or 'overloaded'}); try again")
                )
                return future
            self._records.append((items, future))
            self._pending += len(items)
            if len(self._records) == 1 or self._pending - len(items) < self._enough <= self._pending:
                self._wake.notify()
        return future

    def bulk(
        self,
        *changes: Callable[[sqlite3.Connection], T],
        end: Callable[[sqlite3.Connection, list[T]], object] = lambda conn, results: None,
    ) -> Future[list[T]]:
        """Run each `change(conn)`, in order, after control jobs and due extractions: a worker's batch in pieces. They
        share a transaction; it ends early when a decision or a document waits, and the rest follows after that. A
        rollback takes back the pieces that are not committed, and they run again. `end` gets the results of a
        transaction's changes before its commit. Not retried; OSError when too many wait already. A failure takes back
        the pieces that are not committed."""
        bulk = _Bulk(changes, end)
        with self._wake:
            if len(self._bulk) >= BULK_MAX:
                bulk.future.set_exception(OSError(f"the store is not keeping up ({len(self._bulk)} batches wait)"))
                return bulk.future
            self._bulk.append(bulk)
            self._wake.notify()
        return bulk.future

    def later(self, job: Job) -> None:
        """Run `job(conn)` inside the next batch's transaction: the live view, evidence, presence."""
        with self._wake:
            self._jobs.append(job)
            self._wake.notify()

    # -- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while self._wait():
            self.step()
        self._close()

    def _wait(self) -> bool:
        """Block until something is due; False when the writer is to stop and nothing writable is left."""
        with self._wake:
            while (left := self.due_in()) != 0.0:
                if left is None and self._stopping:
                    return False
                self._wake.wait(left)
        return True

    def due_in(self) -> float | None:
        """Seconds until `step` has something to do; None while the queues are empty."""
        now = time.monotonic()
        if self._control:
            return max(0.0, self._retry_at - now)
        if self._bulk:
            return 0.0
        if not (self._records or self._jobs) or self._given_up:
            return None
        return max(0.0, self._batch_at - now)

    @property
    def _batch_at(self) -> float:
        """When the next batch is due."""
        if self._stopping:
            return 0.0
        gathered_s = LEAST_S if self._pending >= self._enough else GATHER_S
        return max(self._ended + (gathered_s if self._records else ASIDE_S), self._again_at)

    @property
    def _is_due(self) -> bool:
        return time.monotonic() >= self._batch_at

    @property
    def _enough(self) -> int:
        """With as many extractions the next batch need not wait for more."""
        return min(self._last, BATCH_MAX)

    def step(self) -> None:
        """Do what is due: one control job, else one batch."""
        with self._wake:
            job = self._control.popleft() if self._control else None
            waits = bool(self._records or self._jobs) and self._is_due and not self._given_up
            bulk = self._bulk.popleft() if job is None and self._bulk and not waits else None
        self._health.begin()
        if job is not None:
            switch_threads_at_once()
            self._run_control(self._durable, *job)
            switch_threads_soon()
        elif bulk is not None:
            self._run_bulk(self._durable, bulk)
        else:
            ok = self._run_batch()
            self._ended = time.monotonic()
            self._again_at = 0.0 if ok else self._ended + RETRY_S
            self._given_up = not ok and self._stopping
        self._health.end()

    def _give_way(self) -> None:
        with self._wake:
            if any(insist for _, _, insist in self._control):
                raise _GivesWay

    def _run_bulk(self, conn: sqlite3.Connection, bulk: _Bulk) -> None:
        before = bulk.left.copy()

        def pieces(conn: sqlite3.Connection) -> list[Any]:
            results = []
            while bulk.left:
                results.append(bulk.left.popleft()(conn))
                self._give_way()
                if self._control or (self._records and self._is_due):
                    break
            bulk.end(conn, results)
            return results

        try:
            bulk.results += self.opened.run(conn, lambda conn: self._whole(conn, pieces))
        except _GivesWay:
            bulk.left = before
            self._go_on_later(bulk)
        except Fenced as error:
            self.fenced, self._health.why = True, str(error)
            _fail(bulk.future, OSError(str(error)))
        except (sqlite3.OperationalError, Replaced) as error:
            _fail(bulk.future, OSError(refusal(error, self._folder.path)))
        except BaseException as error:
            _fail(bulk.future, error)
        else:
            if bulk.left:
                self._go_on_later(bulk)
            else:
                _done(bulk.future, bulk.results)

    def _go_on_later(self, bulk: _Bulk) -> None:
        with self._wake:
            self._bulk.appendleft(bulk)

    def _close(self) -> None:
        for conn in (self._fast, self._durable):
            conn.close()

    def _run_control(self, conn: sqlite3.Connection, job: Job, future: Future[Any], insist: bool) -> None:
        try:
            result = self.opened.run(conn, job)
        except sqlite3.OperationalError as error:
            self._health.why = f"a decision waits: {refusal(error, self._folder.path)}"
            has_room = insist and not database.is_locked(error) and self._folder.drop_ballast()
            if has_room or (insist and not self._stopping):
                with self._wake:  # before everything else, immediately or after a pause
                    self._control.appendleft((job, future, insist))
                    self._retry_at = 0.0 if has_room else time.monotonic() + RETRY_S
            else:
                _fail(future, error)
        except Fenced as error:
            self.fenced = True
            self._health.why = str(error)
            _fail(future, error)
        except Replaced as error:
            self._health.why = f"not recorded: {error}; `rollout stop`, repair the store, then start it"
            _fail(future, OSError(str(error)))
        except BaseException as error:
            _fail(future, error)
        else:
            self._health.why = ""
            _done(future, result)

    def _run_batch(self) -> bool:
        with self._wake:
            batch = self._take()
            jobs = list(self._jobs)
            self._jobs.clear()
        conn = self._durable if batch else self._fast  # what is acknowledged is on the disk
        try:
            trouble = self.opened.run(conn, lambda conn: self._write_batch(conn, batch, jobs))
        except Replaced as error:
            self._health.why = f"not recorded: {error}; `rollout stop`, repair the store, then start it"
            for _, future in batch:
                _fail(future, OSError(str(error)))
            return False
        except Fenced as error:
            self.fenced, self._health.why = True, str(error)
            for _, future in batch:
                _fail(future, error)
            return False
        except _GivesWay:
            self._put_back(batch, jobs)
            return True
        except sqlite3.OperationalError as error:
            self._health.refused_batch(refusal(error, self._folder.path))
            self._put_back(batch, jobs)
            return False
        except Exception as error:
            damage = database.damaged(self._folder, error) if isinstance(error, sqlite3.Error) else ""
            self._health.ended_batch(damage or f"a batch could not be written: {error}")
            self.faults.append(error)
            for _, future in batch:
                _fail(future, OSError(damage.rstrip(".")) if damage else error)
            return True
        self._health.ended_batch(
            f"something beside the documents could not be written: {trouble[0]}" if trouble else ""
        )
        self.faults.extend(trouble)
        for _, future in batch:
            _done(future, None)
        return True

    def _put_back(self, batch: list[Waiting], jobs: list[Job]) -> None:
        with self._wake:
            self._records.extendleft(reversed(batch))
            self._pending += sum(len(items) for items, _ in batch)
            self._jobs.extendleft(reversed(jobs))

    def _take(self) -> list[Waiting]:
        """Take the next transaction's documents, about BATCH_MAX extractions. The caller holds the lock."""
        batch: list[Waiting] = []
        size = 0
        while self._records and size < BATCH_MAX:
            batch.append(self._records.popleft())
            size += len(batch[-1][0])
        self._pending -= size
        self._last = size or self._last
        return batch

    def _write_batch(self, conn: sqlite3.Connection, batch: list[Waiting], jobs: list[Job]) -> list[Exception]:
        """Write a batch; return what went wrong apart from the documents."""
        begin(conn, self._token)
        counting: list[Job] = []
        if batch:
            records = [record for items, _ in batch for record, _ in items]
            insert_and_fold(conn, records)
            written = [document for items, _ in batch for _, document in items if document is not None]
            for first in range(0, len(written), SLICE):
                self._give_way()
                documents.write(conn, written[first : first + SLICE])
            counting = [lambda conn: self._counted(conn, records)]
        trouble = []
        for job in (*counting, *jobs):
            self._give_way()
            if error := run_aside(conn, job):
                trouble.append(error)
        self._give_way()
        conn.execute("COMMIT")
        return trouble


# the waiting caller may be gone (a cancelled request, an engine that ends); the writer continues


def _done(future: Future[Any], result: Any) -> None:
    with contextlib.suppress(InvalidStateError):
        future.set_result(result)


def _fail(future: Future[Any], error: BaseException) -> None:
    with contextlib.suppress(InvalidStateError):
        future.set_exception(error)
