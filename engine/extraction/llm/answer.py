"""Turns a model's output into two lists of strings, whatever the model wrote. Does not trust the requested schema.

Tries in this order: the requested JSON, anywhere in the text and under any names; truncated JSON, of which complete
items count; JSON with mistakes, repaired by json-repair (loaded only for that); lists in plain text. Prose is never
read as a list.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from typing import Any

from engine.extraction.llm import listing, model_text, placeholders
from engine.extraction.llm.failure import ErrorKind
from engine.extraction.llm.json_values import DEEPEST, collect, decoded, merge
from engine.extraction.llm.proposal import KeywordLists, Proposal
from engine.extraction.llm.surface import MOST_ITEMS
from engine.text import clean_line

MOST_CHARS = 200_000
MENDED_CHARS = 8_000  # json-repair takes time quadratic in the brackets; an answer is a tenth of this
MENDED_BRACKETS = 200
STARTS = 40  # brackets that are tried as the beginning of JSON
QUOTED_CHARS = 60
OPENING_CHARS = 200

_LIST = re.compile(r'"(\w{1,40})"\s*:\s*\[')
_STRING = re.compile(r'\s*("(?:[^"\\]|\\.){0,5000}")\s*([,\]])', re.DOTALL)
_START = re.compile(r"[{\[]")
_MENDABLE = re.compile(
    r"\{\s*[\"'“‘`]?[\w -]{1,40}[\"'”’`]?\s*(?::|：|=)|\{\s*[\"'“‘]"
    r"|\[\s*[\"'“‘`{\[]|\[[^\[\]{}]{2,2000},[^\[\]{}]{1,2000}\]"
)
_ESCAPED = re.compile(r'[^{\[]*[{\[]\s*\\+"')  # JSON whose quotes are escaped
# JSON in the punctuation of Chinese and Japanese
_WIDE = re.compile(r"[{\[｛［]\s*[“”＂「]|[”＂」\"]\s*[：，]\s*[\[［“”＂「\"]")
_NARROW = str.maketrans("｛｝［］“”＂：，「」", '{}[]""":,""')
_EQUALS = re.compile(r"(?<=[\"'\w])\s*(?:=>|=|：)\s*(?=[\[{\"'])")
_LABEL = re.compile(r"([\w ]{2,40})[\"'*_]{0,3}\s{0,3}[:=]\s{0,10}$")
_ASSIGNED = re.compile(
    r"(?:^|[\n,{])\s*[\"'*_:]{0,3}([\w ]{2,40}?)[\"'*_]{0,3}\s*(?:[:=：]|=>)\s*\[([^\[\]{}]{0,4000})\]"
)
_QUOTED = re.compile(r"\"([^\"\n]{1,200})\"|'([^'\n]{1,200})'")
_REFUSAL = re.compile(
    r"\b(?:i['’]?m (?:very |so |really )?sorry|i am sorry|i apologi[sz]e|sorry,"
    r"|i (?:can(?:no|['’])t|can not|won['’]t|will not|do not|don['’]t"
    r" (?:have|feel)|am (?:not able|unable))|i['’]m (?:not able|unable)|unable to|as an ai\b"
    r"|as a (?:large )?language model|against my"
    r"|es tut mir leid|je suis désolé|lo siento|抱歉|对不起)",
    re.IGNORECASE,
)
_TYPED = re.compile(r"\s*\"?([^,;\t|\"]{2,60}?)\"?\s*[,;\t]\s*\"?(\w{3,20})\"?\s*")
_REPEATS = 10  # of one phrase in a row
_PHRASE = 4  # words of it


def parse(text: str) -> Proposal:
    """The keywords in the text, or a description of what the text is instead."""
    text = text[:MOST_CHARS]
    if not text.strip():
        return Proposal(flaw="the answer is empty", kind=ErrorKind.empty)
    answer = model_text.answer_in(text)
    if not answer.strip():
        return Proposal(
            flaw=f"the model spent the whole answer on thinking; it begins {first_words(text)}", kind=ErrorKind.thinking
        )
    return _read(answer) or _without(answer)


def opening(text: str) -> str:
    """The beginning of an unusable answer, for its record."""
    return clean_line(text, OPENING_CHARS)


