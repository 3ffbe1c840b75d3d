"""rollout.toml as text, and how a person may change it while the rollout runs."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from msgspec.structs import replace

from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Plan

URL = "http://llm-1.test:11434"
EDITS = {
    "as it was": ("", ""),
    "only a comment": ("[llm]\n", "# reviewed\n[llm]\n"),
    "canary at 15 %": ("percent = 10\n", "percent = 15\n"),
    "limited at 40 %": ("percent = 25\n", "percent = 40\n"),
    "another salt": ('salt = "keyword-extraction"', 'salt = "again"'),
    "a trigger at 8 %": ('above = "5 %"', 'above = "8 %"'),
    "no bake": ('bake = "2d"', 'bake = "1h"'),
    "a mistake": ("percent = 25\n", "percent = plenty\n"),
}


@lru_cache
def base_text() -> str:
    text = default_plan_text().replace("http://127.0.0.1:11434", URL)
    return text.replace('# timeout = "30s"', 'timeout = "8s"').replace('# breaker_open = "15s"', 'breaker_open = "1s"')


def edited(name: str) -> str:
    """The whole file after this edit of the original."""
    before, after = EDITS[name]
    assert before in base_text(), f"the edit {name!r} changes nothing: rollout.toml has no {before!r}"
    return base_text().replace(before, after, 1) if before else base_text()


def load(path: str | Path) -> Plan:
    """In place of `load_plan`, which takes 50 ms. PlanError."""
    text = Path(path).read_text()
    return replace(_parsed(text), source=str(path), digest=hashlib.sha256(text.encode()).hexdigest())


@lru_cache
def _parsed(text: str) -> Plan:
    return parse_plan(text)
