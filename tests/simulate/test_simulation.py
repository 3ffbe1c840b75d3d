"""Whole rollouts hold every invariant, the same seed takes the same steps, and each mended fault that is put back is found.

Other seeds, more of them: `python -m tests.simulate --rollouts 1000`.
"""

from __future__ import annotations

import pytest

from tests.simulate.faults import reintroduced
from tests.simulate.rollout import run

FOUND_BY = {"many_to_one_ids": 1_000_002, "stale_undo": 1_000_002}  # a seed that finds the fault


@pytest.mark.parametrize("seed", range(1_000_010, 1_000_022))
def test_a_rollout_holds_every_invariant(seed: int) -> None:
    result = run(seed)
    assert result.broken == "", "\n".join([result.what, *result.trace])
    assert result.checked["the log verifies"] >= 2


def test_a_seed_decides_everything() -> None:
    assert run(1_000_011).trace == run(1_000_011).trace


@pytest.mark.parametrize(("fault", "seed"), FOUND_BY.items())
def test_a_mended_fault_that_is_put_back_is_found(fault: str, seed: int) -> None:
    assert run(seed).broken == ""
    with reintroduced(fault):
        assert run(seed).broken != ""
