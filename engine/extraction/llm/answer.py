"""From a model's output to two lists of strings, whatever it wrote. Nothing here trusts the requested schema.

In this order: the requested JSON, anywhere in the text and under any names; truncated JSON, of which the complete items
count; JSON with mistakes, repaired by json-repair (loaded only for that); lists in plain text. Prose is never treated
as a list.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass, field
from typing import Any

from engine.extraction.llm import listing, placeholders
from engine.extraction.llm.failure import ErrorKind
from engine.extraction.llm.surface import MOST_ITEMS
from engine.text import clean_line

MOST_CHARS = 200_000
MENDED_CHARS = 8_000  # json-repair takes time by the square of the brackets; an answer is a tenth of this
MENDED_BRACKETS = 200
STARTS = 40  # brackets at which JSON may begin
DEEPEST = 6
QUOTED_CHARS = 60
OPENING_CHARS = 200

_DECODER = json.JSONDecoder(strict=False)
_LIST = re.compile(r'"(\w{1,40})"\s*:\s*\[')
_STRING = re.compile(r'\s*("(?:[^"\\]|\\.){0,5000}")\s*([,\]])', re.DOTALL)
_START = re.compile(r"[{\[]")
_MENDABLE = re.compile(
    r"\{\s*[\"'“‘`]?[\w -]{1,40}[\"'”’`]?\s*(?::|：|=)|\{\s*[\"'“‘]"
    r"|\[\s*[\"'“‘`{\[]|\[[^\[\]{}]{2,2000},[^\[\]{}]{1,2000}\]"
)
_ESCAPED = re.compile(r'[^{\[]*[{\[]\s*\\+"')  # JSON whose quotes are escaped
_EQUALS = re.compile(r"(?<=[\"'\w])\s*(?:=>|=|：)\s*(?=[\[{\"'])")
_THINKING = r"(?:[\w-]{1,20}:)?(?:think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad)"
_MARK = re.compile(
    rf"(?P<end></{_THINKING}>|\[/THINK\]|◁/think▷|<\|end_of_thought\|>)|<{_THINKING}>|\[THINK\]|◁think▷"
    r"|<\|begin_of_thought\|>",
    re.IGNORECASE,
)
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(\w{1,20})[^<]{0,100}<\|message\|>"
)  # gpt-oss's own format, where the server leaves it in
_LABEL = re.compile(r"([\w ]{2,40})[\"'*_]{0,3}\s{0,3}[:=]\s{0,10}$")
_TOKEN = re.compile(r"<\|[^<>|]{1,40}\|>|</?s>|<(?:end|start)_of_turn>|<eos>|\[/?INST\]|\ufeff|\x00", re.IGNORECASE)
# where a model that does not stop begins the next turn
_TURN = re.compile(
    r"<\|(?:im_end|im_start|eot_id|eom_id|endoftext|end_of_text|end|start_header_id|user|end_response)\|>|</s>"
    r"|<end_of_turn>|<eos>|(?<![\w\[])\[INST\]",
    re.IGNORECASE,
)
_MADE_UP_TURN = re.compile(
    r"[}\]`]\s*\n\s*(?:#+\s*)?(?:user|human|question|instruction|input|document(?: \d+)?|next document)\s*:",
    re.IGNORECASE,
)
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
_NUMBERED = re.compile(r"\w{0,12}?_?\d{1,3}|primary|secondary|main|first|second|third")
_TYPED = re.compile(r"\s*\"?([^,;\t|\"]{2,60}?)\"?\s*[,;\t]\s*\"?(\w{3,20})\"?\s*")
_IN_SCHEMA = ("items", "enum", "examples", "default", "const", "value")
_REPEATS = 10  # of one word in a row


@dataclass(frozen=True, slots=True)
class Proposal:
    """The model's proposal, unchecked. `kind` and `flaw` explain why it is not a whole answer (None and "" if it is);
    `strange` counts items that are not strings; `cut`: the text ends in the middle; `whole`: it is JSON that was
    closed."""

    descriptive: tuple[str, ...] = ()
    technical: tuple[str, ...] = ()
    flaw: str = ""
    kind: ErrorKind | None = None
    strange: int = 0
    cut: bool = False
    whole: bool = False

    @property
    def count(self) -> int:
        return len(self.descriptive) + len(self.technical)


@dataclass(slots=True)
class _Lists:
    """Lists of keywords collected so far; `seen`: there was a place for keywords, even an empty one."""

    descriptive: list[str] = field(default_factory=list)
    technical: list[str] = field(default_factory=list)
    strange: int = 0
    seen: bool = False

    @property
    def filled(self) -> bool:
        return bool(self.descriptive or self.technical)

    def add(self, group: str, item: str) -> None:
        items = self.technical if group == "technical" else self.descriptive
        self.seen = True
        if len(items) < MOST_ITEMS and item.strip():
            items.append(item)

    def proposal(self, cut: bool = False) -> Proposal:
        lists = tuple(self.descriptive), tuple(self.technical)
        if cut:
            return Proposal(*lists, "the answer's JSON is cut", ErrorKind.cut, self.strange, True)
        return Proposal(*lists, strange=self.strange, whole=True)


def parse(text: str) -> Proposal:
    """The keywords in the text, or what it is instead."""
    text = text[:MOST_CHARS]
    if not text.strip():
        return Proposal(flaw="the answer is empty", kind=ErrorKind.empty)
    answer = _answer(text)
    if not answer.strip():
        return Proposal(
            flaw=f"the model spent the whole answer on thinking; it begins {first_words(text)}", kind=ErrorKind.thinking
        )
    return _read(answer) or _without(answer)


def opening(text: str) -> str:
    """Its beginning, for the record of an answer that cannot be used."""
    return clean_line(text, OPENING_CHARS)


def first_words(text: str) -> str:
    """Its beginning, quoted, safe for a message."""
    return '"' + clean_line(text, QUOTED_CHARS).replace('"', "'") + '"'


def _answer(text: str) -> str:
    """The model's text outside its thinking, without chat-template marks."""
    channels = list(_CHANNEL.finditer(text))
    if channels:
        text = text[channels[-1].end() :] if channels[-1][1].lower() == "final" else text[: channels[0].start()]
    kept: list[str] = []
    at, thinking = 0, False
    for mark in _MARK.finditer(text):
        if mark["end"] is None:
            kept += [] if thinking else [text[at : mark.start()]]
            thinking = True
        elif thinking:
            at, thinking = mark.end(), False
        else:  # the template wrote the beginning into the prompt
            kept.clear()
            at = mark.end()
    kept += [] if thinking else [text[at:]]
    return _TOKEN.sub("", _first_turn("".join(kept)))


