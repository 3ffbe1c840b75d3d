"""How well the fence around the LLM's keywords lets right ones pass and keeps wrong ones out.

    python -m tests.bench.bench_grounding --data DIR [--documents 150]

DIR holds sets as for bench_frequency. Recall: spellings of one thing (VARIANTS, both ways round), and the gold keywords that a text
contains. Precision: gold keywords of other documents that pass though the text does not contain them, and gold keywords that are
absent from their own text. Long texts are joined to LONG_WORDS words.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.extraction.grounding import Ground
from engine.extraction.keywords import stem_phrase
from tests.bench.bench_frequency import cut, gold_rows, sets, show

LONG_WORDS = 8_000
SHORT_WORDS = 400
OTHERS = 40  # keywords of other documents tried on each

# one thing in two spellings; each must support the other
VARIANTS = (
    ("API", "APIs"), ("CPU", "CPUs"), ("JWT", "JWTs"), ("VM", "VMs"), ("URL", "URLs"), ("SLO", "SLOs"), ("GPU cluster", "GPUs cluster"),
    ("REST API", "REST APIs"), ("postgresql index", "PostgreSQL indexes"), ("github action", "GitHub Actions"), ("mysql table", "MySQL tables"),
    ("javascript module", "JavaScript modules"), ("graphql query", "GraphQL queries"), ("websocket", "WebSockets"), ("youtube", "YouTube"),
    ("openapi schema", "OpenAPI schemas"), ("index", "indices"), ("matrix", "matrices"), ("vertex", "vertices"), ("analysis", "analyses"),
    ("hypothesis", "hypotheses"), ("criterion", "criteria"), ("corpus", "corpora"), ("appendix", "appendices"), ("axis", "axes"),
    ("rollback", "roll back"), ("rollback", "roll-back"), ("filesystem", "file system"), ("file system", "filesystems"), ("failover", "fail over"),
    ("timestamp", "time stamp"), ("database", "data base"), ("pre-processing", "preprocessing"), ("data pre-processing", "data preprocessing"),
    ("key-value store", "key value store"), ("multi-tenant", "multitenant"), ("real-time", "realtime"), ("time-out", "timeout"),
    ("load-balancer", "load balancer"), ("health check", "healthcheck"), ("optimisation", "optimization"), ("query optimisation", "query optimization"),
    ("normalise", "normalize"), ("serialisation", "serialization"), ("colour", "color"), ("behaviour", "behavior"), ("neighbour", "neighbor"),
    ("analyse", "analyze"), ("data centre", "data center"), ("labelled data", "labeled data"), ("licence", "license"), ("catalogue", "catalog"),
    ("e-mail", "email"), ("back-end", "backend"), ("micro services", "microservices"), ("API's", "API"), ("Dijkstra's algorithm", "Dijkstra algorithm"),
    ("don’t care", "don't care"), ("write–ahead log", "write-ahead log"), ("client−server", "client-server"), ("naïve Bayes", "naive bayes"),
    ("Gödel number", "Godel number"), ("ＡＰＩ", "API"), ("ﾃﾞｰﾀﾍﾞｰｽ", "データベース"), ("cli\u00adent", "client"),
    ("modelling", "modeling"), ("cancelled", "canceled"), ("theatre", "theater"), ("kilometre", "kilometer"), ("judgement", "judgment"),
    ("tyre", "tire"), ("aluminium", "aluminum"), ("offence", "offense"), ("disc", "disk"), ("sceptical", "skeptical"), ("queueing", "queuing"),
    ("adaptor", "adapter"), ("anaemia", "anemia"), ("manoeuvre", "maneuver"), ("analogue", "analog"), ("enrolment", "enrollment"),
    ("mice", "mouse"), ("feet", "foot"), ("bacteria", "bacterium"), ("viruses", "virus"), ("buses", "bus"), ("statuses", "status"),
    ("aliases", "alias"), ("automata", "automaton"), ("minima", "minimum"), ("synopses", "synopsis"), ("polyhedra", "polyhedron"),
    ("taxa", "taxon"), ("fungi", "fungus"), ("bureaux", "bureau"), ("hooves", "hoof"), ("schemata", "schemas"), ("indexes", "indices"),
    ("maxTokens", "max tokens"), ("max_tokens", "max tokens"), ("HTTPServer", "HTTP server"), ("username", "user_name"), ("node.js", "nodejs"),
    ("IP v6", "IPv6"), ("Python 3", "python3"), ("HTTP/2", "HTTP2"), ("UTF-8", "utf8"), ("SHA-256", "SHA256"), ("x86-64", "x86_64"),
    ("OAuth 2", "OAuth2"), ("GPT-4", "GPT4"), ("ext 4", "ext4"), ("I/O", "IO"), ("CI/CD", "CI-CD"), ("Wi-Fi", "wifi"), ("E.U.", "EU"),
    ("postgres", "PostgreSQL"), ("k8s", "Kubernetes"), ("TLSv1.3", "TLS 1.3"), (".NET", "dotnet"), ("Vue", "Vue.js"),
    ("α-particle", "alpha particle"), ("λ calculus", "lambda calculus"), ("μ-law", "mu-law"), ("Łukasiewicz logic", "Lukasiewicz logic"),
    ("Øresund", "Oresund"), ("œuvre", "oeuvre"), ("v1.2.3", "1.2.3"), ("version 2.0", "v2.0"), ("paediatric", "pediatric"), ("U.S.A.", "USA"),
    ("second law", "2nd law"), ("third-party", "3rd party"), ("two-phase commit", "2-phase commit"), ("World War II", "World War 2"),
    ("TGFβ", "TGF-beta"), ("oesophagus", "esophagus"), ("octopi", "octopus"), ("bases", "base"), ("quizzes", "quiz"), ("™ Oracle", "Oracle"), ("İstanbul", "istanbul"),
    ("helices", "helix"), ("metastases", "metastasis"), ("bacilli", "bacillus"), ("counsellor", "counselor"), ("cosy", "cozy"),
    ("Schrödinger", "Schroedinger"), ("Köln", "Koeln"), ("TGF-β1", "TGF-beta 1"),
)  # fmt: skip
FRAME = "The team wrote down how {} fares in the cluster, and what the operators saw of it during the night."


class Score(NamedTuple):
    right: int
    of: int

    def __str__(self) -> str:
        return f"{100 * self.right / max(1, self.of):.2f} % ({self.right:,} of {self.of:,})"


def variants() -> tuple[Score, list[tuple[str, str]]]:
    pairs = [pair for one, other in VARIANTS for pair in ((one, other), (other, one))]
    lost = [(text, keyword) for text, keyword in pairs if not Ground(FRAME.format(text)).supports(keyword)]
    return Score(len(pairs) - len(lost), len(pairs)), lost


def contains(text: str, phrase: str) -> bool:
    """By the literature's protocol: the stems of the phrase, side by side."""
    return f" {stem_phrase(phrase)} " in f" {stem_phrase(text)} "


