"""Decides what follows a failed call for a piece of a document: retry, halve, accept what there is, or give up.
Pure."""

from __future__ import annotations

from dataclasses import dataclass

from engine.extraction.llm.failure import UNSENT, ErrorKind, Fault

# Faults of one server alone: another may do better.
OF_THE_SERVER = frozenset(
    {
        ErrorKind.quota,
        ErrorKind.model_missing,
        ErrorKind.proxy,
        ErrorKind.loading,
        ErrorKind.not_loaded,
        ErrorKind.out_of_memory,
    }
)
PATIENT = frozenset({ErrorKind.busy, ErrorKind.loading})  # the server did no work for the document


@dataclass(frozen=True, slots=True)
class Tries:
    """What was tried for the piece, and what is left. `elsewhere`: a server that has not failed this piece accepts
    calls."""

    failed: int = 0  # tries that count towards `retries`
    retries: int = 2
    other_seed: bool = False
    resent: bool = False  # sent again at once, over a new connection
    saved: bool = False  # a truncated answer had keywords
    divisible: bool = False
    elsewhere: bool = False
    left_s: float = 30.0  # seconds left of the document's deadline


@dataclass(frozen=True, slots=True)
class Again:
    """Retry. `least_s`: the shortest pause before it, None = no pause. `avoid`: use another server if there is one."""

    least_s: float | None = None
    avoid: bool = False
    counts: bool = False
    other_seed: bool = False
    resent: bool = False


@dataclass(frozen=True, slots=True)
class Halve:
    pass


@dataclass(frozen=True, slots=True)
class Accept:
    """Accept the keywords of a truncated answer."""


@dataclass(frozen=True, slots=True)
class GiveUp:
    pass


Step = Again | Halve | Accept | GiveUp


def next_step(fault: Fault, tries: Tries) -> Step:
    """The next step after this fault, which `tries` does not include yet."""
    if fault.kind in UNSENT:
        return Accept() if tries.saved else GiveUp()
    if fault.kind is ErrorKind.too_long and tries.divisible:
        return Halve()
    if fault.retry == "at_once" and not tries.resent:
        return Again(resent=True)
    if fault.retry == "other_seed" and not tries.other_seed:
        return Again(other_seed=True)
    if tries.saved:
        return Accept()
    if fault.kind in OF_THE_SERVER and tries.elsewhere and tries.failed < max(1, tries.retries):
        return Again(avoid=True, counts=True)
    patient = fault.kind in PATIENT
    if fault.retry in ("never", "other_seed") or (tries.failed >= tries.retries and not patient):
        return GiveUp()
    if fault.after_s > tries.left_s:  # the document has no time for the wait that the server asks for
        return Again(avoid=True, counts=True) if tries.elsewhere and tries.failed < tries.retries else GiveUp()
    if tries.elsewhere and not patient:
        return Again(avoid=True, counts=True)
    return Again(least_s=fault.after_s, avoid=not patient, counts=not patient)
