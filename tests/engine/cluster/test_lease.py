"""A lease's arithmetic: whatever is lost, late, reordered or asleep, a worker never calls when the engine assumes it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.cluster import lease
from engine.cluster.identity import mismatch
from engine.cluster.lease import HeldLease, LeaseGrant, LeaseRenewal, LeaseTerms, Version, WorkerIdentity, WorkerLease
from engine.cluster.lease_times import LAST_S, LEASE_S, OUT_S
from engine.cluster.leases import LOOK_S, MOST_WAITING, Leases
from engine.cluster.window_shares import WindowShares
from tests.clock import ManualClock

WHO = WorkerIdentity("1", "plan")


def terms(percent_bp: int, epoch: int = 1) -> LeaseTerms:
    return LeaseTerms(percent_bp, percent_bp > 0, "", epoch)


def test_a_lease_counts_from_the_sending_of_its_renewal_and_its_last_moments_are_not_used() -> None:
    held = lease.renewed(HeldLease(), LeaseGrant((1, 1), terms(1000)), sent=10.0)
    used = 10.0 + LEASE_S - LAST_S
    assert held.at(used - 0.001).percent_bp == 1000
    assert held.at(used + 0.001).percent_bp == 0
    assert not held.at(used + 0.001).open
    assert held.at(used + 0.001).why


def test_no_lease_is_zero() -> None:
    assert not HeldLease().at(0.0).open


def test_a_watch_lowers_at_once_and_never_extends_or_raises() -> None:
    held = lease.renewed(HeldLease(), LeaseGrant((1, 1), terms(1000)), sent=10.0)
    down = lease.lowered(held, LeaseGrant((1, 2), terms(0, 2)))
    assert (down.at(10.5).percent_bp, down.until) == (0, held.until)
    up = lease.lowered(down, LeaseGrant((1, 3), terms(5000, 3)))
    assert (up.at(10.5).percent_bp, up.at(10.5).open, up.until) == (0, False, held.until)
    assert lease.renewed(up, LeaseGrant((1, 3), terms(5000, 3)), sent=10.6).at(10.7).percent_bp == 5000


def test_an_overtaken_answer_changes_nothing() -> None:
    held = lease.renewed(HeldLease(), LeaseGrant((1, 2), terms(0, 2)), sent=10.0)
    assert lease.renewed(held, LeaseGrant((1, 1), terms(1000, 1)), sent=10.2) == held
    assert lease.renewed(held, LeaseGrant((1, 9), terms(1000, 1)), sent=10.2) == held, "an epoch never goes back"
    assert lease.lowered(held, LeaseGrant((0, 9), terms(0, 9))) == held, "nor does an engine"


def test_an_answer_that_comes_late_does_not_shorten_the_lease() -> None:
    grant = LeaseGrant((1, 2), terms(1000))
    held = lease.renewed(HeldLease(), grant, sent=10.3)
    assert lease.renewed(held, grant, sent=10.0) == held


def test_a_worker_whose_lease_had_ended_obeys_what_it_is_granted_next() -> None:
    """It held no permission, so it need not acknowledge what came meanwhile."""
    report = LeaseRenewal("w", "h", 1, WHO)
    first = lease.granted(None, report, LeaseGrant((1, 1), terms(1000)), now=10.0)
    assert lease.pending(lease.granted(first, report, LeaseGrant((1, 2), terms(0)), 10.5), (1, 2), False, 10.6)
    later = 10.0 + OUT_S
    assert not lease.pending(lease.granted(first, report, LeaseGrant((1, 2), terms(0)), later), (1, 2), False, later)


def test_another_version_plan_or_model_is_refused_by_name() -> None:
    mine = WorkerIdentity("1", "plan", "model")
    assert mismatch(mine, mine) is None
    assert mismatch(WorkerIdentity("1", "plan"), mine) is None, "a model is compared once both know it"
    for other, code in (
        (WorkerIdentity("2", "plan", "model"), "worker_version"),
        (WorkerIdentity("1", "else", "model"), "worker_plan"),
        (WorkerIdentity("1", "plan", "else"), "worker_model"),
    ):
        result = mismatch(other, mine)
        assert result is not None
        assert result.code == code


def test_a_worker_of_another_model_names_both_with_digests_as_short_as_ollama_shows_them() -> None:
    models = [WorkerIdentity("1", "plan", f"llama3.2:3b+{letter * 64}") for letter in "ab"]
    result = mismatch(models[0], models[1])
    assert result is not None
    assert result.sentence == (
        "The worker's LLM servers have the model llama3.2:3b+aaaaaaaaaaaa and the engine's llama3.2:3b+bbbbbbbbbbbb. "
        "Pull the same model on all of them and start the worker again."
    )


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, float, float]]:
    """(what happens, seconds until it, how late its answer arrives)."""
    kinds = st.sampled_from(["renew", "renew", "renew", "lost", "watch", "sleep", "lower", "raise", "restart"])
    step = st.tuples(kinds, st.floats(0.0, 0.9), st.floats(0.0, 0.9))
    return draw(st.lists(step, min_size=1, max_size=40))


@settings(max_examples=300, deadline=None)
@given(histories())
def test_the_engine_never_counts_a_lease_as_ended_or_obeying_while_its_worker_may_call(
    history: list[tuple[str, float, float]],
) -> None:
    """One engine, one worker, their messages delayed and lost; the worker's clock starts elsewhere."""
    offset, now = 5000.0, 100.0
    version, percent, epoch = (1, 1), 1000, 1
    lowered_at: tuple[int, int] | None = None
    held, acknowledged, book = HeldLease(), (0, 0), None
    answers: list[
        tuple[float, str, LeaseGrant, float]
    ] = []  # when it arrives, what it answers, the grant, when it was sent

    def receive(until: float) -> None:
        nonlocal held, acknowledged
        for arrives, what, grant, sent in sorted(answers, key=lambda answer: answer[0]):
            if arrives <= until:
                held = lease.renewed(held, grant, sent) if what == "renew" else lease.lowered(held, grant)
                acknowledged = max(acknowledged, held.version)
        answers[:] = [answer for answer in answers if answer[0] > until]

    for kind, pause, late in history:
        now += pause
        receive(now)
        if kind in ("renew", "lost"):
            sent = now + offset
            report = LeaseRenewal("w", "h", 1, WHO, acknowledged)
            received = now + late / 2
            grant = LeaseGrant(version, terms(percent, epoch))
            book = lease.granted(book, report, grant, received)
            if kind == "renew":
                answers.append((received + late / 2, "renew", grant, sent))
            now = received
        elif kind == "watch":
            answers.append((now + late, "watch", LeaseGrant(version, terms(percent, epoch)), now + offset))
        elif kind == "sleep":
            now += 3 * late
        elif kind == "restart":
            now += OUT_S  # the next engine waits for the leases of the one before it
            version, book = (version[0] + 1, 0), None
        elif kind == "lower" and percent:
            version, percent, epoch = (version[0], version[1] + 1), 0, epoch + 1
            lowered_at = version
        elif kind == "raise" and not percent:
            version, percent, epoch = (version[0], version[1] + 1), 1000, epoch + 1
            lowered_at = None
        receive(now)
        if lowered_at is not None and held.at(now + offset).open:
            assert book is not None
            assert lease.pending(book, lowered_at, True, now), (book, held)


