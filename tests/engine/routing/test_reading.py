"""What a document is read as, whatever it holds."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.extraction import candidates
from engine.extraction.grounding import Ground, tidy
from engine.extraction.keywords import MAX_TOTAL, Budget, stem_phrase
from engine.extraction.tokens import MAX_CHARS
from engine.routing.reading import TITLE_LIMIT, read
from engine.text import clean_block, normal
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
    document = read(name, clean_block(normal(text)), "", Budget())
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
    first = read(name, clean_block(normal(text)), "", Budget())
    for known in (candidates.KINDS, candidates.FOLDS):
        known.clear()
    again = read(name, clean_block(normal(text)), "", Budget())

    assert (first.title, first.other, first.plain) == (again.title, again.other, again.plain)
