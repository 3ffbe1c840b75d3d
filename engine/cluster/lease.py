"""A worker's permission to call the LLM, as pure arithmetic: messages and time in, what may be done out.

The engine grants, a worker holds. A lease lasts LEASE_S from the moment the worker *sent* its renewal, on the worker's
own boot clock, and the worker stops using it LAST_S earlier; the engine counts LEASE_S and SEND_S from when it received
the renewal, which is later, so it never believes that a lease has ended while its worker may still use it. No clock is
ever compared with another machine's.

Guarantee: a worker whose link is cut sends no byte of a call after its lease, and the engine's statement that it cannot
is true, unless the process gets no CPU for LAST_S (for the statement: LAST_S + SEND_S) between its last check and the
write, two instructions later. No code inside the process can exclude that: SIGSTOP or a paused machine may hit there.

A watch (long poll) lowers at once and never extends; only a renewal extends or raises. Neither the version nor the
epoch ever goes back.
"""

from __future__ import annotations

import math
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.cluster.lease_times import LAST_S, LEASE_S, OUT_S
from engine.cluster.window_shares import WindowUse

Version = tuple[int, int]  # the engine's fencing token, and a number that grows when what routers obey changes

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Count = Annotated[int, Meta(ge=0, le=1 << 40)]
Age = Annotated[float, Meta(ge=0, le=1e9)]


class LeaseTerms(Struct, frozen=True):
    """What routers obey. `open`: whether any LLM call may be made; `why` not, if it is less than was decided."""

    percent_bp: int = 0
    open: bool = False
    why: str = ""
    epoch: int = 0
    stage: int = 0
    rev: int = 0  # of the control state
    last_rev: int = 0  # of the last rollback: cached answers from before it are not served

    def differs(self, other: LeaseTerms) -> bool:
        """Whether a worker must know at once. `why` holds running seconds and `rev` grows with every note."""
        mine = (self.percent_bp, self.open, self.epoch, self.stage, self.last_rev)
        return mine != (other.percent_bp, other.open, other.epoch, other.stage, other.last_rev)


class LeaseGrant(Struct, frozen=True):
    """The engine's answer to a renewal or a watch."""

    version: Version
    terms: LeaseTerms
    salt: str = ""
    shares: dict[str, int] = {}  # calls this worker may have in flight, by LLM server


class WorkerIdentity(Struct, frozen=True):
    """What a worker runs. Work of another version, plan or model would not be comparable. `model`: "" until known."""

    version: str
    plan: str  # digest of the plan file
    model: str = ""


class LeaseRenewal(Struct, frozen=True, forbid_unknown_fields=True):
    """A worker's renewal. `acknowledged`: the version that it has carried out, which includes that calls in flight were
    cancelled if it lowers. `last_call_age_s`: since the last call was sent, None before the first."""

    worker: Name
    host: Name
    pid: Count
    identity: WorkerIdentity
    acknowledged: Version = (0, 0)
    in_flight: Count = 0
    last_call_age_s: Age | None = None
    backfill: bool = False  # these documents were not sent just now: their calls are not traffic
    leaving: bool = False
    servers: Annotated[list[WindowUse], Meta(max_length=100)] = []


class LeasePoll(Struct, frozen=True, forbid_unknown_fields=True):
    """A long poll: answered when the version is above `seen`, or after a while."""

    worker: Name
    seen: Version


# -- what a worker holds ---------------------------------------------------------------------------------------------


class HeldLease(Struct, frozen=True):
    """A worker's side of its lease. `until`: when its use of the lease ends, on its own boot clock; without a grant
    nothing is permitted."""

    version: Version = (0, 0)
    terms: LeaseTerms = LeaseTerms()
    until: float = -math.inf
    ended: str = "no engine has granted this worker a lease"

    def at(self, now: float) -> LeaseTerms:
        """What may be done now."""
        if now < self.until:
            return self.terms
        return replace(self.terms, percent_bp=0, open=False, why=self.ended)


def renewed(held: HeldLease, grant: LeaseGrant, sent: float) -> HeldLease:
    """The lease after a renewal that was sent at `sent`. An answer that a newer one has overtaken changes nothing."""
    if _is_older(held, grant):
        return held
    return HeldLease(
        grant.version,
        grant.terms,
        max(sent + LEASE_S - LAST_S, held.until),
        "the engine has not renewed this worker's lease",
    )


def lowered(held: HeldLease, grant: LeaseGrant) -> HeldLease:
    """The lease after a watch: never more than before, and never for longer."""
    if _is_older(held, grant):
        return held
    percent_bp = min(held.terms.percent_bp, grant.terms.percent_bp)
    terms = replace(grant.terms, percent_bp=percent_bp, open=held.terms.open and grant.terms.open)
    return replace(held, version=grant.version, terms=terms)


def is_lower(before: LeaseTerms, after: LeaseTerms) -> bool:
    """Whether calls in flight must end: the LLM is shut, or at 0 %."""
    return (before.open and not after.open) or (before.percent_bp > 0 and not after.percent_bp)


def _is_older(held: HeldLease, grant: LeaseGrant) -> bool:
    return grant.version < held.version or grant.terms.epoch < held.terms.epoch


# -- what the engine knows -------------------------------------------------------------------------------------------


class WorkerLease(Struct, frozen=True):
    """The engine's side of one worker's lease; times by the engine's boot clock.

    `since`: the version at the start of this unbroken lease. The worker obeyed nothing older: it held no permission.
    """

    worker: str
    host: str
    pid: int
    since: Version
    acknowledged: Version
    in_flight: int
    received: float
    until: float
    last_call: float | None
    percent_bp: int
    backfill: bool = False

    def lives(self, now: float) -> bool:
        return now < self.until

    def obeys(self, version: Version) -> bool:
        """Whether nothing older than `version` can still be in force there."""
        return self.acknowledged >= version or self.since >= version


def granted(before: WorkerLease | None, report: LeaseRenewal, grant: LeaseGrant, now: float) -> WorkerLease:
    """The lease after a renewal received at `now`."""
    unbroken = before is not None and before.lives(now)
    last_call = before.last_call if before is not None else None
    if report.last_call_age_s is not None:
        last_call = now - report.last_call_age_s
    return WorkerLease(
        worker=report.worker,
        host=report.host,
        pid=report.pid,
        since=before.since if before is not None and unbroken else grant.version,
        acknowledged=min(report.acknowledged, grant.version),
        in_flight=report.in_flight,
        received=now,
        until=now + OUT_S,
        last_call=last_call,
        percent_bp=grant.terms.percent_bp,
        backfill=report.backfill,
    )


def pending(lease: WorkerLease, version: Version, to_zero: bool, now: float) -> bool:
    """Whether this lease contradicts that `version` is in force there (`to_zero`: with nothing in flight)."""
    return lease.lives(now) and (not lease.obeys(version) or (to_zero and lease.in_flight > 0))