def test_calls_in_flight_leave_a_lease_pending_whatever_it_acknowledged() -> None:
    held = WorkerLease("w", "h", 1, (1, 2), (1, 2), 3, 10.0, 11.05, None, 0)
    assert lease.pending(held, (1, 2), True, 10.5)
    assert not lease.pending(held, (1, 2), False, 10.5)
    assert not lease.pending(held, (1, 2), True, 11.05)


def test_a_worker_acknowledges_nothing_that_it_was_not_granted() -> None:
    """One of an engine before this one may know a higher version: a restored store's tokens go back."""
    report = LeaseRenewal(worker="w", host="h", pid=1, identity=WHO, acknowledged=(9, 9))
    held = lease.granted(None, report, LeaseGrant((1, 2), terms(1000)), now=10.0)
    assert lease.pending(held, (1, 3), False, 10.5)


def test_the_proof_names_the_percentage_that_a_worker_has_not_acknowledged() -> None:
    clock, obeyed = ManualClock(), terms(1000)
    leases = Leases(clock, 1, lambda: obeyed, lambda: None, WindowShares(dict, lambda: 0, clock.real))
    asyncio.run(leases.renew(LeaseRenewal("w", "h", 7, WHO, (1, 1)), "salt"))
    obeyed = terms(0, 2)
    version = leases.refresh()
    assert "has not acknowledged 0 % yet" in leases.unproven(version, True)


