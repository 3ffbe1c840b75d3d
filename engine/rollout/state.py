"""The control state and what changes it. Pure: no clock, no database.

`transition(state, decision)` is the only way from one state to the next, so that replaying the log gives the state.
"""

from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from engine.plan.pins import Pins
from engine.rollout.way_back import Setback

if TYPE_CHECKING:  # a rollback starts without the plan
    from engine.plan.model import Plan, Stage

UNDO_S = 60.0
ROOT = 0
UP = frozenset({"promote", "undo_rollback"})
DOWN = frozenset({"rollback", "trigger"})


class Actor(Struct, frozen=True):
    """Who acted and from where. The engine itself acts as kind `engine`.

    `name` is what people see. Where a person goes by a name of their own it carries the uid, and `account` is the
    account's name: rights and approvals count by account and uid, never by a name that someone chose.
    """

    name: str
    uid: int = -1
    kind: str = "person"
    ssh: str = ""
    terminal: str = ""
    account: str = ""  # "" where it is `name`
    login: int = -1  # the uid that the session logged in as, where it is another (`sudo -u`, `su`)

    @property
    def person(self) -> int:
        """The uid that approvals count: whoever logged in, whatever account they act as."""
        return self.uid if self.login < 0 else self.login

    @property
    def where(self) -> str:
        parts = [part for part in (self.terminal, self.ssh and f"ssh {self.ssh.split()[0]}") if part]
        return ", ".join(parts) or ("the engine" if self.kind == "engine" else "this machine")


ENGINE = Actor("engine", kind="engine")


class Undo(Struct, frozen=True):
    """What a manual rollback took away, and until when it can be undone."""

    stage: int
    percent_bp: int
    until: float
    last_rev: int | None = None  # of the rollback before it; None in logs from before this was kept
    entered_at: float | None = None  # of the stage; None in logs from before this was kept, as the next one
    changed_at: float | None = None
    setback: Setback | None = field(name="stood", default=None)  # what an earlier rollback had left


class State(Struct, frozen=True):
    """The whole control state. `stage` is an index into the plan, or one past the end: *stable*."""

    epoch: int = 0  # grows at every change of percentage and at every rollback
    rev: int = 0  # decisions so far
    stage: int = 0
    percent_bp: int = 0
    entered_at: float = 0.0
    changed_at: float = 0.0
    held: str = ""
    locked: str = ""
    cooldown_until: float | None = None
    undo: Undo | None = None
    approvals: tuple[str, ...] = ()
    approvers: tuple[int, ...] = ()  # their uids: a name can be faked, a uid comes from the kernel
    last_rev: int = 0  # the rev of the last rollback that is in force
    restart_rev: int = 0  # the rev of the last change of model or plan that restarted evidence and bake
    ceiling_bp: int = 10_000  # no document beyond it goes to the LLM, whatever is decided
    pins: Pins | None = None  # what the rollout runs under; None in stores from before this was kept
    setback: Setback | None = field(name="stood", default=None)  # what the last rollback left, until a person promotes

    @property
    def in_force_bp(self) -> int:
        return min(self.percent_bp, self.ceiling_bp)

    @property
    def rolled_back(self) -> bool:
        """Whether 0 % is what a rollback left, and no person has gone on since: `undo` and `last_rev` are kept until
        then."""
        last = self.undo is not None or 0 < self.last_rev == self.rev
        return not self.percent_bp and (bool(self.locked) or last)


class Decision(Struct, frozen=True):
    """A row of the log before it has a number. `percent_bp` and `stage` are what is in force after it."""

    kind: str
    actor: Actor
    reason: str
    stage: int
    percent_bp: int
    at: float
    request_id: str
    sentence: str
    held: str | None = None  # None: unchanged
    locked: str | None = None
    cooldown_until: float | None = None
    undo: Undo | None = None
    approval: str = ""
    seen: str = ""  # what was on the deciding person's screen
    evidence: dict[str, Any] = {}
    override: bool = False
    clock_step_s: float = 0.0  # the wall clock was set by this much
    right_time: float | None = None  # what the wall clock reads, corrected: nothing in the state is later
    pins: Pins | None = None  # None: unchanged
    restarts: bool = False  # evidence, bake and trial start again; signatures that a rollback would lapse, too
    entered_at: float | None = None  # of the stage, given back by an undo, as the next one
    changed_at: float | None = None
    request: str = ""  # digest of the request behind `request_id`: an id answers for no other
    ceiling_bp: int | None = None  # None: unchanged
    epochs_used: int | None = None  # a log that was replaced used epochs up to this: the next is above
    setback: Setback | None = field(
        name="stood", default=None
    )  # what a rollback leaves; None in logs from before this was kept


class Refusal(Struct, frozen=True):
    """Why not, and what to do: a sentence for the person who asked, and a code for a program."""

    sentence: str
    code: str = ""


class Ask(Struct, frozen=True):
    """What every request carries."""

    actor: Actor
    at: float
    request_id: str
    reason: str = ""
    seen: str = ""
    pace: float = 1.0  # calendar seconds a second: in a time lapse a person's 60 s are still 60 s
    request: str = ""  # digest of the whole request; "" for the engine's own, whose ids are never used twice

    def decision(self, kind: str, stage: int, percent_bp: int, sentence: str, **more: Any) -> Decision:
        """The decision that answers this request; `more` are fields of Decision."""
        return Decision(
            kind=kind,
            actor=self.actor,
            reason=self.reason,
            stage=stage,
            percent_bp=percent_bp,
            at=self.at,
            request_id=self.request_id,
            sentence=sentence,
            seen=self.seen,
            **more,
        )


