"""The LLM servers and their queue, in words. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from engine.measures.backlog import Backlog
from engine.view.model import ServerView


def server_name(api: str, number: int, url: str) -> str:
    """A server's name on every screen: its host, or for servers on this machine its kind and a number."""
    host = urlsplit(url).hostname or url
    return f"{api}-{number}" if host in ("127.0.0.1", "localhost", "::1") else host


def server_sentence(server: ServerView) -> str:
    """ "ollama-1 up, 38 ms, 3 of 8 calls in flight." With the reason if its calls fail."""
    parts = [f"{server.name} {server.state}"]
    if (server.failures or not server.up) and server.error:
        parts.append(server.error)
    if server.latency_ms is not None:
        parts.append(f"{server.latency_ms:.0f} ms")
    if server.learnt:
        parts.append(f"called {server.learnt}")
    if server.window:  # not recorded for the past
        parts.append(f"{server.in_flight} of {server.window:.0f} calls in flight")
    return f"{', '.join(parts)}."


def backlog_words(backlog: Backlog) -> str:
    """What is queued for the LLM, "" while nothing is: "queued for the LLM: 37 of 1,000 interactive"."""
    if not backlog.interactive and not backlog.bulk:
        return ""
    lanes = ((backlog.interactive, "interactive"), (backlog.bulk, "bulk"))
    return "queued for the LLM: " + ", ".join(f"{n:,} of {backlog.limit:,} {lane}" for n, lane in lanes if n)