def first_words(text: str) -> str:
    """The beginning of an answer, quoted and safe to show in a message."""
    return '"' + clean_line(text, QUOTED_CHARS).replace('"', "'") + '"'


def _read(text: str, depth: int = 0) -> Proposal | None:
    """The keywords in the text; None if it has none."""
    if depth > DEEPEST:
        return None
    if "&quot;" in text:
        text = html.unescape(text)
    if text.lstrip().startswith('"'):  # JSON within a JSON string
        inner, _ = decoded(text, text.index('"'))
        if isinstance(inner, str) and (proposal := _read(inner, depth + 1)):
            return proposal
    json_in = _strict(text)
    if json_in.lists.filled:
        return json_in.lists.proposal()
    if _WIDE.search(text) and (narrow := text.translate(_NARROW)) != text and _strict(narrow).lists.filled:
        return _read(narrow, depth + 1)
    if json_in.cut_at is not None and (saved := _saved(text[json_in.cut_at :])).filled:
        whole = saved.descriptive and saved.technical and text.rstrip().endswith("]")  # only the last brace is missing
        return saved.proposal(cut=not whole)
    if _ESCAPED.match(text) and (proposal := _read(text.replace('\\"', '"').replace("\\n", "\n"), depth + 1)):
        return proposal
    if json_in.broken_at is not None:
        if (assigned := _assigned(text)).filled:
            return assigned.proposal()
        repaired = _repaired(text[json_in.broken_at :])
        if repaired is not None and repaired.filled:
            return repaired.proposal(cut=_is_cut(text[json_in.broken_at :]))
    return None if json_in.any else _read_plain(text)


def _read_plain(text: str) -> Proposal | None:
    """The keywords in a text without JSON."""
    if "\\n" in text and "\n" not in text.strip():  # escaped twice
        text = text.replace("\\n", "\n")
    if (typed := _typed(text)).filled:
        return typed.proposal()
    descriptive, technical = listing.read(text)
    least = 3 if _REFUSAL.search(text[:300]) else 1
    if len(descriptive) + len(technical) >= least:
        return Proposal(tuple(descriptive), tuple(technical))
    return None


# -- JSON --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Json:
    """The lists of all complete JSON values in a text, and where broken or truncated JSON begins."""

    lists: KeywordLists = field(default_factory=KeywordLists)
    value: Any = None  # the first object
    broken_at: int | None = None
    cut_at: int | None = None

    @property
    def any(self) -> bool:
        return self.value is not None or self.lists.seen or self.broken_at is not None or self.cut_at is not None


def _strict(text: str) -> _Json:
    json_in = _Json()
    at = tried = 0
    while (start := _START.search(text, at)) and tried < STARTS:
        tried += 1
        at = start.start()
        value, end = decoded(text, at)
        if end > at:
            if isinstance(value, dict):
                json_in.value = json_in.value or value
            if (
                isinstance(value, dict)
                or any(isinstance(item, str | dict | list) for item in value)
                or text.strip() == "[]"
            ):
                merge(json_in.lists, value, _label_before(text, at))
            at = end
        elif end < 0:  # an unfinished object: its contents are a part of the answer
            json_in.cut_at = at
            break
        elif _MENDABLE.match(text, at):  # what it contains is a part of the answer
            json_in.broken_at = at
            break
        else:
            at += 1
    return json_in


def _assigned(text: str) -> KeywordLists:
    """Two lists that are not JSON, each after its name: TOML, YAML's flow style."""
    lists = KeywordLists()
    for label, inside in _ASSIGNED.findall(text[:MENDED_CHARS]):
        group = listing.group_of(label)
        if group in ("descriptive", "technical"):
            quoted = [one or other for one, other in _QUOTED.findall(inside)]
            for item in quoted or inside.split(","):
                lists.add(group, item.strip())
    return lists if lists.descriptive and lists.technical else KeywordLists()


def _label_before(text: str, at: int) -> str:
    """The group that the label before a list names: `descriptive = ["connection pool"]`."""
    label = _LABEL.search(text[max(0, at - 60) : at])
    group = listing.group_of(label[1]) if label else ""
    return "" if group == "any" else group


