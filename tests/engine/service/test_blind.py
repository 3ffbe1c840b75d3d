"""Blind for two minutes, whatever the cause: shown, logged, notified; promotion held, timers paused; finally one stage down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from engine.clock import LapseClock
from engine.measures.record import Extraction
from engine.messages import outbox
from engine.routing.reading import AskedDocument
from engine.service.blindness import SilenceDetector, Unseen
from engine.store import log
from tests.engine.messages.servers import http_server
from tests.engine.service.clocked import Clocked
from tests.engine.service.rig import TEXT

pytestmark = pytest.mark.anyio
BLIND_S, STEP_DOWN_S = 120.0, 1800.0


@contextmanager
def hanging_service(port: int = 0) -> Iterator[str]:
    """It answers every health check and no call."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer({"version": "0.12.0", "models": []})

        def do_POST(self) -> None:
            if self.path == "/api/chat":
                ended.wait(30)
            self.answer({})

        def answer(self, output: object) -> None:
            body = json.dumps(output).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


async def refused_as(c: Clocked, why: str) -> bool:
    reply = await c.command("promote", epoch=c.engine.state.epoch, override=True, reason="no one sees anything now")
    return not reply.ok and why in reply.sentence


def shown(c: Clocked) -> str:
    assert c.engine.view is not None
    return c.engine.view.health_sentence if c.engine.view.health == "blind" else ""


async def test_no_look_ups_for_two_minutes_is_blind_shown_logged_notified_and_one_stage_down_after_half_an_hour(
    tmp_path: Path,
) -> None:
    async with Clocked(tmp_path) as c:
        await c.climb(3)
        await c.passes(BLIND_S - 10)
        assert not shown(c)
        baked = c.engine.monitor.watch.baked_s
        await c.passes(20)
        assert "no LLM documents for 130 s" in shown(c)
        row = log.last(c.engine.conn, ("blind",))
        assert row is not None
        assert "promotion is held, timers are paused" in row.decision.sentence
        await c.settled(lambda: any(d.message == "hold" for d in outbox.deliveries(c.engine.conn)))
        assert await refused_as(c, "blind 2:1")
        assert c.engine.monitor.watch.baked_s - baked <= 10
        assert all(r.held_s == 0 for r in c.engine.monitor.verdict.readings)
        await c.passes(STEP_DOWN_S - BLIND_S)
        await c.settled(lambda: c.engine.state.percent_bp == 1000)
        assert c.engine.switch.read().percent_bp == 1000
        await c.passes(20)
        assert log.last(c.engine.conn, ("seen",)) is None  # a step down does not end blindness


async def test_a_service_that_shows_nothing_while_calls_wait_is_blind_by_that_name(tmp_path: Path) -> None:
    with hanging_service() as url:
        async with Clocked(tmp_path, {"llm.url": url, "llm.timeout": "1h"}) as c:
            await c.climb(5)
            waiting = [asyncio.create_task(c.engine.extract(AskedDocument(f"d{n}", f"{TEXT} {n}"))) for n in range(3)]
            await c.settled(lambda: c.engine.pipeline.in_flight == 3)
            await c.passes(BLIND_S + 10)
            assert "no answer from the LLM service for 130 s, 3 calls wait" in shown(c)
            assert log.last(c.engine.conn, ("blind",)) is not None
            assert await refused_as(c, "blind 2:1")
            c.engine.pipeline.cancel_calls()
            assert {made.method for made in await asyncio.gather(*waiting)} == {"frequency"}


