"""Candidate keywords: phrases of a text, found by a grammar over one letter per word.

Every token gets a letter for the kind of word it is: a dictionary lookup, so that a token costs less than a
microsecond. The letters of a text make one string; regular expressions over it settle what is a verb here (see
verbs), and find the noun phrases.

f function word, F of another language, o and O perhaps of another (else n and c), t determiner, m before a verb (to,
we, will), r joins clauses, q relative, x auxiliary, d adverb, . break, v verb, b noun or verb, B its -s form, V one
that is a verb after a noun, e -ed, g -ing that is often a noun, w weak word, a adjective,
n noun, y one that ends an introduction (in practice), s plural, c capital, i identifier, # number, p possessive, which
ends a phrase, P one with a capital, which may be part of a name
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import chain
from typing import NamedTuple, TypeVar

from engine.extraction import words
from engine.extraction.languages import (
    ENGLISH,
    ENGLISH_PROSE,
    ENGLISH_SHARE,
    FUNCTION_WORDS,
    GENERAL_NOUNS,
    LINKS,
    NOT_ENGLISH,
    PERHAPS_FOREIGN,
    VERB_FORMS,
    VERB_LAST,
    VERBS,
    language,
    own_function_words,
)
from engine.extraction.romance import noun_phrases
from engine.extraction.stems import stemmer
from engine.extraction.verbs import settled

MAX_WORDS = 5
MAX_CHARS = 60  # characters of a keyword
_LANGUAGES = "CR"  # names of one letter
CACHED = 50_000  # tokens whose kind is remembered
MIXED_SHARE = 0.04  # share of foreign function words above which a text has passages in that language
ASKED = 2_000  # tokens that detect the language

# Vowel marks of scripts from Hebrew to Khmer, which Python's re does not count as letters.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0963\u0981-\u0dff\u0e31-\u0e3a\u0e47-\u0e4e"
    "\u0eb1-\u0ebc\u0ec8-\u0ecd\u0f71-\u0f84\u102b-\u103e\u17b4-\u17d3"
)
_MARKED = re.compile(f"[{_MARKS}]")


_DIVIDED = r"-[ \t]*\n\s*[a-z]+"  # a word hyphenated at the end of a line: neither half is a word
# a line of code, an empty one, one that does not continue in lower case, or is a setting in a config file
_NEW_LINE = r"\n(?:\t\s*+|[ \t]*+\n\s*+|\s*+(?=[^\sa-z]|[a-z][\w.-]*+(?::|\s*+=| {3})\s))"


def _tokens(letter: str) -> re.Pattern[str]:
    return re.compile(
        # Each alternative starts with a different character, so that a mismatch fails fast.
        r"[A-Za-z]++(?=[ ,])|"  # a word followed by a blank or comma: three tokens of four, matched a fifth faster
        rf"{letter}++(?:{_DIVIDED}"
        # words, max_tokens, Cargo.toml, std::io, HTTP/2, foo(), C++
        rf"|(?:(?:[-‐‑.'’/@&]|::|->|_+){letter}++)*(?:\(\)|\+\+|#(?!\w))?)"
        r"|[,.;:!?)]++(?=\s)"
        r"|__\w+__"  # __init__
        r"|--(?<![\w-]--)[A-Za-z][A-Za-z0-9]*(?:[-_.][A-Za-z0-9]+)*"  # --flag
        r"|\.(?<![^\s(\"'`]\.)[A-Za-z]\w+(?:[./-]\w+)*"  # .NET, .venv/bin
        r"|/(?<![^\s(\"'`]/)(?=[\w.-]+/\w)[A-Za-z]\w*(?:[./@-]+\w+)+"  # /etc/hosts, /v1/extract
        rf"|{_NEW_LINE}"
        r"|\t\s*+|   (?<=\S   )\s*+"  # the next column of a table
        r"|[^\w\s](?:(?!--[A-Za-z]|(?<=[(\"'`])(?:\.[A-Za-z]|/[A-Za-z][\w.-]*/)\w)[^\w\s])*|_+"
    )


_PLAIN = _tokens(r"[^\W_]")
_WITH_MARKS = _tokens(rf"(?:[^\W_]|[{_MARKS}])")
_ACROSS_LINES = re.compile(_DIVIDED)
_BREAK = re.compile(_NEW_LINE)

IDENTIFIER = re.compile(
    r"^--|^[./]\w|_|::|->|\(\)$|\+\+$|#$|[a-z][A-Z]|^v?\d+(?:\.\d+)+\w*$|\w\.[A-Za-z]\w*$|^[A-Z]+\d*/|/\d"
    r"|[A-Za-z]\d|\d[A-Za-z]"
)
ACRONYM = re.compile(r"[A-Z][A-Z0-9]{1,5}s?(?:[-/&][A-Z0-9]{1,6})*")
_NUMBER = re.compile(
    r"[\d.,:/-]+(?:st|nd|rd|th|s|am|pm|AM|PM|[mckn]?m|[mk]?g|[mn]?s|[kKMGT]i?[bB]|[KMGT]i|[kMG]?Hz|[kx%])?"
)  # 1.5, 2nd, 10am, 5GHz; but 3D and 5G are names
_NAMELESS = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d|[\d.]+Z|0[xX][0-9a-fA-F]+|(?=[a-f]*\d)[0-9a-f]{8,}|(?=\d*[a-f]+\d+[a-f]|\d+[a-f]+\d)[0-9a-f]{6,7}"
)  # 2026-11-25T08, 07.123Z, 0x2f, 4f1c9a02


_PLACEHOLDERS = ("my-", "your-", "my_", "your_")  # project my-project

Fact = TypeVar("Fact")

Words = tuple[str, ...]
# an occurrence: its words in the form that is compared, its text, the index of its first token
Span = tuple[Words, str, int]


class Known(dict[str, Fact]):
    """What is known of each token, looked up once. Bounded: a document can hold any number of tokens, and one token
    can be a whole document."""

    def __init__(self, ask: Callable[[str], Fact]) -> None:
        super().__init__()
        self._ask = ask

    def __missing__(self, token: str) -> Fact:
        answer = self._ask(token)
        if len(token) <= MAX_CHARS:
            if len(self) >= CACHED:
                self.clear()
            self[token] = answer
        return answer


def is_ordinary(token: str) -> bool:
    """Letters alone, none of them a capital but the first: not a number, identifier or acronym. Most words
    that have not been seen before are ordinary."""
    return token.isalpha() and (token.islower() or (token[0].isupper() and token[1:].islower()))


def _shape(token: str) -> str:
    """The letter that any language gives: break, number, identifier, capital; otherwise n."""
    first = token[0]
    if 1 < len(token) <= MAX_CHARS and is_ordinary(token):
        return "c" if first.isupper() else "n"
    if (
        not (first.isalnum() or (len(token) > 3 and token.lstrip("-_./")[:1].isalnum()))
        or "\n" in token
        or len(token) > MAX_CHARS
    ):
        return "."
    if _NUMBER.fullmatch(token):
        return "#"
    if _NAMELESS.fullmatch(token) or token.startswith(_PLACEHOLDERS):
        return "."
    if len(token) == 1:
        return "n" if first.isupper() or ord(first) > 0x2E80 else "."
    if IDENTIFIER.search(token) or ACRONYM.fullmatch(token):
        return "." if "@" in token else "i"
    return "c" if first.isupper() else "n"


def _kind(token: str) -> str:
    """The letter of a token in a text that may be English."""
    kind = _english_kind(token)
    if kind in "ncs" and token.lower() in PERHAPS_FOREIGN:
        return "O" if kind == "c" else "o"
    return "y" if kind == "n" and token in words.AFTER_IN else kind


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
    shape = _shape(token)
    if shape not in "nc":
        # CREATE, SELECT, DELETE are no acronyms
        return "v" if shape == "i" and len(token) > 4 and token.isupper() and low in words.VERBS else shape
    if low in NOT_ENGLISH:
        return "F"
    if low.endswith("'s"):
        return "p" if shape == "n" else "P"
    return _listed_kind(low) or _formed_kind(low, shape)


def _listed_kind(low: str) -> str:
    """The letter of an English word from the word lists and their regular forms; "" for a word in none."""
    if low in words.VERBS_AFTER_NOUNS:
        return "V"
    if low in words.EITHER:
        return "B" if low in words.EITHER_S and low not in words.MODIFYING else "b"
    if low in words.WEAK:
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


def _formed_kind(low: str, shape: str) -> str:
    """The letter of an English word in no list, from its shape and ending."""
    if shape == "c":
        return "c"
    if low.endswith("ed") and len(low) > 4 and not low.endswith("eed"):
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
    if len(low) < 4 or not low.endswith("s") or low.endswith(("ss", "us", "is")):
        return low
    if low.endswith("ies"):
        return low[:-3] + "y" if len(low) > 5 else low[:-1]
    if low.endswith(("xes", "ches", "shes", "sses", "zzes")):
        return low[:-2]
    return low[:-1]


KINDS = Known(_kind)
FOLDS = Known(_folded)

_PHRASE = re.compile(r"[awegnsbBciP](?:[awegnsbBciP#]*[gnsbBcipP#])?|p")
# of other languages; I: an identifier, which is a whole phrase, since the word next to it may be a verb; E: a Korean
# word that had a particle, which ends a phrase
_FOREIGN_PHRASE = re.compile(r"I|[nci](?:[nci#]*[nciE])?|E")
_GERMAN_PHRASE = re.compile(r"I|n{0,2}[ci]{1,2}")  # its nouns are capitalised
_GERMAN_ADJECTIVE = re.compile(r"\w+e[nmrs]?")
# no keyword without the noun after it; endings that nouns hardly have
_LONE_ADJECTIVE = {
    "russian": re.compile(
        r"\w{3,}(?:ый|ая|ое|ые|ого|ому|ыми|ых|ую|ски[ейхм]|ской|ённая|анный)|\w{2,}(?:щи[ейхм]|щего|вши[ейх])"
    ),
    "polish": re.compile(
        r"\w{3,}(?:ow[ye]|owych|owym|owymi|owego|nego|nych|nymi|nemu|czn[yaą]|(?:ow|iw|yw|[cd]z|n)an[yaą]|[aoe]ną|ski|skie"
        r"|kich|kiego|(?<!miesi)(?<!tysi)(?:ąc[yaeą]|ących|ącego|ącym|ącej|ącymi)|(?<!meta)(?<!d)ane|[^a]ne|[ao]nej)"
        r"|\w{2,}(?:[ljtżźk]n[ya]|wny)|stał[yae]"
    ),
    "german": re.compile(r"\w{4,}(?:isch|lich|bar|iert)e[nmrs]?"),
    "czech": re.compile(r"\w{3,}(?:ý|ého|ému|ým|ých|ými|ovan[áéý]|telné|telný|ová|ové|elný|ický|ické|ická|ilní|né)"),
    "ukrainian": re.compile(r"\w{3,}(?:ий|ого|ому|ими|их|ської|ська|ське|ські|ний|на?ної|альна|ична|ичні|альні)"),
    "dutch": re.compile(r"\w{3,}(?:ische|lijke?|bare|eerde)|symbolische?"),
    "swedish": re.compile(r"\w{3,}(?:iska?|liga?|bara|erade?)"),
}
# endings that nouns rarely have; after a word in Latin letters more of them
_KOREAN_PARTICLE = re.compile(
    "(?:(?<=[가-힣]{2})(?:에서는|에서|에는|으로|은|는|을|를|에|의)"
    "|(?<=[A-Za-z0-9)])(?:에서는|에서|에는|에게|으로|부터|까지|처럼|이나|이라는|라는|은|는|을|를|에|의|이|가|로|와|과|도|만))$"
)
_KOREAN_VERB = re.compile(
    "[가-힣]+(?:다|하여|하면|하고|되면|때까지|하는|되는|하며|되며|해서|하기|되기|하지|되지|하도록|되도록|세요|해야)"
    "|[가-힣]{2,}(?:할|될|한|된|해|하게)"
)


def _written(chunk: str) -> tuple[str, ...]:
    """The tokens of what is between white space."""
    return (chunk,) if chunk.isalpha() else tuple(_PLAIN.findall(f"{chunk} "))


_CHUNKS = Known(_written)


def tokenise(text: str) -> list[str]:
    """Split a text into words, identifiers, and breaks: punctuation, and lines that start a new block. Only white
    space lies between two tokens."""
    if not text.isascii() and _MARKED.search(text):
        return _WITH_MARKS.findall(text)
    if "\t" in text or "   " in text or ("\n" in text and _ACROSS_LINES.search(text)):
        return _PLAIN.findall(text)
    # Only breaks contain white space, so each chunk between blanks is a dictionary lookup; this halves the time.
    tokens: list[str] = []
    begun = 0
    for new_line in _BREAK.finditer(text) if "\n" in text else ():
        tokens += chain.from_iterable(map(_CHUNKS.__getitem__, text[begun : new_line.start()].split()))
        tokens.append(new_line[0])
        begun = new_line.end()
    tokens += chain.from_iterable(map(_CHUNKS.__getitem__, text[begun:].split()))
    return tokens


def lone_adjectives(spans: list[Span], spoken: str | None) -> frozenset[str]:
    """The compared forms of words that are not a keyword without the noun after them, where the language has such
    endings."""
    lone = _LONE_ADJECTIVE.get(spoken or "")
    if lone is None:
        return frozenset()
    return frozenset(
        word
        for words, text, _ in spans
        for word, written in zip(words, text.split(), strict=False)
        if lone.fullmatch(written.lower())
    )


@cache
def general_nouns(language: str | None) -> frozenset[str]:
    """The compared forms of the nouns of every field in a language other than English."""
    return frozenset(map(_folding(language), GENERAL_NOUNS.get(language or "", ())))


def _folding(language: str | None) -> Callable[[str], str]:
    """The form in which words of a language are compared."""
    of = stemmer(language)
    return Known(lambda token: of(token.lower())).__getitem__ if of else str.lower


class Phrases(NamedTuple):
    """All occurrences in text order, the kind of each token, and the language used to find them (None: unlisted)."""

    spans: list[Span]
    kinds: str
    language: str | None


def phrases(tokens: list[str]) -> Phrases:
    kinds = "".join(map(KINDS.__getitem__, tokens))
    words = len(kinds) - kinds.count(".") - kinds.count("#")
    if "o" in kinds or "O" in kinds:
        foreign = [token.lower() for token, kind in zip(tokens, kinds, strict=True) if kind in "oO"]
        mixed = len(foreign) >= MIXED_SHARE * words and len(set(foreign)) > 2  # a pod is one word
        kinds = kinds.replace("o", "F" if mixed else "n").replace("O", "F" if mixed else "c")
    english = sum(map(kinds.count, "ftmxrq"))
    if english >= ENGLISH_PROSE * words > 0:
        return _english(tokens, kinds)
    spoken = language([token for token in tokens[:: 1 + len(tokens) // ASKED] if token[0].isalpha()])
    if spoken == ENGLISH:
        return _english(tokens, kinds)
    spans = _foreign(tokens, spoken, partly_english=english >= ENGLISH_SHARE * words)
    return Phrases(spans, kinds, spoken)


def _english(tokens: list[str], kinds: str) -> Phrases:
    kinds = settled(tokens, kinds)
    if "P" in kinds:
        # a name that also occurs without 's owns what follows it (Turing's machine); otherwise 's is part of the name
        # (Zipf's law)
        bare = set(tokens)
        kinds = re.sub("P", lambda owner: "p" if tokens[owner.start()][:-2] in bare else "P", kinds)
    folds = tuple(map(FOLDS.__getitem__, tokens))
    has_names, has_owners = "i" in kinds, "p" in kinds or "P" in kinds
    spans: list[Span] = []
    for match in _PHRASE.finditer(kinds):
        start, end = match.span()
        while start < end and kinds[start] == "w" and not _is_new_york(tokens[start : start + 2]):
            start += 1
        if has_names and "i" in kinds[start:end]:
            start, end = _named(tokens, kinds, start, end)
        size = end - start
        if size > 1:
            if size > MAX_WORDS:  # an English phrase keeps its end, where its head noun is
                start = end - MAX_WORDS
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
    return Phrases(spans, kinds, ENGLISH)


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


def _is_new_york(pair: list[str]) -> bool:
    return pair[0].lower() == "new" and pair[-1].lower() in words.AFTER_NEW


def _foreign(tokens: list[str], spoken: str | None, partly_english: bool) -> list[Span]:
    stops = FUNCTION_WORDS[spoken] | VERB_FORMS.get(spoken, frozenset()) if spoken else own_function_words(tokens)
    if partly_english:  # a foreign passage: split it at its own function words
        stops |= words.FUNCTION
    verb = VERBS.get(spoken or "")

    def kind(token: str) -> str:
        low = token.lower().replace("’", "'")
        if low in stops or low in NOT_ENGLISH or (verb and verb.fullmatch(low)) or _KOREAN_VERB.fullmatch(token):
            return "f"
        if _KOREAN_PARTICLE.search(token):
            return "E"
        shape = _shape(token)
        return "I" if shape == "i" and ("/" in token or not ACRONYM.fullmatch(token)) else shape

    kinds = "".join(map(Known(kind).__getitem__, tokens))
    if spoken == "german":
        kinds = "".join(
            "f" if kind == "n" and not _GERMAN_ADJECTIVE.fullmatch(token) else kind
            for kind, token in zip(kinds, tokens, strict=True)
        )
    if spoken in VERB_LAST:
        kinds = "".join(
            "f" if kind == "n" and after[0] in ".!?;" else kind
            for kind, after in zip(kinds, [*tokens[1:], ","], strict=True)
        )
    fold = _folding(spoken)
    if spoken in LINKS:
        links = LINKS[spoken]
        return [
            (tuple(word if (word := part.lower()) in links else fold(part) for part in run), " ".join(run), start)
            for start, run in noun_phrases(tokens, kinds, spoken, MAX_WORDS)
        ]
    spans: list[Span] = []
    lone = _LONE_ADJECTIVE.get(spoken or "")
    for match in (_GERMAN_PHRASE if spoken == "german" else _FOREIGN_PHRASE).finditer(kinds):
        start, end = match.span()
        for first in range(start, end, 3):  # without a list of verbs a long run is a sentence, not a phrase
            run = tokens[first : min(first + 3, end)]
            if lone and len(run) == 1 and lone.fullmatch(run[0].lower()):
                continue
            if kinds[end - 1] == "E":
                run[-1] = _KOREAN_PARTICLE.sub("", run[-1])
            spans.append((tuple(map(fold, run)), " ".join(run), first))
    return spans
