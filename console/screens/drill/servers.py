"""The LLM servers of the last hour, and the workers that call them: Enter shows a server's errors by kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len

from console.screens.drill.error_kinds import ErrorKinds
from console.screens.listing import Column, Listing, ListRow
from console.widgets import words
from engine.metrics import requests
from engine.text import counted
from engine.view.model import ServerView, View, WorkerView
from engine.view.servers import backlog_words

WINDOW_S = 3600.0
NOW = 18  # cells of the column; a longer state is below the table in full


class Servers(Listing):
    TITLE: ClassVar[str] = "Servers"
    ABOUT: ClassVar[str] = "the LLM servers; Enter: errors by kind, then documents, then one request"
    BELOW: ClassVar[str] = "errors by kind"
    COLUMNS: ClassVar[tuple[Column, ...]] = (
        Column("server", 12), Column("now", NOW), Column("requests", 9, largest=True, right=True),
        Column("errors", 7, largest=True, right=True), Column("rate", 7, largest=True, right=True),
        Column("latency", 8, largest=True, right=True), Column("last error", 0, largest=True),
    )  # fmt: skip

    def heading(self) -> tuple[str, str]:
        view = self.snapshot.view
        return "LLM servers, last hour", note(self.lines, "" if view is None else backlog_words(view.engine.backlog))

    def empty(self) -> str:
        return "no known LLM server, and no document sent to one in the last hour"

    def read(self) -> Sequence[ListRow]:
        until = self.until()
        counts = self.console.link.reader.read(lambda conn: requests.servers(conn, until - WINDOW_S, until))
        v = self.snapshot.view
        return self.lines if v is None else lines(v, counts, until)

    def opened(self, line: ListRow) -> None:
        if isinstance(line.key, tuple):
            return  # a worker's errors are its servers'
        self.console.push_screen(ErrorKinds(line.cells[0][0], str(line.key)))


def note(listed: Sequence[ListRow], queued: str) -> str:
    """How many servers and workers, and what waits for them."""
    callers = sum(isinstance(line.key, tuple) for line in listed)
    parts = (str(len(listed) - callers), counted(callers, "worker") if callers else "", queued)
    return ", ".join(filter(None, parts))


def lines(v: View, counts: list[requests.ServerRequests], until: float) -> list[ListRow]:
    """The servers as the view names them, then those that only the rows know, then what reached no server, then the
    workers."""
    by_url = {one.server: one for one in counts}
    out = [_line(s.name, s.url, by_url.pop(s.url, None), s, until) for s in v.servers]
    out += [_line(url or "none reached", url, one, None, until) for url, one in sorted(by_url.items(), reverse=True)]
    return out + [_worker(worker) for worker in v.workers]


def _worker(worker: WorkerView) -> ListRow:
    tone = {"active": "ok", "silent": "bad"}.get(worker.state, "dim")
    now = f"worker, {worker.state}"
    cells = ((worker.name, "text"), (now, tone), *((("", "dim"),) * 5))
    return ListRow(("worker", worker.name), cells, (worker.name, now, *((None,) * 5)), worker.sentence)


def _line(name: str, url: str, one: requests.ServerRequests | None, s: ServerView | None, until: float) -> ListRow:
    n, bad = (one.requests, one.errors) if one is not None else (0, 0)
    rate = bad / n if n else None
    now = ("-", "dim") if s is None else (s.state, "ok" if s.up else "bad" if s.up is False else "dim")
    last = one.last_error if one is not None else None
    mean = one.mean_ms if one is not None else None
    reason = words.reason(s) if s is not None and s.error else ""
    if reason and s is not None and s.up:
        reason = f"last error: {reason}"  # it is over
    about = (
        "  ".join(filter(None, (url, now[0] if cell_len(now[0]) > NOW else "", reason)))
        if url
        else "Requests that never reached a server: the queue was full, or every breaker was open."
    )
    cells = (
        (name, "strong"), now, (words.count(n), "text"), (words.count(bad), "bad" if bad else "dim"),
        (words.rate(rate), "bad" if bad else "dim"), (words.ms(mean), "text"),
        (words.hour(last, until) if last is not None else "none", "text" if last else "dim"),
    )  # fmt: skip
    return ListRow(url, cells, (name, now[0], n, bad, rate, mean, last), about)
