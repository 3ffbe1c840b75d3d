"""Reads lists in plain text: bullets, numbers, labels, commas, hashtags, tables, tags. Also decides which of the two
lists a name refers to.

Pure. A sentence is never a list, however many commas it has.
"""

from __future__ import annotations

import re
from typing import Any

from engine.extraction.llm.surface import MOST_ITEMS, head, sentence_like, split, unbulleted
from engine.extraction.words import AUXILIARIES, BEFORE_VERBS, DETERMINERS

LABEL_WORDS = 12

_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_TECHNICAL = re.compile(
    r"\b(?:technical|technolog(?:y|ies)|tech|identifiers?|tools?|entit(?:y|ies)|librar(?:y|ies)|acronyms?)\b"
)
_DESCRIPTIVE = re.compile(r"\b(?:descriptives?|descriptors?)\b")
# "keywords" as models name the list in the document's language; \W is a blank, as in the names that are compared
_ELSEWHERE = """
关键词 关键字 關鍵詞 關鍵字 主题词 キーワード キーフレーズ 키워드 핵심어 schlüsselwörter schlagwörter stichwörter
mots-clés mots-clefs palabras-clave descriptores parole-chiave palavras-chave trefwoorden sleutelwoorden nyckelord
nøgleord avainsanat słowa-kluczowe klíčová-slova kulcsszavak cuvinte-cheie ключевые-слова ключові-слова
ключови-думи anahtar-kelimeler anahtar-sözcükler λέξεις-κλειδιά मुख्य-शब्द कीवर्ड الكلمات-المفتاحية كلمات-مفتاحية
کلیدواژه‌ها מילות-מפתח คำสำคัญ từ-khóa kata-kunci paraules-clau
"""
_ANY = re.compile(
    r"\b(?:key ?words?|key ?phrases?|terms?|topics?|tags?|subjects?|concepts?|themes?|phrases|labels)\b|"
    + "|".join(re.sub(r"[_\W]+", " ", name).strip() for name in _ELSEWHERE.split())
)
_ITEM_KEY = re.compile(
    r"(?:key ?word|key ?phrase|term|name|text|phrase|value|word|label|tag|topic|concept|technology|tool|title)"
)
_STRICT = re.compile(r"^(?:key|term$|tag$)")
_ASIDE = re.compile(
    r"\b(?:thoughts?|thinking|reasoning|notes?|steps?|errors?|warnings?|questions?|sentences?|summary"
    r"|explanations?|rejected|excluded|ignored|usage"
    r"|messages?|choices|examples?|sources?|logs?)\b"
)
_BULLETED = re.compile(r"\s*(?:\\item|[-*+•‣◦▪●○·–—]|\(?\d{1,3}[.)\]:]|\[[ xX]\])\s+\S")
_LABEL = re.compile(r"^[\s#>*_\-•\d.)]*([^:：]{2,80}?)[*_ ]{0,4}[:：][*_ ]{0,4}(.*)$")
# The keywords of this text are: as a sentence that a list completes
_LEAD = re.compile(
    r"^[\s>*]{0,6}(?:sure[,!.]? )?([^:：.]{2,60}?)(?: (?:of|in|for|from) (?:the|this|your) \w{1,20})?"
    r" (?:are|include|would be) (.+)$",
    re.I,
)
_HEADING = re.compile(r"^\s*(?:#{1,6}\s+|\*\*|__)([^:*_#]{2,60}?)(?:\*\*|__)?\s*:?\s*$")
_HASHTAG = re.compile(r"(?<![\w#])#([^\W\d_](?:[\w-]|[./](?=\w))*)")
_ELEMENT = re.compile(
    r"<(keyword|kw|term|tag|item|li|phrase|descriptive|technical|topic)>\s*([^<>]{2,2000}?)\s*</\1>", re.IGNORECASE
)
_PROSE_STARTS = DETERMINERS | BEFORE_VERBS | AUXILIARIES | frozenset((
    "a", "an", "the", "this", "that", "it", "i", "we", "you", "here", "there", "in", "on", "for", "with", "by",
    "from", "as", "so", "but",
))  # fmt: skip


def group_of(name: str) -> str:
    """ "descriptive", "technical"; "any" for a name that covers both kinds, "" for any other name."""
    words = re.sub(r"[_\W]+", " ", _CAMEL.sub(" ", name)).casefold().strip()
    if _DESCRIPTIVE.search(words):
        return "descriptive"
    if _TECHNICAL.search(words):
        return "technical"
    return "any" if _ANY.search(words) else ""


def is_item_key(name: str) -> bool:
    """Whether an object's field with this name holds a keyword: {"keyword": "connection pool", "score": 0.9}."""
    return bool(_ITEM_KEY.fullmatch(re.sub(r"[_\W]+", " ", _CAMEL.sub(" ", name)).casefold().strip()))


def item_in(item: dict[str, Any], strict: bool = False) -> str:
    """The one keyword that an object describes; "" if none or several. `strict`: only under an explicit name."""
    if any(isinstance(part, list | dict) for part in item.values()):
        return ""
    named = (
        part
        for key, part in item.items()
        if is_item_key(key) and isinstance(part, str) and (not strict or _STRICT.search(key.lower()))
    )
    return next(named, "")


