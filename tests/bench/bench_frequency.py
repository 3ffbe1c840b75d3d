"""The frequency method against its peers: how good its keywords are, and how fast.

    python -m tests.bench.bench_frequency --data DIR [--repeat 5] [--sets NAME ...]

DIR holds one file a set, NAME.jsonl or NAME.jsonl.gz, rows {"id", "text", "gold": [...]}. Quality is the literature's protocol: lower
case, Porter stems, exact match of the whole phrase, F1 of the first 5, 10 and 15, micro (counts pooled over the documents), against all gold
keywords, also those that the text does not contain, with 95 % intervals over documents. The peers run in the same pass: see peers.py.
The table comes at the end, what runs now on stderr: MultipartiteRank takes 6 s for a text of 5,000 words, --documents limits their number.

Speed is CPU time on one core. Abstracts are texts under 400 words, papers long texts joined and cut to 8,000 words; YAKE takes turns with
the frequency method on the same documents, so that a drifting machine drifts for both. Peers come from the [bench] extra.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.extraction.frequency import extract
from engine.quality import gold
from engine.quality.gold import distinct
from tests.bench import peers

CUTS = (5, 10, 15)
ABSTRACT_WORDS = 400  # at most
PAPER_WORDS = 8_000
YAKE_ABSTRACTS, YAKE_PAPERS = 60, 3  # a round; YAKE takes 5 ms and 200 ms for one
MISSING = "not installed (pip install -e '.[bench]')"


class Row(NamedTuple):
    id: str
    text: str
    gold: frozenset[str]  # stemmed


# -- data ------------------------------------------------------------------------------------------------------------------------


def read(path: Path) -> list[Row]:
    """The documents of a set that have gold keywords."""
    made = (Row(row.id, row.text, frozenset(distinct(row.gold))) for row in gold_rows(path))
    return [row for row in made if row.gold]


class GoldRow(NamedTuple):
    id: str
    text: str
    gold: tuple[str, ...]  # as written


def gold_rows(path: Path) -> list[GoldRow]:
    """All documents of a set."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return [GoldRow(str(row["id"]), row["text"], tuple(row["gold"])) for row in rows]


def sets(folder: Path) -> dict[str, Path]:
    results = sorted([*folder.glob("*.jsonl"), *folder.glob("*.jsonl.gz")])
    return {path.name.removesuffix(".gz").removesuffix(".jsonl"): path for path in results}


# -- quality ---------------------------------------------------------------------------------------------------------------------


def f1(gold: Sequence[frozenset[str]], ranked: Sequence[Sequence[str]], cut: int) -> float:
    """Micro F1 in percent of the first `cut` of each document's stemmed keywords."""
    right = sum(phrase in wanted for wanted, results in zip(gold, ranked, strict=True) for phrase in results[:cut])
    given = sum(len(results[:cut]) for results in ranked)
    wanted = sum(map(len, gold))
    return 200 * right / (given + wanted) if given + wanted else 0.0


def by_frequency(rows: Sequence[Row]) -> list[list[str]]:
    return [distinct(extract(row.text).ranked) for row in rows]


def quality(data: dict[str, Path], most: int) -> list[list[str]]:
    """A line a set and method: F1 at each cut with its 95 % interval over documents, and the paired difference of F1@10 to ours."""
    methods, missing = peers.available()
    for why in missing:
        print(why)
    table, means = [], dict[str, list[float]]()
    for name, path in data.items():
        rows = read(path)[:most]
        texts, words = [row.text for row in rows], statistics.mean(len(row.text.split()) for row in rows)
        ours = counted(rows, by_frequency(rows))
        for method, rank in [("ours", None), *methods.items()]:
            if method == "YAKE" and words > peers.YAKE_WORDS:
                continue
            print(f"{name}: {method}", file=sys.stderr, flush=True)
            scores = ours if rank is None else counted(rows, [distinct(results) for results in rank(texts)])
            line = [name if rank is None else "", str(len(rows)), f"{words:,.0f}", method]
            for k in CUTS:
                bounds = gold.resampled(scores[k])
                line.append(f"{100 * gold.f1(scores[k]):.1f} [{100 * bounds.low:.1f}, {100 * bounds.high:.1f}]")
            apart = gold.resampled(ours[10], scores[10])
            line.append("" if rank is None else f"{100 * apart.low:+.1f} to {100 * apart.high:+.1f}")
            table.append([*line, f"{statistics.mean(one.given for one in scores[max(CUTS)]):.1f}"])
            means.setdefault(method, []).append(100 * gold.f1(scores[10]))
    table += [
        ["mean of the sets", "", "", method, "", f"{statistics.mean(of):.1f}", "", "", ""]
        for method, of in means.items()
    ]
    return table


