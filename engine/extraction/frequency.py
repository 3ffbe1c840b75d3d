"""The frequency method: the control arm and the fallback for every failure. Pure, deterministic, any text, never
raises.

Candidates are phrases (see candidates) and parts that two phrases share. A log-linear score ranks them by their traits;
trees then correct the best few by how they compare with each other (see traits, ranking, trees). A general single word
such as "ability" is a keyword only where the text keeps returning to it or has little else. A title has few phrases, so
parts of them are keywords too: of "stable feature selection" also "feature selection".

All of up to 15 keywords may be descriptive: a text about ideas has no technical terms, and the control arm must not be
weaker for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from engine.extraction import trees
from engine.extraction.candidates import KINDS, Phrases, phrases
from engine.extraction.keywords import MAX_TOTAL, Budget, Keywords, stem_phrase
from engine.extraction.languages import ENGLISH, LINKS
from engine.extraction.passages import LEAST_SHARE, is_prose, passages
from engine.extraction.prose import prose
from engine.extraction.ranking import FOREIGN, LONG_TOKENS, SHORT_TOKENS, romance_weights, weights
from engine.extraction.tokens import ACRONYM, IDENTIFIER, Known, Span, is_ordinary, tokenise
from engine.extraction.traits import (
    Candidate,
    Traits,
    Vague,
    candidates,
    context,
    is_fragment,
    is_name,
    is_part,
    is_weak,
    of_vague,
    scores,
    shorter,
)
from engine.extraction.unspaced import CJK, GENERAL_WORDS, Piece, joined, pieces, without_general
from engine.extraction.words import GENERAL, TECHNOLOGIES, TECHNOLOGIES_BY_NAME
from engine.parsing import Parsed, content
from engine.parsing.sampling import sample

RESCORED = 20  # candidates that the trees correct
LITTLE = 60  # tokens of a text that has few phrases: parts of them fill the list up to FEW_OF_LITTLE
TITLE = 30  # tokens of a text that is hardly more than a title: single words fill the list too
ENOUGH = 10  # keywords from which on a weak one is none
FEW, FEW_OF_LITTLE = 5, 10  # keywords up to which vague words, and parts of phrases, fill the list

CHARACTERS = 1.7  # Chinese or Japanese characters that are worth a word
_QUOTED = re.compile(r"`([^`\s]{2,60})`")


# loss (the negative score), place in the text, spelling; best first
Rated = tuple[float, int, str, Candidate]


def extract(text: str | Parsed, *, limit: int = MAX_TOTAL, budget: Budget | None = None) -> Keywords:
    """The keywords of a document of any format, length and language, best first: within `budget`, else at most
    `limit`."""
    budget = budget or Budget(total=limit, descriptive=limit)
    if budget.total <= 0:
        return Keywords()
    body = prose(sample(content(text) if isinstance(text, str) else text.content))
    quoted = frozenset(_QUOTED.findall(body) if "`" in body else ())
    if body.isascii() or not CJK.search(body):
        tokens = tokenise(body)
        return _joined([(len(part), _keywords(part, budget, quoted)) for part in passages(body, tokens)], budget)
    body = joined(body)
    words = [_of_piece(piece) for piece in without_general(pieces(body), FEW)]
    characters = sum(map(len, CJK.findall(body)))
    rest = CJK.sub(" . ", body)
    tokens = tokenise(rest)
    if characters / CHARACTERS < LEAST_SHARE * len(tokens) or not is_prose(tokens):
        elsewhere = 3 * characters > len(body)  # the text is Chinese or Japanese; anything else in it is a name
        return _keywords(tokens, budget, quoted, words, elsewhere=elsewhere)
    lists = [(int(characters / CHARACTERS), _keywords(["."], budget, quoted, words))]
    lists += [(len(part), _keywords(part, budget, quoted)) for part in passages(rest, tokens)]
    return _joined(lists, budget)


def _keywords(
    tokens: list[str], budget: Budget, quoted: frozenset[str], words: Sequence[Rated] = (), *, elsewhere: bool = False
) -> Keywords:
    """The keywords of a text in one language, and among them `words` of Chinese or Japanese. `elsewhere`: the text is
    in one of these."""
    read = phrases(tokens)
    english = read.language == ENGLISH
    ranked, vague = _scored(read, english=english and not elsewhere)
    ranked = sorted([*words, *ranked]) if words else ranked
    title = len(tokens) < TITLE
    parts = []
    if english and not words and len(tokens) < LITTLE:
        parts = shorter([rated[3] for rated in ranked], singles=title)
    least = 2 if len(tokens) < (SHORT_TOKENS + LONG_TOKENS) // 2 and read.language not in LINKS else 1
    fillers = ((parts, FEW_OF_LITTLE), (map(of_vague, vague), FEW_OF_LITTLE if title else FEW))
    chosen = _chosen(ranked, fillers, budget, quoted, english, least)
    return _shown(chosen, read.spans, quoted, english and not elsewhere)


def _joined(lists: list[tuple[int, Keywords]], budget: Budget) -> Keywords:
    """The best keywords of a document's passages within the budget, of each passage as many as its length is worth."""
    if len(lists) == 1:
        return lists[0][1]
    ordered = sorted(
        ((rank + 0.5) / length, place, keyword, keyword in set(of.technical))
        for place, (length, of) in enumerate(lists)
        for rank, keyword in enumerate(of.ranked)
    )
    chosen: dict[str, tuple[str, bool]] = {}
    left = {True: budget.technical, False: budget.descriptive}
    for _, _, keyword, technical in ordered:
        if len(chosen) < budget.total and left[technical] > 0 and (key := stem_phrase(keyword)) not in chosen:
            chosen[key] = keyword, technical
            left[technical] -= 1
    return Keywords(
        tuple(keyword for keyword, _ in chosen.values()),
        tuple(keyword for keyword, technical in chosen.values() if technical),
    )


