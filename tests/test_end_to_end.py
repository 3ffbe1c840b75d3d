"""The product as its user meets it: the real `rollout rehearse` in a pseudo-terminal, by keys, read from the screen alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.terminal import ROLLOUT, Terminal


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal([*ROLLOUT, "rehearse", "--speed", "60"]) as made:
        yield made


def override(terminal: Terminal) -> None:
    """Past the gate with a written reason, confirmed by a key of its own."""
    terminal.press("o")
    terminal.until("why past the gate")
    terminal.type("walked by a test")
    terminal.press("\r", "y")


def test_from_preparation_to_a_rollback_by_itself_and_one_by_hand(terminal: Terminal) -> None:
    terminal.until("REHEARSAL", "STAGE 0", "IDLE")
    terminal.read(1.0)  # nobody presses a key in the instant of the first paint; those are dropped as typed ahead
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
    terminal.until("Effective in", seconds=10)
