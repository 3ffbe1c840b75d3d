"""The machine's wall clock is set forward and back under a real engine: nothing is deleted, and complaints are heard.

The engine process runs with libfaketime, whose offset is a file that the test rewrites; the monotonic clock stays real.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path

import pytest

from engine.clock import PROVEN_S
from tests.engine.service.rig import TEXT, EngineRig

FAKETIME = next(iter(glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), "")
DAY = 86400
QUIET = {"llm.url": "http://127.0.0.1:9", "trigger_settings.probe_every": "1h"}


class WallClock:
    """The offset of the wall clock of engines started under it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.set(0)

    @contextmanager
    def for_engines(self) -> Iterator[None]:
        """Processes started meanwhile have this clock; the test's own commands have the machine's."""
        with pytest.MonkeyPatch.context() as environ:
            environ.setenv("LD_PRELOAD", FAKETIME)
            environ.setenv("FAKETIME_TIMESTAMP_FILE", str(self._path))
            environ.setenv("FAKETIME_CACHE_DURATION", "1")  # seconds; without it each look at the clock opens the file
            environ.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            # its repair of timed waits, for an older C library, ends each wait for the interpreter's lock at once: the
            # engine then spins, at four times the CPU
            environ.setenv("FAKETIME_FORCE_MONOTONIC_FIX", "0")
            yield

    def engine(self, rig: EngineRig) -> None:
        with self.for_engines():
            rig.engine()

    def set(self, seconds: int) -> None:
        part = self._path.with_suffix(".part")
        part.write_text(f"{seconds:+d}s\n")
        part.replace(self._path)


@pytest.fixture
def wall(tmp_path: Path) -> WallClock:
    if not FAKETIME:
        pytest.skip("libfaketime is not installed (Debian: faketime); test_clocks.py tests the same in one process")
    return WallClock(tmp_path / "offset")


def count(rig: EngineRig, table: str) -> int:
    with sqlite3.connect(f"file:{rig.folder.database}?mode=ro", uri=True) as conn:
        return int(conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def engine_time(rig: EngineRig) -> float:
    """What the engine's wall clock reads."""
    return rig.view.at


def wait_for_ticks(rig: EngineRig) -> None:
    """What the ticks before the last of these asked of the writer has been written: it writes in order."""
    for _ in range(3):
        before = engine_time(rig)
        assert rig.until(lambda before=before: engine_time(rig) != before)  # type: ignore[misc]


def store(rig: EngineRig, name: str) -> None:
    """Send a document until it is stored, as the answer asks: a busy disk may take longer than the engine waits."""

    def stored() -> bool:
        status, answer = rig.client.request("POST", "/v1/extract", {"id": name, "text": TEXT}, 20.0)
        assert status in (200, 503), answer
        return status == 200

    assert rig.until(stored, 60)


def complain(rig: EngineRig, count: int, name: str) -> None:
    for n in range(count):
        fields = {"kind": "complaint", "text": "nothing is found", "id": f"{name}-{n}"}
        status, answer = rig.client.request("POST", "/v1/feedback", fields, 10.0)
        assert status == 200, answer


def test_a_machine_s_clock_two_months_ahead_deletes_nothing_and_is_logged(tmp_path: Path, wall: WallClock) -> None:
    with EngineRig(tmp_path, speed=None, settings=QUIET) as rig:
        wall.engine(rig)
        for n in range(20):
            store(rig, f"d{n}")
        assert rig.until(lambda: count(rig, "extraction") >= 20)
        raw, rolled = count(rig, "extraction"), count(rig, "rollup")
        wall.set(60 * DAY)
        assert rig.until(lambda: engine_time(rig) > time.time() + 59 * DAY)
        store(rig, "while the clock is wrong")
        assert (kept := count(rig, "extraction")) > raw
        assert rig.cli("stop").returncode == 0
        assert rig.until(lambda: not rig.folder.is_locked())
        wall.engine(rig)  # an engine's first tick applies retention
        wait_for_ticks(rig)
        assert engine_time(rig) > time.time() + 59 * DAY
        assert count(rig, "extraction") == kept
        assert count(rig, "rollup") >= rolled
        wall.set(0)  # to before this engine's start: believed once it lasts
        assert rig.until(lambda: engine_time(rig) < time.time() + 60, 2 * PROVEN_S)
        assert rig.until(lambda: rig.kinds().count("clock") == 2)
        wait_for_ticks(rig)
        assert count(rig, "extraction") == kept
        assert rig.kinds().count("clock") == 2
        with sqlite3.connect(f"file:{rig.folder.database}?mode=ro", uri=True) as conn:
            (latest,) = conn.execute("SELECT max(at) FROM extraction").fetchone()
        assert latest < time.time() + 60


def test_complaints_count_after_a_clock_that_was_two_hours_ahead(tmp_path: Path, wall: WallClock) -> None:
    """The engine entered its stage in what is the future now, was stopped, and starts with the right time."""
    with EngineRig(tmp_path, speed=None, settings=QUIET) as rig:
        wall.set(7200)
        wall.engine(rig)
        rig.climb(2)
        assert rig.reader.state().entered_at > time.time() + 7000
        assert rig.cli("stop").returncode == 0
        assert rig.until(lambda: not rig.folder.is_locked())
        wall.set(0)
        wall.engine(rig)
        assert rig.until(lambda: rig.reader.state().entered_at < time.time() + 5, 2 * PROVEN_S)
        complain(rig, 11, "heard")
        assert rig.until(lambda: rig.percent_bp == 0)
        assert "trigger" in rig.kinds()
        cooled = rig.reader.state().cooldown_until
        assert cooled is not None
        assert cooled < time.time() + 1800 + 60
