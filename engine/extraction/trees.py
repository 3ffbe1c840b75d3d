"""The trees that correct the score of the best few candidates: ranking.json, made by tests/bench/train_ranking.py,
compiled once.

There are two sums of trees: one ranks like an exhaustive index, the other like authors who choose keywords. A long
text uses the second alone; a short one uses the first plus FLOOR of the second, since nothing in a text shows who
will index it.

A tree is [trait, threshold, where less or equal, where greater]; a leaf is a number. Compiled, a node costs one
comparison; walking the trees as data would take ten times as long as the rest of the ranking.
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

# up to the first a text uses the short trees wholly, from the second on not at all
SHORT_TOKENS, LONG_TOKENS = 200, 450
FLOOR = 0.25  # share of the long trees in every text
FEW = 10  # candidates of a short text that all become keywords: their order is not worth twice the time

_UNITS = tuple(get_type_hints(Context).values())


def compiled(trees: list[Any]) -> Callable[..., float]:
    """The sum of the trees as one function of a Context's fields.

    The generated code contains only trait names and numbers, whatever the file contains.
    """

    def node(tree: Any) -> ast.expr:
        if isinstance(tree, (int, float)):
            return ast.Constant(float(tree))
        trait, threshold, low, high = tree
        # comparing an integer with a float takes four times as long as with an integer
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
    """What each candidate's score gains, in an English text of `length` tokens."""
    share = between(length, SHORT_TOKENS, LONG_TOKENS)
    if share == 1.0:
        return list(starmap(long, known))
    if share == 0.0 and len(known) <= FEW:
        return list(starmap(short, known))
    of_short, of_long = 1.0 - share, FLOOR + (1.0 - FLOOR) * share
    return [short(*one) * of_short + long(*one) * of_long for one in known]
