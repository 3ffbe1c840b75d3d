"""The rehearsal's handle on the simulated LLM service: one or more server processes, and the switches for their
faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from typing import TYPE_CHECKING

from msgspec import Struct

from engine.decoding import decode
from engine.rehearsal.faults import BY_NAME, ServerFaults, checked

if TYPE_CHECKING:
    from engine.light_httpx import httpx

START_S = 20.0
STOP_S = 2.0
SWITCH_S = 3.0


class SimulatedLlmError(OSError):
    """The simulated service does not respond as asked; the message is a sentence."""


class _Where(Struct, frozen=True):
    port: int = 0
    control: int = 0
    pid: int = 0
    error: str = "it ended immediately"


class SimulatedLlm:
    """`start`, then `urls`; `set` switches a fault; `stop`. The processes exit with this one, however it exits.

    All servers share one seed: a text that fails on one fails on the other. `latency_ms` is the mean for a document of
    ordinary length.
    """

    model = "llama3.2:3b"

    def __init__(self, servers: int = 2, *, seed: int = 7, latency_ms: float = 900.0, load_ms: float = 1500.0) -> None:
        self._count = servers
        self._options = {"seed": seed, "latency-ms": latency_ms, "load-ms": load_ms, "model": self.model}
        self._processes: list[asyncio.subprocess.Process] = []
        self._where: list[_Where] = []
        self._faults: list[ServerFaults] = []
        self._client: httpx.AsyncClient | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(f"http://127.0.0.1:{where.port}" for where in self._where)

    @property
    def control_urls(self) -> tuple[str, ...]:
        """The address of each server's /faults and /counters."""
        return tuple(f"http://127.0.0.1:{where.control}" for where in self._where)

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(where.pid for where in self._where)

    async def start(self) -> None:
        """Start the servers and wait until they listen. Raises SimulatedLlmError if one does not."""
        from engine.light_httpx import httpx

        # `verify`: plain http on loopback needs no authorities' certificates, which take 60 ms to read
        self._client = httpx.AsyncClient(timeout=SWITCH_S, trust_env=False, verify=False)
        try:
            async with asyncio.TaskGroup() as group:
                starting = [group.create_task(self._spawn(number)) for number in range(1, self._count + 1)]
        except* SimulatedLlmError as several:
            await self.stop()
            raise several.exceptions[0] from None
        self._where = [task.result() for task in starting]
        self._faults = [ServerFaults()] * self._count

    async def _spawn(self, number: int) -> _Where:
        options = [f"--{name}={value}" for name, value in self._options.items()]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "engine.rehearsal.llm_server",
            f"--number={number}",
            *options,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        self._processes.append(process)
        assert process.stdout is not None
        try:
            line = await asyncio.wait_for(process.stdout.readline(), START_S)
        except TimeoutError:
            raise SimulatedLlmError(f"The simulated LLM service did not start within {START_S:g} s.") from None
        where = decode(line, _Where) if line else _Where()
        if not where.port:
            raise SimulatedLlmError(f"The simulated LLM service did not start: {where.error}.")
        return where

    async def stop(self) -> None:
        """Stop the servers; kill those that do not exit in time."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await asyncio.gather(*(_ended(process) for process in self._processes))
        self._processes.clear()
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def set(self, name: str, value: float, server: int | None = None) -> ServerFaults:
        """Set a fault on one server (0 is the first) or all; returns what is on now. Raises ValueError or
        SimulatedLlmError, with a sentence.
        """
        checked(name, value)
        every = range(len(self._where)) if server is None else (server,)
        for place in every:
            self._faults[place] = await self._post(place, {name: value})
        return self._faults[every[0]]

    async def off(self) -> None:
        """Switch off every fault."""
        for kind in BY_NAME.values():
            await self.set(kind.name, kind.off_value)

    def current(self, server: int = 0) -> ServerFaults:
        """The faults that are on at a server, as it confirmed."""
        return self._faults[server]

    async def _post(self, place: int, fields: dict[str, float]) -> ServerFaults:
        from engine.light_httpx import httpx

        if self._client is None:
            raise SimulatedLlmError("The simulated LLM service is not running.")
        try:
            reply = await self._client.post(f"{self.control_urls[place]}/faults", json=fields)
        except httpx.HTTPError as error:
            raise SimulatedLlmError(
                f"Simulated LLM server {place + 1} does not answer its control port ({error}); restart the rehearsal."
            ) from None
        if reply.status_code != 200:
            raise SimulatedLlmError(f"Simulated LLM server {place + 1} refused: {reply.text[:200]}")
        return decode(reply.content, ServerFaults)


async def _ended(process: asyncio.subprocess.Process) -> None:
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
