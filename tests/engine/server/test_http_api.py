"""The HTTP API as a service owner uses it: batches, idempotency, documents, errors, and the OpenAPI document against real answers."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import os
import re
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import pytest
from starlette.responses import Response

from engine.routing.document_run import Extracted
from engine.server import wire
from engine.server.answers import answer, refuse
from engine.server.http import Api
from engine.server.openapi import described
from engine.server.replays import KEPT_S, Replays
from engine.store.stored_document import StoredDocument
from tests import warm
from tests.engine.service.rig import TEXT, EngineRig

TOKEN = "a-token-of-the-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    """In Preparation: everything by frequency. With a token."""
    with pytest.MonkeyPatch.context() as patch, EngineRig(tmp_path_factory.mktemp("api"), speed=None) as made:
        patch.setenv("ROLLOUT_TOKEN", TOKEN)
        made.engine()
        yield made


class HttpReply:
    def __init__(self, status: int, headers: Mapping[str, str], raw: bytes) -> None:
        self.status, self.headers, self.raw = status, {name.lower(): value for name, value in headers.items()}, raw

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def lines(self) -> list[Any]:
        return sorted(map(json.loads, self.raw.splitlines()), key=lambda line: line["index"])


def ask(rig: EngineRig, method: str, path: str, body: Any = None, headers: Mapping[str, str] = BEARER) -> HttpReply:
    url = urlsplit(rig.view.engine.address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, raw, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    output = HttpReply(response.status, dict(response.getheaders()), response.read())
    connection.close()
    return output


# -- batches ---------------------------------------------------------------------------------------------------------------


def test_a_batch_answers_every_document_once_and_a_bad_one_costs_the_others_nothing(rig: EngineRig) -> None:
    documents: list[Any] = [{"id": f"batch/{n}", "text": f"{TEXT} Number {n}."} for n in range(130)]
    documents[3] = {"id": "bad\x1bid", "text": TEXT}
    documents[50] = {"id": "no text"}
    documents[51] = {"id": "x", "text": TEXT, "method": "guess"}
    documents[129] = "a word"
    output = ask(rig, "POST", "/v1/extract:batch", {"documents": documents})
    assert (output.status, output.headers["content-type"]) == (200, "application/x-ndjson")
    assert [line["index"] for line in output.lines] == list(range(130))
    bad = {line["index"]: (line["status"], line["code"]) for line in output.lines if not line["ok"]}
    assert bad == {3: (422, "document"), 50: (422, "fields"), 51: (422, "fields"), 129: (422, "fields")}
    alone = ask(rig, "POST", "/v1/extract", {**documents[7], "id": "alone/7"}).json
    assert output.lines[7]["keywords"] == alone["keywords"]
    assert output.lines[7]["ms"] > 0
    for line in output.raw.splitlines():
        msgspec.json.decode(line, type=wire.DocumentLine if b'"ok":true' in line else wire.ProblemLine)
    assert ask(rig, "GET", "/v1/documents/batch/7").json["keywords"] == alone["keywords"]


@pytest.mark.parametrize("documents", [[], [{"id": "a", "text": "b"}] * 1001, "x", None, {"a": 1}])
def test_a_batch_of_none_of_too_many_or_of_another_shape_is_422(rig: EngineRig, documents: Any) -> None:
    output = ask(rig, "POST", "/v1/extract:batch", {"documents": documents})
    assert (output.status, output.json["code"]) == (422, "fields")


def test_a_client_that_leaves_a_batch_leaves_an_engine_that_works(rig: EngineRig) -> None:
    url = urlsplit(rig.view.engine.address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=60)
    body = json.dumps({"documents": [{"id": f"left/{n}", "text": TEXT * 5 + str(n)} for n in range(1000)]})
    connection.request("POST", "/v1/extract:batch", body, {"Content-Type": "application/json", **BEARER})
    connection.getresponse().read(100)
    connection.close()
    assert ask(rig, "POST", "/v1/extract", {"id": "after", "text": TEXT}).status == 200


def children(pid: int) -> set[int]:
    made = set()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(pid):
                made.add(int(entry.name))
    return made


def test_workers_end_with_an_engine_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUT_TOKEN", raising=False)
    with warm.executed(), EngineRig(tmp_path, speed=None) as rig:  # its children are its own alone
        process = rig.engine()
        assert ask(rig, "POST", "/v1/extract:batch", {"documents": [{"id": "a", "text": TEXT}]}, {}).status == 200
        beside = children(process.pid)
        assert beside or len(os.sched_getaffinity(0)) == 1
        process.kill()
        process.wait()
        assert rig.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in beside), 30.0)


# -- documents -------------------------------------------------------------------------------------------------------------


def test_a_document_is_read_and_deleted_with_the_token_alone(rig: EngineRig) -> None:
    name = "a folder/ü & more?.md"
    ask(rig, "POST", "/v1/extract", {"id": name, "text": TEXT})
    path = f"/v1/documents/{quote(name)}"
    for method in ("GET", "DELETE"):
        shut = ask(rig, method, path, headers={})
        assert (shut.status, shut.json["code"]) in ((401, "token"), (403, "token"))
        assert ask(rig, method, path, headers={**BEARER, "Origin": "https://evil.example"}).status == 403
    assert "text" not in ask(rig, "GET", path).json
    assert ask(rig, "GET", f"{path}?text=1").json["text"].strip() == TEXT.strip()
    assert ask(rig, "GET", path).json["updated"].endswith("Z")
    assert ask(rig, "DELETE", path).status == 200
    for method in ("GET", "DELETE"):
        gone = ask(rig, method, path)
        assert (gone.status, gone.json["code"]) == (404, "no_document")


def test_without_a_token_set_documents_are_not_read_over_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUT_TOKEN", raising=False)
    with EngineRig(tmp_path, speed=None) as rig:
        rig.engine()
        assert ask(rig, "POST", "/v1/extract", {"id": "a", "text": TEXT}, {}).status == 200
        shut = ask(rig, "GET", "/v1/documents/a", headers={})
        assert (shut.status, shut.json["code"]) == (403, "token")
        assert rig.client.request("GET", "/v1/documents/a")[1]["id"] == "a"  # whoever may open the store's socket


# -- errors, names, retries ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/extract", b"{", 400, "json"),
        ("POST", "/v1/extract", b'{"id": "a"}', 422, "fields"),
        ("POST", "/v1/extract", b'{"id": 5, "text": "x"}', 422, "fields"),
        ("POST", "/v1/extract", b'{"id": "a", "text": "x", "method": "y"}', 422, "method"),
        ("POST", "/v1/extract", b'{"id": "", "text": "x"}', 422, "document"),
        ("POST", "/v1/extract", b'{"id": "a", "text": "x", "method": "llm"}', 409, "refused"),
        ("POST", "/v1/extract:batch", b"{", 400, "json"),
        ("POST", "/v1/feedback", b"[]", 400, "json"),
        ("POST", "/v1/feedback", b'{"kind": "x"}', 400, "fields"),
        ("GET", "/v1/nothing", None, 404, "route"),
        ("PUT", "/v1/extract", b"{}", 405, "route"),
        ("DELETE", "/metrics", None, 405, "route"),
    ],
)
def test_every_error_is_json_with_a_code_and_the_request_s_name(
    rig: EngineRig, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    output = ask(rig, method, path, body, {**BEARER, "X-Request-Id": "mine-1"})
    assert (output.status, output.json["code"], output.headers["x-request-id"]) == (status, code, "mine-1")
    assert output.json["error"].rstrip().endswith((".", "...", "]"))
    msgspec.json.decode(output.raw, type=wire.Problem)


def test_a_name_that_could_act_is_replaced(rig: EngineRig) -> None:
    for given in ("a b", "x" * 200, "é"):
        name = ask(rig, "GET", "/healthz", headers={"X-Request-Id": given.encode().decode("latin-1")}).headers[
            "x-request-id"
        ]
        assert re.fullmatch(r"[0-9a-f]{32}", name)


def test_each_request_without_a_name_gets_one_of_its_own(rig: EngineRig) -> None:
    names = [ask(rig, "GET", "/healthz", headers={}).headers["x-request-id"] for _ in range(3)]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{32}", name) for name in names)


def test_health_names_service_and_environment(rig: EngineRig) -> None:
    output = ask(rig, "GET", "/healthz", headers={}).json
    assert (output["ok"], output["service"], output["environment"]) == (True, rig.plan.service, "test")


def test_the_same_key_and_request_is_done_once_and_another_body_is_refused(rig: EngineRig) -> None:
    rating = {"kind": "rating", "value": 4, "document": "x"}
    key = {**BEARER, "Idempotency-Key": "k-1"}
    first, again = (ask(rig, "POST", "/v1/feedback", rating, key) for _ in range(2))
    assert (first.status, again.raw) == (200, first.raw)
    assert again.headers["idempotency-replayed"] == "true"
    other = ask(rig, "POST", "/v1/feedback", {**rating, "value": 1}, key)
    assert (other.status, other.json["code"]) == (422, "idempotency_key")
    rig.until(lambda: rig.reader.read(lambda conn: conn.execute("SELECT count(*) FROM feedback").fetchone()[0]) >= 1)
    assert rig.reader.read(lambda conn: conn.execute("SELECT count(*) FROM feedback").fetchone()[0]) == 1
    assert ask(rig, "POST", "/v1/extract", {"id": "k", "text": TEXT}, {**BEARER, "Idempotency-Key": ""}).status == 400


def test_a_key_holds_across_a_restart_and_a_late_repeat_does_not_bring_an_old_text_back(rig: EngineRig) -> None:
    def sent(path: str, key: str, body: Any) -> HttpReply:
        return ask(rig, "POST", path, body, {**BEARER, "Idempotency-Key": key})

    def count(query: str) -> int:
        return int(rig.reader.read(lambda conn: conn.execute(f"SELECT count(*) FROM {query}").fetchone()[0]))

    old, new = ({"id": "again", "text": f"{TEXT} {word}"} for word in ("old", "new"))
    first, _, other = (
        sent("/v1/extract", "d-1", old),
        sent("/v1/extract", "d-2", new),
        sent("/v1/extract", "d-3", {**old, "id": "gone"}),
    )
    assert ask(rig, "DELETE", "/v1/documents/gone").status == 200
    clicks = [("f-1", {"kind": "click", "document": "x"}), ("f-2", {"kind": "impression", "document": "x"})]
    assert all(sent("/v1/feedback", key, click).json["data"]["new"] for key, click in clicks)
    assert rig.until(
        lambda: count("feedback WHERE kind <> 'rating'") == 2 and count("replay WHERE document_id = 'again'") == 2
    )
    assert (other.status, count("replay WHERE document_id = 'gone'")) == (200, 0)  # nothing is kept of it
    running = rig.running()
    running.kill()
    running.wait()
    rig.engine()
    late = sent("/v1/extract", "d-1", old)
    assert (late.raw, late.headers["idempotency-replayed"]) == (first.raw, "true")
    assert ask(rig, "GET", "/v1/documents/again?text=1").json["text"].strip().endswith("new")
    assert sent("/v1/extract", "d-1", new).json["code"] == "idempotency_key"
    assert not any(sent("/v1/feedback", key, click).json["data"]["new"] for key, click in reversed(clicks))


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GARBAGE\r\n\r\n", 400, "http"), (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 400, "http"),
        (b"GET /" + b"a" * 20_000, 431, "size"), (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 20_000, 431, "size"),
        (b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a-token-of-the-test\r\nContent-Type: application/json\r\n"
         b"X-Request-Id: mine-2\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "http"),
    ],
)  # fmt: skip
def test_what_is_not_http_is_answered_in_json_under_a_request_id(
    rig: EngineRig, sent: bytes, status: int, code: str
) -> None:
    url = urlsplit(rig.view.engine.address)
    with socket.create_connection((url.hostname, url.port), 60) as connection:
        connection.sendall(sent)
        response = http.client.HTTPResponse(connection)
        response.begin()
        problem = msgspec.json.decode(response.read(), type=wire.Problem)
    assert (response.status, problem.code) == (status, code)
    assert re.fullmatch("mine-2" if b"mine-2" in sent else r"[0-9a-f]{32}", response.getheader("x-request-id", ""))


@pytest.mark.parametrize("path", ["/v1/extract", "/v1/extract:batch", "/v1/feedback"])
def test_a_compressed_body_is_refused_as_compressed(rig: EngineRig, path: str) -> None:
    body = gzip.compress(json.dumps({"id": "a", "text": TEXT}).encode())
    output = ask(rig, "POST", path, body, {**BEARER, "Content-Encoding": "gzip"})
    assert (output.status, output.json["code"]) == (415, "content_encoding")


def test_a_path_or_method_without_a_route_is_named_with_what_to_use(rig: EngineRig) -> None:
    assert "/openapi.json" in ask(rig, "GET", "/v1/nothing").json["error"]
    wrong = ask(rig, "PUT", "/v1/documents/a", b"{}")
    assert (wrong.status, wrong.headers["allow"]) == (405, "DELETE, GET, HEAD")
    assert wrong.headers["allow"] in wrong.json["error"]


def test_answers_to_try_again_are_not_kept_and_one_in_flight_is_waited_for() -> None:
    now, done = [0.0], []
    replays = Replays(clock=lambda: now[0])

    def doing(made: Response, wait: float = 0.0) -> Callable[[], Awaitable[Response]]:
        async def do() -> Response:
            done.append(made.status_code)
            await asyncio.sleep(wait)
            return made

        return do

    async def play() -> None:
        await replays.once("a", b"x", doing(refuse(503, "store", "No.")))
        await replays.once("a", b"x", doing(answer(200, 1)))
        assert done == [503, 200]
        both = await asyncio.gather(*(replays.once("b", b"x", doing(answer(200, 2), 0.05)) for _ in range(2)))
        assert (done, [made.body for made in both]) == ([503, 200, 200], [b"2", b"2"])
        now[0] += KEPT_S + 1
        await replays.once("b", b"x", doing(answer(200, 3)))
        assert done[-2:] == [200, 200]

    asyncio.run(play())


# -- the OpenAPI document --------------------------------------------------------------------------------------------------


def test_openapi_json_names_every_route_and_every_reference_resolves(rig: EngineRig) -> None:
    document = ask(rig, "GET", "/openapi.json").json
    assert document == json.loads(json.dumps(described(rig.plan.service, "test")))
    app: Any = Api(None, None).application()  # type: ignore[arg-type]
    routes = {
        (route.path.replace(":path}", "}"), method.lower())
        for route in app._app.routes
        for method in route.methods - {"HEAD"}
        if "control" not in route.path
    }
    assert {(path, method) for path, of in document["paths"].items() for method in of} == routes

    def references(value: Any) -> Iterator[str]:
        for key, item in (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        ):
            if key == "$ref":
                yield item
            yield from references(item)

    for reference in references(document):
        at = document
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]


ANSWERS = {
    "extract": Extracted, "feedback": wire.Answer, "document": StoredDocument, "deleteDocument": wire.Answer, "health": wire.Health,
}  # fmt: skip


def test_answers_have_the_documented_types(rig: EngineRig) -> None:
    document = described("x", "y")
    asked = {
        "extract": ("POST", "/v1/extract", {"id": "typed", "text": TEXT}), "feedback": ("POST", "/v1/feedback", {"kind": "click", "document": "typed"}),
        "document": ("GET", "/v1/documents/typed", None), "health": ("GET", "/healthz", None), "deleteDocument": ("DELETE", "/v1/documents/typed", None),
    }  # fmt: skip
    by_id = {one["operationId"]: one for of in document["paths"].values() for one in of.values()}
    for name, (method, path, body) in asked.items():
        schema = by_id[name]["responses"]["200"]["content"]["application/json"]["schema"]
        assert schema["$ref"].endswith(f"/{ANSWERS[name].__name__}")
        output = ask(rig, method, path, body)
        assert output.status == 200, output.raw
        msgspec.json.decode(output.raw, type=ANSWERS[name])
        declared = document["components"]["schemas"][ANSWERS[name].__name__]["properties"]
        assert set(output.json) <= set(declared)
    view = document["components"]["schemas"]["View"]["properties"]
    status = ask(rig, "GET", "/v1/status").json
    assert set(status) <= set(view)
    assert set(status["engine"]) == set(document["components"]["schemas"]["EngineView"]["required"])
    assert view["at"]["anyOf"][0] == {"type": "string", "format": "date-time"}
    assert isinstance(status["at"], str)
    assert status["entered_at"] is None
    assert {"type": "null"} in view["entered_at"]["anyOf"]
