"""Answers as JSON. Every error has a `code` for programs and an `error` for people."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from engine.client.client import Reply

CLOSE = {"connection": "close"}
RATE_AGAIN_S = 60.0
STATUS = {"no_document": 404}  # of a command's refusal, by its code; else 409

_encoder = msgspec.json.Encoder()


def answer(status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(_encoder.encode(body), status, headers, media_type="application/json")


def refuse(
    status: int, code: str, sentence: str, headers: dict[str, str] | None = None, retry_after_s: float | None = None
) -> Response:
    """An error. `retry_after_s`: when to send the same request again."""
    body: dict[str, Any] = {"ok": False, "error": sentence, "sentence": sentence, "code": code}
    if retry_after_s is not None:
        body["retry_after_s"] = retry_after_s
        headers = {"retry-after": f"{retry_after_s:.0f}", **(headers or {})}
    return answer(status, body, headers)


def of_reply(reply: Reply) -> Response:
    """A command's answer; a refusal carries its code and sentence like any error."""
    if reply.ok:
        return answer(200, reply)
    code = str(reply.data.get("code") or "refused")
    status = int(reply.data.get("status") or STATUS.get(code, 409))
    if status == 400 and code == "refused":
        code = "fields"
    body = {"ok": False, "error": reply.sentence, "sentence": reply.sentence, "code": code, "data": reply.data}
    return answer(status, body, {"retry-after": f"{RATE_AGAIN_S:.0f}"} if status == 429 else None)
