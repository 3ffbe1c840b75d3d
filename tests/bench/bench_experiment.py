"""The A/B test, simulated: false positives under hourly looks, power, sample-ratio check, cost.

    python -m tests.bench.bench_experiment [--quick | --full]

Thresholds come from the engine's own functions (widths by number of documents, bounds by look); only the comparison of
z with them is vectorised. 2 000 runs and a store of a million documents; --quick: 300 runs and 20 000 documents, some
seconds; --full: 10 000 runs.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from scipy import special
from scipy import stats as scipy_stats

from engine.experiment import fixed, group_sequential, power, sequence, srm
from engine.experiment.analysis import analyse
from engine.experiment.declaration import DAY, ArmStats, Declaration
from engine.experiment.effects import difference
from engine.experiment.moments import Counts, Moments, Ratio
from engine.measures.record import Extraction
from engine.quality.queries import SearchedDocument, known_items
from engine.quality.search import search_quality
from engine.routing import buckets
from engine.service import feedback
from engine.store import database
from engine.store.folder import Folder
from engine.trial import ledger
from engine.trial.ledger import Scored
from engine.trial.results import trial_status

HOURS, DAYS, ALPHA = 168, 7, 0.05
RANKS = np.array([1.0, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 0.0])  # reciprocal ranks, as a search quality score has them
RANK_P = np.array([0.35, 0.12, 0.08, 0.05, 0.04, 0.36])
Rows = list[tuple[str, str, str]]


def better(uplift: float) -> np.ndarray:
    """RANK_P with every hit likelier by `uplift`: the mean rises by exactly that."""
    hits = RANK_P[:-1] * (1.0 + uplift)
    return np.append(hits, 1.0 - hits.sum())


def ranks(rng: np.random.Generator, shape: tuple[int, ...], uplift: float = 0.0) -> np.ndarray:
    return RANKS[np.searchsorted(np.cumsum(better(uplift))[:-1], rng.random(shape), side="right")]


def times(rng: np.random.Generator, shape: tuple[int, ...], uplift: float = 0.0) -> np.ndarray:
    return rng.lognormal(7.0, 0.8, shape) * (1.0 + uplift)


def errors(rng: np.random.Generator, shape: tuple[int, ...], uplift: float = 0.0) -> np.ndarray:
    return (rng.random(shape) < 0.008 * (1.0 + uplift)).astype(float)


class PaletteStyles:
    """Hourly z, Welch's dof and documents of `runs` experiments with `per_hour` documents an arm and hour."""

    def __init__(self, draw, rng: np.random.Generator, runs: int, per_hour: int, uplift: float) -> None:
        sums = []
        for lift in (0.0, uplift):
            values = draw(rng, (runs, HOURS, per_hour), lift)
            sums.append((values.sum(2).cumsum(1), (values**2).sum(2).cumsum(1)))
        n = per_hour * np.arange(1, HOURS + 1)
        self.n = 2 * n
        means = [total / n for total, _ in sums]
        parts = [
            np.maximum(square - total * mean, 0.0) / (n - 1) / n
            for (total, square), mean in zip(sums, means, strict=True)
        ]
        variance = parts[0] + parts[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            self.z = np.where(variance > 0, (means[1] - means[0]) / np.sqrt(variance), 0.0)
            self.dof = variance**2 / ((parts[0] ** 2 + parts[1] ** 2) / (n - 1))
        self.p = np.where(variance > 0, 2 * special.stdtr(np.where(variance > 0, self.dof, 1.0), -np.abs(self.z)), 1.0)
        self.events = sums[0][0] + sums[1][0]


def crossed(looks: PaletteStyles, binary: bool) -> dict[str, np.ndarray]:
    """Per rule, which runs ever called a difference."""
    tuned = sequence.rho(ALPHA, float(looks.n[-1]))
    limit = np.array(
        [sequence.half_width(float(n), float(n), ALPHA, tuned) if n >= sequence.START else np.inf for n in looks.n]
    )
    live = np.abs(looks.z) > limit
    if binary:
        live &= np.minimum(looks.events, looks.n - looks.events) >= 5
    bounds = np.array([bound.z for bound in group_sequential.bounds(DAYS, ALPHA)])
    daily = np.abs(looks.z[:, 23::24]) >= bounds
    return {
        "live view (confidence sequence, hourly)": live.any(1),
        "daily bounds (O'Brien-Fleming)": daily.any(1),
        "declared end (Welch, once)": looks.p[:, -1] < ALPHA,
        "t-test peeked at hourly, p < 0.05": (looks.p < ALPHA).any(1),
    }


def share(hits: np.ndarray) -> str:
    rate = float(hits.mean())
    return f"{100 * rate:.1f} % ± {196 * (rate * (1 - rate) / hits.size) ** 0.5:.1f}"


def simulate(draw, runs: int, per_hour: int, uplift: float, seed: int, binary: bool = False) -> dict[str, np.ndarray]:
    rng, results = np.random.default_rng(seed), []
    chunk = max(1, 4_000_000 // (HOURS * per_hour))
    for begin in range(0, runs, chunk):
        results.append(crossed(PaletteStyles(draw, rng, min(chunk, runs - begin), per_hour, uplift), binary))
    return {rule: np.concatenate([part[rule] for part in results]) for rule in results[0]}


def false_positives(runs: int) -> Rows:
    rows: Rows = []
    for name, draw, binary in (
        ("search score", ranks, False),
        ("processing time", times, False),
        ("error rate", errors, True),
    ):
        for rule, hits in simulate(draw, runs, 10, 0.0, 1, binary).items():
            wanted = "about 40 %" if "peeked" in rule else "<= 5 %"
            rows.append((f"A/A, {name}, 1680 an arm, 168 hourly looks: {rule}", share(hits), wanted))
    return rows


def power_at_fifteen(runs: int) -> Rows:
    rows: Rows = []
    for per_hour in (2, 5):
        n = per_hour * HOURS
        p, q = better(0.0), better(0.15)
        spread = [float(w @ RANKS**2 - (w @ RANKS) ** 2) for w in (p, q)]
        theory = power.power(0.15 * float(p @ RANKS), (sum(spread) / n) ** 0.5, ALPHA)
        for rule, hits in simulate(ranks, runs, per_hour, 0.15, 2).items():
            if "peeked" not in rule:
                wanted = f"theory {100 * (theory or 0):.1f} %, ± 5 points" if "Welch" in rule else ""
                rows.append((f"power at +15 %, {n} an arm: {rule}", share(hits), wanted))
    return rows


def splits(runs: int) -> Rows:
    rng = np.random.default_rng(3)
    counts = rng.binomial(5000, 0.53, runs)
    results = np.array([srm.sample_ratio(5000 - int(k), int(k), final=True).mismatch for k in counts])
    p = np.array([srm.split_p(5000 - int(k), int(k), 0.5) for k in counts])
    rows: Rows = [
        ("53/47 at n = 5000, one look: chi-square p < 0.001", share(p < 0.001), "83 % by theory"),
        ("53/47 at n = 5000, one look: chi-square or e-value", share(results), "found"),
    ]
    weeks = runs // 2
    for name, truth, wanted in (("true split", 0.5, "<= 1 %"), ("53/47", 0.53, "")):
        arrived = rng.binomial(30, truth, (weeks, HOURS)).cumsum(1)
        totals = 30 * np.arange(1, HOURS + 1)
        e = np.zeros(weeks, bool)
        chi = np.zeros(weeks, bool)
        for hour in range(HOURS):
            for week in range(weeks):
                k, n = int(arrived[week, hour]), int(totals[hour])
                e[week] |= bool(srm.sample_ratio(n - k, k).mismatch)
            chi |= special.erfc(np.abs(arrived[:, hour] - totals[hour] / 2) / (totals[hour] / 2) ** 0.5) < 0.001
        rows.append((f"{name}, hourly for a week (5040 documents): e-value >= 100", share(e), wanted))
        rows.append((f"{name}, hourly for a week: chi-square p < 0.001", share(chi), "1.7 %" if truth == 0.5 else ""))
    return rows


def stats(rng: np.random.Generator, n: int, uplift: float) -> ArmStats:
    """An hour's documents of one arm, every metric."""
    good = ranks(rng, (n,), uplift)
    return ArmStats(
        n,
        {
            "search_quality": Moments.of(good.tolist()),
            "processing_ms": Moments.of(times(rng, (n,)).tolist()),
            "error_rate": Counts(n, int(rng.binomial(n, 0.003))),
            "satisfaction": Counts(n // 2, int(rng.binomial(n // 2, 0.85))),
            "cache_hit_rate": Counts(n, int(rng.binomial(n, 0.3))),
            "keywords": Moments.of(rng.normal(12.0, 2.0, n).tolist()),
            "relevance": Moments.of(rng.beta(7, 3, n).tolist()),
            "click_through": Counts(n, int(rng.binomial(n, 0.2))),
        },
    )


def merged(one: ArmStats, other: ArmStats) -> ArmStats:
    return ArmStats(
        one.documents + other.documents,
        {name: value + other.measures[name] for name, value in one.measures.items()},  # type: ignore[operator]
    )


def verdicts(runs: int) -> Rows:
    """The whole analysis, report after report, as the console runs it: which verdicts appeared, and which was final."""
    rng, rows = np.random.default_rng(4), []
    for uplift in (0.0, 0.25):
        ever: dict[str, int] = {}
        last: dict[str, int] = {}
        for _ in range(runs):
            declaration = Declaration(started=0.0)
            control, treatment, report, words = stats(rng, 10, 0.0), stats(rng, 10, uplift), None, set()
            for look in range(1, 85):  # every two hours: 840 documents an arm
                report = analyse(declaration, control, treatment, look * 7200.0, report)
                words.add(report.verdict.word)
                control, treatment = (merged(control, stats(rng, 10, 0.0)), merged(treatment, stats(rng, 10, uplift)))
            assert report is not None
            for word in words - {"not yet"}:
                ever[word] = ever.get(word, 0) + 1
            last[report.verdict.word] = last.get(report.verdict.word, 0) + 1

        def shown(counts: dict[str, int]) -> str:
            return ", ".join(f"{word} {100 * k / runs:.0f} %" for word, k in sorted(counts.items()))

        name = f"8 metrics, {'A/A' if not uplift else f'search {100 * uplift:+.0f} %'}, {runs} runs x 84 looks: word"
        rows.append((f"{name} at the end", shown(last), "ship <= 2.5 %" if not uplift else ""))
        rows.append((f"{name} ever shown", shown(ever), "worse <= 5 %" if not uplift else ""))
    return rows


def cost() -> Rows:
    rng = np.random.default_rng(5)
    minute = [stats(rng, 50, 0.0) for _ in range(20)]

    def folded(minutes: int) -> ArmStats:
        total = minute[0]
        for i in range(1, minutes):
            total = merged(total, minute[i % 20])
        return total

    def ms(what) -> float:
        spent = []
        for _ in range(9):
            begin = time.perf_counter()
            what()
            spent.append((time.perf_counter() - begin) * 1000)
        return median(spent)

    small, large = folded(20), folded(10_000)
    declaration = Declaration(started=0.0)
    rows: Rows = []
    for name, arm in (("2 000", small), ("1 000 000", large)):
        first = analyse(declaration, arm, arm, 3.5 * DAY)
        end = analyse(declaration, arm, arm, 7 * DAY)
        rows.append(
            (
                f"one report on {name} documents: live / at a look / the declared end (warm)",
                f"{ms(lambda a=arm, r=first: analyse(declaration, a, a, 3.5 * DAY, r)):.2f} / "
                f"{ms(lambda a=arm: analyse(declaration, a, a, 3.5 * DAY)):.2f} / "
                f"{ms(lambda a=arm: analyse(declaration, a, a, 7 * DAY)):.2f} ms",
                "< 100 ms" if end.lock.open else "",
            )
        )
    rows.append(("adding up 10 000 roll-ups of 8 metrics", f"{ms(lambda: folded(10_000)):.0f} ms", ""))
    pair = Moments.of(rng.normal(0, 1, 500).tolist()), Moments.of(rng.normal(0, 1, 500).tolist())
    rows.append(
        (
            "one difference and its sequence",
            f"{1000 * ms(lambda: sequence.sequence(difference(*pair), 0.05, 1000)):.0f} us",
            "",
        )
    )
    group_sequential._constant.cache_clear()
    rows.append(
        (
            "O'Brien-Fleming bounds, 7 looks, not cached",
            f"{ms(lambda: (group_sequential._constant.cache_clear(), group_sequential.bounds(7))):.0f} ms",
            "",
        )
    )
    return rows


def ratings(runs: int) -> Rows:
    """Many ratings a document and many documents a person, a few documents with most of them: which test still cries wolf 5 % of
    the time, and what it sees."""
    rows: Rows = []
    for uplift, wanted in ((0.0, "<= 5.5 %"), (0.7, "")):
        rng = np.random.default_rng(6)
        plain, clustered = np.zeros(runs, bool), np.zeros(runs, bool)
        for run in range(runs):
            documents, people, answers = 200, 60, 3000
            of_document, of_person = rng.normal(0, 1.0, documents), rng.normal(0, 1.0, people)
            popular = rng.dirichlet(np.full(documents, 0.5))
            treated = rng.random(documents) < 0.5
            document, person = rng.choice(documents, answers, p=popular), rng.integers(0, people, answers)
            likely = special.expit(1.2 + of_document[document] + of_person[person] + uplift * treated[document])
            asked = np.bincount(document, minlength=documents)
            liked = np.bincount(document[rng.random(answers) < likely], minlength=documents)
            arms = []
            for arm in (False, True):
                pairs = zip(liked[treated == arm].tolist(), asked[treated == arm].tolist(), strict=True)
                arms.append(sum((Ratio.one(*pair) for pair in pairs), Ratio()))
            test = fixed.by_document(*arms)
            clustered[run] = test is not None and test.p < 0.05
            chi = fixed.chi_square(arms[0].counts, arms[1].counts)
            plain[run] = chi is not None and chi.p < 0.05
        name = "A/A" if not uplift else f"power at {uplift:+g} logits"
        what = f"{name}, 3000 ratings by 60 people of 200 very unequal documents"
        rows.append((f"{what}: by document", share(clustered), wanted))
        if not uplift:
            rows.append((f"{what}: chi-square as if independent", share(plain), "far above"))
    return rows


def agreement() -> Rows:
    """The largest relative difference to scipy over random arms."""
    rng = np.random.default_rng(7)
    worst = {"Welch": 0.0, "Student": 0.0, "chi-square": 0.0}
    for _ in range(200):
        a = rng.lognormal(1, 1, int(rng.integers(3, 400)))
        b = rng.lognormal(1.1, 1, int(rng.integers(3, 400)))
        ours = Moments.of(a.tolist()), Moments.of(b.tolist())
        for name, test, oracle in (
            ("Welch", fixed.welch(*ours), scipy_stats.ttest_ind(a, b, equal_var=False)),
            ("Student", fixed.student(*ours), scipy_stats.ttest_ind(a, b)),
        ):
            worst[name] = max(worst[name], abs(test.p / float(oracle.pvalue) - 1.0))
        k, n = rng.integers(20, 80, 2), rng.integers(200, 900, 2)
        table = [[int(k[0]), int(n[0] - k[0])], [int(k[1]), int(n[1] - k[1])]]
        p = float(scipy_stats.chi2_contingency(table, correction=False).pvalue)
        ours_p = fixed.chi_square(Counts(int(n[0]), int(k[0])), Counts(int(n[1]), int(k[1]))).p
        worst["chi-square"] = max(worst["chi-square"], abs(ours_p / p - 1.0))
    return [
        (f"{name}: largest relative difference of p to scipy, 200 tests", f"{off:.1e}", "<= 1e-9")
        for name, off in worst.items()
    ]


def stored(sizes: tuple[int, ...]) -> Rows:
    """A real store with a running test: how long the screen and `rollout ab-test analyze` take to read it."""
    rows: Rows = []
    times: dict[int, float] = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as root:
            folder = Folder(Path(root) / "store")
            database.create(folder)
            conn = database.open_writer(folder, "NORMAL")
            conn.execute("BEGIN IMMEDIATE")
            ledger.begin(conn, Declaration(started=0.0), 4, 1, 5000, "salt")
            conn.execute("COMMIT")
            rng = random.Random(1)
            begin = time.perf_counter()
            for first in range(0, size, 200):
                records = []
                for i in range(first, first + 200):
                    name = f"documents/{i}.md"
                    arm = buckets.arm("salt", name, 5000)
                    treated = arm == "treatment"
                    records.append(
                        Extraction(
                            i * 7 * DAY / size, name, arm, "llm" if treated else "frequency", 4, 1, attempted=treated, lookup=treated,
                            ms=rng.uniform(500, 900) if treated else 1.5, keywords=rng.randint(8, 15), proposed=12 if treated else 0,
                        )
                    )  # fmt: skip
                conn.execute("BEGIN IMMEDIATE")
                ledger.fold(conn, records)
                conn.execute("COMMIT")
            spent = time.perf_counter() - begin
            conn.execute("BEGIN IMMEDIATE")
            sample = (
                Scored(f"documents/{i}.md", rng.choice((1.0, 0.5, 0.0)), 0.4)
                for i in range(0, size, max(1, size // 5000))
            )
            ledger.scored(conn, 1, sample, 7 * DAY)
            conn.execute("COMMIT")
            clicks = []
            for i in range(200):
                output = feedback.read(
                    {"kind": "impression", "document": f"documents/{i}.md", "source": f"u{i}"}, "bench", DAY
                )
                assert not isinstance(output, str)
                begin = time.perf_counter()
                feedback.store(conn, output)
                clicks.append((time.perf_counter() - begin) * 1e6)
            reader = database.open_reader(folder)
            results = []
            for _ in range(9):
                begin = time.perf_counter()
                trial_status(reader, 6.9 * DAY)
                results.append((time.perf_counter() - begin) * 1000)
            times[size] = median(results)
            reader.close()
            conn.close()
            joins = f"{spent / size * 1e6:.1f} us"
            rows.append(
                (f"A/B test with {size:,} documents, analysed from the store", f"{times[size]:.2f} ms", "< 100 ms")
            )
            rows.append((f"what taking part costs a document, at {size:,}", joins, ""))
            rows.append((f"what an impression costs, committed alone, at {size:,}", f"{median(clicks):.0f} us", ""))
    if len(sizes) > 1:
        rows.append(
            (
                f"{sizes[-1] // sizes[0]} times the documents take",
                f"{times[sizes[-1]] / times[sizes[0]]:.2f} times as long",
                "about 1",
            )
        )
    return rows


def search_cost() -> Rows:
    rng = random.Random(1)
    vocabulary = ["w" + "".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(8000)]
    weights = [1 / (i + 1) for i in range(8000)]
    documents = []
    for i in range(2000):
        words = rng.choices(vocabulary, weights, k=60)
        text = "\n".join("# " + " ".join(rng.choices(words, k=4)) for _ in range(4))
        llm = tuple(" ".join(rng.sample(words, 2)) for _ in range(13))
        documents.append(SearchedDocument(f"docs/{i}.md", " ".join(words[:5]), text, llm, tuple(rng.sample(words, 12))))
    begin = time.perf_counter()
    queries = known_items(documents, most=2000)
    results = search_quality(documents, queries)
    spent = time.perf_counter() - begin
    return [
        (
            f"search quality, {len(documents)} documents x {results.queries} queries x 2 methods",
            f"{spent:.1f} s",
            "a few seconds",
        )
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulate the A/B test.")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="300 runs, a store of 20 000 documents")
    size.add_argument("--full", action="store_true", help="10 000 runs instead of 2 000")
    asked = parser.parse_args()
    runs = 300 if asked.quick else 10_000 if asked.full else 2_000
    parts: list[Callable[[], Rows]] = [
        lambda: false_positives(3 * runs),
        lambda: power_at_fifteen(runs),
        lambda: splits(runs // (1 if asked.full else 2)),
        lambda: ratings(2 * runs),
        agreement,
        lambda: verdicts(max(10, runs // 10)),
        cost,
        lambda: stored((2_000, 20_000) if asked.quick else (20_000, 1_000_000)),
        search_cost,
    ]
    print("| what | measured | wanted |\n|---|---|---|")
    for part in parts:
        for row in part():
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
