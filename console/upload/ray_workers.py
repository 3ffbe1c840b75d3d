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
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from console.upload import parquet
from console.upload.parts import documents
from engine.clock import switch_threads_soon
from engine.plan.environment import EnvironmentProblem, secret
from engine.plan.load import PlanError, load_plan
from engine.worker.core import Worker, WorkerFailed, explained
from engine.worker.line import EngineConnection, unfit

RETRIES = 20  # of each worker that dies, however it dies; a document that kills every worker ends the job
CONNECT_S = 10.0
WRONG_TOKEN = b"InvalidAuthToken"  # in what Ray prints; its exception does not say why it could not connect
HTTP2_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # an empty frame; its fourth byte is its kind
AUTHENTICATED_BY_DEFAULT = (2, 61)
TRIAL = """
import contextlib, sys, ray
with contextlib.suppress(Exception):
    ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
"""


class NoCluster(Exception):
    """Ray or its cluster cannot be used. The message is a sentence."""


def usable(address: str) -> Any:
    """Ray, if it is installed and asks for a token, and a head may answer at HOST:PORT. NoCluster."""
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
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "0" and not _speaks_grpc(connection):
                raise _unusable(address, "what answers there is not Ray")
    except (OSError, OverflowError) as error:  # Ray itself tries for minutes
        raise _unusable(address, getattr(error, "strerror", None) or str(error)) from None
    return ray


def _speaks_grpc(connection: socket.socket) -> bool:
    """Whether the other end begins as an HTTP/2 server does. OSError."""
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HTTP2_SETTINGS)
    answer = connection.makefile("rb").read(len(HTTP2_SETTINGS))
    return answer[3:4] == HTTP2_SETTINGS[3:4]


def _survives(address: str) -> bool:
    """Whether a process that connects lives on. Where no node of the cluster runs on this machine Ray ends it, with a
    C++ stack trace and no exception."""
    command = [sys.executable, "-c", TRIAL, address]
    tried = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return tried.returncode == 0


def _unusable(address: str, why: str) -> NoCluster:
    return NoCluster(
        f"No Ray cluster can be used at {address}: {why}. Run this command on a machine of the cluster, with the "
        "address of its head: --on ray://HEAD:6379."
    )


class RayCluster:
    """A connection of this process to a cluster at HOST:PORT, for so many workers. NoCluster."""

    def __init__(self, address: str, workers: int) -> None:
        self._ray = ray = usable(address)
        self._workers = workers
        if not _survives(address):
            raise _unusable(address, "this machine is not one of the cluster's")
        with tempfile.TemporaryFile() as output:
            try:
                with _written_to(output):
                    ray.init(address=address, log_to_driver=False, logging_level="error", configure_logging=False)
            except Exception as error:  # Ray raises RuntimeError, ValueError, ConnectionError and its own
                output.seek(0)
                if type(error).__name__ == "AuthenticationError" or WRONG_TOKEN in output.read():
                    raise NoCluster(
                        f"The Ray cluster at {address} does not accept this command's token. Set RAY_AUTH_TOKEN to the "
                        "one that `ray start` had."
                    ) from None
                first = str(error).strip().splitlines() or [type(error).__name__]
                raise _unusable(address, first[0][:200].rstrip(".")) from None

    def start(self, store: Path, job: int, plan_path: Path, engine: str) -> list[RayWorker]:
        """`engine`: the address at which workers of other machines reach it; "": by the store's folder."""
        work = self._ray.remote(num_cpus=1, max_retries=RETRIES, retry_exceptions=False)(run)
        place, plan_text = engine or str(store.absolute()), plan_path.read_text()
        return [RayWorker(self._ray, work.remote(place, job, plan_text)) for _ in range(self._workers)]

    def close(self) -> None:
        self._ray.shutdown()


@contextlib.contextmanager
def _written_to(file: IO[bytes]) -> Iterator[None]:
    """What this process prints goes to the file. Ray's C++ half prints too, and stdout is for the JSON."""
    streams = (sys.stdout, sys.stderr)
    for stream in streams:
        stream.flush()
    kept = [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(file.fileno(), number)
        yield
    finally:
        for stream in streams:
            stream.flush()
        for number, copy in enumerate(kept, 1):
            os.dup2(copy, number)
            os.close(copy)


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

    def pause(self) -> None:
        """Workers of a cluster carry on with the parts that they have."""

    def go_on(self) -> None:
        """It did not pause."""

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
