"""How words of a language are compared: without the endings of cases and numbers, where these are known."""

from __future__ import annotations

import re
from collections.abc import Callable

import snowballstemmer

_UKRAINIAN_CASE = re.compile(
    r"(?<=\w{3})(?:ами|ями|ого|ому|ими|ій|ої|ою|ею|ів|ах|ях|ам|ям|ом|ем|им|их|ий|[аеєиіїоуюяьй])$"
)
_RUSSIAN_PAST = re.compile("(?<=а)л$")
_PORTUGUESE_PLURAL = re.compile("(?<=[a-zçãéíóú])(?:ões|ães|ãos)$")
_PORTUGUESE_PLURAL_OF_L = re.compile(r"(?<=\w{2})(?:(a)|[eé]|([oó])|(u))is$")  # neurais, níveis


def stemmer(language: str | None) -> Callable[[str], str] | None:
    """The stem of a lower-case word of the language, the word itself where nothing would be left; None if no rule is
    known. For one thread: it holds the word it works on."""
    of = _stemmer(language)
    return None if of is None else lambda word: of(word) or word


def _stemmer(language: str | None) -> Callable[[str], str] | None:
    if language == "ukrainian":
        return _ukrainian
    if language not in snowballstemmer.algorithms():
        return None
    of = snowballstemmer.stemmer(language).stemWord
    if language == "portuguese":  # permissões is permissão
        return lambda word: str(of(_portuguese_singular(word)))
    if language == "polish":  # the stemmer keeps the i of kopii and kopię, and the ń of połączeń
        return lambda word: str(of(word)).removesuffix("i").replace("ń", "n")
    if language == "russian":  # the stemmer takes the л of журнал for the end of a verb, and not that of журналы
        return lambda word: _RUSSIAN_PAST.sub("", str(of(word)))
    return lambda word: str(of(word))


def _portuguese_singular(word: str) -> str:
    """permissão of permissões, neural of neurais."""
    word = _PORTUGUESE_PLURAL.sub("ão", word)
    return _PORTUGUESE_PLURAL_OF_L.sub(lambda end: f"{end[1] or (end[2] and 'o') or end[3] or 'e'}l", word)


def _ukrainian(word: str) -> str:
    # the і of пріоритетність is the о of its other cases
    return re.sub("іст$", "ост", _UKRAINIAN_CASE.sub("", word))