# -- scores ------------------------------------------------------------------------------------------------------------


def best(read: Phrases, by: Traits, *, english: bool) -> tuple[list[Rated], list[Vague]]:
    """The candidates ranked by their own traits, best first; and the vague ones, most frequent first."""
    rivals, vague = candidates(read.spans, english=english, language=read.language)
    made = scores(rivals, len(read.kinds), by)
    ranked = [(-score, rival[2], rival[1], rival) for score, rival in zip(made, rivals, strict=True)]
    ranked.sort()
    return ranked, vague


def _scored(read: Phrases, *, english: bool) -> tuple[list[Rated], list[Vague]]:
    length = len(read.kinds)
    by = weights(length) if english else romance_weights(length) if read.language in LINKS else FOREIGN
    ranked, vague = best(read, by, english=english)
    if english and ranked:
        top = ranked[:RESCORED]
        known = context(top, ranked, read.spans, read.kinds)
        logits = trees.logits(known, length)
        ranked[:RESCORED] = [
            (loss - logit, at, text, rival) for (loss, at, text, rival), logit in zip(top, logits, strict=True)
        ]
        ranked.sort()
    return ranked, vague


def _of_piece(piece: Piece) -> Rated:
    """A run of Chinese or Japanese characters as a rated candidate. One that occurs once loses: that is weak evidence
    of a word."""
    once = 0.6 if piece.times == 1 else 0.0
    if piece.text in GENERAL_WORDS:
        once += 1.5
    if len(piece.text) == 2:  # a term has more: of 网络 and 神经网络 the second
        once += 1.2
    times = piece.times - 0.4 * piece.within
    loss = once - math.log(times) - 0.5 * min(len(piece.text), 6) + 0.45 * math.log1p(piece.at / 40)
    alone = piece.times - piece.within
    one = Candidate(
        words=tuple(piece.text),
        text=piece.text,
        at=piece.at,
        last=piece.at,
        alone=alone,
        within=piece.within,
        begins="c",
        ends="c",
        weight=1.0,
    )
    return loss, piece.at, piece.text, one


# -- the choice --------------------------------------------------------------------------------------------------------


