"""The log only grows, every link of it is checked, and it leads to the state, whatever is asked in whatever order."""

from __future__ import annotations

import functools
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Action
from engine.rollout import control, corrections
from engine.rollout.control import note
from engine.rollout.state import ENGINE, UP, Actor, Ask, Decision, Refusal, State, replay
from engine.store import database, lease, log
from engine.store.folder import Folder

PLAN = parse_plan(default_plan_text())
ALICE = Actor("alice", 1000)
BO = Actor("bo", 1001)


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    folder = Folder(tmp_path / "store")
    database.create(folder)
    connection = database.open_writer(folder, "FULL")
    for number in range(6):
        ask = Ask(ALICE, float(number), f"r{number}")
        log.commit(
            connection, ask.request_id, lambda state, ask=ask: note(state, ask, "note", f"said {ask.request_id}")
        )  # type: ignore[misc]
    yield connection
    connection.close()


def test_the_newest_decisions_are_read_once_until_there_is_another(conn: sqlite3.Connection) -> None:
    shown: list[int] = []
    newest = log.Newest(3, lambda row: (shown.append(row.rev), row.decision.sentence)[1])
    assert newest.read(conn) == newest.read(conn) == ("said r5", "said r4", "said r3")
    assert shown == [6, 5, 4]
    log.commit(conn, "r6", lambda state: note(state, Ask(ALICE, 6.0, "r6"), "note", "said r6"))
    assert newest.read(conn) == ("said r6", "said r5", "said r4")


