"""The TCP address of an engine: whether it may listen there, and the socket."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import time
from collections.abc import Mapping

from engine.plan.environment import secret
from engine.plan.model import Plan
from engine.plan.settings import HttpSettings
from engine.server.guard import LOOPBACK
from engine.store.folder import StoreError

RETRY_S = 0.05


async def port(plan: Plan, rehearsal: bool, patience_s: float) -> socket.socket:
    """The TCP socket; retried for `patience_s` while the port is taken."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return _bind(plan, rehearsal)
        except StoreError:
            if time.monotonic() >= until:
                raise
        await asyncio.sleep(RETRY_S)


def exposed(http: HttpSettings, environ: Mapping[str, str]) -> str:
    """Why the engine must not listen at this address, as a sentence; "" when it may. EnvironmentProblem for an unusable
    token."""
    if http.host in LOOPBACK or secret(environ, http.token_env):
        return ""
    return (
        f"[http] host {http.host} is not loopback, so a token is required: set {http.token_env} in the engine's "
        "environment."
    )


def _bind(plan: Plan, rehearsal: bool) -> socket.socket:
    """The TCP socket. OSError with a sentence when the address is taken; a rehearsal then uses any free port."""
    http = plan.http
    why = exposed(http, os.environ)
    if why:
        raise StoreError(why)
    family = socket.AF_INET6 if ":" in http.host else socket.AF_INET
    # an explicit protocol number, or asyncio leaves Nagle on
    tcp = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        tcp.bind((http.host, http.port))
    except OSError as error:
        if not rehearsal:
            tcp.close()
            raise StoreError(why_unbound(http, error)) from None
        tcp.bind((http.host, 0))
    tcp.listen(128)
    return tcp


def why_unbound(http: HttpSettings, error: OSError) -> str:
    """Why the address cannot be had, and what to do."""
    if error.errno == errno.EADDRINUSE:
        return f"{http.host}:{http.port} is in use by another program. Stop it, or set [http] port to a free one."
    return (
        f"{http.host}:{http.port} cannot be bound ({error.strerror or error}): set [http] host to an address of this "
        "machine, and port to one that you may use."
    )


def url(tcp: socket.socket) -> str:
    host, port, *_ = tcp.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
