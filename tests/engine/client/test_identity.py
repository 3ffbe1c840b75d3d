"""Who acted, according to the kernel; and who may: promotion can be restricted, rollback cannot."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from engine.client import identity
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Access, Plan
from engine.rollout import control
from engine.rollout.state import Actor, Ask, Decision, Refusal, State, transition
from engine.server import commands
from engine.service.access import may_promote

PLAN = parse_plan(default_plan_text())


# -- who ----------------------------------------------------------------------------------------------------------------------


def test_a_user_is_who_the_kernel_reports_whatever_they_claim() -> None:
    actor = identity.peer(65534, os.getpid(), "root", "10.0.0.7 5022 10.0.0.1 22", "/dev/pts/3")
    assert actor.uid == 65534
    assert actor.name == identity.name_of(65534)
    assert "ssh 10.0.0.7" in actor.where
    assert "/dev/pts/3" in actor.where


def test_behind_root_is_the_login_that_the_kernel_remembers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "login_uid", lambda pid: 65534)
    actor = identity.peer(0, 1, "somebody-else", "", "")
    assert (actor.name, actor.uid) == (identity.name_of(65534), 65534)


def test_another_account_s_login_is_whom_approvals_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """`sudo -u nobody`, by root's own login too: that one is no person."""
    monkeypatch.setattr(identity, "login_uid", lambda pid: 1000)
    actor = identity.peer(65534, 1, "", "", "")
    assert (actor.name, actor.uid, actor.person) == (identity.name_of(65534), 65534, 1000)
    assert identity.peer(1000, 1, "", "", "").login == -1
    for nobody in (None, 0):
        monkeypatch.setattr(identity, "login_uid", lambda pid, login=nobody: login)
        assert identity.peer(65534, 1, "", "", "").person == 65534


def test_root_without_a_login_takes_the_name_given_and_stays_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "login_uid", lambda pid: None)
    assert identity.peer(0, 1, "alice", "", "") == Actor("alice", 0)


def test_the_kernel_s_own_record_is_read() -> None:
    result = identity.login_uid(os.getpid())
    assert result is None or result >= 0
    assert identity.login_uid(2**22 + 1) is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_without_an_audit_record_the_user_above_counts() -> None:
    """As the shell of 65534 is, which ran sudo to become 65533."""
    program = (
        "import os, sys\n"
        "os.setresuid(65534, 0, 0)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os.setresuid(65533, 65533, 65533)\n"
        "    print(os.getpid(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, text=True) as above:
        assert above.stdout is not None
        pid = int(above.stdout.readline())
        assert identity._outermost_uid(pid) == 65534
        assert identity._outermost_uid(os.getpid()) != 65534
        above.stdin.close()  # type: ignore[union-attr]
    assert identity._outermost_uid(2**22 + 1) is None


def test_only_root_can_have_come_by_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "alice")
    monkeypatch.setattr(os, "getuid", lambda: 65534)
    assert identity.whoami().name == identity.name_of(65534)
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert identity.whoami().name == "alice"


# -- approvals: persons, not names ----------------------------------------------------------------------------------------------


def approve(state: State, actor: Actor) -> Decision | Refusal:
    return control.approve(PLAN, state, Ask(actor, 1.0, actor.name))


def test_one_uid_under_two_names_is_one_person() -> None:
    first = approve(State(stage=2, percent_bp=1000), Actor("alice", 0))
    assert isinstance(first, Decision)
    state = transition(State(stage=2, percent_bp=1000), first)
    second = approve(state, Actor("bo", 0))
    assert isinstance(second, Refusal)
    assert "as alice" in second.sentence
    third = approve(state, Actor("bo", 1001))
    assert isinstance(third, Decision)
    assert transition(state, third).approvals == ("alice", "bo")


# -- who may ----------------------------------------------------------------------------------------------------------------------


def plan(access: Access) -> Plan:
    return replace(PLAN, access=access)


@pytest.fixture
def group() -> Iterator[tuple[str, str]]:
    """(a group, a member of it) of this machine."""
    for one in pwd.getpwall():
        yield grp.getgrgid(one.pw_gid).gr_name, one.pw_name
        return


def test_by_default_everyone_may_who_can_open_the_store() -> None:
    assert may_promote(plan(Access()), Actor("anyone", 4711))


def test_names_limit_the_way_up() -> None:
    access = Access(promote=("alice",))
    assert may_promote(plan(access), Actor("alice", 1000))
    assert not may_promote(plan(access), Actor("bo", 1001))


def test_a_unix_group_limits_the_way_up(group: tuple[str, str]) -> None:
    name, member = group
    assert may_promote(plan(Access(group=name)), Actor(member, 1))
    assert not may_promote(plan(Access(group=name)), Actor("no-such-user", 4711))
    assert not may_promote(plan(Access(group="no-such-group")), Actor(member, 1))


def test_what_is_limited_is_every_way_up_and_never_the_way_down() -> None:
    assert {"promote", "approve", "resume", "undo_rollback"} <= commands.RESTRICTED
    assert not {"rollback", "hold", "restore", "complaint", "proof"} & commands.RESTRICTED


pytestmark = pytest.mark.anyio


async def test_a_refusal_names_who_may_and_that_rollback_is_everyone_s(tmp_path: Path) -> None:
    limited = SimpleNamespace(
        plan=replace(PLAN, access=Access(promote=("alice",))),
        ask=lambda reason, actor, rid, seen, request: Ask(actor, 1.0, rid),
    )
    reply = await commands.carry_out(limited, "promote", {}, Actor("bo", 1001))  # type: ignore[arg-type]
    assert not reply.ok
    assert "[access] allows alice" in reply.sentence
    assert "Anyone may roll back" in reply.sentence
