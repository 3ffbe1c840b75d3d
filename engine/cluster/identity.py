"""Whether a worker matches its engine. A worker with another version, plan or model does not start."""

from __future__ import annotations

import re

from msgspec import Struct

from engine import VERSION
from engine.cluster.lease import WorkerIdentity
from engine.text import clean_line

PROTOCOL = 1  # of the messages between engine and worker


class Mismatch(Struct, frozen=True):
    """`code` is stable, for programs; `sentence` is for people."""

    code: str
    sentence: str


def version() -> str:
    """The version of this installation, with the protocol's."""
    return f"{VERSION}/{PROTOCOL}"


def mismatch(worker: WorkerIdentity, engine: WorkerIdentity) -> Mismatch | None:
    """Why this worker may not work for this engine; None if it may. A model is compared once both know it."""
    if worker.version != engine.version:
        mine, theirs = clean_line(engine.version, 60), clean_line(worker.version, 60)
        return Mismatch(
            "worker_version",
            f"The worker runs version {theirs} and the engine {mine}. Install the engine's version on the worker.",
        )
    if worker.plan != engine.plan:
        return Mismatch(
            "worker_plan",
            f"The worker's rollout.toml ({clean_line(worker.plan[:12])}) is not the engine's "
            f"({engine.plan[:12]}). Copy the engine's file to the worker and start the worker again; if you changed "
            "the engine's, restart the engine.",
        )
    if worker.model and engine.model and worker.model != engine.model:
        return Mismatch(
            "worker_model",
            f"The worker's LLM servers have the model {_named(worker.model)} and the engine's {_named(engine.model)}. "
            "Pull the same model on all of them and start the worker again.",
        )
    return None


def _named(model: str) -> str:
    """With digests as `ollama list` shows them."""
    return clean_line(re.sub(r"([0-9a-f]{12})[0-9a-f]{52}", r"\1", model), 120)
