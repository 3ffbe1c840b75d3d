"""The frequency method: the control arm, and what every failure falls back to. Standard library, deterministic, any text.

Candidates are runs of words between punctuation, function words and verbs, trimmed of weak words at the left edge: a poor man's noun
phrase. Each is scored log-linearly by how often it stands whole and inside longer ones, by its words' frequency and company,
its length, where it first stands and how far it spreads; what a better phrase contains is absorbed. Identifiers survive whole.

English lists harm other languages: a text with too few English function words is cut at its own shortest frequent words instead.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

from engine.extraction.keywords import MAX_DESCRIPTIVE, MAX_TECHNICAL, MAX_TOTAL, Keywords
from engine.extraction.words import FUNCTION, VERBS, WEAK_ALONE, WEAK_LEFT

MAX_WORDS = 5
MAX_KEYWORD = 80
SAMPLE_CHARS = 400_000  # of a longer text: its beginning, and slices spread evenly over the rest
LONG_TEXT = 300  # words from which on a phrase has to be repeated to be worth much

_TOKEN = re.compile(
    r"--[A-Za-z][\w-]*"  # --flag
    r"|\w+(?:(?:::|->|[-_.'’/@])\w+)*(?:\+\+|#|\(\))?"  # words, max_tokens, Cargo.toml, std::io, HTTP/2, C++, foo()
)
_BREAK = re.compile(r"^[ \t]?\n?[ \t]*$")
_TECHNICAL = re.compile(
    r"^--|_|::|->|\(\)$|\+\+$|#$|[a-z][A-Z]|[A-Za-z]\d|\d[A-Za-z]|^v?\d+(\.\d+)+$|^[A-Z][A-Z0-9&-]{1,7}s?$|\w\.[A-Za-z]\w{0,5}$|[A-Z]/|/\d"
)
_FENCE = re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.M | re.S)
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>|&[a-z]{2,8};")
_LINK = re.compile(r"\]\([^)\s]{1,500}\)|https?://\S+|<https?://[^>]*>")
_RULE = re.compile(r"^[ \t]*(?:[-=*_~#|+:]{3,}|#{1,6}|[-*+]|\d+[.)])[ \t]*", re.M)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


class _Span(NamedTuple):
    words: tuple[str, ...]  # as compared: lower case, plural folded
    text: str
    at: int  # ordinal of its first word


def extract(text: str, *, limit: int = MAX_TOTAL) -> Keywords:
    """Ranked keywords of a text of any length and language; never raises. `limit` bounds their number."""
    body = _plain(text)
    tokens = [(m.group(), m.start(), m.end()) for m in _TOKEN.finditer(body)]
    if not tokens:
        return Keywords()
    english = _is_english(tokens)
    stops = FUNCTION if english else _own_stops(tokens)
    spans = _cjk_spans(body) if _CJK.search(body) else []
    spans += _spans(body, tokens, stops, english)
    ranked = _rank(spans, len(tokens), english)
    return _choose(ranked, limit)


def _plain(text: str) -> str:
    """The prose: no code blocks, tags, link targets, rules or list marks; a long text is sampled."""
    if len(text) > SAMPLE_CHARS:
        part = SAMPLE_CHARS // 8
        step = (len(text) - part) // 7
        text = "\n\n".join(text[i * step : i * step + part] for i in range(8))
    if "```" in text or "~~~" in text:
        prose = _FENCE.sub("\n\n", text)
        text = prose if len(prose) > 40 else text
    if "<" in text or "&" in text:
        text = _TAG.sub(" . ", text)
    if "](" in text or "://" in text:
        text = _LINK.sub(" . ", text)
    return _RULE.sub(" . ", text).replace("`", " ` ").replace("’", "'")


def _is_english(tokens: list[tuple[str, int, int]]) -> bool:
    sample = tokens if len(tokens) < 400 else tokens[:: len(tokens) // 400]
    common = sum(token.lower() in _COMMON for token, _, _ in sample)
    latin = sum(token.isascii() for token, _, _ in sample)
    return latin > 0.9 * len(sample) and (common >= 0.12 * len(sample) or len(sample) < 12)


_COMMON = frozenset("the of and to in is for that with on are as be by this it an from which or we can not at have has was".split())


def _own_stops(tokens: list[tuple[str, int, int]]) -> frozenset[str]:
    """Function words of an unknown language: its short words that come again and again, without capitals."""
    counts = Counter(token for token, _, _ in tokens if token.islower() and len(token) <= 4)
    least = max(2, len(tokens) // 150)
    return frozenset(word for word, count in counts.items() if count >= least) | frozenset(t for t in counts if len(t) <= 2)


def _fold(word: str, english: bool) -> str:
    """Lower case; an English plural as its singular."""
    low = word.lower()
    if not english or len(low) < 4 or not low.endswith("s") or low.endswith(("ss", "us", "is")):
        return low
    if low.endswith("ies") and len(low) > 4:
        return low[:-3] + "y"
    if low.endswith(("xes", "ches", "shes", "sses", "zes")):
        return low[:-2]
    return low[:-1]


def _spans(body: str, tokens: list[tuple[str, int, int]], stops: frozenset[str], english: bool) -> list[_Span]:
    spans: list[_Span] = []
    run: list[tuple[str, str]] = []
    begun, last_end = 0, 0
    for number, (token, start, end) in enumerate(tokens):
        low = token.lower()
        gap = body[last_end:start]
        if run and gap != " " and not _BREAK.match(gap):
            _close(spans, run, begun, english)
            run = []
        last_end = end
        if low in stops or (english and _verbal(token, low)) or (low.isdigit()):
            if run:
                _close(spans, run, begun, english)
                run = []
            continue
        if not run:
            begun = number
        run.append((token, _fold(token, english)))
    if run:
        _close(spans, run, begun, english)
    return spans


def _verbal(token: str, low: str) -> bool:
    return low in VERBS or (low.endswith("ly") and len(low) > 4 and low.islower() and token == low)


def _close(spans: list[_Span], run: list[tuple[str, str]], begun: int, english: bool) -> None:
    """Trim the left edge and keep the run; a run that is too long keeps its last words, where the head is."""
    if english:
        while len(run) > 1 and run[0][1] in WEAK_LEFT:
            run = run[1:]
            begun += 1
    if len(run) > MAX_WORDS:
        begun += len(run) - MAX_WORDS
        run = run[-MAX_WORDS:]
    words = tuple(folded for _, folded in run)
    if len(words) == 1 and (len(words[0]) < 2 or (len(words[0]) < 3 and not _TECHNICAL.search(run[0][0]))):
        return
    text = " ".join(token for token, _ in run)
    if len(text) <= MAX_KEYWORD:
        spans.append(_Span(words, text, begun))


def _cjk_spans(body: str) -> list[_Span]:
    """Scripts without spaces: pairs to quadruples of characters that come again."""
    counts: Counter[str] = Counter()
    first: dict[str, int] = {}
    for match in _CJK.finditer(body):
        run = match.group()
        for size in (2, 3, 4):
            for i in range(len(run) - size + 1):
                piece = run[i : i + size]
                counts[piece] += 1
                first.setdefault(piece, match.start() + i)
    return [_Span((piece,), piece, first[piece]) for piece, count in counts.most_common(60) for _ in range(min(count, 20))]


class _Scored(NamedTuple):
    score: float
    words: tuple[str, ...]
    text: str


def _rank(spans: list[_Span], length: int, english: bool) -> list[_Scored]:
    """Candidates, best first; ties by first place, then by spelling."""
    whole: Counter[tuple[str, ...]] = Counter()
    forms: dict[tuple[str, ...], Counter[str]] = {}
    first: dict[tuple[str, ...], int] = {}
    last: dict[tuple[str, ...], int] = {}
    word_tf: Counter[str] = Counter()
    word_degree: Counter[str] = Counter()
    for words, text, at in spans:
        whole[words] += 1
        forms.setdefault(words, Counter())[text] += 1
        first.setdefault(words, at)
        last[words] = at
        for word in words:
            word_tf[word] += 1
            word_degree[word] += len(words)
    embedded: Counter[tuple[str, ...]] = Counter()
    for words, count in whole.items():
        size = len(words)
        if size > 1:
            for i in range(size):
                for j in range(i + 1, size + 1):
                    part = words[i:j]
                    if j - i < size and part in whole:
                        embedded[part] += count
    long_text = length > LONG_TEXT
    weights = _LONG if long_text else _SHORT
    scored = []
    for words, count in whole.items():
        size = len(words)
        text = _surface(forms[words])
        technical = bool(_TECHNICAL.search(text)) and len(text) > 1
        tf = count + 0.33 * embedded[words]
        mean_tf = sum(math.log(word_tf[w]) for w in words) / size
        company = sum(word_degree[w] / word_tf[w] for w in words) / size
        score = weights.tf * math.log(tf) + weights.word * mean_tf + weights.company * math.log(company)
        score += weights.size[size - 1]
        score -= weights.first * math.log(1 + first[words] / 20)
        score += weights.spread * (last[words] - first[words]) / max(length, 1)
        if technical:
            score += weights.technical
        elif text[:1].isupper() and text[1:2].islower() and size > 1:
            score += weights.capital
        if english and words[-1] in WEAK_ALONE:
            score -= weights.weak_alone if size == 1 else weights.weak_last
        if english and size == 1 and (words[0] in WEAK_LEFT or words[0].endswith(("ing", "ed", "able", "ful", "ive", "ous", "al", "ic"))):
            score -= weights.weak_alone
        scored.append((-score, first[words], words, text))
    scored.sort()
    return [_Scored(-score, words, text) for score, _, words, text in scored]


class _Weights(NamedTuple):
    tf: float
    word: float
    company: float
    size: tuple[float, float, float, float, float]
    first: float
    spread: float
    technical: float
    capital: float
    weak_alone: float
    weak_last: float


_SHORT = _Weights(0.9, 0.35, 0.5, (-0.5, 0.7, 0.7, 0.3, -0.2), 0.12, 0.2, 0.2, 0.2, 1.2, 0.15)
_LONG = _Weights(1.0, 0.25, 0.3, (-0.9, 0.5, 0.4, -0.2, -0.8), 0.28, 0.5, 0.2, 0.0, 1.2, 0.2)


def _surface(forms: Counter[str]) -> str:
    """The most frequent spelling; at a tie the one without capitals, then the alphabet's first."""
    return min(forms, key=lambda text: (-forms[text], sum(c.isupper() for c in text), text))


