"""A restore of many documents: on the engine's own way, over HTTP, beside the raw UPDATE. `python -m tests.bench.bench_restore [100000]`

What is timed is a request on a running engine's socket, log and search index included; the floor is the same rows updated by bare
SQLite in one transaction on the same disk.
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from engine.store import database, documents
from engine.store.documents import DocumentWrite
from tests.engine.service.rig import EngineRig

ROUNDS = 3


def document(number: int, at: float) -> DocumentWrite:
    plain = tuple(f"plain {number % 97} {n}" for n in range(12))
    llm = tuple(f"llm {number % 89} {n}" for n in range(12))
    return DocumentWrite(
        f"docs/{number:06}.md", f"Document {number}", f"text of document {number}. " * 8, f"d{number}", at,
        "treatment", "llm", plain, plain[:4], llm, llm[:4], 4, 5,
    )  # fmt: skip


def fill(rig: EngineRig, count: int) -> None:
    database.create(rig.folder)
    conn = database.open_writer(rig.folder, "NORMAL")
    began = time.time() - count  # one a second, until now
    for start in range(0, count, 5000):
        conn.execute("BEGIN IMMEDIATE")
        documents.write(conn, [document(n, began + n) for n in range(start, min(count, start + 5000))])
        conn.execute("COMMIT")
    conn.close()


def floor(path: Path) -> float:
    """Seconds of the bare update on a copy of the store."""
    copy = path.with_name("floor.db")
    shutil.copy(path, copy)
    conn = sqlite3.connect(copy, isolation_level=None)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=FULL")
    began = time.perf_counter()
    conn.execute("BEGIN IMMEDIATE")
    conn.execute("UPDATE document SET method = 'frequency' WHERE method = 'llm'")
    conn.execute("COMMIT")
    took = time.perf_counter() - began
    conn.close()
    return took


def main(count: int) -> None:
    times: dict[str, list[float]] = {name: [] for name in ("dry run", "restore", "undo", "served at once")}
    with tempfile.TemporaryDirectory() as root, EngineRig(Path(root), None, {"llm.url": "http://127.0.0.1:9"}) as rig:
        fill(rig, count)
        floors = [floor(rig.folder.database) for _ in range(ROUNDS)]
        rig.engine()

        def timed(name: str, kind: str, **fields: object) -> dict[str, object]:
            began = time.perf_counter()
            reply = rig.client.command(kind, timeout_s=60.0, **fields)  # type: ignore[arg-type]
            times[name].append(time.perf_counter() - began)
            assert reply.ok, reply.sentence
            return reply.data

        for _ in range(ROUNDS):
            assert timed("dry run", "restore", dry_run=True)["documents"] == count
            assert timed("restore", "restore")["documents"] == count
            began = time.perf_counter()
            results = rig.reader.documents("plain")
            times["served at once"].append(time.perf_counter() - began)
            assert results
            assert all(item.keywords[0].startswith("plain") for item in results)
            assert timed("undo", "undo_restore")["documents"] == count
    print(f"{count} documents; seconds, median of {ROUNDS}; target of a restore: 2 s for 100 000\n")
    for name, values in {**times, "bare UPDATE, the floor": floors}.items():
        print(f"{name:<24}{sorted(values)[ROUNDS // 2]:>8.3f}")
    ratio = sorted(times["restore"])[ROUNDS // 2] / sorted(floors)[ROUNDS // 2]
    print(f"\na restore is {ratio:.2f} times the bare update")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
