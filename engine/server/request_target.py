"""Which request a request line asks for. Pure.

A proxy's clients send the whole address (`GET http://host/path`): RFC 9112, 3.2.2 obliges servers to accept it, and
the address's host counts instead of the Host header.
"""

from __future__ import annotations

import re

import h11

VERSIONS = (b"1.0", b"1.1")
_ABSOLUTE = re.compile(rb"https?://([^/?#@]+)(/[^#]*|\?[^#]*|)", re.I)


def plain_form(request: h11.Request) -> h11.Request:
    """The same request with a path as its target. RemoteProtocolError for a target with two readings: a proxy in
    front of the engine could read it differently."""
    names = {name for name, _ in request.headers}
    if request.http_version not in VERSIONS:
        raise h11.RemoteProtocolError("the version of HTTP is not 1.0 or 1.1")
    if b"transfer-encoding" in names and (b"content-length" in names or request.http_version == b"1.0"):
        raise h11.RemoteProtocolError("the body has two lengths")
    if request.target.startswith(b"/") or request.target == b"*":
        return request
    parts = _ABSOLUTE.fullmatch(request.target)
    if parts is None:
        raise h11.RemoteProtocolError("the target is neither a path nor an address")
    path = parts[2] if parts[2].startswith(b"/") else b"/" + parts[2]
    others = [(name, value) for name, value in request.headers if name != b"host"]
    return h11.Request(
        method=request.method, target=path, headers=[(b"host", parts[1]), *others], http_version=request.http_version
    )
