"""One request and its answer: bounded in bytes, never redirected; every failure becomes a Fault with a sentence.

httpx is imported when a pool starts, because it takes 0.1 s.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from engine.extraction.llm import no_answer
from engine.extraction.llm.failure import ErrorKind, Fault, Retry
from engine.extraction.llm.permit import RequestGuard
from engine.extraction.llm.redact import Redactor
from engine.text import clean_line

if TYPE_CHECKING:
    from engine.light_httpx import httpx

ANSWER_BYTES = 1 << 20  # an answer is a few kB; a server that never stops must not fill memory
CONNECT_S = 5.0
_GZIP = b"\x1f\x8b"
NOTHING: Mapping[str, object] = {}


class HttpAnswer(Struct, frozen=True):
    """`retry_after`, `server`, `date`: the headers as received, "" if absent."""

    status: int
    body: bytes
    retry_after: str = ""
    server: str = ""
    date: str = ""


class Http:
    """The HTTP client of a pool. Uses the environment's proxies and certificates (see `transport`) and follows no
    redirects: the key and the documents go to the address in the plan and nowhere else."""

    def __init__(
        self,
        now: Callable[[], float],
        api_key: str | None = None,
        connect_s: float = CONNECT_S,
        redactor: Redactor | None = None,
        extra: Sequence[str] = (),
        key_header: str = "",
        gate: RequestGuard | None = None,
    ) -> None:
        """`extra`: headers as "Name: value". `key_header`: the header for the key if it is not `Authorization:
        Bearer`."""
        from engine.extraction.llm.transport import MAY_SEND, ConnectionPool
        from engine.light_httpx import httpx

        headers = {"accept-encoding": "identity", "user-agent": "rollout-console"}
        for line in extra:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if api_key:
            bearer = not key_header or key_header.lower() == "authorization"
            headers[key_header.lower() or "authorization"] = f"Bearer {api_key}" if bearer else api_key
        self._gate = gate or RequestGuard(lambda: True)
        self._redactor = redactor or Redactor([api_key or ""])
        self._urls: dict[str, httpx.URL] = {}  # parsing a URL takes a tenth of a call
        self._pool = ConnectionPool(now)
        self._may_send = MAY_SEND
        self._client = httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(None, connect=min(CONNECT_S, connect_s)),
            transport=self._pool,
            follow_redirects=False,
        )
        self._headers = self._client.headers.raw  # its defaults, such as Accept, and the given ones
        self._extensions = {"timeout": self._client.timeout.as_dict()}

    async def close(self) -> None:
        await self._client.aclose()

    async def generate(self, url: str, body: bytes, user: str = "") -> HttpAnswer:
        """POST to a route that uses a model, if permitted. Raises Fault, NotPermitted."""
        extensions = {self._may_send: self._gate.allowed}
        return await self._gate.send(lambda: self.send("POST", url, body, user, extensions))

    def shut(self) -> None:
        """End the connection of every request that uses a model; see `ConnectionPool.shut`."""
        self._pool.shut()

    async def send(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        user: str = "",
        extensions: Mapping[str, object] = NOTHING,
    ) -> HttpAnswer:
        """Send a request. Raises Fault. No time limit except for connecting: the caller has an overall one.

        `user`: "name:password" for basic authentication. Cancelling closes the connection, which ends the generation.
        Neither the answer nor a Fault contains a secret. `extensions`: httpcore's, for this request.
        """
        try:
            answer = await self._send(method, url, body, user, extensions)
        except Fault as fault:
            hidden = self._redactor.text(fault.message)
            if hidden == fault.message:
                raise
            raise Fault(fault.kind, hidden, retry=fault.retry, after_s=fault.after_s, context=fault.context) from None
        body = self._redactor.body(answer.body)
        return replace(answer, body=body, retry_after=self._redactor.text(answer.retry_after))

    async def _send(
        self, method: str, url: str, body: bytes | None, user: str, extensions: Mapping[str, object]
    ) -> HttpAnswer:
        from engine.extraction.llm.transport import ProxyFailure, StaleConnection
        from engine.light_httpx import httpx

        headers = [(b"content-type", b"application/json")] if body is not None else []
        if user:
            headers.append((b"authorization", b"Basic " + base64.b64encode(user.encode())))
        try:
            parsed = self._urls.get(url) or self._urls.setdefault(url, httpx.URL(url))
            names = [name for name, _ in headers]
            headers += [(name, value) for name, value in self._headers if name.lower() not in names]
            request = httpx.Request(
                method, parsed, headers=headers, content=body, extensions={**self._extensions, **extensions}
            )
            # bypasses the client's cookies, redirects and authentication, none of which apply: a quarter of a call
            response = await self._pool.handle_async_request(request)
            try:
                _refuse_redirect(response, self._redactor)
                content = await _read(response, self._redactor)
            finally:
                await response.aclose()
        except StaleConnection:
            raise Fault(
                ErrorKind.transport, f"{_shown(url)} closed an idle connection while it was being used", retry="at_once"
            ) from None
        except ProxyFailure as failure:
            retry: Retry = "soon" if failure.may_pass else "never"
            raise Fault(ErrorKind.proxy, clean_line(self._redactor.text(str(failure)), 300), retry=retry) from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise _broken(error, url, self._redactor) from None
        head = response.headers
        after = head.get("retry-after") or _after_ms(head.get("retry-after-ms", ""))
        return HttpAnswer(response.status_code, content, after, head.get("server", "")[:200], head.get("date", ""))


def _after_ms(header: str) -> str:
    """Seconds to wait, from the millisecond header that some services send in place of Retry-After."""
    return str(int(header) / 1000) if header.isascii() and header.isdigit() else ""


def split_user(url: str) -> tuple[str, str]:
    """(the address without its user, "name:password" or ""). httpx would write a user to its log."""
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    user, _, host = host.rpartition("@")
    return f"{scheme}{mark}{host}{slash}{path}", unquote(user)


def _refuse_redirect(response: httpx.Response, redactor: Redactor) -> None:
    if response.is_redirect:
        target = clean_line(_shown(redactor.text(response.headers["location"])), 120)
        raise Fault(
            ErrorKind.http,
            f"the server redirects calls to {target} ({response.status_code}); set [llm] url to the "
            "address that answers itself",
            retry="never",
        )


async def _read(response: httpx.Response, redactor: Redactor) -> bytes:
    """The body, at most ANSWER_BYTES of it. Also decompresses one that came compressed without being asked for."""
    encoding = redactor.text(response.headers.get("content-encoding", "")).strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate"):
        raise Fault(
            ErrorKind.invalid,
            f"the answer is encoded as {clean_line(encoding, 40)!r}, which the request does not accept",
        )
    unpack = None if encoding in ("", "identity") else zlib.decompressobj(wbits=47)  # either format, by its header
    body = bytearray()
    begun = False
    try:
        async for part in response.aiter_raw():
            begun = True
            if unpack is None and not body and part.startswith(_GZIP):  # gzip without a header that declares it
                unpack = zlib.decompressobj(wbits=47)
            body += part if unpack is None else unpack.decompress(part, ANSWER_BYTES + 1 - len(body))
            while unpack is not None and unpack.unused_data.startswith(_GZIP) and len(body) <= ANSWER_BYTES:
                rest, unpack = unpack.unused_data, zlib.decompressobj(wbits=47)
                body += unpack.decompress(rest, ANSWER_BYTES + 1 - len(body))
            if len(body) > ANSWER_BYTES:
                raise Fault(ErrorKind.invalid, f"the answer is larger than {ANSWER_BYTES >> 10} KiB")
        if unpack is not None and begun and not unpack.eof:
            raise Fault(ErrorKind.invalid, f"the answer ends in the middle of its {encoding or 'gzip'} encoding")
    except zlib.error as error:
        raise Fault(ErrorKind.invalid, f"the answer's {encoding} encoding is broken: {error}") from None
    return bytes(body)


def _broken(error: Exception, url: str, redactor: Redactor) -> Fault:
    """Why there is no answer. A fault that a person must fix (a certificate) is not retried."""
    from engine.light_httpx import httpx

    known = no_answer.reason(error, "[llm] url")
    if known is not None:
        why = known.why
    elif isinstance(error, httpx.ConnectTimeout):
        why = "no connection within the time limit"
    else:
        # before truncation, since part of a secret would not be recognised
        why = clean_line(redactor.text(str(error)), 200) or f"the connection broke ({type(error).__name__})"
    retry: Retry | None = "never" if known is not None and known.lasting else None
    return Fault(ErrorKind.transport, f"{_shown(url)}: {why}", retry=retry)


def _shown(url: str) -> str:
    """An address for people: scheme, host and port, without a user, a key or a path."""
    try:
        parts = urlsplit(split_user(url)[0])
    except ValueError:  # a server may send anything as its Location
        return clean_line(url, 80)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else clean_line(parts.path, 80)
