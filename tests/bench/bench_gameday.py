"""What a game day's scenarios do when no one acts, and when the right thing is done at par: played on the real engine, not calculated.

    python -m tests.bench.bench_gameday [--scenario NAME]... [--runs 3] [--par] [--act KIND]... [--after 10] [--speed 10]

Without --par and --act no one touches anything; the shares of each run are printed as the scenario's file has them (`untouched`),
with the medians below, beside the file's own. With --par a player does each right act in turn, `par.act_s` seconds (or --after) after
the fault becomes visible; with --act, whatever is given, such as the wrong move. What was harmed is printed beside what the score
computes for par. A shift takes as long as a player's: three minutes each. The shortest: `--scenario dead --runs 1 --speed 30`, a minute.
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
from engine.gameday.director import CORE, delay
from engine.gameday.scenario import Scenario
from engine.gameday.shift import Slice
from engine.server.rehearse import GameDay
from engine.store.reader import Reader
from engine.text import counted

READY_S = 150.0


def played(of: Scenario, speed: float, act: str = "", after_s: float = 0.0) -> tuple[Debrief, tuple[Slice, ...]]:
    """One shift on the real engine, to its end. `act` comes `after_s` of the player's seconds after the fault is visible."""
    with tempfile.TemporaryDirectory(prefix="bench-gameday-") as root, GameDay(of, speed, Path(root)) as game:
        if trouble := game.start():
            raise SystemExit(trouble)
        end = time.monotonic() + READY_S
        while not game.begin()[0]:
            if time.monotonic() > end:
                raise SystemExit(f"{of.name}: the shift could not begin within {READY_S:.0f} s.")
            time.sleep(0.2)
        while (began := game.began) is None:
            time.sleep(0.05)
        due = (of.fault_after_s + delay(began) + of.visible_s) / speed + after_s
        while (left := game.left_s()) is not None and left > 0:
            if act and of.lasts_s / speed - left >= due:
                _act(game, act, Path(root))
                act = ""
            time.sleep(0.05)
        while (made := game.finish()) is None:  # the store is busy
            time.sleep(0.2)
        reader = Reader(game.folder)
        late = delay(began)
        cut = reader.read(lambda conn: slices(conn, of, began.at + late, began.at + of.lasts_s))
        reader.close()
        return made, cut


def _act(game: GameDay, kind: str, root: Path) -> None:
    """One act, as a player would do it."""
    client = EngineClient(game.folder)
    match kind:
        case "rollback":
            client.rollback("bench")
        case "start":
            game.restart()
        case "room":
            (root / CORE).unlink(missing_ok=True)
        case "promote":
            epoch = client.request("GET", "/v1/status")[1]["epoch"]
            client.command(kind, epoch=epoch, override_reason="bench")
        case _:
            reply = client.command({"ack": "acknowledge"}.get(kind, kind), reason="bench")
            if not reply.ok:
                print(f"{kind} was refused: {reply.sentence}", flush=True)


def shares(of: Scenario, cut: Sequence[Slice]) -> list[float]:
    """Of each span of the scenario's `untouched`: the share of all documents that was harmed."""
    began = cut[0].at
    calm = [part for part in cut if part.at + part.seconds <= began + of.fault_after_s]
    rate = sum(part.documents for part in calm) / sum(part.seconds for part in calm)
    edges = [began + of.fault_after_s + share.after_s for share in of.untouched] + [cut[-1].at + cut[-1].seconds]
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


def _line(act: str, after_s: float, made: Debrief) -> str:
    """What was harmed, and the points: notice + act + time + harm - wrong moves."""
    s = made.score
    points = " ".join(f"{part.points:+}" for part in s.parts)
    saved = f"harmed {s.harmed}, computed for par {s.at_par}, best {s.best}, untouched {s.untouched}"
    seen = "-" if s.acted_s is None else f"{s.acted_s:.0f} s"
    verdict = "passed" if s.passed else "not passed"
    return f"{act} after {after_s:.0f} s (scored: {seen}): {saved}; {s.total} ({points}), par {s.par}, {verdict}"


def _minutes(names: Sequence[str], given: argparse.Namespace) -> int:
    """How long all shifts take."""
    seconds = 0.0
    for name in names:
        of = scenario.load(name)
        acts = len(given.act or (of.right if given.par else ("",)))
        seconds += of.lasts_s / given.speed * acts * given.runs
    return max(1, round(seconds / 60))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--par", action="store_true")
    parser.add_argument("--act", action="append", help="a kind of decision, or start, room")
    parser.add_argument("--after", type=float, help="the player's seconds; default: par")
    parser.add_argument("--speed", type=float, default=scenario.SPEED)
    given = parser.parse_args()
    names = given.scenario or scenario.names()
    runs = f"{counted(len(names), 'scenario')}, {counted(given.runs, 'run')} of each act"
    print(f"{runs}: {_minutes(names, given)} min or more", flush=True)
    for name in names:
        of, measured = scenario.load(name), []
        for act in given.act or (of.right if given.par else ("",)):
            after_s = of.par.act_s if given.after is None else given.after
            for _ in range(given.runs):
                made, cut = played(of, given.speed, act, after_s)
                if act:
                    print(f"{name:<11} {_line(act, after_s, made)}", flush=True)
                    continue
                measured.append(shares(of, cut))
                text = " ".join(f"{share:.4f}" for share in measured[-1])
                calm = sum(part.documents for part in cut if part.at < cut[0].at + of.fault_after_s)
                harmed = f"{made.score.harmed:5} harmed, {calm / of.fault_after_s * 60:.0f} documents/min"
                print(f"{name:<11} {harmed}: {text}   by minute: {tail(of, cut)}", flush=True)
        if measured:
            median = " ".join(f"{statistics.median(run):.4f}" for run in zip(*measured, strict=True))
            print(
                f"{name:<11} median {median}; the file has {' '.join(f'{share.share:g}' for share in of.untouched)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
