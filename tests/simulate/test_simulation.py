"""Whole rollouts hold every invariant, a seed decides every step, and each fixed fault that is put back is found.

Other seeds, more of them: `python -m tests.simulate --rollouts 1000`.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulate.faults import FAULTS, reintroduced
from tests.simulate.rollout import run
from tests.simulate.script import Move

# the first seed that finds the fault; `.ci/run` runs all of these without it
FOUND_BY = {
    "many_to_one_ids": 1_000_001,
    "used_request_ids": 1_000_000,
    "swapped_store": 1_000_007,
    "stale_undo": 1_000_002,
    "stale_promotion": 1_000_000,
    "raise_beats_rm": 1_000_013,
    "preload_after_rollback": 1_000_003,
    "lease_without_end": 1_000_022,
    "calls_outlast_rollback": 1_000_003,
}


AFTER_A_SWAP = 3_000_097  # a rollback is sent again after the store that has its record was replaced
# a document is sent twice at once, and the later request is stored first
TWICE_AT_ONCE = 7_000_113
# a rollback was answered while the disk stalled; the power went before anything reached it
ON_NO_DISK = 7_000_179
# the store was replaced, so that a rollback could not be recorded; then the power went
REPLACED_AND_NO_POWER = 7_000_256
OLDER_TEXT = 7_000_426  # a backup that replaced the store has an older text of a document
SHADOW_AFTER_A_SWAP = 11_000_120  # a shadow call goes out before the engine notices that its store was replaced
REMOVED_IN_A_SEND = 7_000_575  # the armed file was removed between a request's permission and the request


@pytest.mark.parametrize(
    "seed",
    [
        1_000_000,  # the first of the hundred of `.ci/run`
        AFTER_A_SWAP,
        TWICE_AT_ONCE,
        ON_NO_DISK,
        REPLACED_AND_NO_POWER,
        OLDER_TEXT,
        SHADOW_AFTER_A_SWAP,
        REMOVED_IN_A_SEND,
    ],
)
def test_a_rollout_holds_every_invariant(seed: int) -> None:
    result = run(seed)
    assert result.broken == "", "\n".join([result.what, *result.trace])
    assert result.checked["the log verifies"] >= 2
    assert result.calendar_s >= 21 * 86_400


def test_a_seed_decides_everything_in_any_process() -> None:
    """Beside this process's own order of hashes, one that is fixed."""
    command = [sys.executable, "-m", "tests.simulate", "--replay", "1000011"]
    salt = {"PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"}
    other = subprocess.run(command, env={**os.environ, **salt}, capture_output=True, text=True, check=True).stdout
    assert other.splitlines() == [*run(1_000_011).trace, "Every invariant held."]
    assert "engine 1 started" in other


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fixed_fault_that_is_put_back_is_found(fault: str) -> None:
    with reintroduced(fault):
        assert run(FOUND_BY[fault]).broken != ""


@pytest.mark.parametrize("number", range(3))
def test_an_incident_that_no_one_disturbs_is_rolled_back_within_its_time(number: int) -> None:
    names = ["documents", "promote", "documents", "promote", "promote", "promote", "incident"]
    moves = [Move(name, 0.5, number, True) for name in names]
    result = run(number, [*moves, Move("look", 50.0, 0, True)])
    assert result.broken == ""
    assert result.checked["a failing service is rolled back within its time"] == 1
