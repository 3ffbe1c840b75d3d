"""A starved engine never blames the LLM: what it measured while its own loop was late is not evidence, and it shows."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from engine.cluster.lag import BEAT_S, LoopLag
from engine.measures.record import Extraction
from engine.service.blindness import SilenceDetector, Unseen
from engine.service.monitor import Monitor
from engine.store import database, log
from engine.store.folder import Folder
from engine.store.writer import Writer
from engine.worker.batches import PART, Batches
from engine.worker.line import EngineConnection
from tests.clock import ManualClock
from tests.engine.service.rig import TEXT, EngineRig


def beats(lag: LoopLag, start: float, count: int, late: float) -> float:
    for _ in range(count):
        lag.beat(start)
        start += BEAT_S + late
    lag.beat(start)
    return start


def test_an_even_loop_is_never_late_and_one_that_is_not_measured_is_trusted() -> None:
    lag = LoopLag()
    assert not lag.starved(0.0, 1000.0)
    end = beats(lag, 0.0, 400, 0.002)
    assert lag.late_s(0.0, end) == 0.0
    assert lag.sentence(end) == ""


def test_a_loop_that_gets_a_tenth_of_a_core_is_starved_while_it_lasts() -> None:
    lag = LoopLag()
    end = beats(lag, 0.0, 100, 0.09)
    assert lag.starved(end - 5.0, end)
    assert "was late for" in lag.sentence(end)
    calm = beats(lag, end, 400, 0.0)
    assert not lag.starved(calm - 5.0, calm)
    assert lag.sentence(calm) == ""


def test_one_long_pause_is_late_before_the_next_beat_reports_it() -> None:
    lag = LoopLag()
    end = beats(lag, 0.0, 10, 0.0)
    assert lag.late_s(0.0, end + 3.0) == pytest.approx(3.0 - BEAT_S)
    assert lag.starved(end, end + 3.0)


@pytest.fixture
def monitor(tmp_path: Path) -> Monitor:
    from engine.extraction.llm import LlmPool
    from engine.plan.load import default_plan_text, parse_plan

    folder = Folder(tmp_path / "store")
    folder.prepare()
    database.create(folder)
    clock, plan = ManualClock(), parse_plan(default_plan_text())
    return Monitor(plan, clock, database.open_reader(folder), Writer(folder, 1), LlmPool(plan.llm, clock))


def attempt(error: str | None, ms: float = 5000.0) -> Extraction:
    return Extraction(0.0, "a", "treatment", "llm", 2, 1, attempted=True, lookup=True, error=error, ms=ms)


def test_timeouts_and_latencies_of_a_starved_engine_are_not_evidence_but_refusals_by_the_service_are(
    monitor: Monitor,
) -> None:
    clock = monitor.clock
    assert isinstance(clock, ManualClock)

    def window() -> tuple[int, int, int]:
        results = monitor.observations.recent.at(clock.monotonic()).windows[600.0]
        return results.n, results.k, results.fresh

    monitor.observations.add(attempt("timeout"))
    assert window() == (1, 1, 1), "an engine that keeps up believes its clock"
    for _ in range(60):
        monitor.lag.beat(clock.real())
        clock.advance(BEAT_S + 0.09)
    monitor.observations.add(attempt("timeout"))
    monitor.observations.add(attempt("transport"))
    monitor.observations.add(attempt("breaker_open", 0.0))
    assert window() == (1, 1, 1)
    monitor.observations.add(attempt("http"))
    monitor.observations.add(attempt(None))
    assert window() == (3, 2, 1), "they count, their latency does not"
    assert monitor.unjudged == 4
    began = clock.real() - 5.0
    for _ in range(5):
        monitor.probing.probed(False, began)
    assert monitor.probing.failed == 0
    assert monitor.probing.answers is None, "no probe shows yet whether the service answers"
    assert monitor.probing.evidence.n == 0
    for _ in range(200):
        clock.advance(BEAT_S)
        monitor.lag.beat(clock.real())
    monitor.probing.probed(False, clock.real() - 5.0)
    assert monitor.probing.failed == 1, "once it keeps up again, a failed probe counts"
    assert monitor.probing.answers is False
    monitor.probing.probed(True, clock.real())
    assert (monitor.probing.failed, monitor.probing.answers) == (0, True)
    monitor.unwatched()
    assert monitor.probing.answers is None


def test_a_worker_s_own_clock_is_not_the_engine_s(monitor: Monitor) -> None:
    clock = monitor.clock
    assert isinstance(clock, ManualClock)
    for _ in range(60):
        monitor.lag.beat(clock.real())
        clock.advance(BEAT_S + 0.09)
    monitor.observations.add(attempt("timeout"), here=False)
    assert monitor.observations.recent.at(clock.monotonic()).windows[600.0].k == 1


def test_what_a_starved_worker_measured_is_not_evidence_in_a_back_fill_either(monitor: Monitor) -> None:
    from msgspec.structs import replace

    def window() -> tuple[int, int, int]:
        windows = monitor.observations.recent.at(monitor.clock.monotonic()).windows[600.0]
        return windows.n, windows.k, windows.fresh

    for backfill in (False, True):
        before = window()
        for error in ("timeout", "transport", "breaker_open"):
            monitor.observations.add(replace(attempt(error), backfill=backfill), here=False, starved=True)
        assert window() == before
        monitor.observations.add(replace(attempt("http"), backfill=backfill), here=False, starved=True)
        monitor.observations.add(replace(attempt(None), backfill=backfill), here=False, starved=True)
        n, k, fresh = before
        assert window() == (n + 2, k + 1, fresh), "they count, their latency does not"


def test_one_failure_that_was_not_judged_before_a_quiet_night_is_no_blindness() -> None:
    clock = ManualClock()
    silence = SilenceDetector(clock)

    def unseen_after(failures: int) -> Unseen:
        silence.sees(60.0)
        for _ in range(failures):
            silence.passes(llm_arm=True, unjudged=True)
        clock.advance(600.0)
        return silence.unseen("", waiting=0, answers=True)

    assert unseen_after(1).idle
    many = unseen_after(20)
    assert (many.idle, many.why) == (False, "engine late: 20 failed LLM documents not judged")


@pytest.mark.anyio
async def test_a_worker_sends_with_each_document_whether_its_own_loop_was_late() -> None:
    starved = [True]
    batches = Batches("w", 1, EngineConnection("/nowhere"), ManualClock(), lambda record: starved[0])
    PART.set(0)
    batches.append(attempt("timeout"))
    starved[0] = False
    batches.append(attempt("timeout"))
    assert [item.starved for item, _, _ in batches._next()] == [True, False]


def test_an_engine_that_gets_a_tenth_of_its_time_rolls_nothing_back_and_reports_it(tmp_path: Path) -> None:
    """SIGSTOP and SIGCONT in turn, as a cgroup's quota does it."""
    with EngineRig(tmp_path / "starved", speed=1.0) as rig:
        engine = rig.engine()
        rig.climb(4)
        assert rig.until(lambda: rig.percent_bp == 5000)
        until = time.monotonic() + 8.0
        seen: list[str] = []
        while time.monotonic() < until:
            for _ in range(8):
                os.kill(engine.pid, signal.SIGSTOP)
                time.sleep(0.18)
                os.kill(engine.pid, signal.SIGCONT)
                time.sleep(0.02)
            seen += rig.view.engine.problems
        assert any("the engine was late" in problem for problem in seen)
        assert rig.percent_bp == 5000
        assert "trigger" not in rig.kinds()


