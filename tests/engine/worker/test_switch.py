"""What a worker may do: what its lease permits, and on the engine's machine nothing without the armed file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from engine.cluster.lease import LeaseTerms
from engine.store.folder import Folder
from engine.worker.line import EngineConnection
from engine.worker.switch import LeasedSwitch

OPEN = LeaseTerms(percent_bp=2500, open=True, epoch=7)


def keeper(terms: LeaseTerms) -> Any:
    return SimpleNamespace(now=lambda: terms)


def test_without_the_armed_file_no_call_is_permitted_before_the_engine_s_push_arrives(tmp_path: Path) -> None:
    folder = EngineConnection(str(tmp_path)).folder
    assert folder is not None
    switch = LeasedSwitch(keeper(OPEN), folder)
    assert not switch.may_call()
    assert switch.read().why == "the armed file is missing"
    assert (switch.read().percent_bp, switch.read().decided_bp) == (0, 2500)
    folder.armed.touch()
    assert switch.may_call(2499, 7)
    assert not switch.read().shadow
    assert not switch.may_call(2500)
    assert not switch.may_call(0, 8)
    folder.armed.unlink()
    assert not switch.may_call(0, 7)


def test_a_worker_of_another_machine_obeys_its_lease_alone(tmp_path: Path) -> None:
    assert EngineConnection("https://engine.example", "token").folder is None
    assert LeasedSwitch(keeper(OPEN)).may_call(0)
    closed = LeasedSwitch(keeper(LeaseTerms(percent_bp=2500, why="stopping")), Folder(tmp_path))
    assert not closed.may_call(0)
    assert closed.read().why == "stopping"