def _choose(ranked: list[_Scored], limit: int) -> Keywords:
    """The best ones: no repetitions, contained phrases absorbed, the two kinds within their bounds."""
    kept: list[_Scored] = []
    technical: list[str] = []
    descriptive = 0
    for found in ranked:
        if len(kept) >= limit:
            break
        if any(_within(found.words, other.words) for other in kept if len(found.words) == 1 or len(other.words) > len(found.words)):
            continue
        text = _shown(found.text)
        if _TECHNICAL.search(found.text):
            if limit <= MAX_TOTAL and len(technical) >= MAX_TECHNICAL:
                continue
            technical.append(text)
        else:
            if limit <= MAX_TOTAL and descriptive >= max(MAX_DESCRIPTIVE, limit):
                continue
            descriptive += 1
        kept.append(found)
    return Keywords(tuple(_shown(found.text) for found in kept), tuple(technical))


def _within(part: tuple[str, ...], whole: tuple[str, ...]) -> bool:
    size = len(part)
    return any(whole[i : i + size] == part for i in range(len(whole) - size + 1))


def _shown(text: str) -> str:
    """Lower case, but identifiers and names as they are written."""
    return " ".join(word if _TECHNICAL.search(word) else word.lower() for word in text.split())


__all__ = ["extract", "pairwise"]
