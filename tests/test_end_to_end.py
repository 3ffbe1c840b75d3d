"""The product as its user meets it: the real `rollout rehearse` in a pseudo-terminal, by keys, read from the screen alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from engine.client.client import EngineClient
from engine.server.rehearse import Rehearsal
from engine.store.reader import Reader
from tests import warm
from tests.machine import crowd, patience
from tests.terminal import ROLLOUT, Terminal


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with warm.executed(), Terminal([*ROLLOUT, "rehearse", "--speed", "60"]) as made:
        yield made


def override(terminal: Terminal) -> None:
    """Past the gate with a written reason, confirmed by a key of its own."""
    terminal.press("o")
    terminal.until("reason for the override")
    terminal.type("walked by a test")
    terminal.press("\r")
    terminal.until("▸  stay")  # the keys go to the answers now, on a slow machine a moment later
    terminal.press("y")


def test_the_screens_lead_from_preparation_to_an_automatic_and_a_manual_rollback(terminal: Terminal) -> None:
    terminal.until("REHEARSAL", "STAGE 0", "IDLE")
    terminal.until_keys_act()
    terminal.press("2")
    terminal.until("GATE SHUT", "checklist")
    override(terminal)
    terminal.until("STAGE 1")
    override(terminal)
    terminal.until("STAGE 2", "10 %")
    terminal.press("1")
    terminal.until("error rate", "ollama-1")
    terminal.press("0")
    terminal.until("faults of the simulated")
    terminal.press("s")
    terminal.until("on ", "Errors")
    terminal.press("1")
    terminal.until("ROLLED BACK", seconds=90)
    terminal.until("REHEARSAL")
    terminal.press("R")
    terminal.until("Effective in")


def test_a_line_that_stalls_and_a_console_that_is_stopped_delay_no_trigger() -> None:
    """A minute and more of the engine's time passes in which one terminal takes no output and one console does not run."""
    with Rehearsal(speed=60) as rehearsal:
        assert rehearsal.start() == ""
        client, reader = EngineClient(rehearsal.folder, rehearsal.plan), Reader(rehearsal.folder)
        for _ in range(2):
            assert client.command("promote", epoch=reader.state().epoch, override=True, reason="walked by a test").ok
        attach = [*ROLLOUT, "--plan", str(rehearsal.plan_path), "--store", str(rehearsal.folder.path)]
        with Terminal(attach) as stalled, Terminal(attach) as stopped:
            for terminal in (stalled, stopped):
                terminal.until("STAGE 2")
                terminal.read(0.5)
            os.kill(stopped.pid, signal.SIGSTOP)
            for number in range(40):  # more than a pseudo-terminal holds, and nothing reads it
                stalled.send("3" if number % 2 else "8")
                time.sleep(0.035)
            assert client.command("fault", name="error_rate", value=1.0).ok
            pending: dict[str, tuple[float, float]] = {}  # trigger -> since when, how long it has to last
            for _ in patience(60.0):
                if not reader.state().percent_bp:
                    break
                view = reader.engine_record().view
                assert view is not None
                for trigger in view.triggers:
                    if trigger.verdict == "breach":
                        since = pending.get(trigger.id, (view.at - trigger.held_s,))[0]
                        pending[trigger.id] = since, trigger.for_s
                time.sleep(0.02)
            assert reader.state().percent_bp == 0
            act = reader.log(1, kind="trigger")[0]
            since, for_s = pending[act.reason]
            # 60 of these seconds are one of ours; since when it lasts is read off a view, which is a little older
            assert for_s >= 60
            assert for_s - 30 <= act.at - since <= for_s + 60 * crowd(), act.sentence
            os.kill(stopped.pid, signal.SIGCONT)
            for terminal in (stalled, stopped):
                terminal.press("1")
                terminal.until("ROLLED BACK")
        reader.close()
