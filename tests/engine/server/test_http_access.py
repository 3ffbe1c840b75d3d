"""What is open to whom over HTTP: web pages, other users of the machine, whoever has the token; and that rubbish is refused with a
sentence. Real engines, real sockets."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from engine.server.commands import REQUESTS
from engine.server.guard import Guard, host_name
from tests.engine.service.rig import QUIET, TEXT, EngineRig, as_nobody

JSON = {"Content-Type": "application/json"}
TOKEN = "a-token-of-the-test"
DOCUMENT = {"id": "one", "text": TEXT}
KNOWN = ("/v1/extract", "/v1/feedback", "/v1/status", "/v1/decisions", "/metrics", "/healthz", "/openapi.json", "/")
COMPLAINT = {"kind": "complaint", "text": "wrong keywords", "id": "ticket-1"}


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with EngineRig(tmp_path_factory.mktemp("door"), QUIET) as made:
        made.engine()
        yield made


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    """With a token in the engine's environment, on loopback."""
    with pytest.MonkeyPatch.context() as patch, EngineRig(tmp_path_factory.mktemp("guarded"), QUIET) as made:
        patch.setenv("ROLLOUT_TOKEN", TOKEN)
        made.engine()
        yield made


def ask(
    rig: EngineRig, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Over TCP, with exactly these headers."""
    results = urlsplit(rig.view.engine.address)
    connection = http.client.HTTPConnection(results.hostname or "", results.port, timeout=20)
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    connection.request(method, path, raw, {**({} if body is None else JSON), **(headers or {})})
    response = connection.getresponse()
    status, output = response.status, response.read()
    connection.close()
    return status, json.loads(output) if output.startswith(b"{") else {}


# -- web pages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:8080"}, 200),
        ({"Host": "[::1]:8080"}, 200),
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "evil.example:8080"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "localhost.evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:9", "Host": "localhost:8080"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "text/plain; charset=application/json"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "application/json; charset=utf-8"}, 200),
    ],
)
def test_a_web_page_stores_no_document(rig: EngineRig, headers: dict[str, str], status: int) -> None:
    results, output = ask(rig, "POST", "/v1/extract", DOCUMENT, headers)
    assert results == status, output
    if status != 200:
        assert output["code"] in ("host", "origin", "content_type")
        assert output["error"].endswith(".")


@pytest.mark.parametrize("path", ["/metrics", "/v1/status"])
def test_a_page_that_points_its_name_here_reads_nothing(rig: EngineRig, path: str) -> None:
    assert ask(rig, "GET", path)[0] == 200
    assert ask(rig, "GET", path, headers={"Host": "evil.example"})[0] == 421
    assert ask(rig, "GET", path, headers={"Origin": "http://evil.example"})[0] == 403


def test_the_host_in_a_whole_address_counts_and_the_header_does_not(rig: EngineRig) -> None:
    assert ask(rig, "GET", "http://localhost/metrics", headers={"Host": "evil.example"})[0] == 200
    assert ask(rig, "GET", "http://evil.example/metrics", headers={"Host": "localhost"})[0] == 421
    assert ask(rig, "POST", "http://127.0.0.1:80/v1/extract", DOCUMENT)[0] == 200


# -- complaints --------------------------------------------------------------------------------------------------------------


def test_without_a_token_complaints_over_tcp_are_refused_and_other_feedback_is_accepted(rig: EngineRig) -> None:
    status, output = ask(rig, "POST", "/v1/feedback", COMPLAINT)
    assert (status, output["code"]) == (403, "token")
    assert "complaint" not in rig.kinds()
    assert ask(rig, "POST", "/v1/feedback", {"kind": "rating", "value": 4, "document": "one"})[0] == 200
    assert rig.client.command("feedback", **COMPLAINT).ok


def test_complaints_of_one_user_are_limited_whatever_sources_they_name(rig: EngineRig) -> None:
    taken = [
        rig.client.command("feedback", kind="complaint", text=str(n), source=f"visitor {n}", id=f"many-{n}")
        for n in range(80)
    ]
    assert sum(reply.ok for reply in taken) <= 60
    assert taken[-1].data["code"] == "rate"


# -- the token ---------------------------------------------------------------------------------------------------------------


def test_a_token_holds_on_loopback_too(guarded: EngineRig) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    for path, body in (("/v1/extract", DOCUMENT), ("/v1/feedback", COMPLAINT)):
        for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {TOKEN}é"}):
            status, output = ask(guarded, "POST", path, body, wrong)
            assert (status, output["code"]) == (401, "token")
        assert ask(guarded, "POST", path, body, bearer)[0] == 200
        assert ask(guarded, "POST", path, body, {**bearer, "Host": "rollout.corp.example"})[0] == 200
    pretending = {**bearer, "X-Forwarded-For": "uid:0", "X-Rollout-Actor": json.dumps(["root", "", ""])}
    assert ask(guarded, "POST", "/v1/feedback", {**COMPLAINT, "id": "ticket-2"}, pretending)[0] == 200
    assert {row.actor for row in guarded.reader.log(5, kind="complaint")} == {"http 127.0.0.1"}
    for wrong in ({}, {"Authorization": "Bearer x"}):  # behind a proxy the token is what is missing, not another name
        status, output = ask(guarded, "GET", "/metrics", headers={**wrong, "Host": "rollout.corp.example"})
        assert (status, output["code"]) == (401, "token")
    assert ask(guarded, "GET", "/metrics")[0] == 200
    assert ask(guarded, "GET", "/healthz")[0] == 200


def test_metrics_that_are_open_are_read_from_anywhere_and_nothing_else_is() -> None:
    shut, wide = Guard("0.0.0.0", TOKEN), Guard("0.0.0.0", TOKEN, open_metrics=True)
    scraper = {"host": "staging.xze:8080"}
    for method in ("GET", "HEAD"):
        assert shut.denies(method, "/metrics", scraper) is not None
        assert wide.denies(method, "/metrics", scraper) is None
    assert wide.denies("GET", "/metrics", {**scraper, "origin": "https://evil.example"}) is not None
    for method, path in (
        ("GET", "/v1/status"),
        ("POST", "/v1/extract"),
        ("POST", "/metrics"),
        ("GET", "/metrics/"),
        ("GET", "/openapi.json"),
    ):
        assert wide.denies(method, path, {**scraper, "content-type": "application/json"}) is not None


def test_an_engine_whose_metrics_are_open_gives_them_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_TOKEN", TOKEN)
    with EngineRig(tmp_path, speed=None, settings={"http.host": "0.0.0.0", "http.metrics": "open"}) as rig:
        rig.engine()
        assert ask(rig, "GET", "/metrics", headers={"Host": "staging.xze:8080"})[0] == 200
        assert ask(rig, "GET", "/v1/status", headers={"Host": "127.0.0.1"})[0] == 401


def test_off_loopback_only_healthz_is_open_without_the_token() -> None:
    guard = Guard("0.0.0.0", TOKEN)
    assert guard.denies("GET", "/healthz", {"host": "anything"}) is None
    for method, path in (("GET", "/metrics"), ("GET", "/v1/status"), ("POST", "/v1/extract")):
        denial = guard.denies(method, path, {"host": "10.0.0.7:8080", "content-type": "application/json"})
        assert denial is not None
        assert denial.code == "token"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("[::1]:80", "::1"),
        ("localhost.:80", "localhost"),
        ("A.Example", "a.example"),
        ("", ""),
        ("1.2.3.4", "1.2.3.4"),
        ("localhost:80@evil.example", "localhost:80@evil.example"),
        ("[::1]evil.example", "[::1]evil.example"),
        ("localhost:evil.example", "localhost:evil.example"),
    ],
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert host_name(host) == name


# -- the unix socket ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_another_user_is_refused_on_the_socket_though_its_modes_were_opened() -> None:
    # not in pytest's own folder, which another run of pytest closes
    with tempfile.TemporaryDirectory(prefix="rollout-open-") as above, EngineRig(Path(above) / "open", QUIET) as rig:
        rig.engine()
        for path in (rig.folder.path, *rig.folder.path.parents):
            if path.stat().st_mode & 0o005 != 0o005:
                path.chmod(0o755)
        rig.folder.socket.chmod(0o666)

        def connects(groups: tuple[int, ...] = ()) -> dict[str, Any]:
            def work() -> dict[str, Any]:
                client = socket.socket(socket.AF_UNIX)
                client.settimeout(30)
                client.connect(str(rig.folder.socket))
                with contextlib.suppress(BrokenPipeError):  # it answers without having read, and may be done already
                    client.sendall(b"POST /v1/control/rollback HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
                return {"answer": client.recv(4096).decode()}

            return as_nobody(work, groups)

        assert " 403 " in connects()["answer"], connects()
        assert "rollback" not in rig.kinds()
        rig.folder.path.chmod(0o2775)
        assert " 403 " in connects()["answer"]  # the group's store, and not of the group
        os.chown(rig.folder.path, -1, 4242)
        assert " 200 " in connects((4242,))["answer"]
        assert "rollback" in rig.kinds()


# -- rubbish -----------------------------------------------------------------------------------------------------------------

VALUES: list[Any] = [
    None, True, -1, 10**18, 10**30, -(10**400), 1.5, 1e308, float("nan"), float("inf"), "", "x", "\ud800", "a\x1b[31mb", "\u202e",
    "0" * 5000, [], [[]], {}, {"a": {}}, [1, "\x1b"], "2026-01-01", "1e400", "../../etc/passwd",
]  # fmt: skip
FIELDS = [
    "reason",
    "request_id",
    "seen",
    "to_stage",
    "pressed",
    "epoch",
    "override",
    "override_reason",
    "rev",
    "of",
    "cause",
    "item",
    "note",
    "since",
    "until",
    "stage",
    "bad_window",
    "dry_run",
    "limit",
    "kind",
    "value",
    "text",
    "document",
    "source",
    "id",
    "at",
    "rows",
    "first",
    "file",
    "console",
    "screen",
    "gone",
    "command",
    "output",
    "exit",
    "ms",
    "ended",
    "line",
    "size",
    "seed",
    "blind",
    "sample",
    "better",
    "flaws",
    "rules",
    "documents",
    "days",
    "fired",
    "name",
    "title",
    "method",
]
BODIES = [
    b"", b"{", b"[]", b"null", b"\xff\xfe{}", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 5000, b'{"id": 1, "text": []}', b"NaN",
    '{"id": "a", "text": "b"}'.encode("utf-16"), b'{"id": "\\ud800", "text": "\\udfff"}', b'{"id": "x", "text": "\\u0000"}',
    b'{"id": "x", "id": "y", "text": ""}', b'{"id": ' + b"9" * 400 + b', "text": "x"}',
]  # fmt: skip


def rubbish(number: int) -> bytes:
    chance = random.Random(number)
    body = {name: chance.choice(VALUES) for name in chance.sample(FIELDS, chance.randint(0, 12))}
    raw = json.dumps(body).encode()
    if chance.random() < 0.2:
        at = chance.randrange(len(raw))
        raw = raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]
    return raw


def fits(status: int, output: bytes) -> bool:
    return status < 500 and b"Traceback" not in output and b"\x1b" not in output and b"\\u001b" not in output


def test_rubbish_on_tcp_is_refused_with_a_sentence(rig: EngineRig) -> None:
    results = urlsplit(rig.view.engine.address)
    for path in ("/v1/extract", "/v1/feedback"):
        for body in [*BODIES, *map(rubbish, range(60))]:
            connection = http.client.HTTPConnection(results.hostname or "", results.port, timeout=20)
            connection.request("POST", path, body, JSON)
            answer = connection.getresponse()
            assert fits(answer.status, answer.read()), (path, body[:300])
            connection.close()
    assert "Traceback" not in rig.folder.engine_log.read_text()


def test_rubbish_on_the_unix_socket_is_refused_with_a_sentence_and_does_not_act_on_a_terminal(rig: EngineRig) -> None:
    kinds = [*(kind for kind in REQUESTS if kind not in ("stop", "speed")), "rollback", "nonsense"]
    for number, kind in enumerate(kinds * 8):
        connection = http.client.HTTPConnection("x")
        connection.sock = rig.folder.connect(20)
        who = ["", "5", "null", "[1,2,3]", "[" * 3000, '["a\\u001b[31m", "", ""]'][number % 6]
        connection.request("POST", f"/v1/control/{kind}", rubbish(number), {"X-Rollout-Actor": who})
        answer = connection.getresponse()
        assert fits(answer.status, answer.read()), (kind, rubbish(number))
        connection.close()
    assert "Traceback" not in rig.folder.engine_log.read_text()
    for row in rig.reader.log(2000):
        assert (row.sentence + row.reason + row.actor).isprintable()


def test_what_a_rollback_states_in_its_reason_does_not_keep_it_from_acting(tmp_path: Path) -> None:
    with EngineRig(tmp_path, QUIET) as rig:
        rig.engine()
        rig.climb(3)

        def pushed() -> bool:
            result = rig.client.rollback("why \ud800 \x1b[2J", seen="\udfff")
            assert result.ok
            return result.pushed

        assert rig.until(pushed)  # a busy engine may miss the client's fifth of a second
        assert rig.until(lambda: rig.percent_bp == 0)
        assert rig.reader.log(1, kind="rollback")[0].reason.isprintable()


def test_no_path_leads_elsewhere(rig: EngineRig) -> None:
    """A redirect goes to the address that the Host header names."""
    paths = (*KNOWN, "/v1/feedback/", "/v1/extract/", "/v1/extract:batch/", "/v1/status/", "/metrics/", "/live/", "//")
    for path in (*paths, "/v1//status", "/v1/documents", "/v1/worker/x/", "/v1/control/rollback/", "/v1/status%2f"):
        for method in ("GET", "POST", "PUT", "OPTIONS", "TRACE", "FOO"):
            status, _ = ask(rig, method, path, {} if method == "POST" else None)
            assert status in (200, 400, 401, 403, 404, 405, 422), (method, path)


@pytest.mark.parametrize(
    "raw",
    [
        b"rubbish\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 200,  # a TLS client
        b"GET /metrics HTTP/1.1\r\n\r\n",  # no Host
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{}",
        b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /v1/extract HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        # two lengths: what comes after the shorter one is no second request
        b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"POST /v1/extract HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\n \r\n" * 100_000,
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_invalid_http_is_answered_once_and_closed(rig: EngineRig, raw: bytes) -> None:
    results = urlsplit(rig.view.engine.address)
    with socket.create_connection((results.hostname, results.port), timeout=20) as client:
        output = b""
        try:
            client.sendall(raw)
            while more := client.recv(65536):
                output += more
        except ConnectionError:
            pass  # closed while it still sent
    assert output == b"" or output.startswith((b"HTTP/1.1 4", b"HTTP/1.1 421")), output
    assert output.count(b"HTTP/1.1 ") <= 1
    assert b"Traceback" not in output
    assert rig.client.request("GET", "/healthz")[0] == 200
