"""A request id answers only for the request it was sent with; a rollback is carried out whatever its id."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.client.client import EngineClient
from engine.service.rollback import LEFT
from engine.store import log
from engine.store.intents import Intent
from tests.engine.service.rig import QUIET, EngineRig


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with EngineRig(tmp_path_factory.mktemp("ids"), QUIET) as made:
        made.engine()
        yield made


def test_a_rollback_with_the_id_of_an_earlier_one_rolls_back(rig: EngineRig) -> None:
    rig.climb(3)
    first = rig.client.command("rollback", request_id="twice", reason="one")
    assert first.ok
    rig.climb(3)
    for reason in ("two", "one"):  # another request, and the very same one after a raise
        assert rig.percent_bp == 2500
        again = rig.client.command("rollback", request_id="twice", reason=reason)
        assert again.ok, again.sentence
        assert rig.until(lambda: rig.percent_bp == 0, 2)
        assert again.data["request_id"] != "twice"
        assert rig.proof(again.data["request_id"])["effective_ms"] is not None
        rig.climb(3)


def test_the_same_rollback_sent_again_while_it_is_in_force_is_one(rig: EngineRig) -> None:
    rig.climb(3)
    first = rig.client.command("rollback", request_id="lost answer", reason="slow line")
    assert rig.proof("lost answer", recorded=True)  # a busy disk: answered before it is
    rows = rig.kinds().count("rollback")
    again = rig.client.command("rollback", request_id="lost answer", reason="slow line")
    assert again.ok
    assert again.data["request_id"] == first.data["request_id"] == "lost answer"
    assert again.data["rev"] == rig.reader.log(1, kind="rollback")[0].rev
    assert first.data["rev"] in (again.data["rev"], None)
    assert rig.kinds().count("rollback") == rows


def test_another_rollback_under_the_id_of_one_in_force_is_recorded_too(rig: EngineRig) -> None:
    rig.climb(3)
    first = rig.client.command("rollback", request_id="shared", reason="slow line")
    other = rig.client.command("rollback", request_id="shared", reason="wrong keywords")
    assert other.ok
    assert other.data["request_id"] != first.data["request_id"] == "shared"
    assert rig.until(lambda: rig.reader.log(1, kind="rollback")[0].reason == "wrong keywords")


def test_a_rollback_with_a_promotions_id_rolls_back_and_proves_itself(rig: EngineRig) -> None:
    epoch = rig.reader.state().epoch
    reply = rig.client.command("promote", request_id="up", epoch=epoch, override=True, reason="a test climbs")
    assert reply.ok, reply.sentence
    down = rig.client.command("rollback", request_id="up", reason="down again")
    assert down.ok
    assert rig.until(lambda: rig.percent_bp == 0, 2)
    proof = rig.proof(down.data["request_id"])
    assert proof["reason"] == "down again"
    assert proof["effective_ms"] is not None


def test_another_request_under_a_used_id_is_refused_and_the_same_one_answered(rig: EngineRig) -> None:
    fields = {"kind": "lesson", "text": "written once"}
    assert rig.client.command("note", request_id="note-1", **fields).ok
    rev = rig.reader.state().rev
    assert rig.client.command("note", request_id="note-1", **fields).ok
    other = rig.client.command("note", request_id="note-1", kind="lesson", text="something else")
    assert not other.ok
    assert "used for another request" in other.sentence
    epoch = rig.reader.state().epoch
    up = rig.client.command("promote", request_id="note-1", epoch=epoch, override=True, reason="a test climbs")
    assert not up.ok
    assert rig.reader.state().rev == rev


@pytest.mark.parametrize("request_id", ["x" * 65, "two  spaces", "a\nb"])
def test_an_id_that_would_be_cut_or_cleaned_is_refused_but_a_rollback_goes_through(
    rig: EngineRig, request_id: str
) -> None:
    refused = rig.client.command("hold", request_id=request_id, reason="a test")
    assert not refused.ok
    assert "request id" in refused.sentence
    rig.climb(2)
    assert rig.client.command("rollback", request_id=request_id).ok
    assert rig.until(lambda: rig.percent_bp == 0, 2)


def test_an_intent_with_a_used_id_is_applied(rig: EngineRig) -> None:
    rig.climb(2)
    used = rig.client.command("note", request_id="note-2", kind="lesson", text="took the id")
    assert used.ok
    rig.folder.leave_intent(Intent("note-2", time.time(), {"name": "night"}, "under a used id"))
    assert rig.until(lambda: rig.percent_bp == 0 and not rig.folder.has_intents(), 10)
    assert "under a used id" in rig.reader.log(5, kind="rollback")[0].sentence
    assert rig.reader.read(log.verify).ok


def test_a_rollback_of_a_stopped_engine_is_recorded_once_when_it_wakes(rig: EngineRig) -> None:
    """It has the intent then, and the request that was waiting in its socket."""
    for reason in ("stopped", "", "stopped again"):
        rig.climb(3)
        last = rig.reader.state().last_rev
        os.kill(rig.pid, signal.SIGSTOP)
        try:
            assert rig.client.rollback(reason).ok
            time.sleep(1.0)  # the tick is due when it wakes, as it mostly is
        finally:
            os.kill(rig.pid, signal.SIGCONT)
        assert rig.until(lambda: rig.percent_bp == 0 and not rig.folder.has_intents())
        rig.extract("after")  # answered after the request that waited
        rows = [row for row in rig.reader.log(50, kind="rollback") if row.rev > last]
        assert [row.reason for row in rows] in ([reason], [LEFT])


def test_a_rollback_whose_engine_dies_before_it_answers_is_recorded_once(tmp_path: Path) -> None:
    class AnswerLost(EngineClient):
        def request(self, *asked: Any, **more: Any) -> tuple[int, dict[str, Any]]:
            with contextlib.suppress(TimeoutError):  # lost too, where the machine is busy
                super().request(*asked, **more)
            assert rig.until(lambda: rig.percent_bp == 0)
            engine.kill()
            engine.wait()
            raise ConnectionAbortedError("the answer ended early")

    with EngineRig(tmp_path, QUIET) as rig:
        engine = rig.engine()
        rig.climb(3)
        result = AnswerLost(rig.folder, rig.plan).rollback("the line breaks")
        assert result.ok
        assert result.ways[-1] == "recorded by the engine before it ended", result.ways
        (row,) = rig.reader.log(50, kind="rollback")
        assert result.rev is not None
        assert result.rev >= row.rev
        rig.engine()
        rig.climb(3)
        assert rig.kinds().count("rollback") == 1
