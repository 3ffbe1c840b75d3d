"""Connections for many parallel calls: each in its own transport, most recently used first.

httpx's own pool scans all of its connections for every request, idle ones in pairs: with 32 connections that is more
than half of a call's CPU, with hundreds of waiting calls 30 ms. Here a call takes a free connection or opens one; the
window limits their number. Imported when a pool starts, because httpx takes 0.1 s.
"""

from __future__ import annotations

import importlib.util
import ssl
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

from engine.extraction.llm.connection import GuardedConnection, always
from engine.extraction.llm.no_answer import is_refused, is_tls
from engine.extraction.llm.proxies import Origin, Proxy, UnusableProxy, proxy_for
from engine.light_httpx import httpx

KEEP_IDLE_S = 4.0  # less than the 5 s after which common servers close an idle connection: a call on a closed one fails

# httpcore imports this module several times a call, and a failing import searches the whole path each time: 0.2 ms of
# a call.
if importlib.util.find_spec("sniffio") is None:
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

# extension of a request that uses a model: whether bytes of it may go out now. `shut` ends these requests.
MAY_SEND = "rollout_may_send"
STALE_S = 0.5  # a server that closed the connection before the call arrived ends it at once


class StaleConnection(httpx.TransportError):
    """The server closed an idle connection while the call was on its way: it did not see the call, which may be
    sent again."""


class ProxyFailure(httpx.TransportError):
    """The environment's proxy does not work, so the server was not reached. The message is a sentence."""

    def __init__(self, sentence: str, *, may_pass: bool = True) -> None:
        super().__init__(sentence)
        self.may_pass = may_pass


class _Lane(httpx.AsyncHTTPTransport):
    """One connection to a server."""

    def __init__(self, trust: ssl.SSLContext, proxy: Proxy | None) -> None:
        super().__init__(
            verify=trust,
            proxy=proxy.url if proxy else None,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=1, keepalive_expiry=KEEP_IDLE_S),
        )
        self.proxy = proxy
        self.connection = self._pool._network_backend = GuardedConnection()  # httpx has no parameter for it

    @property
    def in_call(self) -> bool:
        """Whether a request that uses a model is under way."""
        return self.connection.may_send is not always


class ConnectionPool(httpx.AsyncBaseTransport):
    """`now`: seconds on a monotonic clock."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._trust: ssl.SSLContext | None = None  # the authorities' certificates, 60 ms to read
        self._bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nothing: for connections without TLS
        self._idle: dict[Origin, list[tuple[float, _Lane]]] = {}
        self._all: set[_Lane] = set()
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._closed:
            raise RuntimeError("the pool's connections are closed")
        origin = (request.url.scheme, request.url.host, request.url.port)
        idle = self._idle.setdefault(origin, [])
        while idle and idle[0][0] < self._now() - KEEP_IDLE_S:
            await self._close(idle.pop(0)[1])
        used = bool(idle)
        lane = idle.pop()[1] if used else self._open(origin)
        lane.connection.may_send = request.extensions.get(MAY_SEND, always)
        began = self._now()
        try:
            response = await lane.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
            await self._close(lane)
            if used and self._now() - began < STALE_S:
                while idle:  # the rest are at least as old
                    await self._close(idle.pop()[1])
                raise StaleConnection(str(error)) from None
            raise
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError) as error:
            await self._close(lane)
            if lane.proxy is None or is_tls(error):
                raise
            raise _of_the_proxy(lane.proxy, error) from error
        except BaseException:
            await self._close(lane)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)

        async def free(whole: bool) -> None:
            lane.connection.may_send = always
            if whole:
                idle.append((self._now(), lane))
            else:
                await self._close(lane)

        response.stream = _Stream(response.stream, free)
        return response

    def shut(self) -> None:
        """End every connection on which a call is under way. For any thread: no byte of these calls leaves after this,
        whatever the loop is busy with. Cancel the calls first, or they see a broken connection."""
        for lane in tuple(self._all):
            if lane.in_call:
                lane.connection.shut()

    async def aclose(self) -> None:
        self._closed = True
        for lane in tuple(self._all):
            await self._close(lane)
        self._idle.clear()

    def _open(self, origin: Origin) -> _Lane:
        try:
            proxy = proxy_for(origin)
        except UnusableProxy as why:
            raise ProxyFailure(str(why), may_pass=False) from None
        secure = "https" in (origin[0], urlsplit(proxy.url).scheme if proxy else "")
        lane = _Lane(self._trusted() if secure else self._bare, proxy)
        self._all.add(lane)
        return lane

    def _trusted(self) -> ssl.SSLContext:
        if self._trust is None:
            self._trust = httpx.create_ssl_context()
        return self._trust

    async def _close(self, lane: _Lane) -> None:
        self._all.discard(lane)
        await lane.aclose()


class _Stream(httpx.AsyncByteStream):
    """A response's body. Closing it frees its connection, or closes that too if the body was not read to its end."""

    def __init__(self, inner: httpx.AsyncByteStream, free: Callable[[bool], Awaitable[None]]) -> None:
        self._inner = inner
        self._free: Callable[[bool], Awaitable[None]] | None = free
        self._whole = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part
        self._whole = True

    async def aclose(self) -> None:
        free, self._free = self._free, None
        try:
            await self._inner.aclose()
        finally:
            if free is not None:
                await free(self._whole)


def _of_the_proxy(proxy: Proxy, error: httpx.TransportError) -> ProxyFailure:
    if isinstance(error, httpx.ProxyError):
        return ProxyFailure(
            f"the proxy {proxy.shown} rejects the call: {error}; ask its administrator, or name the server in no_proxy"
        )
    if isinstance(error, httpx.ConnectTimeout):
        why = "no connection within the time limit"
    elif is_refused(error):
        why = "connection refused"
    else:
        why = str(error) or type(error).__name__
    return ProxyFailure(f"the proxy {proxy.shown} does not answer: {why}; start it, or name the server in no_proxy")
