"""What the rollout runs under is pinned in its state; another plan or another model is a decision that says what it restarts.

The engine that starts under a changed plan records the difference. Where the stage that the rollout is in is no longer the same in it
(gone, moved, another percentage, another salt), the engine keeps the pinned stages and the pinned salt, and promotion is held until
a person says which stage it is. Another model restarts evidence and bake and ends the A/B test.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from engine.extraction import frequency
from engine.extraction.llm import PROMPT_VERSION
from engine.plan.model import Llm
from engine.plan.pins import Change, PinnedModel, Pins, pins_of
from engine.rollout.control import Ask, Decision, State, note, pin
from engine.service.engine import Engine
from engine.store import log, plans

SHOWN = 6  # changes that the sentence names; all are in the evidence
RESTARTS = "evidence, bake and A/B test start again, and signatures are needed again"

Decide = Callable[[State], Decision | None]


def file_pins(engine: Engine) -> Pins:
    """The pins of the plan file that the engine read, with the model as far as it is known."""
    return pins_of(engine.file_plan, engine.monitor.rules, identity(engine))


def identity(engine: Engine) -> PinnedModel:
    return PinnedModel(
        engine.plan.llm.model, PROMPT_VERSION, _settings(engine.plan.llm), tuple(sorted(engine.pool.digests))
    )


def _settings(llm: Llm) -> str:
    """What of [llm] makes other keywords of the same text; the cache tells answers apart by the same. And how the control arm ranks."""
    names = ("max_descriptive", "max_technical", "max_total", "chunk_chars", "num_ctx", "temperature")
    return ", ".join([*(f"{name} {getattr(llm, name):g}" for name in names), frequency.NAME])


# -- at the start ----------------------------------------------------------------------------------------------------------


def begins(engine: Engine, ask: Ask) -> Decision:
    """The first row of the log."""
    first = note(engine.state, ask, "start", f"the rollout of {engine.plan.name} begins")
    return replace(first, pins=file_pins(engine))


def at_start(engine: Engine, ask: Ask) -> Decide | None:
    """What a start records of the plan: that it is pinned, or that it changed; None when it is as it was."""
    pins, known = file_pins(engine), plans.known(engine.conn, engine.file_plan, engine.state)
    if known is None or known.digest == pins.digest:
        if engine.state.pins is not None:
            return None
        return lambda state: pin(state, ask, "plan", f"the rollout runs under {_name(pins)}", pins, False, {})
    found = plans.changes(engine.conn, known.digest, engine.file_plan.text)
    evidence = {"digest": pins.digest, "before": known.digest, "held": engine.misplaced, "changes": _listed(found)}
    model = known.model if known.model.prompt else pins.model
    if not engine.misplaced:
        sentence = f"plan changed: {told(found)}; the rollout stays in its stage and nothing restarts"
        return lambda state: pin(state, ask, "plan", sentence, replace(pins, model=model), False, evidence)
    last = log.last(engine.conn, ("plan",))
    if last is not None and last.decision.evidence.get("digest") == pins.digest and engine.state.pins is not None:
        return None  # recorded at an earlier start
    sentence = (
        f"plan changed: {told(found)}; {engine.misplaced}: the rollout keeps the stages and the salt it was started with, and "
        "promotion is held until a person says which stage it is in (rollout plan adopt --stage N)"
    )
    return lambda state: pin(state, ask, "plan", sentence, replace(known, model=model), False, evidence)


def _name(pins: Pins) -> str:
    return f"rollout.toml {pins.digest[:12]}: {len(pins.stages)} stages, model {pins.model.name}"


def _listed(found: list[Change] | None) -> list[str]:
    return [change.sentence for change in found or ()]


def told(found: list[Change] | None) -> str:
    """The first changes, in words."""
    if found is None:
        return "what changed cannot be said, the text of the plan before is not in the store"
    if not found:
        return "comments or layout only"
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(change.sentence for change in found[:SHOWN]) + more


# -- the model -------------------------------------------------------------------------------------------------------------


def model_change(engine: Engine, ask: Ask) -> Decide | None:
    """What is to be recorded of the model now; None while it is the pinned one."""
    pins = engine.state.pins
    if pins is None or _compared(pins.model, engine, engine.state)[1] is None:
        return None

    def decide(state: State) -> Decision | None:
        if state.pins is None:
            return None
        why, now = _compared(state.pins.model, engine, state)
        if now is None:
            return None
        evidence = {"before": _words(state.pins.model), "after": _words(now)}
        if not why:
            return pin(
                state, ask, "model", f"the model is {_words(now)}", replace(state.pins, model=now), False, evidence
            )
        sentence = f"the model changed: {why}; {RESTARTS}"
        return pin(state, ask, "model", sentence, replace(state.pins, model=now), True, evidence)

    return decide


def identified(engine: Engine, state: State) -> Pins | None:
    """The pins with the model's digests, where a promotion is the first to know them."""
    pins, now = state.pins, identity(engine)
    return replace(pins, model=now) if pins is not None and not pins.model.digests and now.digests else None


def _compared(pinned: PinnedModel, engine: Engine, state: State) -> tuple[str, PinnedModel | None]:
    """(what changed, the model now); no model while it is the same one, no change where it only becomes known."""
    now = identity(engine)
    if pinned.name != now.name:
        return f"{_words(pinned)} -> {_words(now)}", now
    if pinned.prompt != now.prompt:
        return f"prompt version {pinned.prompt} -> {now.prompt}", now
    if pinned.settings != now.settings:
        return f"{pinned.settings} -> {now.settings}", now
    before, after = set(pinned.digests), set(now.digests)
    if not after or before == after:
        return "", None
    if not before:
        return "", now if state.percent_bp else None
    if after - before or engine.pool.all_known:
        return f"{_words(pinned)} -> {_words(now)}", now
    return "", None  # a server that has not answered yet


def _words(model: PinnedModel) -> str:
    digests = f" ({', '.join(digest[:12] for digest in model.digests)})" if model.digests else ""
    return f"{model.name}{digests}"