def transition(state: State, decision: Decision) -> State:
    """The state after a decision; total, and all that a replay needs."""
    moved = decision.stage != state.stage
    ceiling_bp = state.ceiling_bp if decision.ceiling_bp is None else decision.ceiling_bp
    in_force_bp = min(decision.percent_bp, ceiling_bp)
    changed = decision.percent_bp != state.percent_bp or in_force_bp != state.in_force_bp
    down = decision.kind in DOWN
    renumbered = decision.epochs_used is not None
    fresh = moved or changed or down or decision.restarts or renumbered
    entered_at = decision.at if moved or decision.restarts else state.entered_at
    rev = state.rev + 1
    approvals, approvers = state.approvals, state.approvers
    if fresh:
        approvals, approvers = (), ()
    elif decision.approval:
        approvals, approvers = (*approvals, decision.approval), (*approvers, decision.actor.person)
    undo = state.undo
    if fresh or decision.locked:
        undo = decision.undo
    last_rev = rev if down else state.last_rev
    if decision.kind == "undo_rollback" and state.undo and state.undo.last_rev is not None:
        last_rev = state.undo.last_rev
    after = State(
        epoch=max(state.epoch, decision.epochs_used or 0) + 1 if fresh else state.epoch,
        rev=rev,
        stage=decision.stage,
        percent_bp=decision.percent_bp,
        entered_at=entered_at if decision.entered_at is None else decision.entered_at,
        changed_at=decision.changed_at or (decision.at if fresh else state.changed_at),
        held=state.held if decision.held is None else decision.held,
        locked=state.locked if decision.locked is None else decision.locked,
        cooldown_until=decision.cooldown_until if decision.locked is not None else state.cooldown_until,
        undo=undo,
        approvals=approvals,
        approvers=approvers,
        last_rev=last_rev,
        restart_rev=rev if decision.restarts else state.restart_rev,
        pins=decision.pins or state.pins,
        ceiling_bp=ceiling_bp,
        setback=_setback(state, decision, rev),
    )
    if decision.right_time is not None:
        return _corrected(after, decision.clock_step_s, decision.right_time)
    return _stepped(after, decision.clock_step_s) if decision.clock_step_s else after


def _setback(state: State, decision: Decision, rev: int) -> Setback | None:
    """What the last rollback left, and whether a person has written why."""
    if decision.kind == "undo_rollback":
        return state.undo.setback if state.undo else None
    if decision.kind == "promote" or decision.restarts:  # from here on the plan's own gates hold again
        return None
    if decision.setback is not None:
        return replace(decision.setback, rev=rev)
    if decision.percent_bp < state.percent_bp:  # a lower ceiling of the plan, or a log from before this was kept
        return None
    setback = state.setback
    if setback is None or setback.explained:
        return setback
    cause = decision.kind == "resume" and bool(state.locked) and decision.locked == ""
    reason = decision.kind == "reason" and decision.evidence.get("of") == setback.rev
    return replace(setback, explained=True) if cause or reason else setback


def _corrected(state: State, by: float, now: float) -> State:
    """Shift a state after a wrong wall clock was corrected: deadlines keep their remaining wait, and nothing begins
    in the future."""
    undo = state.undo and replace(
        state.undo,
        until=min(state.undo.until + by, now + UNDO_S),
        entered_at=_not_after(state.undo.entered_at, now),
        changed_at=_not_after(state.undo.changed_at, now),
    )
    return replace(
        state,
        undo=undo,
        cooldown_until=None if state.cooldown_until is None else state.cooldown_until + by,
        entered_at=min(state.entered_at, now),
        changed_at=min(state.changed_at, now),
    )


def _not_after(at: float | None, now: float) -> float | None:
    return None if at is None else min(at, now)


def _stepped(state: State, by: float) -> State:
    """The same shift, for logs from before `right_time`."""
    undo = state.undo and replace(state.undo, until=state.undo.until + by)
    back = min(0.0, by)
    return replace(
        state,
        undo=undo,
        cooldown_until=None if state.cooldown_until is None else state.cooldown_until + by,
        entered_at=state.entered_at + back,
        changed_at=state.changed_at + back,
    )


def unlawful(state: State, decision: Decision) -> Refusal | None:
    """The last check before the log: the percentage never rises without a person, whatever code made the decision."""
    raises = decision.percent_bp > state.percent_bp
    lifts = decision.ceiling_bp is not None and decision.ceiling_bp > state.ceiling_bp
    by_person = decision.actor.kind == "person"
    if (not raises or (decision.kind in UP and by_person)) and (
        not lifts or (decision.kind == "ceiling" and by_person)
    ):
        return None
    return Refusal(
        f"Not done: {decision.kind} by {decision.actor.name} would raise the percentage, and only a person may."
    )


def replay(decisions: list[Decision]) -> State:
    """The state that a log leads to."""
    state = State()
    for decision in decisions:
        state = transition(state, decision)
    return state


def stage_of(plan: "Plan", state: State) -> "Stage | None":
    """The stage that the rollout is at; None once it is stable."""
    return plan.stages[state.stage] if state.stage < len(plan.stages) else None


def stage_name(plan: "Plan", stage: int) -> str:
    """ "stable" past the last stage."""
    return plan.stages[stage].name if stage < len(plan.stages) else "stable"
