"""kill -9 mid-write, many times on one store: nothing that was acknowledged may be missing. `python -m tests.bench.bench_kill [50]`"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from engine.store import log
from tests.engine.service.rig import EngineRig, kill_mid_write


def main(rounds: int) -> None:
    acknowledged, restarts = 0, []
    with tempfile.TemporaryDirectory() as root, EngineRig(Path(root)) as rig:
        rig.engine()
        rig.climb(4)
        for number in range(rounds):
            acknowledged += kill_mid_write(rig)
            began = time.monotonic()
            rig.engine()
            restarts.append(time.monotonic() - began)
            verified = rig.reader.read(log.verify)
            assert verified.ok, verified.sentence
            print(f"\r{number + 1} of {rounds}", end="", file=sys.stderr)
        print(file=sys.stderr)
    print(f"{rounds} kills, {acknowledged} extractions and decisions acknowledged, 0 lost; {verified.sentence}")
    print(
        f"an engine is up again in {sorted(restarts)[len(restarts) // 2]:.2f} s (median), {max(restarts):.2f} s at most"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