async def test_a_store_that_takes_no_writes_is_blind_and_notified_once_without_the_queue(tmp_path: Path) -> None:
    with http_server() as (url, posted):
        async with Clocked(tmp_path, environ={"ROLLOUT_NOTIFY_URLS": url}) as c:
            await c.climb(3)
            assert not posted
            with contextlib.closing(sqlite3.connect(c.rig.folder.database, timeout=5.0, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                await c.settled(lambda: "locked" in c.engine.writer.problem)
                await c.passes(BLIND_S + 10)
                assert "has locked the store" in shown(c)
                assert "has locked the store" in c.engine.events[-1][1]
                assert c.engine.switch.lease_valid  # the loop keeps running
                assert c.engine.view is not None
                assert "blind" in str(c.engine.view.gate.blocked)
                assert "one stage back" in str(c.engine.view.next)
                assert await refused_as(c, "has locked the store")
                await c.settled(lambda: len(posted) == 1)
                assert "BLIND" in posted[-1]["title"]
                await c.passes(STEP_DOWN_S - BLIND_S)
                await c.settled(c.rig.folder.has_intents)  # its own, so that a kill loses nothing
                await c.passes(20)
                assert c.engine.switch.read().percent_bp == 1000  # in force though the store does not know
                assert "one stage back" not in str(c.engine.view.next), "it has happened"
            await c.settled(lambda: log.last(c.engine.conn, ("trigger",)) is not None)
            await c.settled(lambda: log.last(c.engine.conn, ("blind",)) is not None)
            await c.settled(lambda: c.engine.state.percent_bp == 1000)
            await c.settled(lambda: len(posted) == 2)
            assert "BLIND" not in posted[-1]["title"]


async def test_silence_does_not_end_when_the_last_hour_has_run_empty(tmp_path: Path) -> None:
    """What silence is compared with is the traffic before it, not what is left of that in the last hour."""
    async with Clocked(tmp_path, {"trigger_settings.blind_step_down": "2h"}) as c:
        await c.climb(2)
        for _ in range(60):
            c.engine.monitor.observations.recent.add(c.clock.monotonic(), True, 900.0)
            c.engine.monitor.observations.silence.sees(c.engine.monitor.observations.recent.per_min)
            await c.passes(60, step=20.0)
        assert not shown(c)
        await c.passes(5400, step=20.0)
        assert "no LLM documents for 54" in shown(c)


async def test_an_engine_that_stops_again_before_its_triggers_could_judge_is_blind_since_the_first_stop(
    tmp_path: Path,
) -> None:
    """What it measured before a stop does not count after it: stopped every minute, it would never judge anything."""
    with hanging_service() as url:
        async with Clocked(tmp_path, {"llm.url": url}, ticking=False) as c:
            await c.climb(5)

            async def watches(documents: int) -> None:
                for _ in range(documents):
                    record = Extraction(0.0, "a", "treatment", "llm", 5, 1, attempted=True, lookup=True, ms=900.0)
                    c.engine.monitor.observations.add(record)
                    await c.passes(10)

            async def stops() -> None:
                c.clock.advance(40)
                await c.passes(10)

            await watches(30)
            await stops()
            await watches(12)
            assert not shown(c), "one stop is like a start"
            await stops()
            assert "engine stopped 2 times, too few documents in between to judge" in shown(c)
            assert await refused_as(c, "blind 2:")
            baked = c.engine.monitor.watch.baked_s
            await watches(12)
            assert shown(c)
            assert c.engine.monitor.watch.baked_s == baked
            await watches(9)
            assert not shown(c), "now the triggers judge"
            assert log.last(c.engine.conn, ("seen",)) is not None
            for _ in range(40):
                await watches(3)
                await stops()
            await c.settled(lambda: c.engine.state.percent_bp == 5000)


async def test_in_a_time_lapse_one_answer_in_flight_is_not_silence() -> None:
    """At 2000 times the speed a tenth of a second is three minutes of the calendar: the network does not hurry."""
    clock = LapseClock(2000.0)
    silence = SilenceDetector(clock)
    silence.sees(per_min=60.0)
    await asyncio.sleep(0.1)
    assert silence.unseen("", waiting=0) == silence.unseen("", waiting=1) == Unseen()
    clock.set_speed(60.0)  # the same three minutes, of a calendar in which they are seconds
    assert "no LLM documents" in silence.unseen("", waiting=0)[0]