def behind_the_triggers(conn: sqlite3.Connection, *statements: str) -> None:
    """By someone who puts the triggers back afterwards."""
    own = conn.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in own:
        conn.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        conn.execute(statement)
    for _, sql in own:
        conn.execute(sql)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE decision SET reason = 'x' WHERE rev = 3",
        "DELETE FROM decision WHERE rev = 6",
        "INSERT OR REPLACE INTO decision SELECT 3, at, kind, actor, 'x', stage, percent_from, percent_to, epoch, body, 'new', prev, "
        "hash FROM decision WHERE rev = 3",
        "INSERT INTO decision SELECT 9, at, kind, actor, 'x', stage, percent_from, percent_to, epoch, body, 'new', prev, hash "
        "FROM decision WHERE rev = 3",
    ],
)
def test_a_row_is_neither_changed_nor_taken_away_nor_put_in_between(conn: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        conn.execute(statement)
    assert log.verify(conn).ok


@pytest.mark.parametrize(
    ("done", "output"),
    [
        (["UPDATE decision SET body = replace(body, 'said r2', 'sang r2') WHERE rev = 3"], "decision 3 was changed or moved"),
        (["UPDATE decision SET kind = 'rollback' WHERE rev = 4"], "decision 4's columns do not match its body"),
        (["UPDATE decision SET percent_to = 1000 WHERE rev = 2"], "decision 2's columns do not match its body"),
        (["DELETE FROM decision WHERE rev = 3"], "decision 3 is missing: after 2 comes 4"),
        (["DELETE FROM decision WHERE rev = 1"], "decision 1 is missing: after 0 comes 2"),
        (["DELETE FROM decision WHERE rev >= 5"], "rows are missing at its end"),
        (
            [
                "UPDATE decision SET rev = -2 WHERE rev = 2",
                "UPDATE decision SET rev = 2 WHERE rev = 3",
                "UPDATE decision SET rev = 3 WHERE rev = -2",
            ],
            "decision 2 was changed or moved",
        ),
        (["UPDATE control SET state = json_set(state, '$.percent_bp', 5000)"], "the stored state does not match it"),
    ],
)  # fmt: skip
def test_what_is_done_behind_the_triggers_is_found_and_named(
    conn: sqlite3.Connection, done: list[str], output: str
) -> None:
    behind_the_triggers(conn, *done)
    result = log.verify(conn)
    assert not result.ok
    assert output in result.sentence


def test_a_log_that_was_cut_off_with_its_state_is_found_by_a_head_noted_before(conn: sqlite3.Connection) -> None:
    head = log.verify(conn).head
    assert log.verify(conn, head[:16]).ok
    behind_the_triggers(conn, "DELETE FROM decision WHERE rev >= 5")
    state = replay([row.decision for row in log.every(conn)])
    conn.execute("UPDATE control SET rev = 4, state = ?", (log.json_body(state),))
    assert log.verify(conn).ok  # a chain alone cannot know its end
    result = log.verify(conn, head[:16])
    assert not result.ok
    assert "truncated" in result.sentence


@functools.cache
def fresh() -> bytes:
    """An empty database; made once, for making it takes longer than what is tested on it."""
    root = Path(tempfile.mkdtemp(prefix="rollout-log-"))
    database.create(Folder(root))
    body = (root / "store.db").read_bytes()
    shutil.rmtree(root)
    return body


class Requests(RuleBasedStateMachine):
    """People, triggers and two engines write to one real store; requests are repeated, epochs are old, engines are replaced."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="rollout-log-"))
        self.folder = Folder(self.root)
        self.folder.database.write_bytes(fresh())
        self.conn = database.open_writer(self.folder, "NORMAL")
        self.token = lease.take(self.conn, 1, 0.0, 0.0).token
        self.now = 0.0
        self.asked = 0
        self.known: dict[str, Decision] = {}

    def teardown(self) -> None:
        self.conn.close()
        shutil.rmtree(self.root)

    def ask(self, actor: Actor, reason: str = "") -> Ask:
        self.asked += 1
        return Ask(actor, self.now, f"r{self.asked}", reason)

    def commit(self, ask: Ask, decide: Callable[[State], Decision | Refusal | None]) -> log.Outcome:
        outcome = log.commit(self.conn, ask.request_id, decide, self.token)
        before, after = outcome.before, outcome.state
        if outcome.decision is None:
            assert after == before
        elif after.percent_bp > before.percent_bp:
            assert outcome.decision.kind in UP
            assert outcome.decision.actor.kind == "person"
        if outcome.decision is not None:
            self.known[ask.request_id] = outcome.decision
        return outcome

    @rule(seconds=st.floats(0, 5000))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(who=st.sampled_from([ALICE, BO]), old=st.integers(0, 2), open_gate=st.booleans(), override=st.booleans())
    def promote(self, who: Actor, old: int, open_gate: bool, override: bool) -> None:
        ask = self.ask(who, "a reason that is long enough")
        epoch = log.read_state(self.conn).epoch - old
        missing = () if open_gate else ("the bake time",)

        def decide(state: State) -> Decision | Refusal:
            blocked = tuple(filter(None, (state.held, state.locked)))
            by = log.moved_by(self.conn, state.epoch)
            return control.promote(PLAN, state, control.Promotion(ask, epoch, override), missing, blocked, by)

        outcome = self.commit(ask, decide)
        if old or (missing and not override):
            assert outcome.decision is None

    @rule(who=st.sampled_from([ALICE, BO]), to=st.none() | st.integers(0, 6))
    def roll_back(self, who: Actor, to: int | None) -> None:
        ask = self.ask(who)
        outcome = self.commit(ask, lambda state: control.roll_back(PLAN, state, ask, to))
        assert outcome.decision is not None
        assert outcome.state.epoch == outcome.before.epoch + 1
        assert outcome.state.percent_bp <= outcome.before.percent_bp
        if to is None:
            assert outcome.state.percent_bp == 0

    @rule(action=st.sampled_from(list(Action)))
    def trigger(self, action: Action) -> None:
        ask = self.ask(ENGINE, "rule")
        self.commit(ask, lambda state: control.act(PLAN, state, action, ask, "why", {}))

    @rule(who=st.sampled_from([ALICE, BO]))
    def others(self, who: Actor) -> None:
        for make in (
            lambda state, ask: control.approve(PLAN, state, ask),
            control.hold,
            control.resume,
            lambda state, ask: control.undo_rollback(PLAN, state, ask, state.epoch, ""),
        ):
            ask = self.ask(who, "a written cause")
            self.commit(ask, lambda state, make=make, ask=ask: make(state, ask))  # type: ignore[misc]

    @rule(by=st.floats(-7200, 7200))
    def the_clock_is_set(self, by: float) -> None:
        self.now += by
        ask = self.ask(ENGINE)
        self.commit(ask, lambda state: corrections.clock_step(state, ask, by))

    @rule(up=st.integers(1, 10_000))
    def something_unlawful(self, up: int) -> None:
        """Code that would raise the percentage without a person, or under another kind's name."""
        for kind, actor in (("promote", ENGINE), ("hold", ALICE), ("note", ALICE), ("trigger", ENGINE)):
            ask = self.ask(actor)

            def decide(state: State, ask: Ask = ask, kind: str = kind) -> Decision:
                more = min(10_000, state.percent_bp + up)
                return Decision(kind, ask.actor, "", state.stage, more, ask.at, ask.request_id, "up")

            before = log.read_state(self.conn).percent_bp
            assert self.commit(ask, decide).state.percent_bp == before

    @rule(data=st.data())
    def a_request_is_sent_again(self, data: st.DataObject) -> None:
        """It landed unacknowledged: the answer is the one of the first time, and nothing is decided."""
        if not self.known:
            return
        request_id = data.draw(st.sampled_from(sorted(self.known)))
        before = log.read_state(self.conn)
        outcome = log.commit(self.conn, request_id, lambda state: pytest.fail("decided twice"), self.token)
        assert outcome.decision == self.known[request_id]
        assert log.read_state(self.conn) == before

    @rule()
    def another_engine_takes_over(self) -> None:
        """The one before can write nothing any more."""
        self.token = lease.take(self.conn, 1, self.now, self.now).token
        ask = self.ask(ENGINE)
        with pytest.raises(log.Fenced):
            log.commit(self.conn, ask.request_id, lambda state: note(state, ask, "note", "late"), self.token - 1)

    @rule(who=st.sampled_from([ALICE, BO]))
    def killed_before_the_commit(self, who: Actor) -> None:
        """What was written in a transaction that never ended is not there."""
        ask = self.ask(who)
        before = log.read_state(self.conn)
        self.conn.execute("BEGIN IMMEDIATE")
        log.append(self.conn, before, control.roll_back(PLAN, before, ask))
        self.conn.close()
        self.conn = database.open_writer(self.folder, "NORMAL")
        assert log.read_state(self.conn) == before

    @invariant()
    def the_log_is_whole_and_leads_to_the_state(self) -> None:
        verified = log.verify(self.conn)
        assert verified.ok, verified.sentence
        assert replay([row.decision for row in log.every(self.conn)]) == log.read_state(self.conn)


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
