"""What an HTTP answer other than 200 means: the cause, whether it passes, how long it lasts, what to do about it."""

from __future__ import annotations

import re
from collections.abc import Container
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import NamedTuple

from engine.extraction.llm import responses
from engine.extraction.llm.failure import ErrorKind, Fault, Retry
from engine.extraction.llm.http import HttpAnswer
from engine.plan.model import Llm
from engine.text import clean_line

LONGEST_WAIT_S = 86_400.0
QUOTA_S = 900.0  # a quota that does not state when it resets
PATIENCE_S = 60.0  # a longer wait means a quota, not a queue

_MODEL = re.compile(
    r"model\b.{0,200}?\b(?:not found|does not exist|doesn't exist|not exist|no such|not available|not loaded"
    r"|decommissioned|not supported here|unloaded"
    r"|is not a valid model)|\bpull(?:ing)? (?:it|the model)|no models? (?:is |are )?loaded"
    r"|invalid model(?: name| id)?\b|unknown model"
    r"|not a valid model|no such model|unable to access model|(?:don['’]t|do not) have access to the model"
    r"|no (?:route|router|endpoints?|deployments?|healthy deployments?)"
    r" (?:found )?for (?:requested )?model|no [\w ]{0,20}providers are available for the selected model"
    r"|deployment .{0,80}does not exist|model_not_found|deploymentnotfound"
    r"|model ['`\"]?[\w./:@-]{1,100}['`\"]? is not supported|of model id \S{1,100} with on-demand throughput"
    r"|not allowed to access model|repository not found|model \S{1,100} is too large to be loaded",
    re.IGNORECASE | re.DOTALL,
)
_LONG = re.compile(
    r"exceed_context_size|exceeds? the (?:available |maximum )?context|context (?:length|size|window)"
    r"|(?:input|prompt)\b.{0,40}\b(?:too long|too large|exceeds)|maximum (?:input|prompt) length"
    r"|too many (?:input )?tokens"
    r"|(?:inputs?|tokens).{0,60}must (?:have less|be less|be <=)",
    re.IGNORECASE,
)
_RATE = re.compile(r"rate limit|too many requests|throttl", re.IGNORECASE)
_QUEUE = re.compile(r"pending requests|queue", re.IGNORECASE)
_OVERLOAD = re.compile(r"busy|overloaded|capacity", re.IGNORECASE)
_BUSY = re.compile("|".join(each.pattern for each in (_RATE, _QUEUE, _OVERLOAD)), re.IGNORECASE)
_QUOTA = re.compile(
    r"insufficient_quota|exceeded your (?:current |monthly |daily )?(?:quota|limit)"
    r"|quota (?:is |was |has been )?(?:exceeded|exhausted|used up)|out of credits?"
    r"|insufficient (?:credits?|balance|funds)|billing (?:details|hard limit|limit)"
    r"|out of [\w ]{0,30}quota|free allocation|used up (?:your|the|all)"
    r"|(?:calls|tokens|requests) ?/ ?(?:day|month)\b"
    r"|(?:per|tokens|requests)[ -](?:per )?(?:day|month)\b|daily (?:limit|quota)|monthly (?:limit|quota)"
    r"|budget (?:has been )?exceeded|exceeded.{0,20}budget|usage limit|credit balance",
    re.IGNORECASE,
)
# Memory of the graphics card or the machine, in the words of CUDA, ROCm, Metal, llama.cpp, Ollama, LM Studio, TGI.
_MEMORY = re.compile(
    r"out[ _]of[ _]memory|outofmemory|\bOOM\b|(?:not enough|insufficient) (?:\w+ )?(?:memory|(?:system )?resources)"
    r"|requires more (?:\w+ )?memory|more memory than|bad_?alloc|(?:can'?t|cannot|unable to|failed to) allocate"
    r"|cudamalloc failed|alloc\w* (?:of )?(?:buffer|memory)\b.{0,60}\bfailed|failed to allocate"
    r"|greater than the maximum allowed buffer size|memory (?:is )?exhausted",
    re.IGNORECASE,
)
_FILTER = re.compile(
    r"content[ _-]?(?:filter|management polic|moderation)|responsibleaipolicy|input was flagged|flagged (?:by|for|as)"
    r"|moderation|guardrail",
    re.IGNORECASE,
)
_LOADING = re.compile(r"loading|starting up|warming|still being loaded", re.IGNORECASE)
_FORMAT = re.compile(
    r"does not match the expected|failed to parse (?:the )?(?:output|input at pos)|failed to generate json",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"api[ _-]?key (?:is )?(?:not valid|invalid)|invalid api[ _-]?key|expired (?:api[ _-]?)?key"
    r"|\b(?:key|token)\b.{0,40}\bexpired",
    re.IGNORECASE,
)
_REFUSED_KEY = "the server refuses the key ({shown}); check the variable that [llm] api_key_env names"
_WAIT = re.compile(
    r"(?:try again|retry|available again|resets?)\s*(?:in|after"
    r"|at)?\s*[:=]?\s*((?:\d+(?:\.\d+)?\s*(?:ms|milliseconds?|s|sec|seconds?|m|min|minutes?|h"
    r"|hours?)(?![a-z])\s*)+)"
    r"|\"retryDelay\":\s*\"(\d+(?:\.\d+)?s)\"",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|mill|s|m|h)", re.IGNORECASE)
