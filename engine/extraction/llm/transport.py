"""Connections for many calls at once: each in a transport of its own, last used first.

httpx's own pool looks at all of its connections for every request, idle ones in pairs: at 32 connections that is more than half of
a call's CPU, at hundreds of waiting calls 30 ms. Here a call takes a free lane or opens one; the window bounds how many there are.
Imported when a pool starts, since httpx takes 0.1 s.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

KEEP_IDLE_S = 4.0  # below the 5 s after which common servers close an idle connection: a call on a closed one fails

# httpcore asks for this module several times a call, and a failing import walks the whole path each time: 0.2 ms of a call.
if importlib.util.find_spec("sniffio") is None:
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

STALE_S = 0.5  # a server that closed the connection before the call came answers with its end at once

_Origin = tuple[str, str, int | None]


class StaleConnection(httpx.TransportError):
    """The server had closed an idle connection while the call was on its way: the call has not been seen, and may go again."""


class Lanes(httpx.AsyncBaseTransport):
    """`now`: seconds on a clock that only grows."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._verify = httpx.create_ssl_context()
        self._idle: dict[_Origin, list[tuple[float, httpx.AsyncHTTPTransport]]] = {}
        self._all: set[httpx.AsyncHTTPTransport] = set()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        origin = (request.url.scheme, request.url.host, request.url.port)
        idle = self._idle.setdefault(origin, [])
        while idle and idle[0][0] < self._now() - KEEP_IDLE_S:
            await self._close(idle.pop(0)[1])
        used = bool(idle)
        lane = idle.pop()[1] if used else self._open(origin)
        began = self._now()
        try:
            response = await lane.handle_async_request(request)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as error:
            await self._close(lane)
            if used and self._now() - began < STALE_S:
                while idle:  # those are as old
                    await self._close(idle.pop()[1])
                raise StaleConnection(str(error)) from None
            raise
        except BaseException:
            await self._close(lane)
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)

        async def free(whole: bool) -> None:
            if whole:
                idle.append((self._now(), lane))
            else:
                await self._close(lane)

        stream = _Stream(response.stream, free)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def aclose(self) -> None:
        for lane in tuple(self._all):
            await self._close(lane)
        self._idle.clear()

    def _open(self, origin: _Origin) -> httpx.AsyncHTTPTransport:
        lane = httpx.AsyncHTTPTransport(
            verify=self._verify,
            proxy=_proxy(origin),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=1, keepalive_expiry=KEEP_IDLE_S),
        )
        self._all.add(lane)
        return lane

    async def _close(self, lane: httpx.AsyncHTTPTransport) -> None:
        self._all.discard(lane)
        await lane.aclose()


class _Stream(httpx.AsyncByteStream):
    """A response's body. When it is closed its lane is free again, or, if it was not read to its end, closed too."""

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


def _proxy(origin: _Origin) -> str | None:
    """The environment's proxy for this server; never one for this machine, whatever the environment says."""
    scheme, host, port = origin
    try:
        local = ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        local = host == "localhost" or host.endswith(".localhost")
    if local or urllib.request.proxy_bypass(f"{host}:{port}" if port else host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(scheme) or proxies.get("all")
