"""An LLM server that does not answer has its reason beside its name, at every size."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from console.widgets import gauges
from console.widgets.canvas import Canvas
from engine.view.model import ServerView, View
from tests.console.samples import NORMAL

REFUSED = ServerView(
    "ollama-2",
    "http://10.0.0.2:11434",
    False,
    "breaker open, retry in 9 s",
    0,
    8.0,
    38.0,
    7,
    "http://10.0.0.2:11434: connection refused; start the server there, or correct [llm] url",
)
IDLE_CLOSED = replace(
    REFUSED, state="being tried again", error="http://10.0.0.2:11434 closed an idle connection while it was being used"
)


def line(v: View, width: int = 80) -> str:
    c = Canvas(width, 3)
    gauges.evidence_line(c, 0, v)
    return c.text().splitlines()[0]


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("server", [REFUSED, IDLE_CLOSED], ids=["refused", "idle"])
def test_the_reason_is_next_to_a_server_that_is_down(server: ServerView, width: int) -> None:
    v = replace(NORMAL, servers=(NORMAL.servers[0], server), attribution="")
    reason = server.error.removeprefix(server.url).lstrip(": ")
    assert reason[:20] in line(v, width)
    assert server.url not in line(v, width)


def test_servers_that_are_down_for_one_reason_share_it() -> None:
    both = (replace(REFUSED, name="ollama-1"), REFUSED)
    assert line(replace(NORMAL, servers=both, attribution="")).count("connection refused") == 1
    other = (replace(IDLE_CLOSED, name="ollama-1"), REFUSED)
    text = line(replace(NORMAL, servers=other, attribution=""), 200)
    assert "closed an idle connection" in text
    assert "connection refused" in text


def test_a_server_that_answers_some_calls_and_fails_others_reports_it() -> None:
    failing = replace(REFUSED, up=True, state="failing (3 in a row)", failures=3)
    text = line(replace(NORMAL, servers=(failing,), attribution=""))
    assert "▲ connection refused" in text


def test_at_80_columns_the_reason_and_whose_fault_it_is_both_fit() -> None:
    short = replace(REFUSED, error="http://10.0.0.2:11434: connection refused")
    v = replace(NORMAL, servers=(NORMAL.servers[0], short), attribution="frequency arm 0.1 %: LLM arm only")
    assert line(v).rstrip() == " frequency arm 0.1 %: LLM arm only  ollama-1 ✔   ollama-2 ✖ connection refused"


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("attribution", ["", "frequency arm 0.1 %: LLM arm only"])
def test_no_reason_hides_another_server(width: int, count: int, attribution: str) -> None:
    long = "the server answered 500: llama runner process has terminated: exit status 2, out of memory, see its log"
    down = tuple(replace(REFUSED, name=f"ollama-{n}", error=f"{long} {n}") for n in range(1, count))
    text = line(replace(NORMAL, servers=(*down, replace(NORMAL.servers[0], name="up")), attribution=attribution), width)
    for server in down:
        assert f"{server.name} ✖" in text
    assert "up ✔" in text


@pytest.mark.parametrize("up", [True, None])
def test_the_arms_are_compared_whole_where_no_server_is_down(up: bool | None) -> None:
    attribution = "too few documents to compare the arms: +0.0 points [-13.8, 20.4]"
    servers = tuple(replace(server, up=up, state="not tried yet", latency_ms=None) for server in NORMAL.servers)
    assert attribution in line(replace(NORMAL, servers=servers, attribution=attribution))