@pytest.mark.parametrize("percent_bp", [0, 1000])
def test_no_rollback_is_proven_while_leases_of_the_engine_before_may_last(percent_bp: int) -> None:
    """They may have been granted at any percentage."""
    clock = ManualClock()
    shares = WindowShares(dict, lambda: 0, clock.real)
    leases = Leases(clock, 2, lambda: terms(percent_bp), lambda: None, shares, inherited=True)
    version = leases.refresh()
    assert "the engine before this one" in leases.unproven(version, not percent_bp)
    assert not leases.idle, "their mark in the store's folder stays"
    clock.advance(OUT_S)
    assert leases.unproven(version, not percent_bp) == ""
    assert leases.idle


def test_a_watch_of_an_engine_that_is_stopping_is_answered_at_once() -> None:
    clock = ManualClock()
    leases = Leases(clock, 2, lambda: terms(0), lambda: None, WindowShares(dict, lambda: 0, clock.real))
    leases.close()
    answers: list[LeaseGrant] = []
    leases.attend("w", leases.refresh(), "salt", answers.append)
    assert len(answers) == 1


def test_a_renewal_is_granted_on_a_reading_that_is_as_new_as_the_engine_s_looks() -> None:
    clock, obeyed, readings = ManualClock(), [terms(1000)], []

    def read() -> LeaseTerms:
        readings.append(clock.real())
        return obeyed[0]

    leases = Leases(clock, 1, read, lambda: None, WindowShares(dict, lambda: 0, clock.real))

    def renewed() -> int:
        grant = asyncio.run(leases.renew(LeaseRenewal("w", "h", 7, WHO), "salt"))
        return grant.terms.percent_bp

    assert renewed() == 1000
    obeyed[0] = terms(500, 2)
    clock.advance(LOOK_S / 2)
    assert renewed() == 1000
    assert len(readings) == 1
    clock.advance(LOOK_S / 2)
    assert renewed() == 500
    obeyed[0] = terms(0, 3)
    leases.refresh()  # as a rollback does in its own instruction
    assert renewed() == 0
    obeyed[0] = terms(0, 4)
    leases.close()
    assert readings[-1] == clock.real()
    assert len(readings) == 4, "an engine that begins to stop does not grant what it granted before"


@pytest.mark.anyio
async def test_a_fall_is_news_for_every_watch_in_the_same_instruction() -> None:
    clock, obeyed = ManualClock(), [LeaseTerms(1000, True, "", 1)]
    leases = Leases(clock, 1, lambda: obeyed[0], lambda: None, WindowShares(dict, lambda: 0, clock.real))
    seen = leases.refresh()
    news: list[tuple[str, LeaseGrant]] = []

    def attend(worker: str, seen: Version = seen) -> Callable[[], None]:
        return leases.attend(worker, seen, "salt", lambda grant: news.append((worker, grant)))

    leaves = {name: attend(name) for name in ("a", "b", "c")}
    leaves["b"]()
    obeyed[0] = LeaseTerms(0, False, "", 2)
    version = leases.refresh()
    assert [worker for worker, _ in news] == ["a", "c"]
    assert {(grant.version, grant.terms, grant.salt) for _, grant in news} == {(version, obeyed[0], "salt")}
    attend("late")
    assert news[-1][0] == "late", "what it has seen is older"
    for _ in range(MOST_WAITING + 1):
        attend("busy", version)
    assert [worker for worker, _ in news].count("busy") == 1, "the one that has waited longest makes room"
    leases.close()
    assert [worker for worker, _ in news].count("busy") == MOST_WAITING + 1


@pytest.mark.anyio
async def test_a_client_that_goes_in_the_moment_of_a_fall_does_not_stop_it() -> None:
    clock, obeyed = ManualClock(), [LeaseTerms(1000, True, "", 1)]
    leases = Leases(clock, 1, lambda: obeyed[0], lambda: None, WindowShares(dict, lambda: 0, clock.real))
    seen = leases.refresh()
    gone = asyncio.create_task(leases.watch("gone", seen, "salt"))
    kept = asyncio.create_task(leases.watch("kept", seen, "salt"))
    await asyncio.sleep(0)
    gone.cancel()
    obeyed[0] = LeaseTerms(0, False, "", 2)
    version = leases.refresh()
    assert (await kept).version == version
    with pytest.raises(asyncio.CancelledError):
        await gone
