"""Workers that Ray places on a cluster. Ray starts them, starts them again where one dies, and ends them with the
command; it carries the plan, a job's number and the engine's address, and no document, key or percentage.

Ray is an optional extra: `pip install 'rollout-console[ray]'`. It imports this file on the machines of the cluster.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import socket
import tempfile
import uuid
from pathlib import Path
from typing import Any

from console.upload import parquet
from console.upload.parts import documents
from engine.clock import switch_threads_soon
from engine.plan.environment import EnvironmentProblem, secret
from engine.plan.load import PlanError, load_plan
from engine.worker.core import Worker, WorkerFailed, explained
from engine.worker.line import EngineConnection, unfit

RETRIES = 20  # of each worker that dies, however it dies; a document that kills every worker ends the job
CONNECT_S = 10.0
AUTHENTICATED_BY_DEFAULT = (2, 61)


class NoCluster(Exception):
    """Ray or its cluster cannot be used. The message is a sentence."""


def usable(address: str) -> Any:
    """Ray, if it is installed and asks for a token, and something answers at HOST:PORT. NoCluster."""
    try:
        ray = importlib.import_module("ray")
    except ImportError:
        raise NoCluster(
            "Ray is not installed here. Install it on every machine of the cluster: pip install 'rollout-console[ray]'."
        ) from None
    if not authenticated(ray.__version__, os.environ.get("RAY_AUTH_MODE", "")):
        raise NoCluster(
            "Ray's token authentication is off: whoever reaches its port runs programs as its user. Set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN for `ray start` on every machine and for this command."
        )
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:  # Ray itself tries for minutes
        raise _unusable(address, getattr(error, "strerror", None) or str(error)) from None
    return ray


def _unusable(address: str, why: str) -> NoCluster:
    return NoCluster(
        f"No Ray cluster can be used at {address}: {why}. Run this command on a machine of the cluster, with the "
        "address of its head: --on ray://HEAD:6379."
    )


class RayCluster:
    """A connection of this process to a cluster at HOST:PORT."""

    def __init__(self, address: str) -> None:
        ray = usable(address)
        self._ray = ray
        try:
            ray.init(address=address, log_to_driver=False, logging_level="error", configure_logging=False)
        except Exception as error:  # Ray raises RuntimeError, ValueError, ConnectionError and its own
            first = str(error).strip().splitlines() or [type(error).__name__]
            raise _unusable(address, first[0][:200]) from None

    def start(self, place: str, job: int, plan_text: str, workers: int) -> list[RayWorker]:
        work = self._ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(run)
        return [RayWorker(self._ray, work.remote(place, job, plan_text)) for _ in range(workers)]

    def close(self) -> None:
        self._ray.shutdown()


class RayWorker:
    """One worker on the cluster."""

    def __init__(self, ray: Any, ends: Any) -> None:
        self._ray = ray
        self._ends = ends
        self.why = ""

    def keep_alive(self) -> bool:
        """Whether it runs or waits for a place."""
        done, _ = self._ray.wait([self._ends], timeout=0)
        if not done:
            return True
        try:
            self.why = self._ray.get(self._ends)
        except Exception as error:
            self.why = f"A worker died more than {RETRIES} times ({type(error).__name__})."
        return False

    def end(self) -> None:
        with contextlib.suppress(Exception):  # the cluster may be gone
            self._ray.cancel(self._ends, force=True)

    def wait(self) -> None:
        """Ray ends it."""


def authenticated(version: str, mode: str) -> bool:
    """Whether Ray of this version asks for a token in this mode ("" is the default)."""
    major, minor = (int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[:2])
    return mode == "token" or (not mode and (major, minor) >= AUTHENTICATED_BY_DEFAULT)


def run(place: str, job: int, plan_text: str) -> str:
    """Runs on a machine of the cluster: work until the job has nothing left; return why it ended early, else ""."""
    switch_threads_soon()
    try:
        with tempfile.TemporaryDirectory(prefix="rollout-worker-") as folder:
            path = Path(folder) / "rollout.toml"
            path.write_text(plan_text)
            plan = load_plan(path)
        token = secret(os.environ, plan.http.token_env) or ""
        if why := unfit(place, token):
            return why
        key = secret(os.environ, plan.llm.api_key_env) or ""
        name = f"ray-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        with explained():
            asyncio.run(
                Worker(name, plan, job, lambda: EngineConnection(place, token), documents, key, parquet.write).run()
            )
    except (WorkerFailed, PlanError, EnvironmentProblem, OSError) as error:
        return str(error)
    return ""