def _first_turn(text: str) -> str:
    """Without what the model writes after the end of its answer: a turn of a user, and its answer to that."""
    ends = (mark.start() for mark in _TURN.finditer(text) if text[: mark.start()].strip())
    text = text[: next(ends, len(text))]
    made_up = _MADE_UP_TURN.search(text)
    return text[: made_up.start() + 1] if made_up else text


def _read(text: str, depth: int = 0) -> Proposal | None:
    """The keywords in the text; None when it contains none."""
    if depth > DEEPEST:
        return None
    if "&quot;" in text:
        text = html.unescape(text)
    if text.lstrip().startswith('"'):  # JSON within a JSON string
        inner, _ = _decoded(text, text.index('"'))
        if isinstance(inner, str) and (proposal := _read(inner, depth + 1)):
            return proposal
    json_in = _strict(text)
    if json_in.lists.filled:
        return json_in.lists.proposal()
    if json_in.cut_at is not None and (saved := _saved(text[json_in.cut_at :])).filled:
        whole = saved.descriptive and saved.technical and text.rstrip().endswith("]")  # only the last brace is missing
        return saved.proposal(cut=not whole)
    if _ESCAPED.match(text) and (proposal := _read(text.replace('\\"', '"').replace("\\n", "\n"), depth + 1)):
        return proposal
    if json_in.broken_at is not None:
        if (assigned := _assigned(text)).filled:
            return assigned.proposal()
        mended = _mended(text[json_in.broken_at :])
        if mended is not None and mended.filled:
            return mended.proposal(cut=_is_cut(text[json_in.broken_at :]))
    if not json_in.any:
        if "\\n" in text and "\n" not in text.strip():  # escaped once too often
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

    lists: _Lists = field(default_factory=_Lists)
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
        value, end = _decoded(text, at)
        if end > at:
            if isinstance(value, dict):
                json_in.value = json_in.value or value
            if (
                isinstance(value, dict)
                or any(isinstance(item, str | dict | list) for item in value)
                or text.strip() == "[]"
            ):
                _merge(json_in.lists, value, _label_before(text, at))
            at = end
        elif end < 0:  # an unfinished object: what is in it is a part
            json_in.cut_at = at
            break
        elif _MENDABLE.match(text, at):  # what is in it are parts of it
            json_in.broken_at = at
            break
        else:
            at += 1
    return json_in


