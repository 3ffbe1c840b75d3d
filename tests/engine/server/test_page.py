"""The page at `/`: who may see it, what it shows, and how it looks and lives in a real Chromium."""

from __future__ import annotations

import base64
import http.client
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace

from engine.report import live
from engine.report.live import LiveTrends
from engine.server.guard import Guard
from engine.text import percent
from engine.view.model import DecisionView, TaskView
from tests.chromium import PROGRAM, Chromium
from tests.console.samples import NORMAL
from tests.engine.service.rig import QUIET, EngineRig
from tests.machine import crowd

TOKEN = "a-token-of-the-test"
BROWSER = pytest.mark.skipif(PROGRAM is None, reason="chromium is not installed")
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>\x1b[31m"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with EngineRig(tmp_path_factory.mktemp("page"), QUIET) as made:
        made.engine()
        made.climb(2)
        for n in range(5):  # charts begin with the first document
            made.extract(f"d{n}")
        yield made


def get(rig: EngineRig, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    url = urlsplit(rig.view.engine.address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    streams = answer.getheader("content-type", "").startswith("text/event-stream")
    body = b"".join(answer.readline() for _ in range(3)) if streams else answer.read()
    connection.close()
    return answer, body


# -- who may see it ----------------------------------------------------------------------------------------------------


def basic(password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"anyone:{password}".encode()).decode(), "host": "10.0.0.5"}


def test_beyond_loopback_the_page_takes_the_token_as_a_password_and_nothing_else_does() -> None:
    shut, wide = Guard("0.0.0.0", TOKEN), Guard("0.0.0.0", TOKEN, open_page=True)
    for path in ("/", "/live"):
        denied = shut.denies("GET", path, {"host": "10.0.0.5"})
        assert denied is not None
        assert denied.status == 401
        assert shut.denies("GET", path, basic(TOKEN)) is None
        assert shut.denies("GET", path, basic(f"{TOKEN}x")) is not None
        assert wide.denies("GET", path, {"host": "rollout.example"}) is None
        assert wide.denies("GET", path, {"host": "rollout.example", "origin": "https://elsewhere"}) is not None
        assert wide.denies("POST", path, {"host": "10.0.0.5"}) is not None
    for method, path in (
        ("GET", "/v1/status"),
        ("POST", "/v1/feedback"),
        ("GET", "/v1/documents/a"),
        ("GET", "/live/x"),
    ):
        assert shut.denies(method, path, basic(TOKEN)) is not None
        assert wide.denies(method, path, {"host": "10.0.0.5"}) is not None
    for odd in ("Basic", "Basic !!", "Basic " + base64.b64encode(TOKEN.encode()).decode(), "basic \u00e9"):
        assert shut.denies("GET", "/", {"authorization": odd, "host": "10.0.0.5"}) is not None
    proxied = Guard("127.0.0.1", TOKEN)
    denied = proxied.denies("GET", "/", {"host": "rollout.example"})
    assert denied is not None
    assert denied.status == 401
    assert proxied.denies("GET", "/", {**basic(TOKEN), "host": "rollout.example"}) is None
    assert proxied.denies("GET", "/", {"host": "localhost:8080"}) is None
    assert Guard("0.0.0.0", "").denies("GET", "/", basic("")) is None  # such an engine does not start


@pytest.mark.parametrize(("page", "status"), [("loopback", 403), ("token", 401), ("open", 200), ("off", 401)])
def test_the_setting_decides_what_other_machines_get(
    page: str, status: int, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROLLOUT_TOKEN", TOKEN)
    with EngineRig(tmp_path, speed=None, settings={"http.host": "0.0.0.0", "http.page": page}) as rig:
        rig.engine()
        headers = {"Authorization": f"Bearer {TOKEN}"} if page == "loopback" else {}
        answer, body = get(rig, "/", Host="rollout.example", **headers)
        assert answer.status == status, body
        assert (answer.getheader("www-authenticate") is not None) == (status == 401)
        if page == "off":
            assert get(rig, "/", Authorization=f"Bearer {TOKEN}")[0].status == 404


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_it_shows_the_state_and_the_stream_sends_it(rig: EngineRig) -> None:
    answer, body = get(rig, "/")
    assert rig.until(lambda: f"{percent(rig.view.effective_bp)} by LLM" in get(rig, "/")[1].decode())
    page, view = body.decode(), rig.view
    policy = answer.getheader("content-security-policy", "")
    assert answer.status == 200
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for part in (view.stage_name, " by LLM", "What happens next", "Gate to stage", "Decisions"):
        assert part in page
    assert re.findall(r"""(?:src|href|action|srcset)=["']?(?!data:,)[^"'>]+""", page) == []
    assert " style=" not in page
    assert "onclick" not in page
    answer, event = get(rig, "/live")
    assert answer.getheader("content-type", "").startswith("text/event-stream")
    assert event.startswith(b"event: view\ndata: <header>")
    assert event.endswith(b"\n\n")


def test_hostile_text_stays_text(rig: EngineRig) -> None:
    view = rig.view
    hostile = DecisionView(9, view.at, "note", EVIL, EVIL, EVIL, 2, 0, 0, 1, EVIL)
    view = replace(
        view,
        log=(hostile,),
        service=EVIL,
        stage_name=EVIL,
        health_sentence=EVIL,
        next=(EVIL,),
        inbox=(TaskView("plan", EVIL, ""),),
    )
    for made in (live.document(view, LiveTrends(0, 0)), live.fragment(view, LiveTrends(0, 0))):
        assert "<img" not in made
        assert made.count("<script>") == (1 if made.startswith("<!DOCTYPE") else 0)
        assert "&lt;img src=x" in made
    assert "\n" not in live.fragment(replace(view, health_sentence="a\nevent: evil\rb"), LiveTrends(0, 0))


def test_the_tasks_are_those_of_the_inbox() -> None:
    view = replace(NORMAL, inbox=(TaskView("review", "review 8 documents", "review"),), waiting=("bake: 1d to go",))
    page = live.fragment(view, LiveTrends(0, 0))
    assert "review 8 documents" in page
    assert "bake: 1d to go" not in page
    assert "bake: 1d to go" in live.fragment(replace(view, inbox=None), LiveTrends(0, 0))  # an older engine


def test_a_condition_that_only_lacks_samples_is_open_and_not_failed() -> None:
    def marked(**changes: object) -> str:
        one = replace(NORMAL.gate.conditions[0], met=False, eta_s=None, **changes)
        gate = replace(NORMAL.gate, conditions=(one,))
        return live.fragment(replace(NORMAL, gate=gate), LiveTrends(0, 0))

    assert "tick bad" in marked(unproven=False)
    assert "tick bad" not in marked(unproven=True)


def test_what_it_shows_is_in_status_and_no_terminal_address_or_document_is_shown(rig: EngineRig) -> None:
    rig.extract("secret/salaries.md")
    page = get(rig, "/")[1].decode()
    view = rig.view
    hidden = {
        "secret/salaries.md",
        view.engine.address,
        *(server.url for server in view.servers),
        *({d.where for d in view.log} - {"the engine"}),
    }
    assert [text for text in hidden if text and text in page] == []


# -- in a real browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as made:
        yield made


@BROWSER
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 900)])
def test_chromium_shows_it_whole_and_without_complaint(
    rig: EngineRig, browser: Chromium, width: int, height: int
) -> None:
    browser.messages.clear()
    browser.requests.clear()
    browser.size(width, height, mobile=width < 500)
    browser.open(rig.view.engine.address + "/")
    assert browser.until("document.querySelectorAll('svg.chart').length === 5")
    assert browser.run("document.documentElement.scrollWidth") <= width
    small = "[...document.querySelectorAll('main *')].filter(e => e.children.length === 0 && e.textContent.trim() && "
    small += "e.getBoundingClientRect().height > 0 && e.getBoundingClientRect().height < 6).length"
    assert browser.run(small) == 0
    assert len(browser.picture()) > 20_000
    seen = browser.run("document.querySelector('footer time').dateTime")
    assert browser.until(
        f"document.querySelector('footer time').dateTime !== {seen!r}"
    )  # the stream works under the policy
    assert browser.messages == []
    address = rig.view.engine.address
    assert {url.removeprefix(address) for url in browser.requests} <= {"/", "/live", "data:,"}


@BROWSER
def test_a_rollback_appears_at_once_and_a_dead_engine_is_reported_as_gone(rig: EngineRig, browser: Chromium) -> None:
    browser.size(390, 800, mobile=True)
    rig.climb(2)
    browser.open(rig.view.engine.address + "/")
    assert browser.until("document.querySelector('h1').textContent.startsWith('10 %')")
    rig.client.command("rollback", reason="a test")
    began = time.monotonic()
    assert browser.until("document.querySelector('h1').textContent.startsWith('0 %')")
    assert time.monotonic() - began < 5 * crowd()
    assert browser.run("document.getElementById('lost').hidden") is True
    process = rig.running()
    browser.run("Date.now = () => 0")  # no silence is ever long enough: the broken connection shows it
    process.terminate()
    assert process.wait(20) == 0  # an open page does not keep the engine
    assert browser.until("!document.getElementById('lost').hidden", 20)
