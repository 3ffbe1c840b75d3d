"""Candidate keywords: phrases of a text, found by a grammar over one letter per word.

Every token gets a letter for the kind of word it is: a dictionary lookup, so that a token costs less than a
microsecond. The letters of a text make one string; regular expressions over it settle what is a verb here (see
verbs), and find the noun phrases.

f function word, F of another language, o and O perhaps of another (else n and c), t determiner, m before a verb (to,
we, will), r joins clauses, q relative, x auxiliary, d adverb, . break, v verb, b noun or verb, B its -s form, V one
that is a verb after a noun, e -ed, g -ing that is often a noun, w weak word, a adjective, n noun, y one that ends an
introduction (in practice), k one that is a program (npm), s plural, c capital, i identifier, # number, p possessive,
which ends a phrase, P one with a capital, which may be part of a name, D a day of the week
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.extraction import words
from engine.extraction.foreign import foreign_phrases
from engine.extraction.languages import ENGLISH, ENGLISH_PROSE, ENGLISH_SHARE, NOT_ENGLISH, PERHAPS_FOREIGN, language
from engine.extraction.tokens import MAX_CHARS, MAX_WORDS, Known, Span, Words, shape
from engine.extraction.verbs import settled

_LANGUAGES = "CR"  # names of one letter
MIXED_SHARE = 0.04  # share of foreign function words above which a text has passages in that language
ASKED = 2_000  # tokens that detect the language


def _kind(token: str) -> str:
    """The letter of a token in a text that may be English."""
    kind = _english_kind(token)
    if kind in "ncs" and token.lower() in PERHAPS_FOREIGN:
        return "O" if kind == "c" else "o"
    if kind == "c" and token in words.DAYS:
        return "D"
    if kind == "n" and token in words.DIRECTIONS:
        return "a"  # areas south of a town; but the Middle East
    if kind == "n":
        return "y" if token in words.AFTER_IN else "k" if token in words.COMMANDS else "n"
    return kind


_FUNCTION_GROUPS = (
    ("t", words.DETERMINERS),
    ("m", words.BEFORE_VERBS),
    ("r", words.JOINING),
    ("q", words.RELATIVE),
    ("x", words.AUXILIARIES),
    ("d", words.HOW_OFTEN),
)
# letters of function words; a word of several kinds gets the first that applies
_FUNCTION_KINDS = {
    word: next((kind for kind, group in _FUNCTION_GROUPS if word in group), "f") for word in words.FUNCTION
}


def _english_kind(token: str) -> str:
    low = token.lower().replace("’", "'")
    if (function := _FUNCTION_KINDS.get(low)) is not None:
        return function
    form = shape(token)
    if form not in "nc":
        # CREATE, SELECT, DELETE are no acronyms
        return "v" if form == "i" and len(token) > 4 and token.isupper() and low in words.VERBS else form
    if low in NOT_ENGLISH:
        return "F"
    if low.endswith("'s"):
        return "p" if form == "n" else "P"
    return _listed_kind(low) or _formed_kind(low, form)


def _listed_kind(low: str) -> str:
    """The letter of an English word from the word lists and their regular forms; "" for a word in none."""
    if low in words.VERBS_AFTER_NOUNS:
        return "V"
    if low in words.EITHER:
        return "B" if low in words.EITHER_S and low not in words.MODIFYING else "b"
    if low in words.WEAK or low.endswith("-old"):  # 12-year-old
        return "w"
    if low in words.VERBS:
        return "v"
    if words.is_verbal(low):
        return "v"
    if low in words.ADVERBS or (
        low.endswith("ly") and len(low) > 4 and low not in words.NOT_ADVERBS and "-" not in low
    ):
        return "d"
    return "a" if words.is_adjective(low) else ""


def _formed_kind(low: str, form: str) -> str:
    """The letter of an English word in no list, from its shape and ending."""
    if form == "c":
        return "c"
    if low in words.PARTICIPLES or (low.endswith("ed") and len(low) > 4 and not low.endswith("eed")):
        return "e"
    if low.endswith("ing") and len(low) > 5:
        return "g"
    return "s" if words.is_plural(low) else "n"


def _folded(token: str) -> str:
    """Lower case, an English plural as its singular, a possessive as its owner."""
    low = token.lower().replace("’", "'")
    if low.endswith("'s"):
        low = low[:-2] or low
    elif token[-1] == "s" and token[:-1].isupper():  # APIs, IDs
        return low[:-1]
    if len(low) < 4 or not low.endswith("s") or low.endswith(("ss", "us", "is")) or low in words.SINGULAR_IN_S:
        return low
    if low.endswith("ies"):
        return low[:-3] + "y" if len(low) > 5 else low[:-1]
    if low.endswith(("xes", "ches", "shes", "sses", "zzes")):
        return low[:-2]
    return low[:-1]


KINDS = Known(_kind)
FOLDS = Known(_folded)

_PHRASE = re.compile(r"[awegnsbBciP](?:[awegnsbBciP#]*[gnsbBcipP#])?|p")

_SCORE = re.compile(r"\d\d?[-–]\d\d?")
_INITIAL = re.compile(r"(?<=c)n\.(?=c)")
_NAME_OF_NAME = re.compile(r"(?<=c)f(?=[cabBnsw])")


class Phrases(NamedTuple):
    """All occurrences in text order, the kind of each token, and the language used to find them (None: unlisted)."""

    spans: list[Span]
    kinds: str
    language: str | None


def phrases(tokens: list[str]) -> Phrases:
    kinds = "".join(map(KINDS.__getitem__, tokens))
    words = len(kinds) - kinds.count(".") - kinds.count("#")
    if "o" in kinds or "O" in kinds:
        many = kinds.count("o") + kinds.count("O") >= MIXED_SHARE * words
        # a pod is one word
        mixed = many and len({token.lower() for token, kind in zip(tokens, kinds, strict=True) if kind in "oO"}) > 2
        kinds = kinds.replace("o", "F" if mixed else "n").replace("O", "F" if mixed else "c")
    english = sum(map(kinds.count, "ftmxrq"))
    if english >= ENGLISH_PROSE * words > 0:
        return _english(tokens, kinds)
    spoken = language([token for token in tokens[:: 1 + len(tokens) // ASKED] if token[0].isalpha()])
    if spoken == ENGLISH:
        return _english(tokens, kinds)
    spans = foreign_phrases(tokens, spoken, partly_english=english >= ENGLISH_SHARE * words)
    return Phrases(spans, kinds, spoken)


def _english(tokens: list[str], kinds: str) -> Phrases:
    if "cn.c" in kinds:
        tokens, kinds = _with_initials(tokens, kinds)
    kinds = settled(tokens, kinds)
    if "P" in kinds:
        kinds = _with_owners(tokens, kinds)
    if "cf" in kinds:
        kinds = _NAME_OF_NAME.sub(lambda of: "c" if _is_bank_of_england(tokens, of.start()) else "f", kinds)
    folds = tuple(map(FOLDS.__getitem__, tokens))
    has_owners = "p" in kinds or "P" in kinds
    spans: list[Span] = []
    for match in _PHRASE.finditer(kinds):
        start, end = _trimmed(tokens, kinds, folds, match)
        size = end - start
        if size > 1:
            text = " ".join(tokens[start:end])
        elif not size or kinds[start] in "awe":
            continue
        else:
            text = tokens[start]
        if has_owners and kinds[end - 1] in "pP":
            text = text[:-2]
        if len(text) == 1 and not is_keyword(text):
            continue
        spans.append((folds[start:end], text, start))
    return Phrases(_by_full_names(spans) if "cc" in kinds else spans, kinds, ENGLISH)


def _with_owners(tokens: list[str], kinds: str) -> str:
    """A name that also occurs without 's owns what follows it (Turing's machine); otherwise 's is part of the name
    (Zipf's law)."""
    bare = set(tokens)
    return re.sub("P", lambda owner: "p" if tokens[owner.start()][:-2] in bare else "P", kinds)


def _trimmed(tokens: list[str], kinds: str, folds: Words, phrase: re.Match[str]) -> tuple[int, int]:
    """Where the keyword is in a phrase: without weak words, measures, amounts, and what says what a name is."""
    start, end = phrase.span()
    while start < end and kinds[start] == "w" and not _begins_name(tokens, start):
        start += 1
    if start < end - 1 and tokens[start] in words.MEASURES and _is_measured(tokens, kinds, start):
        start += 1
    if kinds[end - 1] == "#" and _counts(tokens, kinds, end):
        end = max(start, len(kinds[:end].rstrip("#")))
    if kinds[end - 1] == "c":
        start = _after_role(tokens, kinds, folds, start, end)
    if "i" in kinds[start:end]:
        start, end = _named(tokens, kinds, start, end)
    if end - start > MAX_WORDS:  # an English phrase keeps its end, where its head noun is
        start = end - MAX_WORDS
        start += tokens[start] == "of"
    return start, end


def _is_measured(tokens: list[str], kinds: str, at: int) -> bool:
    """Whether a noun belongs to the word before it, not to a term: long term project, this year airlines."""
    return at > 0 and (kinds[at - 1] == "w" or tokens[at - 1].lower() in words.MEASURING)


def _with_initials(tokens: list[str], kinds: str) -> tuple[list[str], str]:
    """The tokens with the full stop of an initial as part of it: Ada C. Cole."""
    joined = list(tokens)
    for match in reversed(list(_INITIAL.finditer(kinds))):
        at = match.start()
        if len(tokens[at]) == 1 and tokens[at + 1] == "." and tokens[at - 1].lower() in words.FIRST_NAMES:
            joined[at : at + 2] = [tokens[at] + "."]
            kinds = f"{kinds[:at]}c{kinds[at + 2 :]}"
    return joined, kinds


def _by_full_names(spans: list[Span]) -> list[Span]:
    """The phrases, with a surname alone as the full name that the text gives: Cole is Ada Cole."""
    named: dict[str, tuple[Words, str]] = {}  # by surname
    shared = set[str]()  # surnames of several people
    for folded, text, _ in spans:
        is_person = 1 < len(folded) < 4 and folded[0] in words.FIRST_NAMES and text.istitle()
        if not is_person or folded[-1] in words.VAGUE:
            continue
        if named.setdefault(folded[-1], (folded, text))[0] != folded:
            shared.add(folded[-1])
    if not named:
        return spans
    made: list[Span] = []
    for folded, text, at in spans:
        if len(folded) == 1 and text[0].isupper() and folded[0] in named and folded[0] not in shared:
            folded, text = named[folded[0]]
        made.append((folded, text, at))
    return made


def _is_bank_of_england(tokens: list[str], at: int) -> bool:
    """Whether an of joins a name and what the name is of."""
    return tokens[at] == "of" and tokens[at - 1].lower() in words.BEFORE_OF and tokens[at + 1][0].isupper()


def _after_role(tokens: list[str], kinds: str, folds: Words, start: int, end: int) -> int:
    """Where the name begins in a phrase that says what the name is: Mayor Ada Cole, opener Ada Cole, the drug group
    Sanofi."""
    at = end - 1
    while at > start and kinds[at - 1] == "c":
        at -= 1
        if folds[at] in words.FIRST_NAMES and at > start and (kinds[at - 1] != "c" or folds[at - 1] in words.ROLES):
            return at
    if at == start or not tokens[at - 1].islower():
        return start
    return at if folds[at - 1] in words.ROLES or (end - at > 1 and kinds[at - 1] in "nsb") else start


def _counts(tokens: list[str], kinds: str, end: int) -> bool:
    """Whether the number that ends a phrase is an amount, not part of a name: margin 65 %, revenue 12 14, an aggressive
    187, struck Earth 66 million years ago, beat Port United 2-1."""
    return (
        kinds[end - 2] in "#awe"
        or (end < len(tokens) and (tokens[end][0] == "%" or tokens[end] in words.AFTER_AMOUNTS))
        or _SCORE.fullmatch(tokens[end - 1]) is not None
    )


def _named(tokens: list[str], kinds: str, start: int, end: int) -> tuple[int, int]:
    """Where the name is in a phrase that has identifiers: class RequestRouter, CREATE INDEX documents_updated, the file
    /etc/hosts without what declares it; --region alone, without its command and its value."""
    for at in range(end - 1, start - 1, -1):
        if kinds[at] != "i":
            continue
        if tokens[at].startswith("--"):
            return at, at + 1
        if at > start and (tokens[at][0] == "/" or tokens[at - 1].lower() in words.DECLARING):
            return at, end
    return start, end


def is_keyword(text: str) -> bool:
    """Whether a phrase may be a keyword: it has a letter, and more than one unless it names a language or is an
    ideograph. Any other letter alone is a variable, a type's parameter, an option."""
    if len(text) == 1:
        return text in _LANGUAGES or (ord(text) > 0x2E80 and text.isalpha())
    return len(text) <= MAX_CHARS and (text[0].isalpha() or any(map(str.isalpha, text)))


def _begins_name(tokens: list[str], at: int) -> bool:
    """Whether a weak word is part of a name: New York; the General Assembly."""
    weak, after = tokens[at], tokens[at + 1 : at + 2]
    if not after or not after[0][0].isupper():
        return False
    if weak[0].isupper() and at and tokens[at - 1][0].islower():
        return True
    return weak.lower() == "new" and after[0].lower().removesuffix("'s") in words.AFTER_NEW
