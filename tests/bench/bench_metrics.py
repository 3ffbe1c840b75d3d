"""What recording one extraction costs, and whether gauges and trends cost more when there is more to look back on.

    python -m tests.bench.bench_metrics [--rows 10000000] [--repeat 40] [--folder DIR]

Recording: one transaction a batch on a real file (WAL, synchronous=NORMAL, as the engine's writer), half of the documents on each arm.
Refreshing: one store of 10^5 documents over 31 days; then ten times as many documents over ten times as long (history grows), and ten
times as many over the same 31 days (traffic grows), and so on up to --rows (10^7 of each: a quarter of an hour and 5 GB in the
folder). Written as the engine writes, in large batches, and then retained by the plan's own settings but for the raw rows, which are all
kept. The stores take turns, so that a drifting machine drifts for all of them. --folder keeps the stores there and uses them again.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import shutil
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from console.screens.trends import PANELS
from engine.measures.bucket import Bucket
from engine.measures.record import Extraction
from engine.metrics import exposition, snapshot
from engine.store import database, rollup, series
from engine.store.folder import Folder

NOW = 1_800_000_000.0
DAY = 86400.0
EPOCHS = 12
INSERTED = 20_000
FEWEST, DAYS = 100_000, 31.0
ROUNDS = 8


def extraction(rng: random.Random, at: float, number: int, epoch: int = 7) -> Extraction:
    stage = 2 + epoch % 3
    if rng.random() < 0.5:
        ms = rng.lognormvariate(0.5, 0.5)
        return Extraction(at, f"docs/{number}.md", "control", "frequency", stage, epoch, ms=ms, keywords=12)
    kind = rng.random()
    if kind < 0.25:
        return Extraction(
            at, f"docs/{number}.md", "treatment", "llm", stage, epoch, lookup=True, cached=True, keywords=12
        )
    if kind < 0.27:
        return Extraction(
            at, f"docs/{number}.md", "treatment", "frequency", stage, epoch, attempted=True, lookup=True, fallback=True,
            error="timeout", message="no answer from 10.0.0.1:11434 in 8.0 s", ms=8000.0, keywords=12, server="ollama-1",
        )  # fmt: skip
    return Extraction(
        at, f"docs/{number}.md", "treatment", "llm", stage, epoch, attempted=True, lookup=True, ms=rng.lognormvariate(7.0, 0.6),
        queue_ms=3.0, keywords=12, proposed=14, ungrounded=1, server="ollama-1",
    )  # fmt: skip


def opened(folder: Path) -> sqlite3.Connection:
    results = Folder(folder)
    database.create(results)
    return database.open_writer(results, "NORMAL")


# -- recording ---------------------------------------------------------------------------------------------------------------


def recording(folder: Path, size: int, raw_only: bool) -> tuple[float, float]:
    """Median and 99th percentile of the microseconds a record, commit included, at ten documents a second."""
    shutil.rmtree(folder / f"record-{size}-{raw_only}", ignore_errors=True)
    conn, rng, spent = opened(folder / f"record-{size}-{raw_only}"), random.Random(1), []
    at, fold = NOW, rollup.fold
    if raw_only:
        rollup.fold = lambda *_: None  # type: ignore[assignment]
    try:
        for batch in range(max(200, 2000 // size)):
            records = [extraction(rng, at + n * 0.1, batch * size + n) for n in range(size)]
            at += size * 0.1
            began = time.perf_counter()
            conn.execute("BEGIN IMMEDIATE")
            rollup.insert_and_fold(conn, records)
            conn.execute("COMMIT")
            spent.append((time.perf_counter() - began) / size * 1e6)
    finally:
        rollup.fold = fold
        conn.close()
    return statistics.median(spent), sorted(spent)[int(len(spent) * 0.99)]


# -- refreshing --------------------------------------------------------------------------------------------------------------


def filled(folder: Path, rows: int, days: float) -> sqlite3.Connection:
    """A store of that many documents, evenly over that many days up to now; a change of percentage every twelfth of it."""
    there = folder.exists()
    conn, rng = opened(folder), random.Random(rows)
    conn.execute("PRAGMA synchronous=OFF")
    start, step = NOW - days * DAY, days * DAY / rows
    for first in range(0, 0 if there else rows, INSERTED):
        numbers = range(first, min(rows, first + INSERTED))
        conn.execute("BEGIN IMMEDIATE")
        rollup.insert_and_fold(conn, [extraction(rng, start + n * step, n, 1 + n * EPOCHS // rows) for n in numbers])
        while rollup.retain(conn, start + numbers[-1] * step, math.inf, 2 * DAY, 8 * DAY, 50_000):
            pass
        conn.execute("COMMIT")
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return conn


def gauges(conn: sqlite3.Connection) -> object:
    now = NOW - 25  # not on a minute: the ends of the window are cut from the narrowest buckets
    return exposition.plain(snapshot.take(conn, now, percent_bp=1000, decided_bp=1000, stage=2, epoch=EPOCHS))


def curves(conn: sqlite3.Connection, window_s: float) -> object:
    """What the Trends screen draws, at the widest: its eight curves in 240 columns."""
    return series.series_of(conn, PANELS, NOW - window_s, NOW, 240)


def raw_week(conn: sqlite3.Connection) -> object:
    return conn.execute(
        "SELECT CAST(at / 7200 AS INTEGER) t, arm, count(*), sum(attempted), sum(attempted AND error IS NOT NULL), sum(cached), "
        "avg(CASE WHEN attempted AND error IS NULL THEN ms END) FROM extraction WHERE at >= ? GROUP BY t, arm",
        (NOW - 7 * DAY,),
    ).fetchall()


WINDOWS = (3600.0, 86400.0, 7 * 86400.0, 30 * 86400.0)
WORK: dict[str, Callable[[sqlite3.Connection], object]] = {
    "gauges: 5 min, since the change, ever": gauges,
    **{
        f"curves over {int(seconds / 3600)} h": lambda conn, s=seconds: curves(conn, s)  # type: ignore[misc]
        for seconds in WINDOWS
    },
    "all of them (one refresh)": lambda conn: (gauges(conn), [curves(conn, s) for s in WINDOWS]),
    "the 7-day trend from raw rows, without percentiles": raw_week,
}


def timed(work: Callable[[sqlite3.Connection], object], stores: list[sqlite3.Connection], repeat: int) -> list[float]:
    """Median milliseconds of each store. They take turns in rounds, each begun with a run that is not counted: a console has one
    store, and remembers its closed buckets."""
    spent: list[list[float]] = [[] for _ in stores]
    for _ in range(ROUNDS):
        for store, mine in zip(stores, spent, strict=True):
            work(store)
            for _ in range(max(1, repeat // ROUNDS)):
                began = time.perf_counter()
                work(store)
                mine.append((time.perf_counter() - began) * 1000)
    return [statistics.median(mine) for mine in spent]


def first_time(conn: sqlite3.Connection) -> float:
    """Milliseconds of one refresh with nothing remembered."""
    series._decoded.cache_clear()
    series._point.cache_clear()
    began = time.perf_counter()
    WORK["all of them (one refresh)"](conn)
    return (time.perf_counter() - began) * 1000


def checked(conn: sqlite3.Connection) -> None:
    """The buckets must agree with the raw rows, or the rest means nothing."""
    n, k, ms = conn.execute(
        "SELECT count(*), sum(error IS NOT NULL), sum(CASE WHEN attempted THEN ms END) FROM extraction"
    ).fetchone()
    ever: Bucket = series.total(conn)
    assert (ever.n, ever.errors) == (n, k)
    assert abs(ever.ms_sum - ms) < 1e-6 * ms
    assert Bucket.merged(b for _, b in series.buckets(conn, 3600, 0, NOW + DAY)).n == n


def print_recording(folder: Path) -> None:
    print("| recording one extraction | raw row alone, us p50 | with roll-ups, us p50 | p99 | for the roll-ups |")
    print("|---|---|---|---|---|")
    for size in (1, 10, 100, 500):
        bare, _ = recording(folder, size, raw_only=True)
        whole, worst = recording(folder, size, raw_only=False)
        print(f"| {size} a batch | {bare:.1f} | {whole:.1f} | {worst:.1f} | {whole - bare:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="of the largest stores (10000000: minutes, and 5 GB)"
    )
    parser.add_argument("--repeat", type=int, default=40)
    parser.add_argument("--folder", type=Path, help="keep the stores here, and use those that are here")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="bench-metrics-"))
    print(f"load average before: {os.getloadavg()[0]:.2f}, {os.cpu_count()} cores, SQLite {sqlite3.sqlite_version}\n")
    try:
        print_recording(folder)
        cases = [(FEWEST, DAYS)]
        rows = FEWEST * 10
        while rows <= given.rows:
            cases += [(rows, DAYS * rows / FEWEST), (rows, DAYS)]
            rows *= 10
        stores = []
        for rows, days in cases:
            stores.append(filled(folder / f"{rows}-{days:.0f}", rows, days))
            checked(stores[-1])
        print(
            "\n| refresh, ms p50 | " + " | ".join(f"{rows:.0e} in {days:.0f} d (ratio)" for rows, days in cases) + " |"
        )
        print("|---" * (len(cases) + 1) + "|")
        for name, work in WORK.items():
            results = timed(work, stores, given.repeat if work is not raw_week else 3)
            cells = [f"{ms:.2f} ({ms / results[0]:.2f})" for ms in results]
            print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        cold = [statistics.median(first_time(store) for _ in range(9)) for store in stores]
        print(
            "| one refresh, nothing remembered | " + " | ".join(f"{ms:.2f} ({ms / cold[0]:.2f})" for ms in cold) + " |"
        )
    finally:
        if not given.folder:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
