"""Who may do what over TCP. Web pages are refused: they identify themselves (Origin), reach this address under their
own name (DNS rebinding) or send what a form can send. Everyone else needs the token where one is set.

.github/SECURITY.md lists what is open to whom. Pure: headers in, a denial or None out.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import os
import re
from collections.abc import Mapping

from msgspec import Struct

LOOPBACK = ("127.0.0.1", "::1", "localhost")
READING = ("GET", "HEAD")
PAGE = ("/", "/live")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@/]*))(?::[0-9]*)?")
HEALTH = ("/healthz", "/readyz")  # the second is a gateway's


class Denial(Struct, frozen=True):
    """`code` is for programs, `sentence` for people."""

    status: int
    code: str
    sentence: str


TOKEN_WANTED = Denial(401, "token", "This address needs the token: send `Authorization: Bearer ...`.")


class Guard(Struct, frozen=True):
    """The rules of one TCP listener. `host`: where it listens; `token`: required unless "". `open_metrics`:
    /metrics is open to everyone who reaches the address, under any name, except web pages of other sites;
    `open_page`: the page is too."""

    host: str
    token: str = ""
    open_metrics: bool = False
    open_page: bool = False

    @property
    def public(self) -> bool:
        return self.host not in LOOPBACK

    def knows(self, headers: Mapping[str, str]) -> bool:
        """Whether the request carries the token."""
        given = headers.get("authorization", "").encode(
            "utf-8", "replace"
        )  # as bytes: compare_digest accepts only ASCII text
        return bool(self.token) and hmac.compare_digest(given, f"Bearer {self.token}".encode())

    def _knows_password(self, headers: Mapping[str, str]) -> bool:
        """Whether a browser sends the token as its password. Only the page takes it: browsers send it unasked."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        try:
            _, colon, password = base64.b64decode(given, validate=True).partition(b":")
        except ValueError:
            return False
        known = hmac.compare_digest(password, self.token.encode())
        return bool(self.token) and kind.lower() == "basic" and bool(colon) and known

    def denies(self, method: str, path: str, headers: Mapping[str, str]) -> Denial | None:
        """Why this request is refused, before its body is read; None when it may pass."""
        if path in HEALTH and method in READING:
            return None
        page = path in PAGE and method in READING
        if (self.open_metrics and path == "/metrics" and method in READING) or (self.open_page and page):
            return self._foreign(method, headers)
        known = self.knows(headers) or (page and self._knows_password(headers))
        if page and self.token and not known and (self.public or self._rebound(headers) is not None):
            return TOKEN_WANTED  # a browser asks for the password, under whatever name it came
        return (
            (None if known else self._rebound(headers))
            or self._foreign(method, headers)
            or (None if known else self._unknown(method))
            or _unfit(method, headers)
        )

    def _rebound(self, headers: Mapping[str, str]) -> Denial | None:
        """A page whose own name was pointed at this address still sends that name. A token is as good as a known name:
        no page has one."""
        name = host_name(headers.get("host", ""))
        if not name or name == self.host.lower() or name == os.uname().nodename.lower() or _is_local(name):
            return None
        if self.token:  # a proxy's name: what is missing is the token
            return TOKEN_WANTED
        return Denial(
            421,
            "host",
            "The name in the Host header is not this engine's, and no token is set. Use its address or localhost; "
            "behind a proxy, set the token and send `Authorization: Bearer ...`.",
        )

    def _foreign(self, method: str, headers: Mapping[str, str]) -> Denial | None:
        """Browsers report where a request comes from."""
        origin, host = headers.get("origin"), headers.get("host", "")
        cross = origin is not None and origin.lower() not in (f"http://{host}".lower(), f"https://{host}".lower())
        cross |= method not in READING and headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if not cross:
            return None
        return Denial(
            403, "origin", "Web pages of other sites may not use this engine. Send the request without a browser."
        )

    def _unknown(self, method: str) -> Denial | None:
        """The denial of a caller without a valid token. On loopback reading is open, and writing needs the
        token if one is set. Elsewhere everything needs it."""
        if not self.token or (method in READING and not self.public):
            return None
        return TOKEN_WANTED


def _unfit(method: str, headers: Mapping[str, str]) -> Denial | None:
    """A form or a page can send text/plain without a preflight, but not application/json or DELETE."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method in READING or method == "DELETE" or kind == "application/json":
        return None
    return Denial(415, "content_type", "Send JSON, with the header `Content-Type: application/json`.")


def host_name(host: str) -> str:
    """The name in a Host header, without its port: "[::1]:80" is "::1". Anything else, such as "localhost:80@other", is
    returned whole: no name of this machine."""
    host = host.strip().lower()
    match = _HOST.fullmatch(host)
    return host if match is None else (match[1] or match[2].rstrip("."))


def _is_local(name: str) -> bool:
    """An address (DNS cannot rebind it) or a name that means this machine everywhere."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
