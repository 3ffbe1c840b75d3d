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
from collections.abc import AsyncIterator, Callable

import httpx

KEEP_IDLE_S = 4.0  # below the 5 s after which common servers close an idle connection: a call on a closed one fails

# httpcore asks for this module several times a call, and a failing import walks the whole path each time: 0.2 ms of a call.
if importlib.util.find_spec("sniffio") is None:
    sys.modules.setdefault("sniffio", None)  # type: ignore[arg-type]

_Origin = tuple[str, str, int | None]


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
        lane = idle.pop()[1] if idle else self._open(origin)
        try:
            response = await lane.handle_async_request(request)
        except BaseException:
            # What was half done is closed by now, and the lane opens another connection.
            idle.append((self._now(), lane))
            raise
        assert isinstance(response.stream, httpx.AsyncByteStream)
        stream = _Stream(response.stream, lambda: idle.append((self._now(), lane)))
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
    """A response's body; its lane is free when it is closed."""

    def __init__(self, inner: httpx.AsyncByteStream, free: Callable[[], None]) -> None:
        self._inner = inner
        self._free: Callable[[], None] | None = free

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            yield part

    async def aclose(self) -> None:
        free, self._free = self._free, None
        try:
            await self._inner.aclose()
        finally:
            if free is not None:
                free()


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
