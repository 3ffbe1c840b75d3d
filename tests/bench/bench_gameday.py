"""What a game day's scenarios do when no one acts, and when the right thing is done at par: played on the real engine, not calculated.

    python -m tests.bench.bench_gameday [--scenario NAME]... [--runs 3] [--par] [--speed 10]

Without --par no one touches anything; the shares of each run are printed as the scenario's file has them (`untouched`), with the
medians below, beside the file's own. With --par a player does the first right act `par.act_s` seconds after the fault becomes visible;
what was harmed is printed beside what the score computes for par. A shift takes as long as a player's: two or three minutes each.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from engine.client.client import EngineClient
from engine.gameday import scenario
from engine.gameday.debrief import Debrief, slices
from engine.gameday.director import CORE
from engine.gameday.scenario import Scenario
from engine.gameday.scoring import Slice
from engine.server.rehearse import GameDay
from engine.store.reader import Reader

READY_S = 150.0


def played(of: Scenario, speed: float, at_par: bool) -> tuple[Debrief, tuple[Slice, ...]]:
    """One shift on the real engine, to its end."""
    with tempfile.TemporaryDirectory(prefix="bench-gameday-") as root, GameDay(of, speed, Path(root)) as game:
        if trouble := game.start():
            raise SystemExit(trouble)
        end = time.monotonic() + READY_S
        while not game.begin()[0]:
            if time.monotonic() > end:
                raise SystemExit(f"{of.name}: the shift could not begin within {READY_S:.0f} s.")
            time.sleep(0.2)
        while game.began is None:
            time.sleep(0.05)
        due = (of.fault_after_s + of.visible_s) / speed + of.par.act_s
        while (left := game.left_s()) is not None and left > 0:
            if at_par and of.right and of.lasts_s / speed - left >= due:
                at_par = False
                _act(game, of.right[0], Path(root))
            time.sleep(0.05)
        began = game.began
        assert began is not None
        while (made := game.finish()) is None:  # the store is busy
            time.sleep(0.2)
        reader = Reader(game.folder)
        cut = reader.read(lambda conn: slices(conn, of, began.at, began.at + of.lasts_s))
        reader.close()
        return made, cut


def _act(game: GameDay, kind: str, root: Path) -> None:
    """One right act, as a player would do it."""
    match kind:
        case "rollback":
            EngineClient(game.folder).rollback("bench: at par")
        case "start":
            game.restart()
        case "room":
            (root / CORE).unlink(missing_ok=True)
        case _:
            EngineClient(game.folder).command(kind, reason="bench: at par")


def shares(of: Scenario, cut: Sequence[Slice]) -> list[float]:
    """Of each span of the scenario's `untouched`: the share of all documents that was harmed."""
    began = cut[0].at
    calm = [part for part in cut if part.at + part.seconds <= began + of.fault_after_s]
    rate = sum(part.documents for part in calm) / sum(part.seconds for part in calm)
    edges = [began + of.fault_after_s + share.after_s for share in of.untouched] + [began + of.lasts_s]
    out = []
    for start, end in pairwise(edges):
        inside = [part for part in cut if start <= part.at < end]
        out.append(sum(part.harmed for part in inside) / (rate * max(1.0, end - start)))
    return out


def tail(of: Scenario, cut: Sequence[Slice]) -> str:
    """Harm by minute since the fault, for setting the spans."""
    first = cut[0].at + of.fault_after_s
    minutes: dict[int, int] = {}
    for part in cut:
        if part.at >= first - part.seconds:
            place = max(0, int((part.at - first) // 60))
            minutes[place] = minutes.get(place, 0) + part.harmed
    return " ".join(str(minutes[place]) for place in sorted(minutes))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--par", action="store_true")
    parser.add_argument("--speed", type=float, default=scenario.SPEED)
    given = parser.parse_args()
    for name in given.scenario or scenario.names():
        of, measured = scenario.load(name), []
        for _ in range(given.runs):
            made, cut = played(of, given.speed, given.par)
            s = made.score
            if given.par:
                saved = f"harmed {s.harmed}, computed for par {s.at_par}, best {s.best}, untouched {s.untouched}"
                print(f"{name:<11} at par: {saved}; {s.total} of 100, par {s.par}", flush=True)
                continue
            measured.append(shares(of, cut))
            text = " ".join(f"{share:.4f}" for share in measured[-1])
            rate = sum(part.documents for part in cut if part.at < cut[0].at + of.fault_after_s) / of.fault_after_s
            print(
                f"{name:<11} {s.harmed:5} harmed, {rate * 60:.0f} documents/min: {text}   by minute: {tail(of, cut)}",
                flush=True,
            )
        if measured:
            median = " ".join(f"{statistics.median(run):.4f}" for run in zip(*measured, strict=True))
            print(
                f"{name:<11} median {median}; the file has {' '.join(f'{share.share:g}' for share in of.untouched)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