def _typed(text: str) -> KeywordLists:
    """A table of keywords and kinds without a header: connection pool,descriptive."""
    lists = KeywordLists()
    lines = [line for line in text.splitlines() if line.strip()][: MOST_ITEMS + 1]
    rows = [(match[1], listing.group_of(match[2])) for match in map(_TYPED.fullmatch, lines) if match]
    if len(rows) >= 2 and len(rows) == len(lines):
        for item, group in rows:
            if group in ("descriptive", "technical"):
                lists.add(group, item)
    return lists


def _saved(text: str) -> KeywordLists:
    """The complete strings in the lists of truncated JSON."""
    lists = KeywordLists()
    for opening in _LIST.finditer(text):
        group = listing.group_of(opening[1])
        at, count = opening.end(), 0
        while group and count < MOST_ITEMS and (item := _STRING.match(text, at)):
            lists.add(group, _unquoted(item[1]))
            at, count = item.end(), count + 1
            if item[2] == "]":
                break
    if not lists.seen and text.startswith("["):  # a bare list
        at = 1
        while len(lists.descriptive) < MOST_ITEMS and (item := _STRING.match(text, at)):
            lists.add("", _unquoted(item[1]))
            at = item.end()
    return lists


def _unquoted(literal: str) -> str:
    try:
        value: Any = json.loads(literal, strict=False)
    except ValueError:
        return ""
    return value if isinstance(value, str) else ""


def _repaired(text: str) -> KeywordLists | None:
    """The lists of JSON with mistakes: Python's quotes, trailing commas, comments, missing brackets."""
    text = text[:MENDED_CHARS]
    if len(_START.findall(text)) > MENDED_BRACKETS:
        return None
    import json_repair

    try:
        value = json_repair.loads(_EQUALS.sub(": ", text), skip_json_loads=True)
    except (ValueError, RecursionError, IndexError, TypeError):
        return None
    lists = KeywordLists()
    collect(value, "", lists, 0)
    if lists.filled and _is_cut(text):  # the last item may be incomplete
        last = lists.technical or lists.descriptive
        last.pop()
    return lists


def _is_cut(text: str) -> bool:
    closed = text.rstrip().rstrip("`").rstrip()[-1:] in ("]", "}", ")")
    return not closed and (text.count("]") < text.count("[") or text.count("}") < text.count("{"))


# -- what it is instead ------------------------------------------------------------------------------------------------


def _without(text: str) -> Proposal:
    """A description of an answer that contains no keyword."""
    begins = first_words(text)

    def flawed(kind: ErrorKind, why: str, cut: bool = False) -> Proposal:
        return Proposal(flaw=f"{why}; it begins {begins}", kind=kind, cut=cut)

    if _loops(text):
        return flawed(ErrorKind.loop, "the model repeats itself")
    json_in = _strict(text)
    if json_in.cut_at is not None:
        return flawed(ErrorKind.cut, "the answer's JSON is cut before its first keyword", cut=True)
    if json_in.lists.seen:
        return flawed(ErrorKind.no_keywords, "the answer has no keyword")
    if isinstance(json_in.value, dict):
        if "properties" in json_in.value or "$schema" in json_in.value:
            return flawed(ErrorKind.shape, "the model repeats the JSON schema from the prompt")
        error = json_in.value.get("error") or json_in.value.get("detail")
        if isinstance(error, str):
            return flawed(ErrorKind.shape, f'the answer is an error: "{clean_line(error, QUOTED_CHARS)}"')
        keys = clean_line(", ".join(map(str, json_in.value)), 60) or "none"
        return flawed(ErrorKind.shape, f"the answer's JSON has no list of keywords, its keys are {keys}")
    if _REFUSAL.search(text[:300]):
        return flawed(ErrorKind.refused, "the model refuses")
    if placeholders.is_form(text):
        return flawed(ErrorKind.placeholder, "the model repeats the prompt's form instead of keywords")
    if json_in.broken_at is not None:
        return flawed(ErrorKind.garbled, "the answer's JSON is broken")
    return flawed(ErrorKind.prose, "the answer is prose, not keywords")


def _loops(text: str) -> bool:
    """Whether a phrase of a few words repeats itself."""
    words = text[:20_000].split()
    for length in range(1, _PHRASE + 1):
        run = 0
        for word, before in zip(words[length:], words, strict=False):
            run = run + 1 if word == before else 0
            if run >= (_REPEATS - 1) * length:
                return True
    return False
