"""The OpenAPI 3.1 document of the HTTP API, made from the types that the routes read and write."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import msgspec

from engine.routing.document_run import Extracted
from engine.server import wire
from engine.store.stored_document import StoredDocument
from engine.view import model
from engine.view.iso_times import MOMENTS, NOT_YET

VERSION = "1"
REF = "#/components/schemas/{name}"
TYPES = (
    wire.ExtractRequest, wire.BatchRequest, wire.FeedbackRequest, Extracted, wire.DocumentLine, wire.ProblemLine,
    wire.Problem, wire.Answer, StoredDocument, wire.Decisions, wire.Health, model.View,
)  # fmt: skip

ERRORS = {
    400: "Not JSON, or an unreadable header",
    401: "The token is missing",
    403: "A web page of another site, or a request that needs the token",
    404: "No such document",
    408: "The body was not complete in time",
    409: "Refused in the current state; `error` gives the reason",
    413: "More than 41 MB",
    415: "Not application/json",
    421: "Wrong Host header",
    422: "Valid JSON, but not a valid request",
    429: "Too many documents are waiting; Retry-After gives the time to retry",
    431: "The request's line and headers are larger than 16 KB",
    500: "The engine failed; engine.log has the reason",
    503: "The store accepts nothing now, or the engine is starting; Retry-After gives the time to retry",
}
AGAIN = (429, 503)
COMMON = (401, 403, 421, 431, 500, 503)
SENT = (400, 408, 413, 415, 422)


def described(service: str, environment: str) -> dict[str, Any]:
    """The whole document."""
    _, components = msgspec.json.schema_components(TYPES, ref_template=REF)
    for name, schema in components.items():
        _with_moments(schema)
        if hasattr(model, name) and not hasattr(wire, name):  # written whole; the defaults are for what makes it
            schema["required"] = list(schema["properties"])
    for problem in ("Problem", "ProblemLine"):
        components[problem]["properties"]["code"]["description"] = _codes()
    components["BatchRequest"]["properties"]["documents"]["items"] = {"$ref": REF.format(name="ExtractRequest")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rollout engine",
            "version": VERSION,
            "description": f"Keyword extraction for {service} in {environment}. Errors are JSON with `code` and "
            "`error`; every answer has X-Request-Id, the caller's own if it sent one.",
        },
        "paths": _paths_of_documents() | _paths_of_the_rollout(),
        "security": [{}, {"token": []}],
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "headers": {
                "RequestId": {"schema": {"type": "string"}, "description": "The name of this request."},
                "RetryAfter": {"schema": {"type": "integer", "minimum": 0}, "description": "Seconds."},
            },
            "parameters": {
                "IdempotencyKey": {
                    "name": "Idempotency-Key",
                    "in": "header",
                    "required": False,
                    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[\\x21-\\x7e]+$"},
                    "description": "A repeated request has its effect once and gets the same answer for a day; of a "
                    "document also after a restart of the engine.",
                },
                "RequestId": {
                    "name": "X-Request-Id",
                    "in": "header",
                    "required": False,
                    "schema": {"type": "string"},
                    "description": "Up to 128 characters of A-Z a-z 0-9 . _ : / + = @ -; "
                    "otherwise the engine generates one.",
                },
            },
        },
    }


def _codes() -> str:
    known = tomllib.loads((files("engine") / "error_codes.toml").read_text(encoding="utf-8"))
    return "For programs. " + "; ".join(f"`{code}`: {meaning}" for code, meaning in known.items()) + "."


def _with_moments(schema: dict[str, Any]) -> None:
    """Times are ISO 8601 on the outside (see engine/view/iso_times.py); the types have seconds."""
    for name, of in schema.get("properties", {}).items():
        kinds = of.get("anyOf", [of])
        if name in MOMENTS and any(kind.get("type") in ("number", "string") for kind in kinds):
            null = [{"type": "null"}] if name in NOT_YET or {"type": "null"} in kinds else []
            schema["properties"][name] = {
                "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}, *null]
            }


def _paths_of_documents() -> dict[str, Any]:
    once = [{"$ref": "#/components/parameters/IdempotencyKey"}]
    path: dict[str, Any] = {"in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    document = {"name": "id", **path, "description": "The document's id; slashes need no escaping."}
    kind = {**path, "name": "kind", "description": "What a worker asks; its messages may change with the version."}
    text = _query("text", {"enum": ["0", "1"]}, "1: with its text.")
    line = {"oneOf": [{"$ref": REF.format(name=name)} for name in ("DocumentLine", "ProblemLine")]}
    lines = {"application/x-ndjson": {"schema": {"type": "string"}, "x-line": line}}
    batch = "Up to 1,000 documents; a JSON line for each as it is done"
    worker = "For workers of the same version: lease, watch"
    counted = (*SENT, 409, 429)
    return {
        "/v1/extract": {
            "post": _operation(
                "extract", "Keywords for one document, stored", _json("Extracted"), counted, "ExtractRequest", once
            )
        },
        "/v1/extract:batch": {"post": _operation("extractBatch", batch, lines, SENT, "BatchRequest")},
        "/v1/feedback": {
            "post": _operation(
                "feedback", "A user's click, rating or complaint", _json("Answer"), counted, "FeedbackRequest", once
            )
        },
        "/v1/documents/{id}": {
            "get": _operation(
                "document", "A stored document", _json("StoredDocument"), (404,), "", [document, text], True
            ),
            "delete": _operation(
                "deleteDocument", "Delete a document permanently", _json("Answer"), (404, 409), "", [document], True
            ),
        },
        "/v1/worker/{kind}": {"post": _operation("worker", worker, _json(), (*SENT, 404, 409, 429), "", [kind], True)},
    }


def _paths_of_the_rollout() -> dict[str, Any]:
    between = [
        _query("from", {"type": "string"}, "ISO 8601, or milliseconds since 1970."),
        _query("to", {"type": "string"}, "The same, exclusive; now if left out."),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "100 if left out."),
        _query("kind", {"type": "string"}, "Only these kinds, separated by commas: promote,rollback."),
    ]
    object_ = {"application/json": {"schema": {"type": "object"}}}
    text: dict[str, Any] = {"schema": {"type": "string"}}
    figures = "Figures as JSON, or as Prometheus text if the request accepts it"
    changes = "The page's changes, as server-sent events"
    routes = {
        "/v1/status": _operation("status", "The state of the rollout", _json("View")),
        "/v1/decisions": _operation(
            "decisions", "The log between two moments, newest first", _json("Decisions"), (422,), "", between
        ),
        "/healthz": _operation("health", "Whether the engine is healthy; open to everyone", _json("Health")),
        "/metrics": _operation("metrics", figures, {**object_, "text/plain": text}),
        "/": _operation("page", "The rollout as a read-only page", {"text/html": text}, (404,)),
        "/live": _operation("live", changes, {"text/event-stream": {}}, (404,)),
        "/openapi.json": _operation("openapi", "This document", object_),
    }
    return {path: {"get": operation} for path, operation in routes.items()}


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _json(name: str = "") -> dict[str, Any]:
    """JSON of a named type, or of any."""
    return {"application/json": {"schema": {"$ref": REF.format(name=name)} if name else {}}}


def _operation(
    name: str,
    summary: str,
    content: dict[str, Any],
    errors: tuple[int, ...] = (),
    body: str = "",
    parameters: Sequence[dict[str, Any]] = (),
    token: bool = False,
) -> dict[str, Any]:
    named = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
    again = {**named, "Retry-After": {"$ref": "#/components/headers/RetryAfter"}}
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "parameters": [*parameters, {"$ref": "#/components/parameters/RequestId"}],
        "responses": {"200": {"description": "Done", "headers": named, "content": content}},
    }
    if token:
        operation["security"] = [{"token": []}]
    if body:
        operation["requestBody"] = {"required": True, "content": _json(body)}
    for status in sorted({*errors, *COMMON}):
        problem = _json("Health" if name == "health" and status == 503 else "Problem")
        headers = again if status in AGAIN else named
        operation["responses"][str(status)] = {"description": ERRORS[status], "headers": headers, "content": problem}
    return operation
