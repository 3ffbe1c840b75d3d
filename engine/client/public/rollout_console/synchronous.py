"""The client for threads: the asynchronous one on an event loop of its own, so that its time limit is a real one."""

from __future__ import annotations

import asyncio
import concurrent.futures
import math
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

from rollout_console.answers import Document, Extraction, Failure, Method, RolloutError
from rollout_console.asynchronous import (
    BATCH,
    BATCH_TIMEOUT_S,
    AsyncClient,
    checked,
    closed,
    failure,
    late,
    limited,
    log_fallback,
    trusted,
    unreachable,
)

GRACE_S = 0.05  # for the work's own limit to come first
CLOSE_S = 1.0

T = TypeVar("T")


class Client:
    """Use it from any thread; after a fork each process makes its own connections. Arguments as for AsyncClient."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: str = "",
        timeout_s: float = 1.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        checked(url, token)
        self._given = url, token, timeout_s, ssl_context or trusted(url)
        self._timeout_s = timeout_s
        self._locks: dict[int, threading.Lock] = {}  # of each process: another thread may hold one during a fork
        self._running: _Running | None = None

    def extract(
        self, id: str, text: str, *, title: str = "", method: Method = "auto", timeout_s: float | None = None
    ) -> Extraction:
        """Keywords for one document. Unavailable, Rejected."""
        limit = timeout_s or self._timeout_s
        end = time.monotonic() + limited(limit)
        running = self._ready()
        work = running.client.extract(id, text, title=title, method=method, timeout_s=limit)
        return _wait(running, work, limit, end)

    def extract_or_none(
        self, id: str, text: str, *, title: str = "", method: Method = "auto", timeout_s: float | None = None
    ) -> Extraction | None:
        """Like `extract`, but returns None in place of an error and logs it to the logger `rollout_console`."""
        try:
            return self.extract(id, text, title=title, method=method, timeout_s=timeout_s)
        except RolloutError as error:
            log_fallback(error)
            return None

    def batch(self, documents: Iterable[Document], *, timeout_s: float = BATCH_TIMEOUT_S) -> list[Extraction | Failure]:
        """An answer for each document, in their order; never raises. `timeout_s` is for each 1,000 documents. Those
        that the engine refuses for now are sent again after its `Retry-After`, as long as that leaves time."""
        given = list(documents)
        limit = timeout_s * math.ceil(len(given) / BATCH)
        end = time.monotonic() + limited(limit)
        try:
            running = self._ready()
            return _wait(running, running.client.batch(given, timeout_s=timeout_s), limit, end)
        except RolloutError as error:
            return [failure(document, error) for document in given]

    def close(self) -> None:
        """Calls in flight fail as Unavailable; a later call opens the client again."""
        with self._lock:
            running, self._running = self._running, None
        if running is not None and running.pid == os.getpid():
            running.loop.call_soon_threadsafe(running.loop.stop)
            running.thread.join(CLOSE_S)

    @property
    def _lock(self) -> threading.Lock:
        return self._locks.setdefault(os.getpid(), threading.Lock())

    def _ready(self) -> _Running:
        with self._lock:
            if self._running is None or self._running.pid != os.getpid():
                self._running = _started(*self._given)
            return self._running

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


class _Running(NamedTuple):
    """A process's event loop, and the thread that it runs in."""

    pid: int
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    client: AsyncClient


def _started(url: str, token: str, timeout_s: float, ssl_context: ssl.SSLContext) -> _Running:
    """Unavailable where the process is out of descriptors, threads or the like."""
    loop = None
    try:
        client = AsyncClient(url, token=token, timeout_s=timeout_s, ssl_context=ssl_context)
        _check_descriptors()
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_serve, args=(loop, client), name="rollout-console", daemon=True)
        thread.start()
    except Exception as error:
        if loop is not None:
            loop.close()
        raise unreachable(error) from error
    return _Running(os.getpid(), loop, thread, client)


def _check_descriptors() -> None:
    """OSError where an event loop would lack them: one that is half made prints a traceback when it is freed."""
    one, other = socket.socketpair()
    with one, other, selectors.DefaultSelector():
        pass


def _serve(loop: asyncio.AbstractEventLoop, client: AsyncClient) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
    loop.run_until_complete(client.close())
    loop.close()


def _wait(running: _Running, work: Coroutine[Any, Any, T], limit_s: float, end: float) -> T:
    """The work has this limit itself. It is the caller's too, whose time began before: when the loop does not get to
    run, because its thread starts or the process is short of CPU. `end`: on the monotonic clock."""
    try:
        left = max(0.0, end - time.monotonic())
        return asyncio.run_coroutine_threadsafe(work, running.loop).result(left + GRACE_S)
    except TimeoutError:
        raise late(limit_s) from None
    except concurrent.futures.CancelledError:  # by `close` in another thread
        raise closed() from None
    except RuntimeError:
        if not running.loop.is_closed():
            raise
        work.close()
        raise closed() from None
