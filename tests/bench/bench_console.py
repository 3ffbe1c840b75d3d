"""What the console costs a tired person and a bad line, beside other terminal programs in the same run.

    python -m tests.bench.bench_console [--runs 5] [--peers DIR]

A real engine in rehearsal at stage 2, its calendar at 1x so that it publishes once a second, with 8 workers that extract without a pause; the console attaches to it in a pseudo-terminal
that answers queries as a modern terminal does. Peers: Textual's hello-world (the floor) and demo, and `DIR/bin/posting` where it is
installed. Medians of the runs.

first paint   until the program's first words are on the screen; live: until the gauges show measured numbers
live CPU      processor time of the process over 8 s without input; bytes: what it writes meanwhile
switch        from a digit to the last byte of the new screen; echo: from j or k in a list to the first byte
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.client.client import EngineClient
from engine.server.rehearse import Rehearsal
from engine.store.reader import Reader
from tests.terminal import ROLLOUT, Terminal

WORKERS = 8
LIVE_S = 8.0
HELLO = """
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("Hello, World!")
Hello().run()
"""


class Peer:
    """A program, the words of its first paint, and of its live state ("" where it has none)."""

    def __init__(self, name: str, command: list[str], painted: str, live: str = "") -> None:
        self.name, self.command, self.painted, self.live = name, command, painted, live


# -- the load ----------------------------------------------------------------------------------------------------------------


def worker(address: str, number: int, done: threading.Event) -> None:
    """Extract without a pause, as a batch job would."""
    where = urlsplit(address)
    text = (
        "The worker pool retries failed requests with exponential backoff and jitter before the queue overflows. " * 12
    )
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
    count = 0
    while not done.is_set():
        count += 1
        body = json.dumps({"id": f"bench/{number}/{count}.md", "text": f"{text} {number} {count}"})
        try:
            connection.request("POST", "/v1/extract", body, {"Content-Type": "application/json"})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            connection.close()
            time.sleep(0.1)


def load(address: str) -> None:
    """The body of the process that loads the engine until its standard input closes."""
    os.nice(10)
    done = threading.Event()
    threads = [threading.Thread(target=worker, args=(address, n, done)) for n in range(WORKERS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    done.set()


# -- one session -------------------------------------------------------------------------------------------------------------


def first_time(terminal: Terminal, pattern: str) -> float | None:
    """Milliseconds from the start until the pattern is on the screen, replayed chunk by chunk."""
    import pyte

    screen = pyte.Screen(terminal.columns, terminal.rows)
    stream = pyte.ByteStream(screen)
    for chunk in terminal.chunks:
        stream.feed(chunk.data)
        if re.search(pattern, "\n".join(screen.display)):
            return (chunk.at - terminal.began) * 1000
    return None


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) / 1024  # type: ignore[union-attr]


def bytes_of(terminal: Terminal, since: int) -> int:
    return sum(len(chunk.data) for chunk in terminal.chunks[since:])


def until_quiet(terminal: Terminal, quiet_s: float, most_s: float = 2.0) -> None:
    end = time.monotonic() + most_s
    while time.monotonic() < end and terminal.read(quiet_s):
        pass


def session(peer: Peer, columns: int, rows: int, deep: bool) -> dict[str, float]:
    """One start to end; figures by name. `deep`: switches and keys too."""
    results: dict[str, float] = {}
    with Terminal(peer.command, rows=rows, columns=columns) as terminal:
        wait(lambda: terminal.read(0.1) and re.search(peer.painted.encode(), terminal.raw))
        until_quiet(terminal, 1.2, 6.0)
        for name, pattern in (("paint ms", peer.painted), ("live ms", peer.live)):
            if pattern:
                at = first_time(terminal, pattern)
                if at is None:
                    raise SystemExit(f"{peer.name} never showed {pattern!r}:\n{terminal.text}")
                results[name] = at
        mark, cpu, began = len(terminal.chunks), cpu_s(terminal.pid), time.monotonic()
        while time.monotonic() - began < LIVE_S:
            terminal.read(0.25)
        took = time.monotonic() - began
        results["live CPU %"] = (cpu_s(terminal.pid) - cpu) / took * 100
        results["live B/s"] = bytes_of(terminal, mark) / took
        results["RSS MB"] = rss_mb(terminal.pid)
        if deep:
            switches(terminal, results)
            echoes(terminal, results)
    return results


def switches(terminal: Terminal, results: dict[str, float]) -> None:
    spent, sizes = [], []
    for key in "234781234781":
        until_quiet(terminal, 0.15)
        mark, began = len(terminal.chunks), time.monotonic()
        terminal.send(key)
        until_quiet(terminal, 0.08, 0.6)
        if len(terminal.chunks) > mark:
            spent.append((terminal.chunks[-1].at - began) * 1000)
            sizes.append(bytes_of(terminal, mark))
    results["switch ms"] = statistics.median(spent)
    results["switch KB"] = statistics.median(sizes) / 1000


def echoes(terminal: Terminal, results: dict[str, float], keys: int = 60) -> None:
    terminal.send("3")
    until_quiet(terminal, 0.3)
    spent = []
    for number in range(keys):
        until_quiet(terminal, 0.05, 0.5)
        mark, began = len(terminal.chunks), time.monotonic()
        terminal.send("jjjjkkkk"[number % 8])
        while len(terminal.chunks) == mark and time.monotonic() - began < 2:
            terminal.read(0.002)
        spent.append((terminal.chunks[-1].at - began) * 1000)
    spent.sort()
    results["echo p50 ms"] = statistics.median(spent)
    results["echo p95 ms"] = spent[int(len(spent) * 0.95)]


# -- the verbs ---------------------------------------------------------------------------------------------------------------


def wall_ms(command: list[str], repeat: int) -> float:
    spent = []
    for _ in range(repeat):
        began = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        spent.append((time.perf_counter() - began) * 1000)
    return statistics.median(spent)


def verbs(place: list[str], repeat: int) -> None:
    bare = wall_ms([sys.executable, "-c", "pass"], repeat)
    print(f"\nverbs over bare Python ({bare:.0f} ms), target <= 150 ms")
    for words in (["--version"], ["status"], ["rollback"]):
        print(f"  rollout {words[0]:<12} {wall_ms([*ROLLOUT, *place, *words], repeat) - bare:7.0f} ms")


# -- all of it ---------------------------------------------------------------------------------------------------------------


def table(title: str, rows: dict[str, dict[str, float]]) -> None:
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    print(f"\n{title}\n{'':<14}" + "".join(f"{name:>13}" for name in columns))
    for program, row in rows.items():
        print(f"{program:<14}" + "".join(f"{row[c]:>13.1f}" if c in row else f"{'':>13}" for c in columns))


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def on_stage_two(rehearsal: Rehearsal) -> None:
    """Promote past the gates, with a reason as the product asks for."""
    client, reader = EngineClient(rehearsal.folder, rehearsal.plan), Reader(rehearsal.folder)
    for _ in range(2):
        reply = client.command("promote", epoch=reader.state().epoch, override=True, reason="for a benchmark")
        if not reply.ok:
            raise SystemExit(reply.sentence)
    reader.close()


def wait(holds: Callable[[], Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit("the rehearsal did not get where the benchmark begins")
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peers", type=Path, help="a virtual environment with posting in it")
    parser.add_argument("--load", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        load(given.load)
        return
    with tempfile.TemporaryDirectory() as kept, Rehearsal(speed=1, keep=Path(kept)) as rehearsal:
        if trouble := rehearsal.start():
            raise SystemExit(trouble)
        on_stage_two(rehearsal)
        place = ["--plan", str(rehearsal.plan_path), "--store", str(rehearsal.folder.path)]
        view = Reader(rehearsal.folder).engine_record().view
        assert view is not None
        hello = Path(kept) / "hello.py"
        hello.write_text(HELLO)
        ours = Peer("rollout", [*ROLLOUT, *place], "STAGE", r"freq .*\d %")
        peers = [
            Peer("hello world", [sys.executable, str(hello)], "Hello, World"),
            Peer("textual demo", [sys.executable, "-m", "textual"], "Widgets|Home"),
        ]
        if given.peers:
            peers.append(Peer("posting", [str(given.peers / "bin/posting")], "GET|Collection"))
        with subprocess.Popen(
            [sys.executable, "-m", "tests.bench.bench_console", "--load", view.engine.address], stdin=subprocess.PIPE
        ) as loader:
            reader = Reader(rehearsal.folder)
            wait(lambda: (v := reader.engine_record().view) is not None and v.error_rate.n > 30)
            for columns, rows in ((80, 24), (160, 48)):
                runs: dict[str, list[dict[str, float]]] = {}
                for _ in range(given.runs):  # in turns, so that a drifting machine drifts for all
                    for peer in (ours, *peers):
                        runs.setdefault(peer.name, []).append(session(peer, columns, rows, peer is ours))
                results = {name: medians(item) for name, item in runs.items()}
                table(f"{columns}x{rows}, {WORKERS} workers extracting, medians of {given.runs}", results)
                for peer in peers[1:]:
                    print(
                        f"first paint over {peer.name}'s: {results['rollout']['paint ms'] / results[peer.name]['paint ms']:.2f}"
                    )
            loader.stdin.close()  # type: ignore[union-attr]
        verbs(place, given.runs)


if __name__ == "__main__":
    main()