class _Choice:
    """The keywords chosen so far, each with whether it is technical: no repeats, and within the budget."""

    def __init__(self, budget: Budget, english: bool, quoted: frozenset[str]) -> None:
        self.made: list[tuple[Candidate, bool]] = []
        self.words = set[str]()  # of all of them
        self._left = {True: budget.technical, False: budget.descriptive}
        self._keys: set[str] = set()
        self._english = english
        self._quoted = quoted

    def has_whole(self, part: Candidate, rivals: list[Candidate]) -> bool:
        """Whether a part is none of its own: a better keyword contains it, or it is a fragment and no name."""
        is_whole_known = part.words[0] in self.words and is_part(part, [better for better, _ in self.made])
        if not self._english:
            return is_whole_known
        is_known = is_whole_known or (not part.alone and is_fragment(part, rivals))
        return is_known and not is_name(part, rivals)

    def add(self, candidate: Candidate) -> None:
        words = candidate.words
        size = len(words)
        if size > 1 and len(set(words)) < size and " " in candidate.text:  # a table's row: Pool Pool
            return
        key = "".join(map(_ROOTS.__getitem__, words)) if self._english else " ".join(words)
        if key in self._keys:
            return
        technical = _is_technical(candidate.text, self._quoted)
        if not self._left[technical]:
            return
        self._left[technical] -= 1
        self._keys.add(key)
        self.words.update(words)
        self.made.append((candidate, technical))


def _chosen(
    ranked: list[Rated],
    fillers: Sequence[tuple[Iterable[Candidate], int]],
    budget: Budget,
    quoted: frozenset[str],
    english: bool,
    least: int,
) -> list[tuple[Candidate, bool]]:
    """The best, without the parts of better ones that occur alone fewer than `least` times. `fillers` fill the list,
    each up to a number of keywords."""
    choice = _Choice(budget, english, quoted)
    rivals = [rated[3] for rated in ranked]
    for candidate in rivals:
        many = len(choice.made)
        if many >= budget.total:
            break
        if english and many >= ENOUGH and is_weak(candidate):
            continue
        if candidate.alone >= least or not choice.has_whole(candidate, rivals):
            choice.add(candidate)
    for some, most in fillers:
        for candidate in some:
            many = len(choice.made)
            if many >= budget.total or (many >= most and candidate.text not in quoted):
                break
            choice.add(candidate)
    return choice.made


def _shown(best: list[tuple[Candidate, bool]], spans: list[Span], quoted: frozenset[str], english: bool) -> Keywords:
    ranked: dict[str, None] = {}
    technical: dict[str, None] = {}
    for candidate, is_technical in best:
        text = candidate.text
        if not candidate.alone:
            text = _as_written(candidate, spans)
            is_technical = _is_technical(text, quoted)
        keyword = text if not english or text.islower() or text in quoted else _in_small_letters(text)
        ranked[keyword] = None
        if is_technical:
            technical[keyword] = None
    return Keywords(tuple(ranked), tuple(technical))


def _as_written(part: Candidate, spans: list[Span]) -> str:
    """The first spelling of a part of a phrase, of which only the compared form is known."""
    size = len(part.words)
    for words, text, at in spans:
        i = part.at - at
        if 0 <= i <= len(words) - size and words[i : i + size] == part.words:
            return _OWNING.sub("", " ".join(text.split()[i : i + size]))
    return part.text


def _rooted(word: str) -> str:
    """A stem short enough that "clustering" and "clusters" are one keyword, and batch_size and "batch size"."""
    if not word.isalpha() and len(parts := _PARTS.split(word)) > 1:
        return "".join(map(_rooted, parts))
    for ending in ("ing", "ed", "e"):
        if word.endswith(ending) and len(word) > len(ending) + 3:
            return word[: -len(ending)]
    return word


_PARTS = re.compile("[-_]")
_OWNING = re.compile(r"(?<=\w\w)['’]s$")
_ROOTS = Known(_rooted)


def _technical(word: str) -> bool:
    low = word.lower()
    if low in TECHNOLOGIES or (low in TECHNOLOGIES_BY_NAME and word != low):
        return True
    if is_ordinary(word):
        return False
    return bool(IDENTIFIER.search(word)) or (ACRONYM.fullmatch(word) is not None and low not in GENERAL)


_TECHNICAL = Known(_technical)


def _is_technical(text: str, quoted: frozenset[str]) -> bool:
    if " " not in text:
        return _TECHNICAL[text] or text in quoted
    return any(map(_TECHNICAL.__getitem__, text.split())) or text in quoted


def _in_small_letters(text: str) -> str:
    """In lower case, except identifiers, acronyms and single letters (the language C)."""
    return " ".join(word if len(word) == 1 or KINDS[word] == "i" else word.lower() for word in text.split())
