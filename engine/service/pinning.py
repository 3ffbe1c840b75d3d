"""The rollout's plan and model are pinned in its state; changing either is a decision that names what it restarts.

An engine that starts under a changed plan records the difference. Where the current stage differs in the new plan
(gone, moved, another percentage, another salt), the engine keeps the pinned stages and salt, and promotion is held
until a person confirms the stage. A new model restarts evidence and bake and ends the A/B test.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from engine.extraction import method
from engine.extraction.llm import PROMPT_VERSION
from engine.plan.model import Llm
from engine.plan.pins import Change, PinnedModel, Pins, pins_of
from engine.rollout.control import note
from engine.rollout.pinned import pin
from engine.rollout.state import Ask, Decision, State
from engine.service.engine import Engine
from engine.store import log, plans

SHOWN = 6  # changes that the sentence lists; the evidence has all
RESTARTS = "evidence, bake and A/B test start again, and signatures are needed again"

Decide = Callable[[State], Decision | None]


def file_pins(engine: Engine) -> Pins:
    """The pins of the plan file that the engine read, with the model as far as it is known."""
    return pins_of(engine.file_plan, engine.monitor.gatekeeper.rules, identity(engine))


def identity(engine: Engine) -> PinnedModel:
    return PinnedModel(
        engine.plan.llm.model, PROMPT_VERSION, _settings(engine.plan.llm), tuple(sorted(engine.pool.digests))
    )


def _settings(llm: Llm) -> str:
    """The [llm] settings that change a text's keywords (the cache key uses the same), and the control arm's ranking."""
    names = ("max_descriptive", "max_technical", "max_total", "chunk_chars", "num_ctx", "temperature")
    return ", ".join([*(f"{name} {getattr(llm, name):g}" for name in names), method.NAME])


# -- at the start ------------------------------------------------------------------------------------------------------


def begins(engine: Engine, ask: Ask) -> Decision:
    """The first row of the log."""
    first = note(engine.state, ask, "start", f"the rollout of {engine.plan.name} begins")
    return replace(first, pins=file_pins(engine))


def at_start(engine: Engine, ask: Ask) -> Decide | None:
    """What to record about the plan at startup: that it is pinned, or that it changed; None when it is unchanged."""
    pins, known = file_pins(engine), plans.known(engine.conn, engine.file_plan, engine.state)
    if known is None or known.digest == pins.digest:
        if engine.state.pins is not None:
            return None
        return lambda state: pin(state, ask, "plan", f"the rollout runs under {_name(pins)}", pins, False, {})
    changes = plans.changes(engine.conn, known.digest, engine.file_plan.text)
    evidence = {"digest": pins.digest, "before": known.digest, "held": engine.misplaced, "changes": _listed(changes)}
    model = known.model if known.model.prompt else pins.model
    if not engine.misplaced:
        sentence = f"plan changed: {described(changes)}; the rollout stays in its stage and nothing restarts"
        return lambda state: pin(state, ask, "plan", sentence, replace(pins, model=model), False, evidence)
    last = log.last(engine.conn, ("plan",))
    if last is not None and last.decision.evidence.get("digest") == pins.digest and engine.state.pins is not None:
        return None  # recorded at an earlier start
    sentence = (
        f"plan changed: {described(changes)}; {engine.misplaced}: the rollout keeps the stages and the salt it was "
        "started with, and promotion is held until a person confirms its stage (rollout plan adopt --stage N)"
    )
    return lambda state: pin(state, ask, "plan", sentence, replace(known, model=model), False, evidence)


def _name(pins: Pins) -> str:
    return f"rollout.toml {pins.digest[:12]}: {len(pins.stages)} stages, model {pins.model.name}"


def _listed(changes: list[Change] | None) -> list[str]:
    return [change.sentence for change in changes or ()]


def described(changes: list[Change] | None) -> str:
    """The first changes, in words."""
    if changes is None:
        return "the changes are unknown, because the text of the previous plan is not in the store"
    if not changes:
        return "comments or layout only"
    more = f" and {len(changes) - SHOWN} more" if len(changes) > SHOWN else ""
    return "; ".join(change.sentence for change in changes[:SHOWN]) + more


# -- the model ---------------------------------------------------------------------------------------------------------


def model_change(engine: Engine, ask: Ask) -> Decide | None:
    """What to record about the model now; None while it is the pinned one."""
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
    """The pins with the model's digests, for a promotion that is the first to know them."""
    pins, now = state.pins, identity(engine)
    return replace(pins, model=now) if pins is not None and not pins.model.digests and now.digests else None


def _compared(pinned: PinnedModel, engine: Engine, state: State) -> tuple[str, PinnedModel | None]:
    """(what changed, the current model). The model is None while it is the same; the change is "" when a model only
    becomes known."""
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