def _assigned(text: str) -> _Lists:
    """Two lists that are not JSON, each after its name: TOML, YAML's flow style."""
    lists = _Lists()
    for label, inside in _ASSIGNED.findall(text[:MENDED_CHARS]):
        group = listing.group_of(label)
        if group in ("descriptive", "technical"):
            quoted = [one or other for one, other in _QUOTED.findall(inside)]
            for item in quoted or inside.split(","):
                lists.add(group, item.strip())
    return lists if lists.descriptive and lists.technical else _Lists()


def _label_before(text: str, at: int) -> str:
    """The group that a list's label names: `descriptive = ["connection pool"]`."""
    label = _LABEL.search(text[max(0, at - 60) : at])
    group = listing.group_of(label[1]) if label else ""
    return "" if group == "any" else group


def _decoded(text: str, at: int) -> tuple[Any, int]:
    """The value that begins there and where it ends; `at` when it is broken, -1 when the text ends within it."""
    try:
        return _DECODER.raw_decode(text, at)
    except json.JSONDecodeError as error:
        end = len(text.rstrip())
        within_escape = error.msg.startswith("Invalid \\") and error.pos + 6 >= end
        ended = within_escape or error.pos >= end or error.msg.startswith("Unterminated string")
        return None, -1 if ended else at
    except (ValueError, RecursionError):
        return None, -1


def _merge(lists: _Lists, value: Any, group: str) -> None:
    """A later object replaces an earlier one's list: models correct themselves, or write one object per list or
    keyword."""
    fresh = _Lists()
    if isinstance(value, dict) and (named := listing.item_in(value, strict=True)):
        lists.add(listing.group_of(_kind(value)), named)
        return
    if isinstance(value, list) and not group and lists.descriptive and not lists.technical:
        group = "technical"  # two lists, in the order that was asked for
    _collect(value, group, fresh, 0)
    lists.seen = lists.seen or fresh.seen
    lists.strange += fresh.strange
    lists.descriptive = fresh.descriptive or lists.descriptive
    lists.technical = fresh.technical or lists.technical


def _collect(value: Any, group: str, lists: _Lists, depth: int) -> None:
    """Keywords in a JSON value. `group`: whose they are, "" outside any known name."""
    if depth > DEEPEST:
        return
    if isinstance(value, str):
        _collect_text(value, group, lists, depth)
    elif isinstance(value, list):
        lists.seen = True
        scored = _scored(value)
        for item in value[:MOST_ITEMS]:
            if isinstance(item, str):
                lists.add(group, item)
            elif scored:
                lists.add(group, next(iter(item)))
            elif isinstance(item, dict) and (named := listing.item_in(item)):
                lists.add(listing.group_of(_kind(item)) or group, named)
            elif isinstance(item, dict | list):
                _collect(item, group, lists, depth + 1)
            else:
                lists.strange += 1
    elif isinstance(value, dict):
        _collect_dict(value, group, lists, depth)
    elif group:
        lists.strange += value is not None


def _scored(items: list[Any]) -> bool:
    """Whether each item is an object of one keyword and its score: [{"connection pool": 0.9}, ...]."""
    return len(items) >= 3 and all(
        isinstance(item, dict) and len(item) == 1 and _is_number(next(iter(item.values()))) for item in items
    )


def _collect_text(value: str, group: str, lists: _Lists, depth: int) -> None:
    if value.lstrip()[:1] in ("{", "["):
        inner, end = _decoded(value, len(value) - len(value.lstrip()))
        if end > 0:
            _collect(inner, group, lists, depth + 1)
            return
    if group:
        lists.seen = True
        for item in listing.items_of(value):
            lists.add(group, item)


