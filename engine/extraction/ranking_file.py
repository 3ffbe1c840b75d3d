"""The version of the frequency method's ranking, and the name by which it is stored."""

from __future__ import annotations

from engine.extraction.ranking_trees import VERSION

# Stored and pinned with the model and the prompt: a different ranking is a different control arm.
NAME = f"frequency {VERSION}"
