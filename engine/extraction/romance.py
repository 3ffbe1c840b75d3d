"""The noun phrase of Romance languages: a noun, its adjectives, and one or two more such by links (base de datos
distribuida).

No list has every verb, so a word is a verb, too, where it is followed by a determiner (limita el acceso), where it
follows a word that only verbs follow (se limita, qui limite), and, after a preposition, where it is an infinitive
(para limitar); and everywhere in a text that uses it so more often than as a noun.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from engine.extraction.languages import ARTICLES, EMPTY, LINKS, PARTICIPLES
from engine.extraction.lists import word_lists

# j: a word with an adjective's ending, N: a noun that recurs after the one before it (palabras clave), L: a link or the
# article after it (de la)
_PHRASE = re.compile(
    r"I|(?:c{1,3}|i{1,3}|n)[iN#]?j{0,2}(?:LL?(?:c{1,3}|n|i)[N#]?j{0,2}"
    r"(?:LL?(?:c{1,3}+(?!LL?c)|n|i)[N#]?j{0,2})?)?"
)
_ADJECTIVE = re.compile(
    r"\w{2,}(?:[aiu]d[oa]s?|ai?l(?:es)?|ales|eis|[iíî]c[oa]s?|ich[ei]|iv[oaei]s?|[oei]s[oa]s|os[oa]|bles?"
    r"|bili?|[aá]ri[oa]s?|i?entes?|antes?|antis?|entis?"
    r"|[cgm]il(?:es)?|[iaoe]nnes?|[ao]is(?:es?)?|[ie]nas|[ie]nos?|eir[oa]s?|er[oa]s"
    r"|ares?|iques?|[ée]es?|[ée]s|elles?|els|i[fv]e?s?|eux|euses?|aires?|istes?|istas?|[oô]n[ie]c[oa]s?"
    r"|at[aoie]|it[aoie]|ut[aoie]|an[oa]s?|(?:ion|r)ais"
    r"|[dt]or(?:as?|es)|[éeáa][nr]e[oa]s?|[^ou\W]in[oa]s?|[óoi]fil[oa]s?|al[eé]l[oa]s?|ig[oa]s|[ei]i[oa]s"
    r"|[eu]rn[oa]s?)|m[áí][xn]im[oa]s?"
    r"|a[ée]re[oa]s?|ágil(?:es)?|ágeis|úti(?:l(?:es)?|eis)|libres?|livres?"
)
_ELIDING = ("catalan", "french", "italian")
_ELIDED = re.compile(r"^(?:[cdjlmnst]|qu|all|dall|dell|nell|sull|un)['’](?=\w)", re.I)  # l'eau
_ELIDED_DETERMINER = re.compile(r"(?:l|un|cet|quest)['’]\w")
_ELIDED_BEFORE_VERB = re.compile(r"(?:s|n)['’]\w")  # s'affiche
# the present, as it ends after que
_PRESENT = {
    "spanish": re.compile(r"\w{2,}(?:[^i]a|[^d]e|an|en)"),
    "portuguese": re.compile(r"\w{2,}(?:[^i]a|[^d]e|am|em)"),
}
# its third person plural, in which few nouns end: los expertos advierten
_THEIR_PRESENT = {
    "spanish": re.compile(r"\w{3,}an|\w{3,}(?<![aiu][mg])(?<!rd)en"),
    "portuguese": re.compile(r"\w{3,}am|\w{3,}(?<![gd])em"),
}
_NEGATIONS = ("no", "não", "non", "ne")
_PARTICIPLE = re.compile(r"\w{2,}(?:[aiu]d[oa]s?|[aiu]t[oie]|[aiu]ta|[ée]e?s?)")
# a participle that no determiner precedes is not a keyword alone; quantité is not one
_ALONE = re.compile(r"\w{2,}íd[oa]s?|\w{4,}(?:[aiu]d[oa]s?|[aiu]t[oaie]|(?<![ienr]t)ée?s?)")
# adjectives that are hardly ever nouns: none is a keyword alone that no determiner precedes
_LONE_ADJECTIVE = {
    "portuguese": re.compile(r"\w{2,}(?:[áéíóú]ve(?:l|is)|ionais|[tu]rais|ári[oa]s?|ban[oa]s?)|m[áí][xn]im[oa]s?")
}
# an infinitive by its ending; in -er too many are English nouns (buffer, router), in French -ier nouns (fichier)
_INFINITIVE = {
    "spanish": re.compile(r"\w{2,}(?:ar|ir)"),
    "portuguese": re.compile(r"\w{2,}(?:ar|ir)"),
    "french": re.compile(r"\w{2,}(?:(?<!i)er|ir)"),
    "italian": re.compile(r"\w{2,}(?:are|ere|ire|rre)"),
    "catalan": re.compile(r"\w{2,}(?:ar|ir|[^d]re)"),
}


def _lists(name: str) -> dict[str, frozenset[str]]:
    return {language: word_lists(language)[name] for language in LINKS}


_DETERMINERS = _lists("determiners")
_NOT_DETERMINED = _lists("not_determined")  # after a determiner they make another word of it: el cual, le plus
_BEFORE_VERBS = _lists("before_verbs")
_BEFORE_INFINITIVES = _lists("before_infinitives")
_NO_INFINITIVES = _lists("no_infinitives")
_NOUNS = {language: word_lists(language)["participle_nouns"] for language in PARTICIPLES}


def noun_phrases(tokens: Sequence[str], kinds: str, spoken: str, most: int) -> list[tuple[int, list[str]]]:
    """First token and words of each, at most `most`; `kinds` are the letters of candidates, with f for function words.

    A noun after a noun may be a verb that is in no list: it belongs to the phrase only if the pair recurs.
    """
    links, eliding, participles = LINKS[spoken], spoken in _ELIDING, PARTICIPLES.get(spoken, frozenset[str]())
    articles, empty = ARTICLES.get(spoken, frozenset[str]()), EMPTY.get(spoken, frozenset[str]())
    determined, nouns = _DETERMINERS[spoken] | links, _NOUNS.get(spoken, frozenset[str]())
    adjective = _LONE_ADJECTIVE.get(spoken)
    low = [token.lower() for token in tokens]
    kinds = _without_verbs(low, kinds, spoken)
    pairs = Counter(pairwise(low))
    letters = []
    before = previous = ""
    for kind, word in zip(kinds, low, strict=True):
        if kind == "f" and (word in links or (before == "L" and word in articles)):
            kind = "L"
        elif kind == "n" and before in ("n", "N", "j", "c", "i") and _ADJECTIVE.fullmatch(word):
            kind = "j"
        elif kind == "n" and before in ("n", "j", "c", "i") and pairs[previous, word] > 1:
            kind = "N"
        letters.append(kind)
        before, previous = kind, word
    phrases = []
    for match in _PHRASE.finditer("".join(letters)):
        start, end = match.span()
        longest = most + 2 if set(letters[start:end]) == {"c", "L"} else most  # a name
        # tipos de redes; and what is too long goes on with its last noun
        while end - start > 2 and letters[start + 1] == "L" and (low[start] in empty or end - start > longest):
            start += 3 if letters[start + 2] == "L" else 2
        run = list(tokens[start : min(end, start + longest)])
        if eliding:
            run[0] = _ELIDED.sub("", run[0])
        while run and ((last := run[-1].lower()) in links or last in articles):
            run.pop()
        if len(run) == 1 and (
            (word := run[0].lower()) in participles
            or (
                letters[start] == "n"
                and (_ALONE.fullmatch(word) or (adjective and adjective.fullmatch(word)))
                and word not in nouns
                and (not start or low[start - 1] not in determined)
            )
        ):
            continue
        phrases.append((start, run))
    return phrases


def _without_verbs(low: list[str], kinds: str, spoken: str) -> str:
    """The letters, with f for each word that is a verb by its neighbours, here or elsewhere in the text."""
    here = [at for at, kind in enumerate(kinds) if kind in "nc" and _is_verb(low, kinds, at, spoken)]
    if not here:
        return kinds
    verbs = Counter(low[at] for at in here)
    determiners, links = _DETERMINERS[spoken], LINKS[spoken]
    nouns = Counter(
        word
        for before, word in pairwise(low)
        if word in verbs and (before in determiners or before in links) and not _is_infinitive(word, spoken)
    )
    letters = list(kinds)
    for at in here:
        letters[at] = "f"
    for at, kind in enumerate(kinds):
        if kind == "n" and verbs[low[at]] > nouns[low[at]]:
            letters[at] = "f"
    return "".join(letters)


def _is_verb(low: list[str], kinds: str, at: int, spoken: str) -> bool:
    word = low[at]
    if _ELIDED_BEFORE_VERB.match(word) and spoken in _ELIDING:
        return True
    begins = at == 0 or kinds[at - 1] == "."
    before = "" if begins else low[at - 1]
    if kinds[at] == "c" and not begins:  # a name
        return False
    if spoken in _PRESENT and (
        (before == "que" and _PRESENT[spoken].fullmatch(word))
        or (not begins and kinds[at - 1] in "nc" and _THEIR_PRESENT[spoken].fullmatch(word))
    ):
        return True
    if before in _BEFORE_VERBS[spoken]:
        return not (before in _NEGATIONS and _PARTICIPLE.fullmatch(word))  # no autorizado
    if (begins or before in _BEFORE_INFINITIVES[spoken]) and _is_infinitive(word, spoken):
        return True
    after = low[at + 1] if at + 1 < len(low) else ""
    if before in _DETERMINERS[spoken]:  # a noun, whatever follows
        return False
    if after in _DETERMINERS[spoken]:
        return at + 2 >= len(low) or low[at + 2] not in _NOT_DETERMINED[spoken]
    return spoken in _ELIDING and _ELIDED_DETERMINER.match(after) is not None


def _is_infinitive(word: str, spoken: str) -> bool:
    return _INFINITIVE[spoken].fullmatch(word) is not None and word not in _NO_INFINITIVES[spoken]
