"""What the body of an answer holds, read leniently: JSON in any of the shapes in use, or none. Nothing here raises."""

from __future__ import annotations

from typing import Any

import msgspec

from engine.extraction.llm.http import Answer
from engine.text import clean_line


def body(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer of 200, else {}."""
    parts = objects(answer.body) if answer.status == 200 else []
    return parts[0] if parts else {}


def dicts(answer: dict[str, Any], key: str) -> list[dict[str, Any]]:
    found = answer.get(key)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def objects(body: bytes) -> list[dict[str, Any]]:
    """The JSON object of an answer, or those of a stream, one a line; a line that is none ends it."""
    try:
        whole = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    else:
        return [whole] if isinstance(whole, dict) else []
    parts: list[dict[str, Any]] = []
    for line in body.splitlines():
        if not line.strip():
            continue
        try:
            part = msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            break
        if not isinstance(part, dict):
            break
        parts.append(part)
    return parts


def error(body: bytes) -> dict[str, Any]:
    """{"message", ...} of an error in any of the shapes in use."""
    parts = objects(body)
    if not parts:
        return {"message": body[:600].decode("utf-8", "replace")}
    error = parts[-1].get("error", parts[-1].get("detail"))
    if isinstance(error, dict):
        return error
    return {"message": error} if error is not None else parts[-1]


def count(value: Any) -> int | None:
    ok = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e15
    return int(value) if ok else None


def seconds(header: str) -> float:
    """Retry-After in seconds, at most a minute; a date or nonsense counts as nothing."""
    try:
        return min(60.0, max(0.0, float(header)))
    except ValueError:
        return 0.0


def what(body: bytes) -> str:
    return "an empty body" if not body.strip() else repr(clean_line(body[:200].decode("utf-8", "replace"), 60))
