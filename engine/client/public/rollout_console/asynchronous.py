"""The client for asyncio. Its time limit covers the whole exchange: connecting, sending, waiting, reading."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import ssl
import time
import uuid
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, TypeVar

import httpx
import msgspec

from rollout_console.answers import Document, Extraction, Failure, Method, Rejected, RolloutError, Unavailable

for used in ("httpcore", "anyio._backends._asyncio"):  # httpx imports them within the first request
    with contextlib.suppress(ImportError):
        importlib.import_module(used)

BATCH = 1000  # the engine takes as many at once
BATCH_TIMEOUT_S = 60.0
MISSES, PAUSE_S = 3, 5.0  # after so many misses in a row, calls fail at once for so long
LATER = (408, 425, 429)
AGAIN = (429, 503)
AGAIN_S = 0.1  # at least between two tries
LONGEST_S = 86_400.0  # a longer time limit, such as infinity, is this
MOST_BYTES = 1 << 20  # of one answer or line; the engine's are far smaller

T = TypeVar("T")
journal = logging.getLogger("rollout_console")


class _Line(msgspec.Struct):
    """What every line and every error has."""

    index: int = 0
    ok: bool = True
    status: int = 200
    code: str = ""
    error: str = ""
    retry_after_s: float | None = None


# Built before any thread needs them: msgspec up to 0.22 crashes if two threads are the first to decode a type at once.
_lines = msgspec.json.Decoder(_Line)
_extractions = msgspec.json.Decoder(Extraction)


def trusted(url: str) -> ssl.SSLContext:
    """The authorities that httpx trusts, and those of the system, such as a company's own; none where there is no TLS,
    because reading them takes longer than an answer."""
    if httpx.URL("http://engine" if url.startswith("unix:") else url).scheme != "https":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = httpx.create_ssl_context()  # SSL_CERT_FILE or SSL_CERT_DIR, else the certificates of certifi
    context.load_default_certs()
    return context


class AsyncClient:
    """Use it from one event loop at a time. `url` is "http://host:8080" or "unix:/path/of/the/store/engine.sock".

    `token` is that of [http] token_env. After three misses in a row, calls fail immediately for five seconds, so that
    an engine that hangs does not cost every request of yours its time limit.

    Behind TLS the certificates of the system are trusted, and those in SSL_CERT_FILE or SSL_CERT_DIR; `ssl_context`
    replaces them. Proxies of the environment are not used.

    ValueError for an address that no engine can have, and for a token that no header can carry.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        token: str = "",
        timeout_s: float = 1.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        headers = checked(url, token)
        self.timeout_s = timeout_s
        self._misses = 0
        self._until = 0.0
        self._url = url
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._tls = ssl_context or trusted(url)
        self._loop: asyncio.AbstractEventLoop | None = None  # which the connections of `_http` belong to
        self._http = self._made()
        self._closed = False

    def _made(self) -> httpx.AsyncClient:
        path = self._url.removeprefix("unix:") if self._url.startswith("unix:") else None
        return httpx.AsyncClient(
            base_url="http://engine" if path is not None else self._url.rstrip("/"),
            transport=httpx.AsyncHTTPTransport(uds=path, verify=self._tls) if path is not None else None,
            headers=self._headers,
            timeout=None,
            trust_env=False,
            verify=self._tls,
        )

    def _connections(self) -> httpx.AsyncClient:
        """Of this event loop: those of another one, as before a fork, are left to it."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._http, self._loop = (self._http if self._loop is None else self._made()), loop
        return self._http

    async def extract(
        self, id: str, text: str, *, title: str = "", method: Method = "auto", timeout_s: float | None = None
    ) -> Extraction:
        """Keywords for one document. Unavailable, Rejected."""
        content = _encoded(Document(id, text, title, method))
        made = _decoded(await self._post("/v1/extract", content, timeout_s or self.timeout_s), _extractions)
        if made.id != id:
            raise _not_an_engine()
        return made

    async def extract_or_none(
        self, id: str, text: str, *, title: str = "", method: Method = "auto", timeout_s: float | None = None
    ) -> Extraction | None:
        """Like `extract`, but returns None in place of an error and logs it to the logger `rollout_console`."""
        try:
            return await self.extract(id, text, title=title, method=method, timeout_s=timeout_s)
        except RolloutError as error:
            log_fallback(error)
            return None

    async def batch(
        self, documents: Iterable[Document], *, timeout_s: float = BATCH_TIMEOUT_S
    ) -> list[Extraction | Failure]:
        """An answer for each document, in their order; never raises. `timeout_s` is for each 1,000 documents. Those
        that the engine refuses for now are sent again after its `Retry-After`, as long as that leaves time."""
        given = list(documents)
        made: list[Extraction | Failure] = []
        for start in range(0, len(given), BATCH):
            made += await self._until_taken(given[start : start + BATCH], timeout_s)
        return made

    async def _until_taken(self, documents: Sequence[Document], timeout_s: float) -> list[Extraction | Failure]:
        end = time.monotonic() + timeout_s
        answers = await self._batch(documents, timeout_s)
        while refused := [i for i, answer in enumerate(answers) if _again_after(answer) is not None]:
            wait_s = max(_again_after(answers[i]) or 0.0 for i in refused)
            if time.monotonic() + wait_s >= end:
                break
            await asyncio.sleep(wait_s)
            again = await self._batch([documents[i] for i in refused], end - time.monotonic())
            for i, answer in zip(refused, again, strict=True):
                answers[i] = answer
        return answers

    async def _batch(self, documents: Sequence[Document], timeout_s: float) -> list[Extraction | Failure]:
        came = _BatchAnswers(documents)
        try:
            content = _encoded({"documents": documents})
        except Rejected:
            return await self._batch_without_unfit(documents, timeout_s)
        try:
            # lines that came before the time was up are kept
            await self._post("/v1/extract:batch", content, timeout_s, came)
            lost: RolloutError = Unavailable("The engine's answer ended early.", "ended")
        except RolloutError as error:
            lost = error
        return [came.answers.get(i) or failure(document, lost) for i, document in enumerate(documents)]

    async def _batch_without_unfit(self, documents: Sequence[Document], timeout_s: float) -> list[Extraction | Failure]:
        unfit = {i: why for i, document in enumerate(documents) if (why := _unfit(document)) is not None}
        fit = [document for i, document in enumerate(documents) if i not in unfit]
        answers = iter(await self._batch(fit, timeout_s) if fit else [])
        return [failure(document, unfit[i]) if i in unfit else next(answers) for i, document in enumerate(documents)]

    async def _post(self, path: str, content: bytes, timeout_s: float, batch: _BatchAnswers | None = None) -> bytes:
        """Post a body, and return the answer's. A `batch` takes each line of it as it comes instead."""
        if self._closed:
            raise closed()
        if time.monotonic() < self._until:
            raise Unavailable(f"The engine did not answer {MISSES} times in a row; asking again soon.", "paused")
        status, body = await self._sent(path, content, timeout_s, batch)
        self._misses = 0
        if status != 200:
            raise _refusal(status, body)
        return body

    async def _sent(
        self, path: str, content: bytes, timeout_s: float, batch: _BatchAnswers | None
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json", "X-Request-Id": uuid.uuid4().hex}
        try:
            async with asyncio.timeout(limited(timeout_s)):
                try:
                    return await self._exchange(path, content, headers, batch)
                except httpx.RemoteProtocolError:  # the engine closed a kept connection: it stores by id, so again
                    return await self._exchange(path, content, headers, batch)
        except TimeoutError:
            self._miss()
            raise late(timeout_s) from None
        except RolloutError:
            raise
        except Exception as error:  # whatever the libraries raise, the service has a way without the engine
            if self._closed:
                raise closed() from None
            self._miss()
            raise unreachable(error) from error

    async def _exchange(
        self, path: str, content: bytes, headers: dict[str, str], batch: _BatchAnswers | None
    ) -> tuple[int, bytes]:
        async with self._connections().stream("POST", path, content=content, headers=headers) as answer:
            # a few bytes can unpack to gigabytes, in the service's event loop; none was asked for
            if answer.headers.get("content-encoding", "identity") != "identity":
                raise _not_an_engine()
            held = b""
            async for chunk in answer.aiter_bytes():
                held += chunk
                if batch is not None and answer.status_code == 200:
                    *whole, held = held.split(b"\n")
                    for line in whole:
                        batch.take(line)
                if len(held) > MOST_BYTES:
                    raise _not_an_engine()
            if batch is not None and answer.status_code == 200:
                batch.take(held)
        return answer.status_code, held

    def _miss(self) -> None:
        self._misses += 1
        if self._misses >= MISSES:
            self._until = time.monotonic() + PAUSE_S
            self._misses = MISSES - 1  # one more miss after the pause is enough

    async def close(self) -> None:
        self._closed = True
        await self._connections().aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()


def _again_after(answer: Extraction | Failure) -> float | None:
    """When the engine wants to see the document again, s; None if it has answered it, or would answer the same."""
    if not isinstance(answer, Failure) or answer.retry_after_s is None:
        return None
    return max(answer.retry_after_s, AGAIN_S) if answer.status in AGAIN else None


def failure(document: Document, why: RolloutError) -> Failure:
    return Failure(document.id, why.status, why.code, str(why), why.retry_after_s)


def closed() -> Unavailable:
    return Unavailable("This client is closed.", "closed")


def late(timeout_s: float) -> Unavailable:
    return Unavailable(f"The engine did not answer within {timeout_s:g} s.", "timeout")


def unreachable(error: Exception) -> Unavailable:
    why = str(error).rstrip(".") or type(error).__name__
    return Unavailable(f"The engine cannot be reached: {why}.", "unreachable")


def _not_an_engine() -> Unavailable:
    return Unavailable("What answered at this address is not a rollout engine.", "not_an_engine")


def limited(timeout_s: float) -> float:
    return min(LONGEST_S, timeout_s)


def log_fallback(error: RolloutError) -> None:
    journal.warning("No keywords from the engine: %s", error)


def checked(url: str, token: str) -> dict[str, str]:
    """The headers that carry the token. ValueError for an address that no engine can have, and a token that no header
    can carry."""
    unix = url.startswith("unix:")
    try:
        parts = httpx.URL("http://engine" if unix else url)
    except httpx.InvalidURL as error:
        raise ValueError(f"{url!r} is not an engine's address: {str(error).rstrip('.')}.") from None
    if parts.port is not None and not 0 < parts.port < 65536:
        raise ValueError(f"{url!r} is not an engine's address: ports are 1 to 65535.")
    if parts.scheme not in ("http", "https") or not parts.host or (unix and (url == "unix:" or "\0" in url)):
        raise ValueError(f"{url!r} is not an engine's address: give http://HOST:PORT, https://HOST or unix:/PATH.")
    token = token.strip()  # as of a file that ends with a line break
    if token and not (token.isascii() and token.isprintable()):
        raise ValueError("The token has characters that no HTTP header can carry: use printable ASCII.")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _encoded(body: Any) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, UnicodeEncodeError) as error:  # a lone surrogate, as in a file name that is not UTF-8
        raise Rejected(f"Not usable as JSON: {error}.", "fields") from None


def _unfit(document: Document) -> Rejected | None:
    try:
        _encoded(document)
    except Rejected as why:
        return why
    return None


class _BatchAnswers:
    """The answers of a batch by the document's place, as their lines come."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.answers: dict[int, Extraction | Failure] = {}
        self._documents = documents

    def take(self, line: bytes) -> None:
        """Unavailable for a line that no engine sends."""
        if not line.strip():
            return
        known = _decoded(line, _lines)
        if not 0 <= known.index < len(self._documents):
            raise _not_an_engine()
        id = self._documents[known.index].id
        if not known.ok:
            self.answers[known.index] = Failure(id, known.status, known.code, known.error, known.retry_after_s)
        elif (made := _decoded(line, _extractions)).id == id:
            self.answers[known.index] = made
        else:
            raise _not_an_engine()


def _decoded(body: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _not_an_engine() from None


def _refusal(status: int, body: bytes) -> RolloutError:
    try:
        line = _decoded(body, _lines)
    except Unavailable:
        line = _Line()
    sentence = line.error or f"HTTP {status} came from something before the engine, such as a proxy."
    code = line.code or "http"
    kind = Unavailable if status >= 500 or status in LATER else Rejected
    return kind(sentence, code, status, line.retry_after_s)