_UNITS = {"ms": 0.001, "mill": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PROXY = re.compile(
    rb"nginx(?:/[\w.]+)?|openresty(?:/[\w.]+)?|cloudflare|envoy|haproxy|traefik|varnish|squid(?:/[\w.]+)?|caddy"
    rb"|awselb(?:/[\w.]+)?|akamai\w*"
    rb"|apache(?:/[\w.]+)?|microsoft-iis(?:/[\w.]+)?|microsoft-azure-application-gateway(?:/[\w.]+)?|google "
    rb"frontend|kong(?:/[\w.]+)?|istio-envoy",
    re.IGNORECASE,
)
_UPSTREAM = re.compile(
    rb"upstream|no healthy|bad gateway|gateway time-?out|no server is available|error code: "
    rb"5\d\d|connection to backend|application failed to respond",
    re.IGNORECASE,
)
_EDGE_STATUS = frozenset({502, 504, *range(520, 531)})


class _Meaning(NamedTuple):
    """The meaning of an answer whose status is one of these and whose text matches the pattern, if there is one."""

    statuses: Container[int]
    pattern: re.Pattern[str] | None
    kind: ErrorKind
    text: str  # {shown}: the status and the server's own sentence
    retry: Retry | None = None
    in_code: bool = True  # search the error's codes too, not only its sentence


_MEANINGS = (  # the first match applies
    _Meaning((413,), None, ErrorKind.too_long, "the text does not fit the model's context ({shown})"),
    _Meaning(range(400, 501), _LONG, ErrorKind.too_long, "the text does not fit the model's context ({shown})"),
    _Meaning((400, 401, 403, 404, 422, 500, 503), _MODEL, ErrorKind.model_missing, ""),
    _Meaning(
        range(400, 1000), _MEMORY, ErrorKind.out_of_memory,
        "the server is out of memory ({shown}); use a smaller model or context, or fewer calls at once",
    ),
    _Meaning(
        (400, 403, 422), _FILTER, ErrorKind.filtered, "a content filter refuses the document ({shown})", retry="never"
    ),
    _Meaning((498, 500, 503, 529), _BUSY, ErrorKind.busy, "{busy} ({shown})", in_code=False),
    _Meaning((500, 503), _LOADING, ErrorKind.loading, "the server is loading the model ({shown})", in_code=False),
    _Meaning(
        (400, 500), _FORMAT, ErrorKind.bad_format, "the model's output did not fit the format ({shown})", in_code=False
    ),
    _Meaning((401,), None, ErrorKind.http, _REFUSED_KEY, retry="never"),
    _Meaning((400, 403), _KEY, ErrorKind.http, _REFUSED_KEY, retry="never"),
    _Meaning(
        (403,), None, ErrorKind.http,
        "the server refuses the call ({shown}); check the rights of the key, and the service's rules",
        retry="never",
    ),
    _Meaning(
        (407,), None, ErrorKind.http,
        "the proxy requires a user and a password ({shown}); put them into the proxy's address", retry="never",
    ),
    _Meaning(
        (404, 405), None, ErrorKind.http,
        "the server has no {api} API at this address ({shown}); check [llm] url and api", retry="never",
    ),
)  # fmt: skip


def fault(answer: HttpAnswer, config: Llm, called: str = "") -> Fault:
    """The meaning of an HTTP answer other than 200. `called`: how a message names its status, if not by number."""
    status = answer.status
    if by_proxy(answer):
        return _of_proxy(answer, config)
    error = responses.error(answer.body)
    sentence = clean_line(str(error.get("message") or ""), 300)
    shown = f"{called or status}{f': {sentence}' if sentence else ''}"
    words = f"{error.get('type', '')} {error.get('code', '')} {error.get('status', '')} {sentence}"
    after = wait_s(answer, sentence)
    if status in (402, 429) or (status in (400, 403, 500, 503) and _QUOTA.search(words)):
        return _limited(status, shown, words, after, _busy(status, sentence))
    context = responses.count(error.get("n_ctx")) or 0
    for meaning in _MEANINGS:
        if status in meaning.statuses and (
            meaning.pattern is None or meaning.pattern.search(words if meaning.in_code else sentence)
        ):
            busy = _busy(status, sentence)
            text = meaning.text.format(shown=shown, api=config.api, busy=busy) or missing(config, sentence)
            return Fault(meaning.kind, text, retry=meaning.retry, after_s=after, context=context)
    retry: Retry | None = "never" if status < 500 and status != 408 else None
    return Fault(ErrorKind.http, f"the server answered {shown}", retry=retry, after_s=after, context=context)


def _busy(status: int, sentence: str) -> str:
    """Why the server takes no call now, as far as it says so."""
    if _QUEUE.search(sentence):
        return "the server's queue is full"
    if _RATE.search(sentence) or (status == 429 and not _OVERLOAD.search(sentence)):
        return "the server limits the rate of calls"
    return "the server is overloaded"


def _limited(status: int, shown: str, words: str, after: float, busy: str) -> Fault:
    """A 429: wait if the wait is short; otherwise the server is unusable until the limit is lifted."""
    if after <= PATIENCE_S and not _QUOTA.search(words) and status != 402:
        return Fault(ErrorKind.busy, f"{busy} ({shown})", after_s=after)
    return Fault(ErrorKind.quota, f"the quota is used up ({shown})", after_s=after or QUOTA_S)


# -- a proxy in front --------------------------------------------------------------------------------------------------


def by_proxy(answer: HttpAnswer) -> bool:
    """Whether the answer comes from something in front of the server: an nginx page, a status that only gateways
    send."""
    if responses.is_page(answer.body):
        return (
            answer.status in _EDGE_STATUS
            or answer.status == 503
            or bool(_PROXY.search(answer.body))
            or bool(_PROXY.search(answer.server.encode()))
        )
    if answer.body.lstrip()[:1] == b"{":
        return (
            answer.status in (502, 503, 504)
            and any(words in answer.body.lower() for words in (b"upstream", b"endpoint request timed out"))
            and b'"choices"' not in answer.body
        )
    return answer.status in _EDGE_STATUS or (answer.status >= 500 and bool(_UPSTREAM.search(answer.body[:400])))


def _of_proxy(answer: HttpAnswer, config: Llm) -> Fault:
    status = answer.status
    name = _PROXY.search(answer.server.encode()) or _PROXY.search(answer.body[-600:])
    called = f" ({clean_line(name[0].decode('ascii', 'replace'), 40)})" if name else ""
    who = f"a proxy in front of the server{called}"
    line = _status_line(answer)
    if status == 413:
        text = f"{who} refuses a text of this size ({line}); raise its limit, in nginx client_max_body_size"
        return Fault(ErrorKind.too_long, text)
    if status == 429:
        after = wait_s(answer, "")
        if after > PATIENCE_S:
            return Fault(ErrorKind.quota, f"{who} blocks further calls ({line})", after_s=after)
        return Fault(ErrorKind.busy, f"{who} throttles calls ({line})", after_s=after)
    if status in (401, 403, 407):
        text = f"{who} refuses the call ({line}); check its rules and the key"
        return Fault(ErrorKind.proxy, text, retry="never")
    if status == 503 and b"reset reason: overflow" in answer.body:  # Envoy's circuit breaker
        return Fault(ErrorKind.busy, f"{who} has as many calls open as it allows ({line})")
    if status in (504, 524):
        text = f"{who} gave up waiting ({line}); raise its read timeout above [llm] timeout = {config.timeout_s:g} s"
        return Fault(ErrorKind.proxy, text)
    if status < 500:
        return Fault(ErrorKind.proxy, f"{who} answered {line}; check [llm] url", retry="never")
    text = f"{who} does not reach the server behind it ({line}); check that it is running"
    return Fault(ErrorKind.proxy, text, after_s=wait_s(answer, ""))


def _status_line(answer: HttpAnswer) -> str:
    """ "502 Bad Gateway", followed by the proxy's own message if it has one."""
    if responses.is_page(answer.body):
        sentence = responses.page_title(answer.body)
    else:
        sentence = clean_line(str(responses.error(answer.body).get("message") or ""), 120)
    if not sentence:
        try:
            sentence = HTTPStatus(answer.status).phrase
        except ValueError:
            sentence = "no words"
    return sentence if sentence.startswith(str(answer.status)) else f"{answer.status} {sentence}"


# -- how long to wait --------------------------------------------------------------------------------------------------


def wait_s(answer: HttpAnswer, sentence: str = "") -> float:
    """Seconds the server asks to wait, in Retry-After (seconds or a date) or in its message; 0 if it asks for none."""
    header = answer.retry_after.strip()
    wait = _seconds(header, _sent(answer)) if header else 0.0
    if not wait and (words := _WAIT.search(sentence) or _WAIT.search(answer.body[:4000].decode("utf-8", "replace"))):
        amounts = _AMOUNT.findall(words[1] or words[2])
        wait = sum(float(number) * _UNITS[unit.lower()] for number, unit in amounts)
    return min(LONGEST_WAIT_S, max(0.0, wait))


def _seconds(header: str, sent: datetime) -> float:
    try:
        wait = float(header)
        return wait if wait == wait else 0.0
    except ValueError:
        pass
    amounts = _AMOUNT.findall(header)
    if amounts and re.fullmatch(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+", header):
        return sum(float(number) * _UNITS[unit.lower()] for number, unit in amounts)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, TypeError, IndexError):
        return 0.0
    return (_aware(moment) - sent).total_seconds()


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sent(answer: HttpAnswer) -> datetime:
    """When the server sent the answer, by its own clock if the answer has its time."""
    try:
        return _aware(parsedate_to_datetime(answer.date))
    except (ValueError, TypeError, IndexError):
        return datetime.now(UTC)


def missing(config: Llm, sentence: str = "") -> str:
    name = clean_line(config.model, 100)
    cure = f"run: ollama pull {name}" if config.api == "ollama" else "check [llm] model"
    return f"the server does not have the model {name}; {cure}" + (f" ({sentence})" if sentence else "")
