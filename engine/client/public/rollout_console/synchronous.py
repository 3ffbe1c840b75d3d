"""The client for threads: the asynchronous one on an event loop of its own, so that its time limit is a real one."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, TypeVar

from rollout_console.answers import Document, Extraction, Failure, Method, RolloutError
from rollout_console.asynchronous import BATCH_TIMEOUT_S, AsyncClient, late, log_fallback

GRACE_S = 0.05  # for the work's own limit to come first

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
        self._given = url, token, timeout_s, ssl_context
        self._lock = threading.Lock()
        self._running: tuple[int, asyncio.AbstractEventLoop, AsyncClient] | None = None

    def extract(
        self, id: str, text: str, *, title: str = "", method: Method = "auto", timeout_s: float | None = None
    ) -> Extraction:
        """Keywords for one document. Unavailable, Rejected."""
        loop, client = self._ready()
        limit = timeout_s or client.timeout_s
        return _wait(loop, client.extract(id, text, title=title, method=method, timeout_s=limit), limit)

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
        loop, client = self._ready()
        return _wait(loop, client.batch(documents, timeout_s=timeout_s))

    def close(self) -> None:
        with self._lock:
            running, self._running = self._running, None
        if running is not None and running[0] == os.getpid():
            _, loop, client = running
            _wait(loop, client.close())
            loop.call_soon_threadsafe(loop.stop)

    def _ready(self) -> tuple[asyncio.AbstractEventLoop, AsyncClient]:
        with self._lock:
            if self._running is None or self._running[0] != os.getpid():
                url, token, timeout_s, trusted = self._given
                loop = asyncio.new_event_loop()
                threading.Thread(target=_serve, args=(loop,), name="rollout-console", daemon=True).start()
                client = AsyncClient(url, token=token, timeout_s=timeout_s, ssl_context=trusted)
                self._running = os.getpid(), loop, client
            return self._running[1], self._running[2]

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.close()


def _wait(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T], limit_s: float | None = None) -> T:
    """The work has this limit itself. It is the caller's too, when the loop does not get to run: its thread starts, or
    the process is short of CPU."""
    future = asyncio.run_coroutine_threadsafe(work, loop)
    try:
        return future.result(None if limit_s is None else limit_s + GRACE_S)
    except TimeoutError:
        raise late(limit_s or 0.0) from None
