"""A worker's connection to its engine: the store's socket on the same machine, or HTTPS with a token."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from engine.store.folder import Folder
from engine.text import clean_line, reason_of

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class EngineRefused(Exception):
    """The engine answered and refused. The message is a sentence; `code` is for programs."""

    def __init__(self, status: int, code: str, sentence: str, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.status, self.code, self.retry_after_s = status, code, retry_after_s

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status in (408, 429) or self.status >= 500

    @property
    def phrase(self) -> str:
        """The message without its full stop, for a sentence that goes on."""
        return str(self).rstrip(".")


def no_answer(error: Exception) -> str:
    """Why a request got no answer, as a phrase."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the engine's certificate is not accepted: {error.verify_message.rstrip('.')}"
    return f"the engine does not answer ({clean_line(reason_of(error), 200) or type(error).__name__})"


class EngineConnection:
    """One persistent connection; not for several threads at once. `place`: the store's folder, or an http(s) URL."""

    def __init__(self, place: str, token: str = "") -> None:
        if why := unfit(place, token):
            raise ValueError(why)
        self._place = place
        self._host = urlsplit(place).netloc.rpartition("@")[2] or "localhost"
        self._fields = "Content-Type: application/json\r\n"
        if token:
            self._fields += f"Authorization: Bearer {token}\r\n"
        self._kept: http.client.HTTPConnection | None = None

    @property
    def folder(self) -> Folder | None:
        """The store's folder, if this process is on the engine's machine."""
        return None if urlsplit(self._place).scheme in ("http", "https") else Folder(Path(self._place))

    def post(self, path: str, body: bytes, timeout_s: float) -> bytes:
        """Send a request; return the answer's body.

        Raises EngineRefused; OSError (also for http.client's errors) if no answer comes in time. If the engine has
        closed the connection it is replaced once, since every worker request may be sent twice.
        """
        if self._kept is not None:
            with contextlib.suppress(http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                return self._exchanged(path, body, timeout_s)
        return self._exchanged(path, body, timeout_s)

    def _exchanged(self, path: str, body: bytes, timeout_s: float) -> bytes:
        """One exchange. A connection on which it fails is closed: the next request must not read its late answer."""
        try:
            return self._exchange(path, body, timeout_s)
        except BaseException as error:
            self.close()
            if isinstance(error, http.client.HTTPException) and not isinstance(error, OSError):
                raise OSError(f"the engine's answer is not HTTP ({type(error).__name__})") from None
            raise

    def _exchange(self, path: str, body: bytes, timeout_s: float) -> bytes:
        connection = self._kept = self._kept or self._connection()
        connection.timeout = timeout_s
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(timeout_s)
        head = f"POST {path} HTTP/1.1\r\nHost: {self._host}\r\n{self._fields}Content-Length: {len(body)}\r\n\r\n"
        connection.sock.sendall(head.encode("latin-1") + body)  # in one piece, so that the engine wakes up once
        with http.client.HTTPResponse(connection.sock, method="POST") as response:
            response.begin()
            answer = response.read()
        if response.will_close:
            self.close()
        if response.status >= 400:
            raise _refusal(response.status, answer)
        return answer

    def _connection(self) -> http.client.HTTPConnection:
        where = urlsplit(self._place)
        if where.scheme == "https":
            return http.client.HTTPSConnection(where.hostname or "", where.port)
        if where.scheme == "http":
            return http.client.HTTPConnection(where.hostname or "", where.port)
        return _Socket(self._place)

    def close(self) -> None:
        if self._kept is not None:
            with contextlib.suppress(OSError):
                self._kept.close()
        self._kept = None


class _Socket(http.client.HTTPConnection):
    def __init__(self, folder: str) -> None:
        super().__init__("localhost")
        self._folder = Folder(Path(folder))

    def connect(self) -> None:
        self.sock: socket.socket = self._folder.connect(float(self.timeout or 10.0))


def unfit(place: str, token: str) -> str:
    """Why a worker must not use this address, as a sentence; "" if it may."""
    where = urlsplit(place)
    if where.scheme not in ("http", "https"):
        return ""
    if not where.hostname:
        return f"{clean_line(place, 200)!r} is not an address. Give https://HOST:PORT."
    if where.scheme == "http" and where.hostname not in LOOPBACK:
        return (
            "The token would cross the network unencrypted. Put TLS before the engine and give "
            f"https://{where.hostname}."
        )
    if not token:
        return (
            "A worker on TCP needs the engine's token: set the variable named by [http] token_env, ROLLOUT_TOKEN "
            "by default."
        )
    return ""


def _refusal(status: int, body: bytes) -> EngineRefused:
    if status == 401:
        return EngineRefused(
            status,
            "token",
            "The engine does not accept this worker's token. Start it with the engine's, in the variable named by "
            "[http] token_env, ROLLOUT_TOKEN by default.",
        )
    with contextlib.suppress(ValueError, AttributeError):
        fields: dict[str, Any] = json.loads(body)
        again = fields.get("retry_after_s")
        return EngineRefused(
            status,
            clean_line(str(fields.get("code") or "refused"), 40),
            clean_line(str(fields.get("sentence") or f"HTTP {status}"), 500),
            again if isinstance(again, int | float) else None,
        )
    return EngineRefused(status, "refused", f"The engine's address answered with HTTP {status}.")
