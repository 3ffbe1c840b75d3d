"""A worker process of `rollout load --on local:N`: it ends with the process that started it, and holds no control.

Run as `python -P -m console.upload.worker STORE JOB PLAN`; a line on stdout gives the reason if it fails.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import uuid
from pathlib import Path

from console.bug_report import bug_sentence
from console.upload import parquet
from console.upload.parts import documents
from engine import garbage
from engine.clock import switch_threads_soon
from engine.plan.environment import EnvironmentProblem, secret
from engine.plan.load import PlanError, load_plan
from engine.worker.core import Worker, WorkerFailed, explained
from engine.worker.line import EngineConnection

# Of the loop, which reads and extracts: below the engine, which a console starts at 5. Not of the lease's threads: a
# rollback must not wait for the documents of other workers.
NICE = 10


def main(store: str, job: str, plan_path: str) -> int:
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    # a library's own tasks that fail unseen, such as those of a connection that was cut: its calls raise what matters
    logging.getLogger("asyncio").addHandler(logging.NullHandler())
    logging.getLogger("asyncio").propagate = False
    switch_threads_soon()
    garbage.collect_seldom()
    try:
        plan = load_plan(Path(plan_path))
        key = secret(os.environ, plan.llm.api_key_env)
        with explained():
            worker = Worker(
                name=f"{os.getpid()}-{uuid.uuid4().hex[:6]}",
                plan=plan,
                job=int(job),
                line=lambda: EngineConnection(store),
                read=documents,
                api_key=key or "",
                write=parquet.write,
                started=lambda: os.nice(NICE),
            )
            asyncio.run(worker.run())
    except (WorkerFailed, PlanError, EnvironmentProblem) as error:
        print(error, flush=True)
        return 1
    except KeyboardInterrupt:
        return 1
    except Exception as error:  # a bug
        print(bug_sentence(error), flush=True)
        return 1
    return 0


def _end_with_parent() -> None:
    """The other end of stdin closes when the process that started this one ends, however it ends."""
    while os.read(0, 1024):
        pass
    os._exit(1)  # what is not stored is not lost: its part is still open


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
