"""Fits the trees of engine/extraction/ranking.json, and judges them on sets that the fit has not seen.

    python -m tests.bench.train_ranking --data DIR [--out engine/extraction/ranking.json]

DIR holds sets as for bench_frequency; the sets and their shares are in SHARES: Inspec (training and validation parts; A. Hulth 2003, research
use with acknowledgement), WWW and KDD (Caragea et al. 2014: abstracts and their authors' keywords), theses100 and wiki20 (O. Medelyan;
theses and reports with librarians' and readers' keywords), the long ones whole and cut to 500 words. The file holds thresholds and leaves
alone, nothing of a text.

The trees are lambdarank trees by LightGBM on top of the log-linear score of ranking.py, over the best candidates of a document. Without
--out nothing is written, and each set is judged by trees that were fitted on the others.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from engine.extraction import trees
from engine.extraction.candidates import phrases, tokenise
from engine.extraction.frequency import RESCORED, best, extract
from engine.extraction.keywords import stem_phrase
from engine.extraction.languages import ENGLISH
from engine.extraction.prose import prose, sample
from engine.extraction.ranking import weights
from engine.extraction.traits import Context, context
from tests.bench.bench_frequency import CUTS, Row, cut, distinct, f1, read, sets

VERSION = "2"  # raise with every file that ranks otherwise: it is part of the method's name
SEED = 1
# weight of a document; the long sets are few, and without them tag-like keywords are unlearnt
SHARES = {"inspec_training": 1.5, "inspec_validation": 1.5, "www": 1.0, "kdd": 1.0, "theses100": 3.0, "wiki20": 3.0}
SHORTENED = 500  # words to which the long sets are cut as sets of their own
TREES = 40
SETTINGS = {
    "objective": "lambdarank", "lambdarank_truncation_level": 15, "learning_rate": 0.07, "num_leaves": 8, "min_data_in_leaf": 200, "lambda_l2": 10,
    "feature_fraction": 0.7, "bagging_fraction": 0.7, "bagging_freq": 1, "max_bin": 63, "seed": SEED, "deterministic": True,
    "force_col_wise": True, "num_threads": 1, "verbosity": -1,
}  # fmt: skip


class Case(NamedTuple):
    """A document: its best candidates as the trees see them, their scores, and which are gold."""

    known: list[Context]
    scores: list[float]
    right: list[bool]


def corpus(folder: Path) -> dict[str, list[Row]]:
    """The sets, the long ones whole and cut."""
    data = {name: read(path) for name, path in sets(folder).items() if name in SHARES}
    for name in ("theses100", "wiki20"):
        if name in data:
            data[f"{name} cut"] = [Row(row.id, cut(row.text, SHORTENED), row.gold) for row in data[name]]
    return data


def case(row: Row) -> Case | None:
    found = phrases(tokenise(prose(sample(row.text))))
    if found.language != ENGLISH:
        return None
    ranked, _ = best(found, weights(len(found.kinds)), english=True)
    top = ranked[:RESCORED]
    right = [stem_phrase(candidate.text) in row.gold for _, candidate in top]
    if not any(right):
        return None
    return Case(context(top, ranked, found.spans, found.kinds), [score for score, _ in top], right)


def fitted(data: dict[str, list[Case]], names: Sequence[str]) -> list[Any]:
    """The trees, as ranking.json holds them."""
    import lightgbm
    import numpy as np

    cases = [(SHARES[name.removesuffix(" cut")], one) for name in names for one in data[name]]
    known = np.array([row for _, one in cases for row in one.known])
    labels = np.array([right for _, one in cases for right in one.right], float)
    made = lightgbm.Dataset(
        known,
        labels,
        group=[len(one.right) for _, one in cases],
        weight=np.concatenate([np.full(len(one.right), share) for share, one in cases]),
        init_score=np.array([score for _, one in cases for score in one.scores]),
        feature_name=list(Context._fields),
    )
    model = lightgbm.train(SETTINGS, made, TREES).dump_model()
    return [node(tree["tree_structure"]) for tree in model["tree_info"]]


def node(tree: dict[str, Any]) -> Any:
    if "leaf_value" in tree:
        return round(tree["leaf_value"], 4)
    name = Context._fields[tree["split_feature"]]
    return [name, round(tree["threshold"], 4), node(tree["left_child"]), node(tree["right_child"])]


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
        body = json.dumps({"version": VERSION, "trees": fitted(data, list(data))}, separators=(",", ":"))
        asked.out.write_text(body.replace("]],[", "]],\n[") + "\n", "utf-8")
        print(f"{asked.out}: {asked.out.stat().st_size:,} bytes")
        return
    print("F1@5, @10, @15 without trees, and with trees that have not seen the set")
    for name in data:
        kin = name.removesuffix(" cut")
        if name == "inspec_training":  # the other half of Inspec is judged
            continue
        trees.logit = lambda known: 0.0
        before = judged(rows[name])
        trees.logit = trees.compiled(fitted(data, [other for other in data if other.removesuffix(" cut") != kin]))
        after = judged(rows[name])
        print(f"{name:20}", *(f"{was:5.1f} -> {now:5.1f}" for was, now in zip(before, after, strict=True)), flush=True)


if __name__ == "__main__":
    main()
