"""`python -m tests.simulate --rollouts 1000`: whole rollouts, the invariants checked, and the first one that broke."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter

from tests.simulate.faults import FAULTS, reintroduced
from tests.simulate.rollout import Result, run, shortest


def _one(job: tuple[int, str]) -> Result:
    seed, fault = job
    with reintroduced(fault):
        return run(seed)


def search(first: int, rollouts: int, processes: int, fault: str = "") -> tuple[list[Result], Result | None]:
    """Results up to the first broken one."""
    jobs = [(seed, fault) for seed in range(first, first + rollouts)]
    results: list[Result] = []
    with multiprocessing.Pool(processes) as pool:
        for result in pool.imap(_one, jobs, chunksize=4):
            results.append(result)
            if result.broken:
                pool.terminate()
                return results, result
    return results, None


def replay(seed: int, fault: str) -> int:
    """One rollout, step by step."""
    with reintroduced(fault):
        result = run(seed)
    print("\n".join(result.trace))
    print(f"BROKEN: {result.what}" if result.broken else "Every invariant held.")
    return bool(result.broken)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulate", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time() // 86_400), help="default: other seeds each day")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--replay", type=int, help="print the steps of one rollout, by its number in the output")
    parser.add_argument("--fault", default="", choices=["", *FAULTS], help="put a fixed fault back: it must be found")
    options = parser.parse_args()
    if options.replay is not None:
        return replay(options.replay, options.fault)
    began = time.perf_counter()
    first = options.seed * 1_000_000
    results, broken = search(first, options.rollouts, options.processes, options.fault)
    summarise(results, time.perf_counter() - began)
    if broken is None:
        print("Every invariant held.")
        return 0
    print(f"\nBROKEN in rollout {broken.seed}: {broken.what}\nShortening ...", flush=True)
    with reintroduced(options.fault):
        least = shortest(broken)
    print("Shortest script found:")
    for line in least.trace:
        print(f"  {line}")
    fault = f" --fault {options.fault}" if options.fault else ""
    print(f"The whole of it: python -m tests.simulate --replay {broken.seed}{fault}")
    return 1


def summarise(results: list[Result], took_s: float) -> None:
    checked: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for result in results:
        checked.update(result.checked)
        counts.update(result.counts)
    days = sum(result.calendar_s for result in results) / 86_400
    print(f"{len(results)} rollouts from {results[0].seed}, {days:,.0f} days of calendar, {took_s:.1f} s. Checked:")
    for name, times in sorted(checked.items()):
        print(f"  {times:9,}  {name}")
    print("Made: " + ", ".join(f"{name} {times:,}" for name, times in sorted(counts.items())))


if __name__ == "__main__":
    sys.exit(main())
