"""The frequency method's name in the store."""

from __future__ import annotations

# Pinned with the model and the prompt: other keywords are another control arm, and evidence starts again. Raise it in
# the first change after a release that gives a text other keywords, by its lists, grammar, weights or trees.
VERSION = "12"
NAME = f"frequency {VERSION}"