def test_a_late_engine_whose_llm_calls_hang_becomes_blind_and_steps_down(tmp_path: Path) -> None:
    """One call of six hangs, and the engine gets a third of its time for as long as it takes. No breaker stays open: what is not
    sent is judged, and its triggers act."""
    settings = {
        "trigger_settings.blind_after": "6s",
        "trigger_settings.blind_step_down": "12s",
        "llm.timeout": "2s",
        "llm.retries": 0,
        "llm.breaker_failures": 1000,
        "llm.breaker_open": "1s",
    }
    with EngineRig(tmp_path / "late", speed=1.0, settings=settings) as rig:
        engine = rig.engine()
        rig.climb(4)
        assert rig.client.command("fault", name="hang", value=0.17).ok
        seen: list[str] = []
        ended = threading.Event()

        def send(tag: int) -> None:
            for n in itertools.takewhile(lambda _: not ended.is_set(), itertools.count()):
                with contextlib.suppress(OSError, AssertionError):
                    rig.extract(f"{tag}-{n}", f"{TEXT} document {tag}-{n}")

        senders = [threading.Thread(target=send, args=(tag,)) for tag in range(6)]
        for sender in senders:
            sender.start()

        def stepped_down() -> bool:
            for _ in range(8):
                os.kill(engine.pid, signal.SIGSTOP)
                time.sleep(0.2)
                os.kill(engine.pid, signal.SIGCONT)
                time.sleep(0.1)
            seen.append(rig.view.health)
            return rig.percent_bp < 5000

        lowered = rig.until(stepped_down, 90)
        ended.set()
        for sender in senders:
            sender.join()
        assert lowered
        assert "blind" in seen
        row = next(row for row in rig.reader.read(log.every) if row.decision.kind == "trigger")
        assert "engine late: " in row.decision.sentence