def _collect_dict(value: dict[str, Any], group: str, lists: _Lists, depth: int) -> None:
    names = {key: listing.group_of(key) for key in value}
    if (
        value.get("type") in ("object", "array", "string")
        and {"properties", "items", "maxItems", "maxLength", "description", "minItems", "uniqueItems"} & value.keys()
    ):
        _collect_schema(value, group, lists, depth)
        return
    known = [key for key in value if names[key]]
    if known:
        for key in known:
            _collect(value[key], names[key] if names[key] != "any" else group or "descriptive", lists, depth + 1)
        return
    parts = [part for part in value.values() if _holds_more(part)]
    if group:
        _collect_named(value, group, lists, depth)
    elif parts:  # under a name of its own: {"result": {...}}, {"Schlüsselwörter": [...]}
        for key, part in value.items():
            if _holds_more(part) and not listing.is_aside(key):
                _collect(part, "", lists, depth + 1)
    elif len(value) >= 3 and all(isinstance(part, str) and listing.group_of(part) for part in value.values()):
        for key, part in value.items():  # {"connection pool": "descriptive", ...}
            lists.add(listing.group_of(part), key)
    elif len(value) >= 3 and all(_is_number(part) for part in value.values()):  # {"connection pool": 0.9, ...}
        for key in value:
            lists.add("", key)
    elif value and all(_NUMBERED.fullmatch(key) and isinstance(part, str) for key, part in value.items()):
        _collect_named(value, "descriptive", lists, depth)


def _collect_schema(value: dict[str, Any], group: str, lists: _Lists, depth: int) -> None:
    """The lists that some models write into the schema."""
    for name in _IN_SCHEMA:
        if group and isinstance(value.get(name), list):
            _collect(value[name], group, lists, depth + 1)
            return
    properties = value.get("properties")
    for key, part in properties.items() if isinstance(properties, dict) else ():
        if isinstance(part, list) or (isinstance(part, dict) and "type" in part):
            _collect(part, listing.group_of(key), lists, depth + 1)


def _typed(text: str) -> _Lists:
    """A table of keywords and their kinds without a frame: connection pool,descriptive."""
    lists = _Lists()
    lines = [line for line in text.splitlines() if line.strip()][: MOST_ITEMS + 1]
    rows = [(match[1], listing.group_of(match[2])) for match in map(_TYPED.fullmatch, lines) if match]
    if len(rows) >= 2 and len(rows) == len(lines):
        for item, group in rows:
            if group in ("descriptive", "technical"):
                lists.add(group, item)
    return lists


def _collect_named(value: dict[str, Any], group: str, lists: _Lists, depth: int) -> None:
    """An object in place of a list: its values if they are lists or its keys are numbers, otherwise its keys."""
    lists.seen = True
    for key, part in list(value.items())[:MOST_ITEMS]:
        if isinstance(part, list):
            _collect(part, group, lists, depth + 1)
        elif isinstance(part, str) and _NUMBERED.fullmatch(key):
            lists.add(group, part)
        else:
            lists.add(group, key)


def _kind(item: dict[str, Any]) -> str:
    return " ".join(str(item[key]) for key in item if key.lower() in ("type", "category", "kind", "class", "group"))


def _holds_more(part: Any) -> bool:
    """Whether it is a list, an object, or one of them encoded in a string."""
    return isinstance(part, list | dict) or (isinstance(part, str) and part.lstrip()[:2] in ('{"', '["', "{\n", "[\n"))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _saved(text: str) -> _Lists:
    """The complete strings of the lists in JSON that is cut."""
    lists = _Lists()
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


def _mended(text: str) -> _Lists | None:
    """The lists of JSON with mistakes: Python's quotes, trailing commas, comments, missing brackets."""
    text = text[:MENDED_CHARS]
    if len(_START.findall(text)) > MENDED_BRACKETS:
        return None
    import json_repair

    try:
        value = json_repair.loads(_EQUALS.sub(": ", text), skip_json_loads=True)
    except (ValueError, RecursionError, IndexError, TypeError):
        return None
    lists = _Lists()
    _collect(value, "", lists, 0)
    if lists.filled and _is_cut(text):  # its last item may be a part of one
        last = lists.technical or lists.descriptive
        last.pop()
    return lists


def _is_cut(text: str) -> bool:
    closed = text.rstrip().rstrip("`").rstrip()[-1:] in ("]", "}", ")")
    return not closed and (text.count("]") < text.count("[") or text.count("}") < text.count("{"))


# -- what it is instead ------------------------------------------------------------------------------------------------


def _without(text: str) -> Proposal:
    """Describes an answer without a keyword."""
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
    words = text[:20_000].split()
    run = 1
    for word, before in zip(words[1:], words, strict=False):
        run = run + 1 if word == before else 1
        if run >= _REPEATS:
            return True
    return False
