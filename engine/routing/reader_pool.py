"""Reader processes beside the engine, which extract frequency keywords from the documents of a batch.

Counting is most of the cost of a frequency document. In processes of their own it uses every core, and a rollback never
waits for a document. They start with the first batch and end when none has come for a while. What one does not answer,
because it was killed or hangs, the engine reads itself: a reader's failure costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence

import msgspec

from engine.extraction.keywords import Budget
from engine.routing.reader import LENGTH, ReadRequest, framed, read_documents
from engine.routing.reading import ReadDocument, UnreadDocument, read

MOST_READERS = 8
AHEAD = 2  # requests given to a reader: while it answers one, the next is there
HUNG_S = 20.0  # no request takes this long, not even on a busy machine
IDLE_S = 60.0


class Readers:
    """Used from one loop. Without a second core the engine does the counting."""

    def __init__(self, most: int | None = None, hung_s: float = HUNG_S, idle_s: float = IDLE_S) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.most = (min(MOST_READERS, cores) if cores > 1 else 0) if most is None else most
        self._hung_s = hung_s
        self._idle_s = idle_s
        self._readers: list[_Reader] = []
        self._room = asyncio.Semaphore(self.most * AHEAD)
        self._reading = 0
        self._idle: asyncio.TimerHandle | None = None

    @property
    def pids(self) -> list[int]:
        """Process ids of the running readers."""
        return [reader.pid for reader in self._readers if reader.works]

    async def read(self, documents: Sequence[UnreadDocument], budget: Budget) -> list[ReadDocument]:
        if self.most > 0:
            self._reading += 1
            try:
                async with self._room:
                    reader = await self._free()
                    return await reader.ask(documents, budget, self._hung_s)
            except OSError:  # a TimeoutError is one
                self._readers = [reader for reader in self._readers if reader.works]
            finally:
                self._reading -= 1
                self._rest()
        done = []
        for name, text, title in documents:
            done.append(read(name, text, title, budget))
            await asyncio.sleep(0)  # a rollback can run between any two
        return done

    async def _free(self) -> _Reader:
        """The one with the least to do; a new one while each has something."""
        self._readers = [reader for reader in self._readers if reader.works]
        least = min(self._readers, key=lambda reader: reader.asked, default=None)
        if least is not None and (not least.asked or len(self._readers) >= self.most):
            return least
        reader = _Reader()
        self._readers.append(reader)
        try:
            await reader.start()
        except BaseException:  # also whoever asked leaving: others wait for this reader by now
            reader.end("the reader cannot be reached")
            raise
        return reader

    def _rest(self) -> None:
        """End the readers when nothing has been read for a while."""
        if self._idle is not None:
            self._idle.cancel()
        self._idle = None if self._reading else asyncio.get_running_loop().call_later(self._idle_s, self.close)

    def close(self) -> None:
        for reader in self._readers:
            reader.end("the readers are closed")
        self._readers = []
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None


class _Reader(asyncio.Protocol):
    """One process. It answers in the order of its requests."""

    def __init__(self) -> None:
        near, far = socket.socketpair()
        self._near = near
        with far:
            # -P as for the engine: nothing is imported from the store's folder
            command = [sys.executable, "-P", "-m", "engine.routing.reader", str(far.fileno())]
            # in a process group of its own: Ctrl+C is for the engine, which closes the socket
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(far.fileno(),), process_group=0
            )
        self._waiting: deque[asyncio.Future[bytes]] = deque()
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._connected = asyncio.get_running_loop().create_future()
        self.asked = 0
        self.works = True

    @property
    def pid(self) -> int:
        return self._process.pid

    async def start(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, sock=self._near)
        self._settle()

    def _settle(self) -> None:
        """Let those who wait for the connection go on, whether it exists or not."""
        if not self._connected.done():
            self._connected.set_result(None)

    async def ask(self, documents: Sequence[UnreadDocument], budget: Budget, within_s: float) -> list[ReadDocument]:
        """OSError when it ends or does not answer in time."""
        self.asked += 1
        try:
            if self._transport is None:
                await asyncio.shield(self._connected)
            answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            if self._transport is None or not self.works:
                raise ConnectionResetError("the reader has ended")
            self._waiting.append(answer)
            self._transport.write(framed(ReadRequest(budget, list(documents))))
            async with asyncio.timeout(within_s):
                body = await answer
            return read_documents(body, documents)
        except TimeoutError:
            self.end("the reader does not answer")
            raise
        except (msgspec.DecodeError, ValueError) as error:  # not an answer of these documents
            self.end("the reader's answer is not usable")
            raise ConnectionResetError(str(error)) from None
        finally:
            self.asked -= 1

    def end(self, why: str) -> None:
        """Kill it: it has nothing to finish, and may hang. What it was asked fails."""
        if self.works:
            self._process.kill()
            threading.Thread(target=self._process.wait, name="reader ends", daemon=True).start()
        self.works = False
        if self._transport is not None:
            self._transport.abort()
        self._settle()
        while self._waiting:
            answer = self._waiting.popleft()
            if not answer.done():
                answer.set_exception(ConnectionResetError(why))

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= LENGTH:
            end = LENGTH + int.from_bytes(self._received[:LENGTH], "big")
            if len(self._received) < end:
                return
            body = bytes(self._received[LENGTH:end])
            del self._received[:end]
            answer = self._waiting.popleft()
            if not answer.done():  # whoever asked may be gone
                answer.set_result(body)

    def connection_lost(self, _: Exception | None) -> None:
        self.end("the reader has ended")
