"""What went wrong, by kind and by the shape of the message: `rollout logs analyze`.

Two messages have the same shape when they differ only in numbers, ids, addresses and quoted names.
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

EVERYTHING = "keyword_extraction"  # the plan's filter: all that the log holds is about it
EXAMPLES = 3
MOST = 200_000  # rows, the newest

# In this order: what is longer first, so that an address is not taken apart into numbers.
_SHAPES = (
    (re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>)\]]*[^\s\"'<>)\].,:;]", re.I), "<url>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.I), "<id>"),
    (re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b"), "<host>"),
    (re.compile(r"\[[0-9a-f]*:[0-9a-f:.]+\](?::\d+)?|(?<![\w:])(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{0,4}(?![\w:])", re.I), "<host>"),
    (re.compile(r"\blocalhost(?::\d+)?\b|\b[a-z][\w-]*(?:\.[\w-]+)*:(?:80|443|\d{4,5})\b", re.I), "<host>"),
    (re.compile(r"\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:local|internal|lan|svc|com|net|org|io|dev|example|test)\b", re.I), "<host>"),
    (re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|`[^`]*`"), "<text>"),
    (re.compile(r"(?<![\w.])(?:~|\.{1,2})?/[\w.@%+-]+(?:/[\w.@%+-]+)*/?"), "<path>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}\b", re.I), "<id>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
)  # fmt: skip


@lru_cache(maxsize=4096)
def shape(message: str) -> str:
    """The message with all that varies from one to the next replaced by <n>, <id>, <host>, <url>, <path>, <time>, <text>."""
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
        same = next((each for each in self.examples if each.message == entry.message), None)
        if same is not None:
            self.examples.remove(same)
        self.examples.append(entry)


def error_analysis(
    conn: sqlite3.Connection, since: float, until: float, level: Level = "error", filter: str = ""
) -> dict[str, Any]:
    """Errors (or warnings: documents that fell back without an error, answers that were too short) of since <= at <= until, grouped.

    `filter` keeps what contains it, in kind, message, server or component, whatever its case; `keyword_extraction` is everything.
    `groups` are the most frequent first: component, kind, shape, count, shadow (of the count, calls whose answer would not have
    been served), servers, first_seen and last_seen (epoch seconds; `first`, `last` in ISO 8601), and the latest examples that differ.
    """
    wanted = "" if filter.lower() == EVERYTHING else filter.lower()
    groups: dict[tuple[str, str, str], _Group] = {}
    found, truncated = _entries(conn, since, until, level)
    total = 0
    for entry in found:
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
    """Oldest first; whether there are more than were read."""
    found: list[_Entry] = []
    for query in _queries(level):
        found += (_Entry(*row) for row in conn.execute(query, (since, until, MOST)))
    found.sort(key=lambda entry: entry.at)
    return found[-MOST:], len(found) >= MOST


def _queries(level: Level) -> Iterator[str]:
    span = "at BETWEEN ? AND ? ORDER BY at DESC LIMIT ?"
    row = "SELECT at, 'extraction', {}, coalesce(message, ''), coalesce(server, ''), document_id, shadow FROM extraction WHERE {} AND "
    if level in ("error", "all"):
        yield row.format("error", "error IS NOT NULL") + span
        yield f"SELECT at, 'llm_service', 'probe', message, server, '', 0 FROM probe WHERE NOT ok AND {span}"
    if level in ("warning", "all"):
        yield row.format("'fallback'", "fallback AND error IS NULL") + span
        yield row.format("'short'", "short AND error IS NULL") + span
