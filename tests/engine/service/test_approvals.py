"""Approvals count people: the same person as themselves and by sudo is one, in whatever order."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from engine.rollout.control import people
from engine.rollout.state import Actor
from engine.server.commands import carry_out
from tests.engine.service.clocked import Clocked

pytestmark = pytest.mark.anyio
ALICE, SUDO, BO = Actor("alice", uid=1000), Actor("root", uid=0), Actor("bo", uid=1001)
TWO = {"stages[preparation].approvals": 2}


def missing(c: Clocked) -> list[str]:
    report = c.engine.monitor.gatekeeper.report(
        c.engine.state, c.engine.monitor.gatekeeper.facts(c.engine.state), c.engine.conn
    )
    return [sentence for sentence in report.missing if "approval" in sentence]


@pytest.mark.parametrize("order", list(permutations([ALICE, SUDO])))
async def test_a_person_and_their_root_shell_are_one_person(tmp_path: Path, order: tuple[Actor, ...]) -> None:
    async with Clocked(tmp_path, TWO) as c:
        assert missing(c)
        for actor in order:
            await carry_out(c.engine, "approve", {}, actor)
        assert people(c.engine.state) == 1
        assert missing(c)
        again = await carry_out(c.engine, "approve", {}, ALICE)
        assert not again.ok
        assert people(c.engine.state) == 1
        assert (await carry_out(c.engine, "approve", {}, BO)).ok
        assert people(c.engine.state) == 2
        assert not missing(c)


async def test_root_approving_after_the_same_person_gets_the_reason_it_does_not_count(tmp_path: Path) -> None:
    async with Clocked(tmp_path, TWO) as c:
        assert (await carry_out(c.engine, "approve", {}, ALICE)).ok
        refused = await carry_out(c.engine, "approve", {}, SUDO)
        assert not refused.ok
        assert "root, who may be alice again (sudo)" in refused.sentence
        assert refused.data["code"] == "same_person"


async def test_another_name_of_the_same_uid_is_the_same_person(tmp_path: Path) -> None:
    async with Clocked(tmp_path, TWO) as c:
        assert (await carry_out(c.engine, "approve", {}, ALICE)).ok
        refused = await carry_out(c.engine, "approve", {}, Actor("carol", uid=ALICE.uid))
        assert (refused.ok, refused.data["code"]) == (False, "same_person")
        assert people(c.engine.state) == 1
