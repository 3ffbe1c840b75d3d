"""What can go wrong between a document and its keywords, under the names that the log, the screen and the triggers
use."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal


class ErrorKind(StrEnum):
    timeout = "timeout"  # the document's deadline, or one server's share of it, passed
    transport = "transport"  # refused, reset, unreachable, not HTTP
    http = "http"  # an HTTP status that has no kind of its own
    busy = "busy"  # 503 with a full queue, a rate limit, an overloaded server
    loading = "loading"  # the model is still loading: the document stopped waiting, but the service has not failed
    out_of_memory = "out_of_memory"  # the server lacks memory for the model, or for this call
    not_loaded = "not_loaded"  # the model has been loading for longer than loading may take
    model_missing = "model_missing"
    too_long = "too_long"  # the prompt does not fit the context, or the server truncated it silently
    quota = "quota"  # 429 for longer than a document can wait: the account's limit is used up
    proxy = "proxy"  # a proxy or gateway answered in place of the server, or does not answer
    invalid = "invalid"  # bytes that cannot be read: too many, or in an unknown encoding
    not_chat = "not_chat"  # 200 with something other than the API's answer: a web page, another service's JSON
    bad_format = "bad_format"  # the server reports that the model's output does not fit the format
    empty = "empty"  # an answer of no characters
    thinking = "thinking"  # an answer that is all thinking
    cut = "cut"  # the text ends in the middle
    loop = "loop"  # the model repeats itself
    filtered = "filtered"  # withheld by a content filter
    refused = "refused"  # the model states that it cannot or will not answer
    prose = "prose"  # sentences instead of keywords
    garbled = "garbled"  # JSON beyond repair
    shape = "shape"  # JSON without a list of keywords
    no_keywords = "no_keywords"  # the lists are present and empty
    placeholder = "placeholder"  # the prompt's own form or example, repeated: "keyword1", "...", "<keyword>"
    unfit = "unfit"  # no item in the lists is a keyword: stop words, sentences, numbers
    ungrounded = "ungrounded"  # keywords, but the document supports none of them
    breaker_open = "breaker_open"  # every server's breaker is open; nothing was sent
    queue_full = "queue_full"  # the queue was full, or the document waited in it for too long; nothing was sent
    internal = "internal"  # a bug in this program or in a library


Retry = Literal["never", "soon", "other_seed", "at_once"]

# Attempts that got an answer: the fault is in the model's output.
ANSWERS = frozenset(
    {
    ErrorKind.invalid, ErrorKind.not_chat, ErrorKind.bad_format, ErrorKind.empty, ErrorKind.thinking, ErrorKind.cut,
    ErrorKind.loop, ErrorKind.filtered, ErrorKind.refused, ErrorKind.prose, ErrorKind.garbled, ErrorKind.shape,
    ErrorKind.no_keywords, ErrorKind.placeholder, ErrorKind.unfit, ErrorKind.ungrounded,
}
)  # fmt: skip

UNSENT = frozenset({ErrorKind.breaker_open, ErrorKind.queue_full})  # nothing was sent

# Outcomes that are not attempts: the document falls back, and no trigger, gate or breaker counts it.
NO_ATTEMPT = frozenset({ErrorKind.loading})

# How to retry such an attempt: "soon" after a pause; "other_seed" once, with another seed; "at_once" (the server
# closed an idle connection) once, on a new connection and without counting a failure.
RETRY: dict[ErrorKind, Retry] = {
    ErrorKind.timeout: "soon",
    ErrorKind.transport: "soon",
    ErrorKind.http: "soon",
    ErrorKind.busy: "soon",
    ErrorKind.out_of_memory: "soon",
    ErrorKind.loading: "soon",
    ErrorKind.not_loaded: "never",
    ErrorKind.model_missing: "never",
    ErrorKind.too_long: "never",
    ErrorKind.quota: "never",
    ErrorKind.proxy: "soon",
    ErrorKind.breaker_open: "never",
    ErrorKind.queue_full: "never",
    ErrorKind.internal: "never",
    **dict.fromkeys(ANSWERS, "other_seed"),
}

# Results that are about the service rather than the document: these move the circuit breaker.
SERVICE = frozenset({
    ErrorKind.timeout, ErrorKind.transport, ErrorKind.http, ErrorKind.out_of_memory, ErrorKind.proxy,
    ErrorKind.not_loaded, ErrorKind.model_missing,
})  # fmt: skip


class Fault(Exception):
    """One attempt failed. `after_s`: the wait the server asked for; `context`: the context length it reported, in
    tokens; `answer`: the model's first words, if it wrote any."""

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        retry: Retry | None = None,
        after_s: float = 0.0,
        context: int = 0,
        answer: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.answer = answer
        self.retry: Retry = RETRY[kind] if retry is None else retry
        self.after_s = after_s
        self.context = context


class LlmFailure(Exception):
    """The LLM produced no keywords for the document.

    `sent`: whether a request went out, `server`: to which server last; `ms`: wall time from the first send, without
    queueing (0 if unsent); `answer`: the first words of an answer that could not be used.
    """

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        sent: bool,
        ms: float,
        attempts: int = 0,
        queue_ms: float = 0.0,
        server: str = "",
        answer: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.sent = sent
        self.answer = answer
        self.ms = ms
        self.attempts = attempts
        self.queue_ms = queue_ms
        self.server = server


class NotPermitted(Exception):
    """`permit` refused before a send, and nothing was sent after that. `sent`: an earlier attempt had gone out."""

    def __init__(self, *, sent: bool = False) -> None:
        super().__init__("calls to the LLM are not permitted now; the document gets frequency keywords")
        self.sent = sent
