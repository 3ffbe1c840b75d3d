"""Fits the trees of engine/extraction/ranking_trees.py, and judges them on sets that the fit has not seen.

    python -m tests.bench.train_ranking --data DIR [--out engine/extraction/ranking_trees.py]

DIR holds sets as for bench_frequency; those in KINDS are read: Inspec (training and validation parts; A. Hulth 2003,
research use with acknowledgement), WWW and KDD (Caragea et al. 2014: abstracts and their authors' keywords), theses100
and wiki20 (O. Medelyan; theses and reports with librarians' and readers' keywords), the long ones whole and cut to 500
and 150 words. The file holds only thresholds and leaves, nothing of a text.

LightGBM grows each tree on top of the log-linear score of ranking.py, over the best candidates of a document, for a
random mixture of the kinds of sets; a leaf is the mean of what each kind asks for. There are two sums of trees. What an
exhaustive index wants of a short text costs authors' keywords, and the reverse, and a text does not show who will index
it. So short texts follow Inspec and, by a quarter (trees.FLOOR), the authors, readers and librarians of the other sets;
long ones these alone. F1@10 without trees, and with trees that have not seen the set:

    Inspec   42.5  43.7                    KDD  14.8  14.4        WWW  15.0  14.5
    theses   15.4  14.9    first 500 words 12.3  12.8    150 words 8.0  7.5
    wiki20   12.4  13.5    first 500 words 10.0  11.1    150 words 6.7  6.7

With 0.7 of the short trees KDD and WWW gain 0.4 each and Inspec loses 0.5. Traits of the title, of all words of a stem,
of degree and of counts did not help on the sets that were tried. Nor did a candidate's distance to the best one, better
candidates that hold it, longer ones that contain it, words of the first sentence, times inside a phrase, or candidates
that begin with the same word: 0.0 to -0.1 in the mean of the five whole sets, three seeds each, 0.1 apart themselves.
Of the settings, none gained 0.2 with three seeds, which are 0.3 apart: 16 leaves 0.1, 50 candidates in long texts 0.1,
pairs in place of lists -0.2; with one seed 4 leaves, half the rate, 300 rows in a leaf and a RIDGE of 20 -0.1 to 0.2.
What KDD and WWW lacked were candidates: half of their texts are titles, whose phrases frequency.py now divides (12.2 to
14.1 and 11.8 to 14.4 with the shipped trees).

Without --out nothing is written, and each set is judged by trees that were fitted without it: for Inspec's validation
part without it alone, else without its kind.
"""

from __future__ import annotations

import argparse
import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

from engine.extraction import trees
from engine.extraction.candidates import phrases
from engine.extraction.frequency import RESCORED, best, extract
from engine.extraction.keywords import stem_phrase
from engine.extraction.languages import ENGLISH
from engine.extraction.prose import prose
from engine.extraction.ranking import weights
from engine.extraction.tokens import tokenise
from engine.extraction.traits import Context, context
from engine.parsing.sampling import sample
from tests.bench.bench_frequency import CUTS, Row, cut, distinct, f1, read, sets

SEED = 1
KINDS = {"inspec_training": "inspec", "inspec_validation": "inspec", "www": "www", "kdd": "kdd", "theses100": "theses", "wiki20": "wiki20"}  # fmt: skip
FITTED_ON = {"short": {"inspec"}, "long": {"www", "kdd", "theses", "wiki20"}}  # kinds
SHORTENED = (500, 150)  # words to which the long sets are cut as sets of their own
TREES = 40
LEAVES = 8
RATE = 0.15
RIDGE = 5.0  # a leaf's, per 1,000 documents
SETTINGS = {
    "num_leaves": LEAVES, "min_data_in_leaf": 150, "lambda_l2": RIDGE, "feature_fraction": 0.6, "learning_rate": 1.0, "num_threads": 1,
    "verbosity": -1, "max_bin": 63, "force_col_wise": True, "min_sum_hessian_in_leaf": 1e-3, "deterministic": True,
}  # fmt: skip


