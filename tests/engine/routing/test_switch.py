"""What routers obey: any single veto means 0 %, and the percentage in force never exceeds its lowest cap."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.rollout.state import Actor, Ask, Decision
from engine.routing.switch import TAKEN_OVER, Switch
from engine.store import database, lease, log
from engine.store.folder import Folder
from tests.clock import ManualClock

LEASE_S = 30.0
ALICE = Actor("alice", 1000)


class TrialStatus(NamedTuple):
    """A store at 25 %, its armed file in, its triggers evaluated now."""

    switch: Switch
    folder: Folder
    conn: sqlite3.Connection
    clock: ManualClock


@pytest.fixture
def at_25(tmp_path: Path) -> Iterator[TrialStatus]:
    folder, clock = Folder(tmp_path / "store"), ManualClock()
    database.create(folder)
    conn = database.open_writer(folder, "FULL")
    token = lease.take(conn, 1, clock.now(), clock.now()).token
    asked = Ask(ALICE, clock.now(), "r1")
    decision = Decision("promote", ALICE, "", 3, 2500, asked.at, asked.request_id, "25 %")
    log.commit(conn, asked.request_id, lambda _: decision, token)
    trust, _ = log.trusted(conn)
    switch = Switch(folder, conn, clock, LEASE_S, 10_000, token, trust)
    folder.prepare_armed_file("test")
    folder.arm()
    switch.armed = folder.armed_stamp()
    switch.evaluated()
    yield TrialStatus(switch, folder, conn, clock)
    conn.close()


def test_with_nothing_against_it_the_decided_percentage_is_in_force(at_25: TrialStatus) -> None:
    permit = at_25.switch.read()
    assert (permit.percent_bp, permit.decided_bp, permit.epoch, permit.shadow, permit.why) == (2500, 2500, 1, True, "")
    assert permit.open


def _shut(s: TrialStatus) -> None:
    s.switch.shut = "the store was replaced"


def _broken(s: TrialStatus) -> None:
    s.switch.trust.broken = "decision 1 was changed"


def _differs(s: TrialStatus) -> None:
    s.conn.execute("UPDATE control SET percent_bp = 5000")


def _rolled_back(s: TrialStatus) -> None:
    s.switch.cap("r2", 0)


def _unwatched(s: TrialStatus) -> None:
    s.clock.advance(LEASE_S + 1)


def _disarmed(s: TrialStatus) -> None:
    s.folder.disarm()


def _disarmed_by_the_engine(s: TrialStatus) -> None:
    s.switch.armed = None
    s.folder.disarm()


def _armed_by_another(s: TrialStatus) -> None:
    s.folder.disarm()
    s.folder.armed.write_text("manually")


def _taken_over(s: TrialStatus) -> None:
    lease.take(s.conn, 2, s.clock.now(), s.clock.now())


def _unreadable(s: TrialStatus) -> None:
    s.conn.close()


@pytest.mark.parametrize(
    ("veto", "why"),
    [
        (_shut, "the store was replaced"),
        (_broken, "decision 1 was changed"),
        (_differs, "percentage in basis points 5000"),
        (_rolled_back, "a rollback is under way"),
        (_unwatched, "not evaluated for 31 s"),
        (_disarmed, "the armed file is missing"),
        (_disarmed_by_the_engine, "the LLM is switched off, as after every rollback"),
        (_armed_by_another, "not the one that the engine created"),
        (_taken_over, TAKEN_OVER),
        (_unreadable, "the store cannot be read"),
    ],
)
def test_each_veto_alone_is_0_percent_and_ends_every_call(
    at_25: TrialStatus, veto: Callable[[TrialStatus], None], why: str
) -> None:
    veto(at_25)
    permit = at_25.switch.read()
    assert permit.percent_bp == 0
    assert why in permit.why
    assert not permit.shadow
    assert not permit.open
    assert not at_25.switch.may_call()
    assert not at_25.switch.may_call(bucket=0)
    assert not at_25.switch.may_call(epoch=1)


def test_a_veto_keeps_what_was_decided(at_25: TrialStatus) -> None:
    _disarmed(at_25)
    assert (at_25.switch.read().decided_bp, at_25.switch.read().epoch) == (2500, 1)


def test_a_store_that_cannot_be_read_decides_nothing(at_25: TrialStatus) -> None:
    _unreadable(at_25)
    permit = at_25.switch.read()
    assert (permit.decided_bp, permit.epoch, permit.shadow) == (0, 0, False)


def test_an_engine_that_was_replaced_knows_what_was_decided_and_shadows_nothing(at_25: TrialStatus) -> None:
    _taken_over(at_25)
    permit = at_25.switch.read()
    assert (permit.decided_bp, permit.epoch, permit.shadow) == (2500, 1, False)


def test_a_lease_lasts_its_whole_length(at_25: TrialStatus) -> None:
    at_25.clock.advance(LEASE_S)
    assert at_25.switch.lease_age_s == LEASE_S
    assert at_25.switch.lease_valid
    at_25.clock.advance(0.001)
    assert not at_25.switch.lease_valid
    at_25.switch.evaluated()
    assert at_25.switch.lease_valid


def test_triggers_that_were_never_evaluated_give_no_lease(at_25: TrialStatus) -> None:
    s = at_25
    fresh = Switch(s.folder, s.conn, s.clock, LEASE_S, 10_000, 1, s.switch.trust)
    assert not fresh.lease_valid
    assert fresh.armed_file == "foreign"


def test_the_least_of_ceiling_and_pending_rollbacks_is_in_force(at_25: TrialStatus) -> None:
    switch = at_25.switch
    switch.cap("r2", 1000)
    switch.cap("r3", 500)
    assert switch.read().percent_bp == 500
    assert switch.read().open
    switch.clear_cap("r3")
    assert switch.read().percent_bp == 1000
    switch.ceiling_bp = 700
    assert switch.read().percent_bp == 700
    switch.clear_cap("r2")
    switch.clear_cap("unknown")
    assert switch.read().percent_bp == 700


def test_a_pending_rollback_is_known_and_counted(at_25: TrialStatus) -> None:
    switch = at_25.switch
    assert switch.rollback_count == 0
    assert not switch.pending
    assert switch.would_lower(10_000)  # with none pending, any percentage is below
    switch.cap("r2", 1000)
    assert switch.pending
    assert switch.rollback_count == 1
    assert switch.would_lower(999)
    assert not switch.would_lower(1000)
    switch.cap("r3", 2000)
    assert switch.rollback_count == 2
    switch.clear_cap("r2")
    assert switch.pending
    switch.clear_cap("r3")
    assert not switch.pending
    assert switch.rollback_count == 2


@pytest.mark.parametrize(
    ("bucket", "epoch", "may"),
    [(None, None, True), (0, None, True), (2499, None, True), (2500, None, False), (None, 1, True), (None, 0, False),
     (None, 2, False), (2499, 1, True), (2499, 2, False), (2500, 1, False)],
)  # fmt: skip
def test_a_call_is_of_a_bucket_below_the_percentage_and_of_the_current_epoch(
    at_25: TrialStatus, bucket: int | None, epoch: int | None, may: bool
) -> None:
    assert at_25.switch.may_call(bucket, epoch) is may


def test_the_armed_file_is_in_out_removed_or_foreign(at_25: TrialStatus) -> None:
    switch, folder = at_25.switch, at_25.folder
    assert switch.armed_file == "in"
    folder.disarm()
    assert switch.armed_file == "removed"
    switch.armed = None
    assert switch.armed_file == "out"
    folder.armed.write_text("manually")
    assert switch.armed_file == "foreign"
