"""What a document is read as, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.extraction import candidates
from engine.extraction.grounding import Ground, tidy
from engine.extraction.keywords import MAX_TOTAL, Budget, stem_phrase
from engine.extraction.tokens import MAX_CHARS
from engine.routing.admission import admitted
from engine.routing.reading import TITLE_LIMIT, read
from tests.engine.real_texts import NAMES, windows

LANGUAGES = {"C", "R"}  # the only names of one letter


@given(windows(), st.sampled_from(NAMES))
@settings(max_examples=400)
@example("keys on D's keys", "")
@example("The keys of s's ring.", "")
@example("①①①①①① doors are closed. Open your heart", "")
@example("that existing™copyright notices are retained in all copies", "")
@example("Les pages naïves de l'annuaire, et l'annuaire des pages naïves.", "")
def test_any_text_has_keywords_that_its_own_fence_lets_pass(text: str, name: str) -> None:
    """Both arms serve keywords by the same rules: short, printable, with a letter, each once, in the text."""
    document = read(name, admitted(text), "", Budget())
    ranked = document.plain.ranked
    ground = Ground(document.content)

    assert len(ranked) <= MAX_TOTAL
    assert len(document.title) <= TITLE_LIMIT
    assert document.title.isprintable()
    assert [keyword for keyword in ranked if len(keyword) > MAX_CHARS] == []
    assert [keyword for keyword in ranked if keyword not in LANGUAGES and tidy(keyword) != keyword] == []
    assert [keyword for keyword in ranked if not stem_phrase(keyword)] == []
    assert [keyword for keyword in ranked if not ground.supports(keyword)] == []
    assert len({keyword.casefold() for keyword in ranked}) == len(ranked)


@given(windows(), st.sampled_from(NAMES))
def test_a_document_is_read_alike_whatever_was_read_before(text: str, name: str) -> None:
    first = read(name, admitted(text), "", Budget())
    for known in (candidates.KINDS, candidates.FOLDS):
        known.clear()
    again = read(name, admitted(text), "", Budget())

    assert (first.title, first.other, first.plain) == (again.title, again.other, again.plain)


SEEN = (
    "The café’s rate limiter – naïve as it is – blocks a gateway. Its rate limiter counts “burst” requests.",
    "Die Datenbanksicherung läuft täglich. Größere Gebäude prüfen ihre Datenbanksicherung für jedes Gerät früh.",
    "L’électricité de l’onduleur est injectée dans le réseau. La fréquence du réseau est surveillée à chaque instant.",
    "База данных хранит записи. Запрос читает базу данных. Каждый запрос получает соединение.",
    "数据库保存记录。查询读取数据库。每个查询都会得到一个连接。",
)
DAMAGED: dict[str, Callable[[str], str]] = {
    "UTF-8 read as Latin-1": lambda text: text.encode().decode("latin-1"),
    "UTF-8 read as Windows-1252": lambda text: "".join(_as_windows(byte) for byte in text.encode()),
    "soft hyphens": lambda text: re.sub(r"(?<=\w\w)(?=\w\w)", "\u00ad", text),
    "joints": lambda text: re.sub(r"(?<=\w)(?=\w)", "\u2060", text),
    "joiners": lambda text: re.sub(r"(?<=\w)(?=\w)", "\u200c", text),
    "marks of direction": lambda text: f"\u202b\u200e{text}\u200f\u202c",
    "a NUL after each character": "\0".join,
}


def _as_windows(byte: int) -> str:
    raw = bytes([byte])
    return raw.decode("latin-1" if byte in (0x81, 0x8D, 0x8F, 0x90, 0x9D) else "cp1252")


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("text", SEEN)
def test_a_document_is_read_as_its_reader_sees_it_whatever_damaged_it_on_its_way(text: str, damage: str) -> None:
    whole, damaged = (read("", admitted(one), "", Budget()) for one in (text, DAMAGED[damage](text)))

    assert (damaged.text, damaged.plain) == (whole.text, whole.plain)


@pytest.mark.parametrize("escaped", ["&{};", "&amp;{};"])
def test_a_text_s_character_references_are_read_as_characters_however_often_they_were_escaped(escaped: str) -> None:
    text = "Caf{eacute}{nbsp}guests like the rate{#160}limiter of R{amp}D. The {quot}rate{nbsp}limiter{quot} counts caf{#xe9} guests."
    document = read("", admitted(re.sub(r"\{(.+?)\}", lambda name: escaped.format(name[1]), text)), "", Budget())

    assert {"rate limiter", "café guests"} <= {keyword.lower() for keyword in document.plain.ranked}
    assert not re.search(r"nbsp|amp|quot|eacute|160", " ".join(document.plain.ranked))


@pytest.mark.parametrize(
    "text",
    [
        "An Ã© or Ã¼ on a page is an é or ü in another encoding, as œ and ß may be.",
        "NÃO HÁ CORAÇÃO. Preço: 5 Â£ não é português.",
        "Write &amp; for a sign of its own: R&amp;D stays.",
    ],
)
def test_what_only_looks_like_damage_is_left_as_it_is(text: str) -> None:
    assert admitted(text) == text
