"""What the readers know by heart: words, names, phrases. One file for each module that uses some; the phrases of an
expression are expressions themselves."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.resources import files
from typing import Any


def lists(module: str) -> dict[str, Any]:
    """The lists of a module by name."""
    return tomllib.loads(files(__name__).joinpath(f"{module}.toml").read_text("utf-8"))


def either(phrases: Iterable[str]) -> str:
    """An expression for one of them, the first that applies."""
    return f"(?:{'|'.join(phrases)})"
