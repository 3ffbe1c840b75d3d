"""Errors grouped by kind and message shape: `rollout logs analyze`.

Two messages have the same shape if they differ only in numbers, ids, addresses and quoted names.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, deque
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal, NamedTuple

from engine.plan.durations import iso
from engine.store import series

Level = Literal["error", "warning", "all"]

EVERYTHING = "keyword_extraction"  # the plan's filter, which matches every entry
# a document that fell back without an attempt: the model was still loading
_NO_ATTEMPT = "error IS NOT NULL AND fallback AND NOT attempted"
EXAMPLES = 3
MOST = 200_000  # rows, the newest

_NAMED_HOST = r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:local|internal|lan|svc|com|net|org|io|dev|example|test)\b"
# Order matters: longer patterns first, so that an address is not split into numbers.
_SHAPES = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>)\]]*[^\s\"'<>)\].,:;]", re.I), "<url>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<host>"),
    (re.compile(r"\[[0-9a-f]*:[0-9a-f:.]+\](?::\d+)?", re.I), "<host>"),
    (re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])", re.I), "<host>"),
    (re.compile(r"\blocalhost(?::\d+)?\b|\b[a-z][\w-]*(?:\.[\w-]+)*:(?:80|443|\d{4,5})\b", re.I), "<host>"),
    (re.compile(_NAMED_HOST, re.I), "<host>"),
    (re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`"), "<text>"),
    (re.compile(r"(?<![\w.])(?:~|\.{1,2})?/[\w.@%+-]+(?:/[\w.@%+-]+)*/?"), "<path>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b", re.I), "<id>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
)  # fmt: skip


@lru_cache(maxsize=4096)
def shape(message: str) -> str:
    """The message with its variable parts replaced by <n>, <id>, <host>, <url>, <path>, <time> and <text>."""
    for pattern, mark in _SHAPES:
        message = pattern.sub(mark, message)
    return message


class _Entry(NamedTuple):
    at: float
    component: str
    kind: str
    message: str
    server: str
    document: str
    shadow: bool


class _Group:
    """All entries of one kind and shape, oldest first."""

    def __init__(self, first: _Entry) -> None:
        self.component, self.kind, self.first = first.component, first.kind, first.at
        self.count = self.shadow = 0
        self.servers: Counter[str] = Counter()
        self.examples: deque[_Entry] = deque(maxlen=EXAMPLES)

    def add(self, entry: _Entry) -> None:
        self.count += 1
        self.shadow += entry.shadow
        self.last = entry.at
        if entry.server:
            self.servers[entry.server] += 1
        same = next((example for example in self.examples if example.message == entry.message), None)
        if same is not None:
            self.examples.remove(same)
        self.examples.append(entry)


def error_analysis(
    conn: sqlite3.Connection, since: float, until: float, level: Level = "error", filter: str = ""
) -> dict[str, Any]:
    """Errors (or warnings: LLM-arm documents that fell back though the LLM had not failed) of since <= at <= until,
    grouped.

    `filter` matches kind, message, server or component, ignoring case; `keyword_extraction` matches everything.
    `groups`, most frequent first: component, kind, shape, count, shadow (how many of them were shadow calls), servers,
    first_seen and last_seen (epoch seconds; `first` and `last` in ISO 8601), and the latest distinct examples.
    """
    wanted = "" if filter.lower() == EVERYTHING else filter.lower()
    groups: dict[tuple[str, str, str], _Group] = {}
    entries, truncated = _entries(conn, since, until, level)
    total = 0
    for entry in entries:
        if wanted and wanted not in f"{entry.component}\n{entry.kind}\n{entry.message}\n{entry.server}".lower():
            continue
        total += 1
        key = (entry.component, entry.kind, shape(entry.message))
        if key not in groups:
            groups[key] = _Group(entry)
        groups[key].add(entry)
    bucket = series.between(conn, since, until + 10, "treatment")
    ordered = sorted(groups.items(), key=lambda item: (-item[1].count, -item[1].last))
    return {
        "from": iso(since),
        "to": iso(until),
        "level": level,
        "filter": filter,
        "total": total,
        "truncated": truncated,
        "llm_attempts": bucket.attempts,
        "error_rate": bucket.error_rate,
        "groups": [_shown(key[2], group, total) for key, group in ordered],
    }


def _shown(its_shape: str, group: _Group, total: int) -> dict[str, Any]:
    examples = [
        {"at": iso(e.at), "document": e.document or None, "server": e.server or None, "message": e.message}
        for e in reversed(group.examples)
    ]
    return {
        "component": group.component,
        "kind": group.kind,
        "shape": its_shape,
        "count": group.count,
        "share": group.count / total,
        "shadow": group.shadow,
        "servers": dict(group.servers.most_common()),
        "first_seen": group.first,
        "last_seen": group.last,
        "first": iso(group.first),
        "last": iso(group.last),
        "examples": examples,
    }


def _entries(conn: sqlite3.Connection, since: float, until: float, level: Level) -> tuple[list[_Entry], bool]:
    """(entries, oldest first; whether there are more than were read)."""
    entries: list[_Entry] = []
    for query in _queries(level):
        entries += (_Entry(*row) for row in conn.execute(query, (since, until, MOST)))
    entries.sort(key=lambda entry: entry.at)
    return entries[-MOST:], len(entries) >= MOST


def _queries(level: Level) -> Iterator[str]:
    span = "at BETWEEN ? AND ? ORDER BY at DESC LIMIT ?"
    row = (
        "SELECT at, 'extraction', {}, coalesce(message, ''), coalesce(server, ''), document_id, shadow "
        "FROM extraction WHERE {} AND "
    )
    if level in ("error", "all"):
        yield row.format("error", f"error IS NOT NULL AND NOT ({_NO_ATTEMPT})") + span
        yield f"SELECT at, 'llm_service', 'probe', message, server, '', 0 FROM probe WHERE NOT ok AND {span}"
    if level in ("warning", "all"):
        yield row.format("coalesce(error, 'fallback')", f"fallback AND (error IS NULL OR {_NO_ATTEMPT})") + span
        yield row.format("'short'", "short AND error IS NULL") + span
