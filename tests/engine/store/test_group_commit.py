"""When the writer flushes: at once for a document that comes alone, many together under load, by the disk's own pace.

The writer's own steps on a real store, with a clock that the test moves: a flush takes as long as the disk drawn.
"""

from __future__ import annotations

import heapq
import random
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.measures.record import Extraction
from engine.store import database, gateways, lease
from engine.store import writer as module
from engine.store.folder import Folder
from engine.store.writer import ASIDE_S, BATCH_MAX, GATHER_S, LEAST_S, RETRY_S, Writer

SOON_S = 0.0001


class NoThread:
    def start(self) -> None: ...


class Pace:
    """A writer whose steps the test takes. `disk_s` is what a flush takes; `flushes` are (when it began, documents)."""

    def __init__(self, folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.disk_s = 0.002
        self.flushes: list[tuple[float, int]] = []
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.writer = Writer(folder, 1, lambda conn, records: self._flushed(len(records)))
        self.writer._thread = NoThread()  # type: ignore[assignment]
        self.writer.start()

    def at(self, moment: float, event: Callable[[], None]) -> None:
        """Happens then, also while a flush is under way."""
        heapq.heappush(self._events, (moment, len(self._events), event))

    def _flushed(self, size: int) -> None:
        self.flushes.append((self.now, size))
        self._pass(self.now + self.disk_s)

    def _pass(self, moment: float) -> None:
        while self._events and self._events[0][0] <= moment:
            at, _, event = heapq.heappop(self._events)
            self.now = max(self.now, at)
            event()
        self.now = max(self.now, moment)

    def give(self, count: int = 1) -> list[Future[None]]:
        return [self.writer.append(Extraction(1e9, "d", "control", "frequency", 2, 5)) for _ in range(count)]

    def until(self, moment: float) -> None:
        """Everything that happens before then."""
        while self.now < moment:
            left = self.writer.due_in()
            due = self.now + left if left is not None else moment
            event = self._events[0][0] if self._events else moment
            if due <= min(event, moment):
                self.now = due
                self.writer.step()
            else:
                self._pass(min(event, moment))


@cache
def _made() -> bytes:
    """A store's database: making one takes 20 ms, and the property below asks for a hundred."""
    with TemporaryDirectory() as above:
        folder = Folder(Path(above) / "store")
        database.create(folder)
        conn = database.open_writer(folder, "FULL")
        lease.take(conn, 1, 0.0, 0.0)
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        conn.close()
        return folder.database.read_bytes()


@contextmanager
def paced(path: Path) -> Iterator[Pace]:
    folder = Folder(path)
    folder.prepare()
    folder.database.write_bytes(_made())
    with pytest.MonkeyPatch.context() as patched:
        pace = Pace(folder, patched)
        yield pace
        pace.writer._close()


@pytest.fixture
def pace(tmp_path: Path) -> Iterator[Pace]:
    with paced(tmp_path / "store") as pace:
        yield pace


def closed_loop(pace: Pace, clients: int, each_s: float, seconds: float = 1.0) -> float:
    """Clients that send their next document when the last is answered; the engine takes `each_s` for one, one at a
    time. Documents a second."""
    free_at = pace.now
    answered = 0

    def send() -> None:
        nonlocal free_at
        free_at = max(free_at, pace.now) + each_s
        pace.at(free_at, lambda: pace.give()[0].add_done_callback(again))

    def again(_: Future[None]) -> None:
        nonlocal answered
        answered += 1
        send()

    for _ in range(clients):
        send()
    pace.until(pace.now + seconds)
    return answered / seconds


def test_a_document_that_comes_alone_is_flushed_at_once(pace: Pace) -> None:
    for _ in range(5):
        pace.now += LEAST_S + pace.disk_s
        (stored,) = pace.give()
        assert pace.writer.due_in() == 0.0
        pace.writer.step()
        assert stored.result(0) is None


def test_under_load_batches_grow_and_the_engine_does_not_wait_for_them(pace: Pace) -> None:
    rate = closed_loop(pace, clients=8, each_s=0.002)
    assert rate >= 0.9 / 0.002
    assert rate / len(pace.flushes) >= 2.5


def test_a_slow_disk_gathers_by_its_own_slowness(pace: Pace) -> None:
    pace.disk_s = 0.02
    rate = closed_loop(pace, clients=16, each_s=0.001)
    assert rate >= 0.6 * 16 / (pace.disk_s + LEAST_S)
    assert rate / len(pace.flushes) >= 10


def test_bulk_work_gets_its_turn_while_documents_keep_coming(pace: Pace) -> None:
    pace.disk_s = 0.02
    for _ in range(20):
        pace.give(BATCH_MAX + 50)
        done = pace.writer.bulk(lambda conn: True)
        pace.until(pace.now + 2 * (pace.disk_s + LEAST_S))
        assert done.result(0) == [True]


def test_a_document_and_a_decision_wait_for_a_piece_of_a_worker_s_batch_and_not_for_all_of_it(pace: Pace) -> None:
    piece_s, events = 0.005, []

    def piece(conn: sqlite3.Connection, number: int) -> int:
        gateways.keep(conn, "a worker", number, 0.0, (), ())
        events.append(str(number))
        pace.now += piece_s
        if number == 1:
            pace.give()[0].add_done_callback(lambda _: events.append("document"))
        if number == 4:
            pace.writer.control(lambda conn: events.append("decision"))
        return number

    def counted(conn: sqlite3.Connection) -> int:
        return int(conn.execute("SELECT count(*) FROM gateway_batch").fetchone()[0])

    pace.until(pace.now + 1.0)
    batch = pace.writer.bulk(*[partial(piece, number=number) for number in range(8)])
    other = pace.writer.bulk(counted)
    pace.until(pace.now + 1.0)
    assert events == ["0", "1", "document", "2", "3", "4", "decision", "5", "6", "7"]
    assert batch.result(0) == list(range(8))
    assert other.result(0) == [8], "batches keep their order"


def test_a_rollback_takes_back_the_pieces_that_are_not_committed_and_they_are_written_after_it(pace: Pace) -> None:
    events: list[str] = []

    def piece(conn: sqlite3.Connection, number: int) -> int:
        gateways.keep(conn, "a worker", number, 0.0, (), ())
        events.append(str(number))
        if events == ["0", "1"]:
            pace.give()
            pace.now += LEAST_S
        if events == ["0", "1", "2", "3"]:
            pace.writer.control(lambda conn: events.append(f"rollback, {stored(conn)} stored"), insist=True)
        return number

    def stored(conn: sqlite3.Connection) -> int:
        return int(conn.execute("SELECT count(*) FROM gateway_batch").fetchone()[0])

    pace.until(pace.now + 1.0)
    batch = pace.writer.bulk(*[partial(piece, number=number) for number in range(5)])
    after = pace.writer.bulk(stored)
    pace.until(pace.now + 1.0)
    assert events == ["0", "1", "2", "3", "rollback, 2 stored", "2", "3", "4"]
    assert batch.result(0) == list(range(5))
    assert after.result(0) == [5]


def test_a_rollback_takes_back_the_documents_that_are_not_committed_and_they_are_stored_after_it(pace: Pace) -> None:
    seen: list[int] = []
    pace.until(pace.now + 1.0)
    documents = pace.give(BATCH_MAX + 50)
    pace.at(pace.now, lambda: pace.writer.control(lambda conn: seen.append(stored(conn)), insist=True))

    def stored(conn: sqlite3.Connection) -> int:
        return int(conn.execute("SELECT count(*) FROM extraction").fetchone()[0])

    pace.writer.step()
    assert seen == []
    pace.until(pace.now + 1.0)
    assert seen == [0]
    assert all(future.result(0) is None for future in documents)
    assert stored(pace.writer._durable) == BATCH_MAX + 50


def test_a_piece_that_fails_takes_back_what_was_not_committed(pace: Pace) -> None:
    def piece(conn: sqlite3.Connection, number: int) -> None:
        gateways.keep(conn, "a worker", number, 0.0, (), ())
        if number == 1:
            pace.give()
            pace.now += LEAST_S
        if number == 3:
            raise ValueError("a fault")

    pace.until(pace.now + 1.0)
    batch = pace.writer.bulk(*[partial(piece, number=number) for number in range(5)])
    pace.until(pace.now + 1.0)
    assert isinstance(batch.exception(0), ValueError)
    kept = pace.writer.bulk(lambda conn: conn.execute("SELECT number FROM gateway_batch ORDER BY number").fetchall())
    pace.until(pace.now + 1.0)
    assert kept.result(0) == [[(0,), (1,)]]


def test_a_worker_s_batch_is_counted_once_in_each_transaction_and_with_it(pace: Pace) -> None:
    counted: list[list[int]] = []

    def piece(conn: sqlite3.Connection, number: int) -> int:
        gateways.keep(conn, "a worker", number, 0.0, (), ())
        if number == 1:
            pace.give()
            pace.now += LEAST_S
        return number

    def count(conn: sqlite3.Connection, numbers: list[int]) -> None:
        counted.append(numbers)
        if 4 in numbers:
            raise ValueError("a fault")

    pace.until(pace.now + 1.0)
    batch = pace.writer.bulk(*[partial(piece, number=number) for number in range(5)], end=count)
    pace.until(pace.now + 1.0)
    assert counted == [[0, 1], [2, 3, 4]]
    assert isinstance(batch.exception(0), ValueError)
    kept = pace.writer.bulk(lambda conn: conn.execute("SELECT number FROM gateway_batch ORDER BY number").fetchall())
    pace.until(pace.now + 1.0)
    assert kept.result(0) == [[(0,), (1,)]]


def test_side_jobs_without_documents_are_gathered_longer(pace: Pace) -> None:
    ran: list[float] = []
    pace.until(pace.now + 1.0)
    for _ in range(100):
        pace.writer.later(lambda conn: ran.append(pace.now))
        pace.until(pace.now + 0.005)
    assert len(set(ran)) <= 1 + 0.5 / ASIDE_S


def test_what_the_store_refuses_is_tried_again_after_a_pause_however_much_waits(pace: Pace) -> None:
    locked = database.open_writer(pace.writer._folder, "NORMAL")
    locked.execute("BEGIN EXCLUSIVE")
    pace.writer._durable.execute("PRAGMA busy_timeout=0")
    waiting = pace.give(2 * BATCH_MAX)
    pace.writer.step()
    assert "locked" in pace.writer.problem
    assert pace.writer.due_in() == pytest.approx(RETRY_S)
    locked.close()
    pace.until(pace.now + 2 * RETRY_S)
    assert all(future.result(0) is None for future in waiting)


@given(
    gaps=st.lists(st.floats(0.0, 0.05), min_size=1, max_size=60),
    disks=st.lists(st.floats(0.0, 0.03), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_in_order_once_and_within_a_bound(tmp_path_factory, gaps, disks, seed) -> None:  # type: ignore[no-untyped-def]
    """Whatever comes and however long the disk takes: no document waits longer than what gathers and two flushes, and
    flushes are LEAST_S apart."""
    draw = random.Random(seed)
    with paced(tmp_path_factory.mktemp("pace") / "store") as pace:
        given_at: list[float] = []
        answered: list[tuple[int, float]] = []

        def send() -> None:
            number = len(given_at)
            given_at.append(pace.now)
            pace.disk_s = draw.choice(disks)
            pace.give()[0].add_done_callback(lambda _: answered.append((number, pace.now)))

        moment = pace.now
        for gap in gaps:
            moment += gap
            pace.at(moment, send)
        pace.until(moment + 1.0)
    assert [number for number, _ in answered] == list(range(len(gaps)))
    assert all(at - given_at[number] <= GATHER_S + 2 * max(disks) + SOON_S for number, at in answered)
    starts = [at for at, _ in pace.flushes]
    assert all(later - earlier >= LEAST_S for earlier, later in pairwise(starts))
