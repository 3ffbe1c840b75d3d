"""Probes an address: whether an LLM service answers, which API it speaks, and which models it has."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from engine.decoding import UNREADABLE, decode
from engine.text import clean_line, counted

TIMEOUT_S = 4.0
MOST_BYTES = 1 << 20
MOST_MODELS = 200

State = Literal["asking", "ok", "key", "none", "wrong"]


class Probed(Struct, frozen=True):
    """`key`: a service answers and wants an API key. `wrong`: it cannot be asked. `api` is "" where no service was
    recognized."""

    url: str
    state: State
    sentence: str
    api: str = ""
    models: tuple[str, ...] = ()


def base(url: str) -> str:
    """The address as written in a plan: without an API path."""
    text = clean_line(url, 400).strip().rstrip("/")
    for path in ("/v1/chat/completions", "/v1/models", "/api/chat", "/api/tags", "/v1", "/api"):
        text = text.removesuffix(path)
    return text if "://" in text or not text else f"http://{text}"


async def probe(url: str) -> Probed:
    """Never raises."""
    from engine.light_httpx import httpx

    if not url:
        return Probed(url, "none", "")
    try:
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            status, tags = await _ask(client, f"{url}/api/tags")
            if status == 200 and isinstance(tags.get("models"), list):
                _, version = await _ask(client, f"{url}/api/version")
                return answered(
                    url, "ollama", _names(tags["models"], "name"), clean_line(str(version.get("version") or ""), 20)
                )
            status, listed = await _ask(client, f"{url}/v1/models")
    except httpx.InvalidURL:
        return Probed(url, "wrong", f"{url} is not a complete address; write it like http://127.0.0.1:11434.")
    except (httpx.HTTPError, ValueError) as error:
        return Probed(url, "none", f"No answer: {_why(error)}.")
    if status == 200 and isinstance(listed.get("data"), list):
        return answered(url, "openai", _names(listed["data"], "id"))
    if status in (401, 403):
        return Probed(
            url,
            "key",
            f"A service answers and wants an API key ({status}): [llm] api_key_env names its variable.",
            "openai",
        )
    return Probed(url, "none", f"Something answers ({status}), but it is not a known LLM service.")


def _why(error: Exception) -> str:
    """Why there is no answer, and what to do, for someone who has no plan yet."""
    from engine.extraction.llm import no_answer
    from engine.light_httpx import httpx

    if isinstance(error, httpx.TimeoutException):
        return f"nothing came within {TIMEOUT_S:.0f} s. The server is busy, or a firewall drops the connection"
    known = no_answer.reason(error, "the address")
    return known.why if known is not None else clean_line(str(error) or type(error).__name__, 100)


def answered(url: str, api: str, models: tuple[str, ...], version: str = "") -> Probed:
    name = "Ollama" if api == "ollama" else "An OpenAI-compatible server"
    has = counted(len(models), "model") if models else "no model yet"
    return Probed(url, "ok", f"{name}{f' {version}' if version else ''} answers; it has {has}.", api, models)


async def _ask(client: Any, url: str) -> tuple[int, dict[str, Any]]:
    """The status and the JSON object of an answer, {} for anything else."""
    async with client.stream("GET", url) as answer:
        body = b""
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                return answer.status_code, {}
    try:
        return answer.status_code, decode(body, dict[str, Any])
    except UNREADABLE:
        return answer.status_code, {}


def _names(rows: list[Any], field: str) -> tuple[str, ...]:
    """The models' names, without repeats, safe to show."""
    names = [clean_line(str(row.get(field) or ""), 100) for row in rows[:MOST_MODELS] if isinstance(row, dict)]
    return tuple(dict.fromkeys(name for name in names if name))