class Case(NamedTuple):
    """A document: its best candidates as the trees see them, their scores, and which are gold."""

    known: list[tuple[float, ...]]  # the fields of a Context
    scores: list[float]
    right: list[bool]


def corpus(folder: Path) -> dict[str, list[Row]]:
    """The sets, the long ones whole and cut."""
    data = {name: read(path) for name, path in sets(folder).items() if name in KINDS}
    for name in ("theses100", "wiki20"):
        if name in data:
            for words in SHORTENED:
                data[f"{name} {words}"] = [Row(row.id, cut(row.text, words), row.gold) for row in data[name]]
    return data


def case(row: Row) -> Case | None:
    results = phrases(tokenise(prose(sample(row.text))))
    if results.language != ENGLISH:
        return None
    ranked, _ = best(results, weights(len(results.kinds)), english=True)
    top = ranked[:RESCORED]
    right = [stem_phrase(rated[2]) in row.gold for rated in top]
    if not any(right):
        return None
    return Case(context(top, ranked, results.spans, results.kinds), [-rated[0] for rated in top], right)


def kind(name: str) -> str:
    """Of a set: who chose its keywords, whatever its length."""
    return KINDS[name.split()[0]]


def fitted(data: dict[str, list[Case]], names: Sequence[str]) -> dict[str, list[Any]]:
    """The trees as `source` reads them."""
    return {length: grown(data, [name for name in names if kind(name) in kinds]) for length, kinds in FITTED_ON.items()}


def grown(data: dict[str, list[Case]], names: Sequence[str]) -> list[Any]:
    import lightgbm
    import numpy as np

    cases = [(kind(name), one) for name in names for one in data[name]]
    kinds = sorted({of for of, _ in cases})
    sizes = np.array([len(one.right) for _, one in cases])
    known = np.array([row for _, one in cases for row in one.known])
    right = np.array([is_right for _, one in cases for is_right in one.right], float)
    scores = np.array([score for _, one in cases for score in one.scores])
    of = np.repeat([kinds.index(name) for name, _ in cases], sizes)
    documents = np.bincount([kinds.index(name) for name, _ in cases])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    wanted = right / np.repeat(np.add.reduceat(right, starts), sizes)
    rows = lightgbm.Dataset(
        known, right, feature_name=list(Context._fields), params={"max_bin": 63, "verbosity": -1}, free_raw_data=False
    )
    random = np.random.default_rng(SEED)
    made = []
    for number in range(TREES):
        odds = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), sizes))
        share = odds / np.repeat(np.add.reduceat(odds, starts), sizes)
        slope, bend = share - wanted, np.maximum(share * (1 - share), 1e-6)
        mixture = (random.dirichlet(np.full(len(kinds), 0.7)) / documents)[of]
        weight = mixture / mixture.mean()

        def pull(_: Any, __: Any, slope: Any = slope * weight, bend: Any = bend * weight) -> tuple[Any, Any]:
            return slope, bend

        one = lightgbm.train({**SETTINGS, "objective": pull, "seed": SEED * 1000 + number}, rows, 1)
        leaf = one.predict(known, pred_leaf=True).reshape(-1)
        values = RATE * leaves(leaf, of, slope, bend, documents)
        scores = scores + values[leaf]
        if values.any():
            made.append(node(one.dump_model()["tree_info"][0]["tree_structure"], values))
    return made


def leaves(leaf: Any, of: Any, slope: Any, bend: Any, documents: Any) -> Any:
    """The value of each leaf: the mean of what each kind of set asks for."""
    import numpy as np

    many = leaf.max() + 1
    asked = np.zeros((len(documents), many))
    for number, cases in enumerate(documents):
        here = of == number
        bends = np.bincount(leaf[here], bend[here], many) + RIDGE * cases / 1000
        asked[number] = -np.bincount(leaf[here], slope[here], many) / bends
    return np.mean(asked, axis=0)


