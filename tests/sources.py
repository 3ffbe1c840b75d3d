"""The product's own code, parsed once for all the rules about it: pytest's workers inherit it from who forks them."""

from __future__ import annotations

import ast
import gc
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


@cache
def trees() -> Mapping[str, ast.Module]:
    """Each file of the product, by its path from the root."""
    paths = sorted(path for package in ("engine", "console") for path in (ROOT / package).rglob("*.py"))
    collecting = gc.isenabled()
    gc.disable()  # to search half a million nodes again and again takes twice as long as to parse them
    parsed = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in paths}
    gc.freeze()
    if collecting:
        gc.enable()
    return parsed


@cache
def nodes(file: str) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(trees()[file]))


def every_node() -> Iterator[tuple[str, ast.AST]]:
    """With the file that it is in."""
    return ((file, node) for file in trees() for node in nodes(file))
