"""YAML, JSON, TOML and other settings: the sentences in them and their comments. Keys and single values are code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from engine.parsing.inline import heading, inline
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

SUFFIXES = frozenset((
    ".yaml", ".yml", ".json", ".jsonl", ".ndjson", ".toml", ".ini", ".cfg", ".conf", ".properties", ".service",
    ".desktop",
))  # fmt: skip
MARK = pattern(r"(?:---[ \t]*\n|#[^\n]*\n|[ \t]*\n){0,40}(?:apiVersion|openapi|swagger|asyncapi): ")
# sections about the whole file, whose title is the file's
_ABOUT = (["info"], ["metadata"], ["project"], ["package"], ["unit"], ["desktop entry"])
_UNIT = pattern(r"^\[(?:Unit|Desktop Entry)\]", re.M)
_TITLES = ("title", "displayname", "name", "description")
# what someone wrote, in a record of an event
_WRITTEN = frozenset(("title", "summary", "description", "message", "msg", "text", "subject", "comment", "note"))
_NAMING = _WRITTEN | frozenset(("name", "label", "heading", "displayname"))
_COMMENT = pattern(r"^[ \t]*(?:#+|;+|//)[ \t]?(.*)$")
_PAIR = pattern(
    r"^([ \t]*+(?:- ++)*+)(?:export ++)?(?=\S)([\"']?[\w./$@() -]{1,80}?[\"']?)[ \t]*[:=](?:[ \t]+|(?<==)|$)(.*)$"
)
_ITEM = pattern(r"^([ \t]*)- +(.*)$")
_SECTION = pattern(r"^\[+([\w .\"'/:-]{1,80})\]+[ \t]*$")
_SCALAR = pattern(r"^[|>][-+\d]{0,2}[ \t]*(?:#.*)?$")
_LONG = pattern(r"^(\"\"\"|''')(.*)$")
_TEMPLATE = pattern(r"\{\{[^{}\n]{0,300}\}\}")
_SWITCHES = frozenset(("true", "false", "yes", "no", "on", "off", "null"))
_MOST = 20_000  # strings of a JSON document
_EXCLUDED = frozenset(
    ("example", "examples", "pattern", "command", "cmd", "script", "run", "regex", "expr", "query", "url")
)


def parse(text: str) -> Raw:
    if text.lstrip()[:1] in ("{", "[") and (whole := _decoded(text)) is not None:
        return _of_tree(whole)
    return _of_lines(text)


# -- JSON --------------------------------------------------------------------------------------------------------------


def _decoded(text: str) -> Any:
    """The value, or a list of the values that have a line each; None for neither."""
    for lines in ((text,), text.strip().split("\n")):
        try:
            values = [json.loads(line) for line in lines if line.strip()]
        except (ValueError, RecursionError):
            continue
        return values[0] if len(values) == 1 else values
    return None


def _of_tree(whole: Any) -> Raw:
    blocks: list[Block] = []
    rest: list[str] = []
    records = isinstance(whole, list)  # which have the same keys
    for key, value in _strings(whole):
        texts = _texts(key, value)
        blocks += texts
        if not texts:
            rest.append(value if records else f"{key}: {value}")
    titles: dict[str, str] = {}
    about = whole.get("info", whole) if isinstance(whole, dict) else {}
    for key in about if isinstance(about, dict) else ():
        if isinstance(about[key], str):
            titles.setdefault(str(key).lower(), about[key])
    return Raw(Format.SETTINGS, [*blocks, Block("code", "\n".join(rest))], _title(titles))


def _strings(whole: Any) -> Iterator[tuple[str, str]]:
    """Each string with its key, in order; not recursive, since a document can be nested deep."""
    waiting: list[tuple[str, Any]] = [("", whole)]
    count = 0
    while waiting and count < _MOST:
        key, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(str(name), inner) for name, inner in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(key, inner) for inner in reversed(value)]
        elif isinstance(value, str):
            count += 1
            yield key, value


# -- lines -------------------------------------------------------------------------------------------------------------


def _of_lines(text: str) -> Raw:
    blocks: list[Block] = []
    titles: dict[str, str] = {}
    comment: list[str] = []
    rest: list[str] = []  # lines that are not prose
    lines = text.split("\n")

    def flush() -> None:
        for paragraph in "\n".join(comment).split("\n\n"):
            if _is_prose(paragraph):
                blocks.append(Block("text", paragraph.strip()))
        comment.clear()

    at, parents = 0, list[tuple[int, str]]()
    while at < len(lines):
        line = lines[at]
        at += 1
        if noted := _COMMENT.match(line):
            comment.append("" if not noted[1].strip("#=-* ") else noted[1].strip())
            continue
        flush()
        begun, many = at - 1, len(blocks)
        if (pair := _PAIR.match(line)) is not None:
            indent, key, value = len(pair[1]), pair[2].strip("\"' "), pair[3].strip()
            while parents and parents[-1][0] >= indent:
                parents.pop()
            if not value:
                parents.append((indent, key.lower()))
            value, at = _scalar(lines, at, indent, value)
            top = not parents or [name for _, name in parents] in _ABOUT
            blocks += _texts(key, value, top)
            if top:
                titles.setdefault(key.lower(), value)
        elif item := _ITEM.match(line):
            value, at = _scalar(lines, at, len(item[1]), item[2].strip())
            blocks += _texts("", value)
        elif section := _SECTION.match(line):
            parents = [(-1, section[1].strip("\"' ").lower())]
        if len(blocks) == many:
            rest += lines[begun:at]
    flush()
    rest = [_TEMPLATE.sub("", line) for line in rest]
    if (any(line.startswith("kind:") for line in rest) and MARK.match(text)) or _UNIT.search(text):
        rest = [line for row in rest if (line := _names(row))]
    return Raw(Format.SETTINGS, [*blocks, Block("code", "\n".join(rest).strip("\n"))], _title(titles))


def _names(line: str) -> str:
    """What a line of a Kubernetes manifest or a unit of systemd names: its value, unless that is a number or a switch.
    The keys are the same in all."""
    if _SECTION.match(line):
        return ""
    pair = _PAIR.match(line)
    value = (pair[3] if pair else line.strip(" -")).strip("\"' ")
    return value if any(map(str.isalpha, value)) and value not in _SWITCHES and _key(pair) != "apiversion" else ""


def _key(pair: re.Match[str] | None) -> str:
    return pair[2].strip("\"' ").lower() if pair else ""


def _scalar(lines: list[str], at: int, indent: int, value: str) -> tuple[str, int]:
    """A value and the index after it: quoted, plain over several lines, in a block, or between three quotes."""
    if long := _LONG.match(value):
        inside = long[2]
        while long[1] not in inside and at < len(lines):
            inside += "\n" + lines[at].strip()
            at += 1
        return inside.partition(long[1])[0], at
    block = _SCALAR.match(value) is not None
    quoted = value[:1] in ("'", '"') and not (len(value) > 1 and value.rstrip(",").endswith(value[0]))
    parts = [] if block else [value]
    if block or quoted or (value and " " in value):
        while at < len(lines):
            line = lines[at]
            inner = len(line) - len(line.lstrip())
            if line.strip() and (
                inner <= indent or (not (block or quoted) and (_PAIR.match(line) or _ITEM.match(line)))
            ):
                break
            parts.append(line.strip())
            at += 1
    written = "\n".join(parts).strip().rstrip(",")
    if written[:1] in ("'", '"') and written.endswith(written[0]):
        written = written[1:-1]
    return written, at


def _texts(key: str, value: str, top: bool = False) -> list[Block]:
    """The paragraphs of a value, if it is written for people."""
    low = key.lower().replace("_", "").replace("-", "")
    if low in _EXCLUDED or not (_is_prose(value) or (low in _NAMING and _is_name(value, top or low in _WRITTEN))):
        return []
    return [
        Block("text", inline(paragraph).strip())
        for paragraph in re.split(r"\n[ \t]*\n", value)
        if paragraph.strip() and _is_prose(paragraph)
    ] or [Block("text", inline(value).strip())]


def _is_name(value: str, top: bool) -> bool:
    """Whether a value names something for people; below the top, as names of steps do, it needs three words."""
    return (
        (top or value.count(" ") >= 2)
        and 2 < len(value) <= 200
        and any(map(str.isalpha, value))
        and "://" not in value
        and "{{" not in value
    )


def _is_prose(value: str) -> bool:
    """Whether a value reads like words: at least four, most of them of letters alone."""
    written = value.split()
    if len(written) < 4:
        return not value.isascii() and sum(map(str.isalpha, value)) > 8 and "{{" not in value
    return sum(word.strip(".,:;()'\"!?`*-").isalpha() for word in written) * 10 > 6 * len(written)


def _title(titles: dict[str, str]) -> str:
    for name in _TITLES:
        written = heading(titles.get(name, "").split("\n", 1)[0])
        if len(written) > 2 and (name != "description" or len(written) <= 100):
            return written
    return ""