def is_aside(name: str) -> bool:
    """Whether a name marks something that accompanies an answer, not a list."""
    return bool(_ASIDE.search(re.sub(r"[_\W]+", " ", name).casefold()))


def items_of(text: str) -> list[str]:
    """The items of a list written in one string: lines, bullets or commas. A sentence has none."""
    if _HASHTAG.search(text) and len(_HASHTAG.findall(text)) > 1:
        return _HASHTAG.findall(text)
    return [item for part in split(text) if (item := unbulleted(part)) and not sentence_like(item.rstrip("."))]


def read(text: str) -> tuple[list[str], list[str]]:
    """Descriptive and technical keywords of a text that is a list; none for any other text."""
    lists: dict[str, list[str]] = {"descriptive": [], "technical": []}
    elements = _ELEMENT.findall(text)
    if elements:
        for name, item in elements[:MOST_ITEMS]:
            _add(lists, group_of(name), items_of(item))
        return lists["descriptive"], lists["technical"]
    lines = [
        line
        for line in text.splitlines()
        if line.strip() and not re.fullmatch(r"\s*(?:`{3}.*|[-=*_|:+\s]{3,}|\\(?:begin|end)\{.*)\s*", line)
    ]
    bullets = sum(bool(_BULLETED.match(line)) for line in lines)
    group, labelled, prose = "", False, 0
    plain: list[str] = []
    columns: tuple[str, ...] = ()  # columns of the table, once its first row is read
    for line in lines:
        is_bullet = bool(_BULLETED.match(line))
        name, rest = _label(line)
        if name:
            group, labelled = name, True
            _add(lists, group, items_of(rest.rstrip(" .")))
        elif line.lstrip().startswith("|"):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            head_row = () if columns else _columns(cells)
            columns = columns or head_row or ("",)
            if not head_row:
                _add_row(lists, cells, columns, group)
        elif (is_bullet and bullets > 1) or (is_bullet and labelled):
            item = unbulleted(line)
            prose += sentence_like(head(item).rstrip("."))
            _add(lists, group, [item])
        elif labelled and not is_bullet:
            _add(lists, group, _listed(line, least=1))
        else:
            plain.append(line)
    if prose * 2 > max(1, bullets):
        return [], []
    if not labelled and not bullets and not lists["descriptive"]:
        _add(lists, "", _unlabelled(plain))
    return lists["descriptive"], lists["technical"]


def _columns(cells: list[str]) -> tuple[str, ...]:
    """The group of each column that holds keywords, "-" for the others; () if the row is not a table header."""
    groups = tuple(group_of(cell) if len(cell.split()) <= 3 else "" for cell in cells)
    if sum(group in ("descriptive", "technical") for group in groups) > 1:
        return tuple(group or "-" for group in groups)
    first = next((place for place, cell in enumerate(cells) if groups[place] or is_item_key(cell)), None)
    if first is None or (first and re.search(r"\w\w", cells[0])):
        return ()
    return (*["-"] * first, "")


def _add_row(lists: dict[str, list[str]], cells: list[str], columns: tuple[str, ...], group: str) -> None:
    places = [place for place, column in enumerate(columns) if column != "-" and place < len(cells)]
    rest = group_of(" ".join(cells[places[0] + 1 :])) if places else ""
    for place in places:
        named = columns[place] if len(places) > 1 else rest
        _add(lists, named or group, cells[place : place + 1])


def _label(line: str) -> tuple[str, str]:
    """(the group that a line's label names, the rest of the line); ("", "") without such a label."""
    heading = _HEADING.match(line)
    if heading and group_of(heading[1]):
        return group_of(heading[1]), ""
    label = _LABEL.match(line)
    if label and len(label[1].split()) <= LABEL_WORDS and group_of(label[1]):
        return group_of(label[1]), label[2]
    lead = _LEAD.match(line)
    if lead and group_of(lead[1]) and _listed(lead[2], least=4):
        return group_of(lead[1]), lead[2]
    return "", ""


def _unlabelled(lines: list[str]) -> list[str]:
    """Keywords of an unlabelled list: one a line, separated by commas, or hashtags."""
    text = "\n".join(lines)
    tags = _HASHTAG.findall(text)
    if len(tags) > 1:
        return tags
    if len(lines) >= 3 and all(
        len(line.split()) <= 4 and not line.rstrip().endswith((".", ":", "!", "?")) for line in lines
    ):
        return [line.strip() for line in lines]
    for line in lines:
        items = _listed(line, least=3)
        if items:
            return items
    return []


def _listed(line: str, least: int) -> list[str]:
    """The items of a line that is only a list: short, none of them beginning or ending like a sentence."""
    items = [re.sub(r"^(?:and|or|und|et|y)\s+", "", item) for item in split(line.strip().rstrip("."))]
    if len(items) < least:
        return []
    for item in items:
        words = item.split()
        if (
            not words
            or len(words) > 4
            or words[0].casefold() in _PROSE_STARTS
            or sentence_like(item)
            or re.search(r"[.!?]\s", item)
        ):
            return []
    return items


def _add(lists: dict[str, list[str]], group: str, items: list[str]) -> None:
    into = lists["technical" if group == "technical" else "descriptive"]
    into += items[: MOST_ITEMS - len(into)]
