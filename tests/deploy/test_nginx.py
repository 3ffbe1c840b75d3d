"""A real nginx with the help's configuration in front of a real engine: TLS, the token, the page's events, batches."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from rollout_console import Client, Rejected

from tests.engine.service.rig import TEXT, EngineRig
from tests.machine import crowd, free_port, patience

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None or shutil.which("openssl") is None, reason="nginx or openssl is missing")
CONFIG = Path(__file__).parents[2] / ".deploy" / "nginx.conf"
TOKEN = "a-token-of-the-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PASSWORD = {"Authorization": "Basic " + base64.b64encode(f"bo:{TOKEN}".encode()).decode()}
AROUND = """\
daemon off; pid nginx.pid; error_log error.log; worker_processes 1; {user}
events {{ worker_connections 64; }}
http {{ access_log off; lingering_time 10m; lingering_timeout 60s; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
{rollout}
}}
"""


class Nginx:
    def __init__(self, folder: Path, upstream: str) -> None:
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=rollout.example.com",
             "-addext", "subjectAltName=DNS:rollout.example.com", "-keyout", "rollout.key", "-out", "rollout.pem"],
            cwd=folder, capture_output=True, check=True,
        )  # fmt: skip
        text = CONFIG.read_text()
        for old, new in (
            ("server 127.0.0.1:8080;", f"server {upstream};"),
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("/etc/nginx/", f"{folder}/"),
        ):
            assert old in text
            text = text.replace(old, new)
        (folder / "nginx.conf").write_text(AROUND.format(rollout=text, user="user root;" if os.geteuid() == 0 else ""))
        assert NGINX is not None
        tested = subprocess.run([NGINX, "-t", "-p", str(folder), "-c", "nginx.conf"], capture_output=True, check=False)
        assert tested.returncode == 0, tested.stderr
        self.process = subprocess.Popen([NGINX, "-p", str(folder), "-c", "nginx.conf"], stderr=subprocess.DEVNULL)

    def connect(self) -> http.client.HTTPSConnection:
        trust = ssl.create_default_context(cafile=str(self.folder / "rollout.pem"))
        connection = http.client.HTTPSConnection("rollout.example.com", self.port, timeout=20, context=trust)
        for _ in patience(10.0):
            with contextlib.suppress(OSError):
                plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
                break
            time.sleep(0.05)
        connection.sock = trust.wrap_socket(plain, server_hostname="rollout.example.com")
        return connection

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        connection = self.connect()
        raw = None if body is None else json.dumps(body).encode()
        named = {"Host": "rollout.example.com", "Content-Type": "application/json", **headers}
        connection.request(method, path, raw, named)
        answer = connection.getresponse()
        read = answer.status, answer.read(), answer.headers
        connection.close()
        return read


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with pytest.MonkeyPatch.context() as patch, EngineRig(tmp_path_factory.mktemp("engine"), speed=None) as made:
        patch.setenv("ROLLOUT_TOKEN", TOKEN)
        made.engine()
        yield made


@pytest.fixture(scope="module", params=["tcp", "socket"])
def nginx(rig: EngineRig, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    tcp = urlsplit(rig.view.engine.address).netloc
    upstream = tcp if request.param == "tcp" else f"unix:{rig.folder.socket}"
    made = Nginx(tmp_path_factory.mktemp("nginx") / request.param, upstream)
    made.by_socket = request.param == "socket"  # type: ignore[attr-defined]
    try:
        yield made
    finally:
        made.process.terminate()
        made.process.wait(10)


def test_a_service_and_a_person_get_through_with_the_token(nginx: Nginx) -> None:
    status, body, headers = nginx.ask(
        "POST", "/v1/extract", {"id": "a", "text": TEXT}, **BEARER, **{"X-Request-Id": "mine-1"}
    )
    assert status == 200, body
    assert headers["x-request-id"] == "mine-1"
    assert json.loads(body)["keywords"]
    assert nginx.ask("GET", "/healthz")[0] == 200
    status, body, headers = nginx.ask("GET", "/metrics", Accept="text/plain", **BEARER)
    assert (status, b"rollout_info{" in body) == (200, True)
    status, body, headers = nginx.ask("GET", "/", **PASSWORD)
    assert status == 200
    assert b"What happens next" in body
    assert "default-src 'none'" in headers["content-security-policy"]


def test_without_the_token_nothing_is_open_and_a_browser_is_asked(nginx: Nginx) -> None:
    if nginx.by_socket:  # type: ignore[attr-defined]
        pytest.skip("behind the socket everyone is a member of the store's group, as in the help")
    for method, path, body in (
        ("GET", "/v1/status", None),
        ("GET", "/metrics", None),
        ("POST", "/v1/extract", {"id": "a", "text": TEXT}),
    ):
        status, answer, headers = nginx.ask(method, path, body)
        assert (status, json.loads(answer)["code"]) == (401, "token")
        assert headers["www-authenticate"].startswith("Bearer ")
    status, _, headers = nginx.ask("GET", "/")
    assert status == 401
    assert headers["www-authenticate"].startswith("Basic ")


def test_no_one_can_decide_through_the_proxy(nginx: Nginx, rig: EngineRig) -> None:
    before = rig.reader.state().rev
    for path in (
        "/v1/control/rollback",
        "/v1/control/promote",
        "//v1/control/rollback",
        "/v1/%63ontrol/rollback",
        "/x/../v1/control/hold",
    ):
        status, _, _ = nginx.ask("POST", path, {"reason": "x"}, **BEARER)
        assert status in (403, 404, 405), path
    assert rig.reader.state().rev == before


def test_the_page_s_events_come_as_they_happen(nginx: Nginx) -> None:
    connection = nginx.connect()
    connection.request("GET", "/live", headers={"Host": "rollout.example.com", **PASSWORD})
    answer = connection.getresponse()
    assert answer.status == 200
    began, events = time.monotonic(), 0
    while events < 2:
        events += answer.readline().startswith(b"event: view")
    assert time.monotonic() - began < 15 * crowd()
    connection.close()


def test_a_batch_streams_through(nginx: Nginx) -> None:
    documents = [{"id": f"n/{n}", "text": f"{TEXT} {n}"} for n in range(300)]
    status, body, _ = nginx.ask("POST", "/v1/extract:batch", {"documents": documents}, **BEARER)
    assert status == 200
    assert sorted(json.loads(line)["index"] for line in body.splitlines()) == list(range(300))


def test_a_client_names_the_proxy_where_the_proxy_answered(nginx: Nginx) -> None:
    trust = ssl.create_default_context(cafile=str(nginx.folder / "rollout.pem"))
    trust.check_hostname = False  # it asks by address
    nginx.connect().close()
    with Client(f"https://127.0.0.1:{nginx.port}", token=TOKEN, timeout_s=20, ssl_context=trust) as client:
        assert client.extract("proxied", TEXT).keywords
        with pytest.raises(Rejected, match="before the engine") as refused:
            client.extract("long", "word " * 9_000_000)
        assert (refused.value.status, refused.value.code) == (413, "http")
