"""ranking.json, made by tests/bench/train_ranking.py: the trees of the frequency method, and their version."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

DATA: dict[str, Any] = json.loads(files("engine.extraction").joinpath("ranking.json").read_text("utf-8"))

VERSION: str = DATA["version"]  # changes with every file that changes the ranking

# Stored and pinned with the model and the prompt: a different ranking is a different control arm.
NAME = f"frequency {VERSION}"
