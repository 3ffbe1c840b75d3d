"""A proof that cannot conclude costs little: documents need the loop it runs in."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

from engine.rollout.state import State
from engine.routing.pipeline import Routed
from engine.service.proof import PROBES, Proof, ToProve
from engine.view.model import ProofView
from tests.clock import ManualClock


class _Clock(ManualClock):
    """Time passes where the proof sleeps."""

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)


def _proof(monkeypatch: Any, open_requests: int, raised: tuple[int, int] | None = None) -> tuple[ProofView, int, int]:
    """(the result, how often the proof looked, how many probe documents it routed), with this many requests not closed."""
    clock, looks, probes = _Clock(), [0], [0]

    def read() -> SimpleNamespace:
        looks[0] += 1
        return SimpleNamespace(percent_bp=0)

    def route(document_id: str) -> SimpleNamespace:
        probes[0] += 1
        return SimpleNamespace(arm="control")

    calls = SimpleNamespace(requests_sent=0, requests_open=open_requests, last_sent=None, last_ended=None)
    pipeline = SimpleNamespace(routed=Routed(0, 0), calls=calls, in_flight=0, cancel_calls=lambda: 0, route=route)
    switch = SimpleNamespace(read=read, may_call=lambda: False)
    leases = SimpleNamespace(
        refresh=lambda: (0, 0),
        unproven=lambda *_: "",
        last_call=None,
        acknowledged=lambda _: 0,
        ended_since=lambda *_: (),
    )
    fakes: Any = (pipeline, switch, leases, clock, "armed")
    proof = Proof(*fakes, ToProve("alice", "", False, 0, State()))
    proof.effect()
    if raised:
        proof.recorded(7, clock.real())
        proof.raised(*raised)
    monkeypatch.setattr("engine.service.proof.asyncio", SimpleNamespace(sleep=clock.sleep))
    return asyncio.run(proof.run()), looks[0], probes[0]


def test_an_open_request_contradicts_without_probe_documents_and_at_a_slow_pace(monkeypatch: Any) -> None:
    view, looks, probes = _proof(monkeypatch, open_requests=1)
    assert view.overdue
    assert "not closed yet" in view.sentence
    assert probes == 0
    assert looks < 2500  # 5 s


def test_without_traffic_probe_documents_prove_it_at_once(monkeypatch: Any) -> None:
    view, _, probes = _proof(monkeypatch, open_requests=0)
    assert view.effective_ms is not None
    assert view.effective_ms < 40
    assert probes == view.probes == PROBES


def test_a_percentage_raised_before_it_was_observed_ends_the_proof_and_is_named(monkeypatch: Any) -> None:
    view, looks, _ = _proof(monkeypatch, open_requests=1, raised=(1000, 8))
    assert view.overdue
    assert view.raised
    assert view.sentence == "Not observed: 10 % was decided before it was observed."
    assert looks == 0  # it does not wait 5 s for what cannot come


def test_a_raise_recorded_before_the_rollback_does_not_end_its_proof(monkeypatch: Any) -> None:
    view, _, _ = _proof(monkeypatch, open_requests=0, raised=(1000, 6))
    assert view.effective_ms is not None
    assert not view.raised
