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
    reader = _Reader(text.split("\n"))
    reader.read()
    rest = [_TEMPLATE.sub("", line) for line in reader.rest]
    is_manifest = any(line.startswith("kind:") for line in rest) and MARK.match(text)
    if is_manifest or _UNIT.search(text):
        rest = [named for line in rest if (named := _names(line))]
    blocks = [*reader.blocks, Block("code", "\n".join(rest).strip("\n"))]
    return Raw(Format.SETTINGS, blocks, _title(reader.titles))


class _Reader:
    """One pass over the lines: comments, pairs, items and sections."""

    def __init__(self, lines: list[str]) -> None:
        self.blocks: list[Block] = []
        self.titles: dict[str, str] = {}  # by key, of what concerns the whole file
        self.rest: list[str] = []  # lines that are not prose
        self._lines = lines
        self._next = 0  # the line after the current one
        self._comment: list[str] = []
        self._parents: list[tuple[int, str]] = []  # indents and keys around the current line

    def read(self) -> None:
        while self._next < len(self._lines):
            begun, many = self._next, len(self.blocks)
            line = self._lines[begun]
            self._next += 1
            if noted := _COMMENT.match(line):
                self._comment.append(noted[1].strip() if noted[1].strip("#=-* ") else "")
                continue
            many += self._end_comment()
            if pair := _PAIR.match(line):
                self._pair(len(pair[1]), pair[2].strip("\"' "), pair[3].strip())
            elif item := _ITEM.match(line):
                self.blocks += _texts("", self._scalar(len(item[1]), item[2].strip()))
            elif section := _SECTION.match(line):
                self._parents = [(-1, section[1].strip("\"' ").lower())]
            if len(self.blocks) == many:
                self.rest += self._lines[begun : self._next]
        self._end_comment()

    def _end_comment(self) -> int:
        """How many paragraphs of the comment above are prose, and so blocks."""
        prose = [part.strip() for part in "\n".join(self._comment).split("\n\n") if _is_prose(part)]
        self.blocks += [Block("text", part) for part in prose]
        self._comment.clear()
        return len(prose)

    def _pair(self, indent: int, key: str, value: str) -> None:
        while self._parents and self._parents[-1][0] >= indent:
            self._parents.pop()
        if not value:
            self._parents.append((indent, key.lower()))
        value = self._scalar(indent, value)
        top = not self._parents or [name for _, name in self._parents] in _ABOUT
        self.blocks += _texts(key, value, top)
        if top:
            self.titles.setdefault(key.lower(), value)

    def _scalar(self, indent: int, value: str) -> str:
        """A value: quoted, plain over several lines, in a block, or between three quotes."""
        if long := _LONG.match(value):
            return self._until(long[1], long[2])
        is_block = _SCALAR.match(value) is not None
        is_open = value[:1] in ("'", '"') and not (len(value) > 1 and value.rstrip(",").endswith(value[0]))
        parts = [] if is_block else [value]
        while (is_block or is_open or " " in value) and self._next < len(self._lines):
            line = self._lines[self._next]
            if line.strip() and _begins_another(line, indent, plain=not (is_block or is_open)):
                break
            parts.append(line.strip())
            self._next += 1
        written = "\n".join(parts).strip().rstrip(",")
        return written[1:-1] if written[:1] in ("'", '"') and written.endswith(written[0]) else written

    def _until(self, quotes: str, inside: str) -> str:
        while quotes not in inside and self._next < len(self._lines):
            inside += "\n" + self._lines[self._next].strip()
            self._next += 1
        return inside.partition(quotes)[0]


def _begins_another(line: str, indent: int, plain: bool) -> bool:
    """Whether a line does not continue the value of a key with that indent."""
    if len(line) - len(line.lstrip()) <= indent:
        return True
    return plain and (_PAIR.match(line) or _ITEM.match(line)) is not None


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
