"""The trees that correct the score of the best few candidates: ranking.json, made by tests/bench/train_ranking.py,
compiled once.

There are two sums of trees: one ranks as an exhaustive index does, the other as authors choose keywords. Long texts
have the second alone; short ones the first, and FLOOR of the second, since nothing in a text shows who will index it.

A tree is [trait, threshold, where less or equal, where greater], a leaf is a number. A node costs a comparison: walked
as data they would take ten times as long as the rest of the ranking.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from itertools import starmap
from typing import Any, get_type_hints

from engine.extraction.ranking import between
from engine.extraction.ranking_file import DATA
from engine.extraction.traits import Context

SHORT_TOKENS, LONG_TOKENS = 200, 450  # up to the one a text has all of the short trees, from the other on none
FLOOR = 0.25  # of the long trees, in every text
FEW = 10  # candidates of a short text that are all shown: their order is not worth twice the time

_UNITS = tuple(get_type_hints(Context).values())


def compiled(trees: list[Any]) -> Callable[..., float]:
    """The sum of the trees as one function of the fields of a Context.

    It is built only from trait names and numbers, whatever the file contains."""

    def node(tree: Any) -> ast.expr:
        if isinstance(tree, (int, float)):
            return ast.Constant(float(tree))
        trait, threshold, low, high = tree
        # an integer compared with a float takes four times as long as one compared with an integer
        limit = math.floor(threshold) if _UNITS[Context._fields.index(trait)] is int else float(threshold)
        test = ast.Compare(ast.Name(trait, ast.Load()), [ast.LtE()], [ast.Constant(limit)])
        return ast.IfExp(test, node(low), node(high))

    total: ast.expr = ast.Constant(0.0)
    for tree in trees:
        total = ast.BinOp(total, ast.Add(), node(tree))
    arguments = [ast.arg(name) for name in Context._fields]
    body = ast.Lambda(ast.arguments([], arguments, None, [], [], None, []), total)
    scope: dict[str, Any] = {"__builtins__": {}}
    made: Callable[..., float] = eval(
        compile(ast.fix_missing_locations(ast.Expression(body)), "ranking.json", "eval"), scope
    )
    return made


short = compiled(DATA["short"])
long = compiled(DATA["long"])


def logits(known: Sequence[tuple[float, ...]], length: int) -> list[float]:
    """How much the score of each candidate grows, in an English text of `length` tokens."""
    share = between(length, SHORT_TOKENS, LONG_TOKENS)
    if share == 1.0:
        return list(starmap(long, known))
    if share == 0.0 and len(known) <= FEW:
        return list(starmap(short, known))
    of_short, of_long = 1.0 - share, FLOOR + (1.0 - FLOOR) * share
    return [short(*one) * of_short + long(*one) * of_long for one in known]