def judged(texts: Sequence[tuple[str, Sequence[str]]], seed: int = 7) -> tuple[Score, Score, Score]:
    """Of texts and their gold keywords: contained ones that pass, others' that pass uncontained, own absent ones that pass."""
    draw = random.Random(seed)
    everything = [phrase for _, gold in texts for phrase in gold if any(map(str.isalpha, phrase))]
    kept = wanted = foreign = tried = absent = missing = 0
    for text, gold in texts:
        ground, stemmed = Ground(text), f" {stem_phrase(text)} "
        for phrase in gold:
            if f" {stem_phrase(phrase)} " in stemmed:
                wanted += 1
                kept += ground.supports(phrase)
            else:
                missing += 1
                absent += ground.supports(phrase)
        for phrase in draw.sample(everything, min(OTHERS, len(everything))):
            if phrase not in gold and f" {stem_phrase(phrase)} " not in stemmed:
                tried += 1
                foreign += ground.supports(phrase)
    return Score(kept, wanted), Score(foreign, tried), Score(absent, missing)


def joined(texts: Iterable[tuple[str, Sequence[str]]]) -> list[tuple[str, Sequence[str]]]:
    """Long texts of LONG_WORDS words, with the gold keywords of the parts."""
    made: list[tuple[str, Sequence[str]]] = []
    text, gold = "", list[str]()
    for more, theirs in texts:
        text, gold = f"{text}\n\n{more}", [*gold, *theirs]
        if len(text.split()) >= LONG_WORDS:
            made.append((cut(text, LONG_WORDS), gold))
            text, gold = "", []
    return made


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True, help="folder of NAME.jsonl[.gz]")
    arguments.add_argument("--documents", type=int, default=150, help="of each set")
    asked = arguments.parse_args()
    score, lost = variants()
    print(f"Spellings of one thing that pass: {score}")
    for text, keyword in lost:
        print(f"  not: {keyword!r} where the text has {text!r}")
    texts = [(row.text, row.gold) for path in sets(asked.data).values() for row in gold_rows(path)[: asked.documents]]
    short = [(text, gold) for text, gold in texts if len(text.split()) < SHORT_WORDS]
    long = joined((text, gold) for text, gold in texts if len(text.split()) >= 2_000)
    print()
    table = [
        [name, str(len(some)), *map(str, judged(some))] for name, some in (("short", short), ("long", long)) if some
    ]
    show(["texts", "docs", "contained that pass", "of others, uncontained, that pass", "own absent that pass"], table)


if __name__ == "__main__":
    main()
