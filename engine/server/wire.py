"""The HTTP API as types: the requests and answers that engine/server/http.py handles and openapi.py
describes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from engine.routing.admission import ID_LIMIT
from engine.routing.document_run import Extracted
from engine.view.model import DecisionView

MOST_DOCUMENTS = 1000

MethodAsked = Literal["auto", "llm", "frequency"]
Id = Annotated[
    str,
    Meta(
        description=f"One line of visible text, at most {ID_LIMIT} characters.",
        examples=["docs/a.md"],
        extra_json_schema={"minLength": 1, "maxLength": ID_LIMIT},
    ),
]
Text = Annotated[str, Meta(description="At most 10 million characters.", examples=["The worker pool retries."])]


class ExtractRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A document. Sending the same id again replaces it."""

    id: Id
    text: Text
    title: str = ""
    method: Annotated[MethodAsked, Meta(description="auto follows the rollout's percentage.")] = "auto"
    bulk: Annotated[
        bool, Meta(description="No client is waiting for it: others go first, and it may be refused with 429.")
    ] = False


class BatchRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 documents. Each is validated separately: an invalid one does not affect the others. All of them are
    bulk work."""

    documents: Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MOST_DOCUMENTS)]


class DocumentLine(Extracted, frozen=True):
    """A line of the batch's answer for a document that is stored."""

    index: Annotated[
        int, Meta(ge=0, description="Its position in the request, counted from 0; lines arrive as documents complete.")
    ] = 0
    ok: Literal[True] = True
    status: Literal[200] = 200


class Problem(Struct, frozen=True):
    """Any error answer: `code` is stable, for programs; `error` is a sentence for people."""

    error: str
    code: str
    sentence: str
    ok: Literal[False] = False
    request_id: str | msgspec.UnsetType = msgspec.UNSET
    retry_after_s: float | msgspec.UnsetType = msgspec.UNSET


class ProblemLine(Struct, frozen=True):
    """A line of the batch's answer for a document that is not stored."""

    index: Annotated[int, Meta(ge=0)]
    status: int
    error: str
    code: str
    id: str | msgspec.UnsetType = msgspec.UNSET
    ok: Literal[False] = False
    retry_after_s: float | msgspec.UnsetType = msgspec.UNSET


class FeedbackRequest(Struct, frozen=True):
    """A user's click, rating or complaint. A complaint over TCP needs the token."""

    kind: Literal["complaint", "rating", "click", "impression"]
    document: str | None = None
    value: float | None = None
    text: str | None = None
    source: str | None = None
    id: Annotated[str | None, Meta(description="Counted once per id.")] = None


class Answer(Struct, frozen=True):
    """The outcome in a sentence; `data` has what a program needs."""

    ok: bool
    sentence: str
    data: dict[str, Any] = {}


class Decisions(Struct, frozen=True):
    """Rows of the log, newest first."""

    decisions: tuple[DecisionView, ...]


class Health(Struct, frozen=True):
    ok: bool
    sentence: str
    service: str
    environment: str
    code: str | msgspec.UnsetType = msgspec.UNSET
