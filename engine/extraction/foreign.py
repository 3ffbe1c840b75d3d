"""Phrases of languages other than English: runs of words between function words, verbs and breaks. Romance languages
have a grammar of their own (see romance)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise

from engine.extraction import words
from engine.extraction.languages import (
    EMPTY_ADJECTIVES,
    FUNCTION_WORDS,
    GENERAL_NOUNS,
    LINKS,
    NO_NOUN,
    NOT_ENGLISH,
    NOUNS_LIKE_VERBS,
    VERB_FORMS,
    VERB_LAST,
    VERBS,
    VERBS_AFTER_NOUNS,
    own_function_words,
)
from engine.extraction.romance import noun_phrases
from engine.extraction.stems import stemmer
from engine.extraction.tokens import ACRONYM, MAX_WORDS, Known, Span, shape

# of other languages; I: an identifier, which is a whole phrase, since the word next to it may be a verb; E: a Korean
# word that had a particle, which ends a phrase
_FOREIGN_PHRASE = re.compile(r"I|[nci](?:[nci#]*[nciE])?|E")
_GERMAN_PHRASE = re.compile(r"I|n{0,2}[ci]{1,3}")  # its nouns are capitalised
_GERMAN_ADJECTIVE = re.compile(r"\w+e[nmrs]?")
_NUMERAL = re.compile(r"[IVX]{2,}[eºª]?")  # no keyword alone: siglo XX
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


def foreign_phrases(tokens: list[str], spoken: str | None, partly_english: bool) -> list[Span]:
    if spoken:
        stops = FUNCTION_WORDS[spoken] | VERB_FORMS.get(spoken, frozenset()) | EMPTY_ADJECTIVES.get(spoken, frozenset())
    else:
        stops = own_function_words(tokens)
    if partly_english:  # a foreign passage: split it at its own function words
        stops |= words.FUNCTION
    verb, nouns, fold = VERBS.get(spoken or ""), _nouns_like_verbs(spoken), _folding(spoken)

    def kind_of(token: str) -> str:
        low = token.lower().replace("’", "'")
        if low in stops or low in NOT_ENGLISH or _KOREAN_VERB.fullmatch(token):
            return "f"
        if verb and verb.fullmatch(low) and fold(low) not in nouns:
            return "V"
        if _KOREAN_PARTICLE.search(token):
            return "E"
        form = shape(token)
        return "I" if form == "i" and ("/" in token or not ACRONYM.fullmatch(token)) else form

    kinds = "".join(map(Known(kind_of).__getitem__, tokens))
    if "V" in kinds:  # a capital inside a sentence is a name: Урал, Людмила
        kinds = "".join(
            kind if kind != "V" else "c" if before != "." and token[0].isupper() else "f"
            for before, kind, token in zip("." + kinds, kinds, tokens, strict=False)
        )
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
    if spoken in VERBS_AFTER_NOUNS:
        kinds = _without_verbs_after_nouns(tokens, kinds, spoken)
    if spoken in LINKS:
        links = LINKS[spoken]
        return [
            (tuple(word if (word := part.lower()) in links else fold(part) for part in run), " ".join(run), start)
            for start, run in noun_phrases(tokens, kinds, spoken, MAX_WORDS)
            if len(run) > 1 or not _NUMERAL.fullmatch(run[0])
        ]
    spans: list[Span] = []
    lone = _LONE_ADJECTIVE.get(spoken or "")
    for match in (_GERMAN_PHRASE if spoken == "german" else _FOREIGN_PHRASE).finditer(kinds):
        start, end = match.span()
        for first in range(start, end, 3):  # without a list of verbs a long run is a sentence, not a phrase
            run = tokens[first : min(first + 3, end)]
            if len(run) == 1 and (_NUMERAL.fullmatch(run[0]) or (lone and lone.fullmatch(run[0].lower()))):
                continue
            if kinds[end - 1] == "E":
                run[-1] = _KOREAN_PARTICLE.sub("", run[-1])
            spans.append((tuple(map(fold, run)), " ".join(run), first))
    return spans


def _without_verbs_after_nouns(tokens: list[str], kinds: str, spoken: str) -> str:
    verb, adjective = VERBS_AFTER_NOUNS[spoken], NO_NOUN[spoken]
    nouns, fold = _nouns_like_verbs(spoken), _folding(spoken)
    letters = list(kinds)
    for at, (before, kind) in enumerate(pairwise(kinds), 1):
        if (
            kind == "n"
            and before in "nci"
            and verb.fullmatch(tokens[at])
            and not adjective.fullmatch(tokens[at - 1])
            and fold(tokens[at]) not in nouns
        ):
            letters[at] = "f"
    return "".join(letters)


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
def _nouns_like_verbs(language: str | None) -> frozenset[str]:
    """The compared forms of nouns that end as verbs do."""
    return frozenset(map(_folding(language), NOUNS_LIKE_VERBS.get(language or "", ())))


@cache
def general_nouns(language: str | None) -> frozenset[str]:
    """The compared forms of the nouns of every field in a language other than English."""
    return frozenset(map(_folding(language), GENERAL_NOUNS.get(language or "", ())))


def _folding(language: str | None) -> Callable[[str], str]:
    """The form in which words of a language are compared."""
    of = stemmer(language)
    return Known(lambda token: of(token.lower())).__getitem__ if of else str.lower