def node(tree: dict[str, Any], values: Sequence[float]) -> Any:
    """[trait, threshold, where less or equal, where greater]; a leaf, a number, where both sides agree."""
    if "split_feature" not in tree:
        return round(float(values[tree.get("leaf_index", 0)]), 4)
    name = Context._fields[tree["split_feature"]]
    low, high = node(tree["left_child"], values), node(tree["right_child"], values)
    return low if low == high else [name, float(f"{tree['threshold']:.4g}"), low, high]


# -- the file --------------------------------------------------------------------------------------------------------------------

_UNITS = get_type_hints(Context)


def source(of: dict[str, list[Any]]) -> str:
    """The module of these sums of trees: expressions that hold nothing but traits and numbers, whatever the trees hold."""
    head = '''"""Trees that correct the score of a candidate, by the fields of a Context. Written by tests/bench/train_ranking.py:
do not edit. Code, since walking the trees as data would take ten times as long as the rest of the ranking.
"""
# fmt: off
'''
    return "\n\n".join([head, *(_function(name, trees) for name, trees in of.items())])


def _function(name: str, trees: Sequence[Any]) -> str:
    fields = ", ".join(f"{field}: {unit.__name__}" for field, unit in _UNITS.items())
    lines = [
        f"def {name}(",
        *textwrap.wrap(fields, 110, initial_indent="    ", subsequent_indent="    "),
        ") -> float:",
    ]
    lines.append("    return (0.0")
    for part in _sum(trees):
        lines += textwrap.wrap(f"+ {part}", 110, initial_indent="    ", subsequent_indent="       ")
    return "\n".join([*lines, "    )\n"])


def _sum(trees: Sequence[Any]) -> list[str]:
    """The parts of the trees' sum. Trees that begin with the same question are one part: it is asked once."""
    leaves = [tree for tree in trees if isinstance(tree, (int, float))]
    asked: dict[tuple[str, float], list[tuple[Any, Any]]] = {}
    for trait, threshold, low, high in (tree for tree in trees if not isinstance(tree, (int, float))):
        # comparing an integer with a float takes four times as long as with an integer
        limit = math.floor(threshold) if _UNITS[trait] is int else float(threshold)
        asked.setdefault((trait, limit), []).append((low, high))
    parts = [
        f"({' + '.join(_sum(lows))} if {trait} <= {limit!r} else {' + '.join(_sum(highs))})"
        for (trait, limit), (lows, highs) in ((question, zip(*sides, strict=True)) for question, sides in asked.items())
    ]
    return [*parts, repr(round(float(sum(leaves)), 4))] if leaves or not parts else parts


def loaded(text: str) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    exec(compile(text, "ranking_trees.py", "exec"), scope)
    return scope


def judged(rows: Sequence[Row]) -> list[float]:
    ranked = [distinct(extract(row.text).ranked) for row in rows]
    return [f1([row.gold for row in rows], ranked, k) for k in CUTS]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder of NAME.jsonl[.gz]")
    arguments.add_argument("--out", type=Path, help="write the trees of all sets here")
    asked = arguments.parse_args()
    rows = corpus(asked.data)
    data = {name: [one for one in map(case, some) if one] for name, some in rows.items()}
    if asked.out:
        asked.out.write_text(source(fitted(data, list(data))), "utf-8")
        print(f"{asked.out}: {asked.out.stat().st_size:,} bytes")
        return
    print("F1@5, @10, @15 without trees, and with trees that have not seen the set")
    for name in data:
        if name == "inspec_training":
            continue  # the other half of Inspec is judged, by trees that have seen this one
        kin = {name} if kind(name) == "inspec" else {other for other in data if kind(other) == kind(name)}
        trees.short = trees.long = lambda *known: 0.0
        before = judged(rows[name])
        made = loaded(source(fitted(data, [other for other in data if other not in kin])))
        trees.short, trees.long = made["short"], made["long"]
        after = judged(rows[name])
        print(f"{name:20}", *(f"{was:5.1f} -> {now:5.1f}" for was, now in zip(before, after, strict=True)), flush=True)


if __name__ == "__main__":
    main()