def counted(rows: Sequence[Row], ranked: Sequence[Sequence[str]]) -> dict[int, list[gold.KeywordCounts]]:
    """By cut: counts of each document."""
    return {k: [gold.counts(row.gold, results, k) for row, results in zip(rows, ranked, strict=True)] for k in CUTS}


# -- speed -----------------------------------------------------------------------------------------------------------------------


def abstracts(data: dict[str, Path], most: int = 400) -> list[str]:
    """Texts under ABSTRACT_WORDS, as many from each set."""
    short = [[row.text for row in read(path) if len(row.text.split()) < ABSTRACT_WORDS] for path in data.values()]
    short = [texts for texts in short if len(texts) >= 10]
    return [text for texts in short for text in texts[: most // len(short)]]


def papers(data: dict[str, Path], most: int = 20) -> list[str]:
    """Texts of exactly PAPER_WORDS, made of long ones."""
    made: list[str] = []
    waiting = ""
    for path in data.values():
        for row in read(path):
            if len(row.text.split()) < PAPER_WORDS // 4:
                continue
            waiting = f"{waiting}\n\n{row.text}"
            if len(waiting.split()) >= PAPER_WORDS:
                made.append(cut(waiting, PAPER_WORDS))
                waiting = ""
            if len(made) == most:
                return made
    return made


def cut(text: str, words: int) -> str:
    """The first `words` words, white space as it is."""
    at = 0
    for _ in range(words):
        while at < len(text) and text[at].isspace():
            at += 1
        while at < len(text) and not text[at].isspace():
            at += 1
    return text[:at]


def rate(method: Callable[[str], object], texts: Sequence[str]) -> float:
    """Documents a second of CPU time."""
    began = time.process_time()
    for text in texts:
        method(text)
    return len(texts) / max(time.process_time() - began, 1e-9)


def speed(data: dict[str, Path], repeat: int) -> list[list[str]]:
    yake = None
    if importlib.util.find_spec("yake") is not None:
        from yake import KeywordExtractor

        yake = KeywordExtractor(lan="en", n=3, top=15).extract_keywords
    table = []
    for kind, texts, fewer in (
        ("abstracts", abstracts(data), YAKE_ABSTRACTS),
        (f"papers of {PAPER_WORDS:,} words", papers(data), YAKE_PAPERS),
    ):
        if not texts:
            table.append([kind, "0", "no text of this length in the data"])
            continue
        step = max(1, len(texts) // fewer)
        sample = texts[::step][:fewer]
        ours, theirs, ratios = [], [], []
        rate(extract, texts[:50])  # the caches of words fill once in the life of a process
        for _ in range(repeat):
            ours.append(rate(extract, texts))
            if yake:
                theirs.append(rate(yake, sample))
                ratios.append(rate(extract, sample) / theirs[-1])
        line = [kind, str(len(texts)), f"{statistics.mean(len(t.split()) for t in texts):,.0f}"]
        line += [f"{statistics.median(ours):,.0f}", f"{min(ours):,.0f}"]
        line += [f"{statistics.median(theirs):,.1f}", f"{statistics.median(ratios):.1f}"] if yake else [MISSING, ""]
        table.append(line)
    return table


# -- tables ----------------------------------------------------------------------------------------------------------------------


def show(head: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    widths = [max(len(line[i]) for line in [head, *table] if i < len(line)) for i in range(len(head))]
    for line in [head, ["-" * width for width in widths], *table]:
        cells = [
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=False))
        ]
        print("| " + " | ".join(cells) + " |", flush=True)
    print()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder of NAME.jsonl[.gz]")
    arguments.add_argument("--sets", nargs="*", help="only these")
    arguments.add_argument("--repeat", type=int, default=5, help="rounds of the speed table")
    arguments.add_argument("--documents", type=int, default=1_000_000, help="at most, of each set")
    asked = arguments.parse_args()
    data = sets(asked.data)
    if asked.sets:
        data = {name: data[name] for name in asked.sets if name in data}
    if not data:
        raise SystemExit(f"{asked.data} has no .jsonl or .jsonl.gz{' of that name' if asked.sets else ''}.")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

    print("Quality: F1 in percent, micro, stemmed exact match\n")
    head = ["set", "docs", "words", "method", *(f"F1@{k}" for k in CUTS), "ours less it @10", "given"]
    show(head, quality(data, asked.documents))
    print("Speed: documents a second of CPU time on one core, median (worst) of the rounds\n")
    show(["texts", "docs", "words", "docs/s", "worst", "YAKE", "ratio"], speed(data, max(1, asked.repeat)))


if __name__ == "__main__":
    main()
