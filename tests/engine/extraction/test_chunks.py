"""Long texts are split where their structure allows, without loss; the pieces' keywords are merged by rank and spread."""

from __future__ import annotations

import re
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from engine.extraction.chunks import merge, split, tokens

MUCH = 1 << 30


def sizes(pieces: tuple[str, ...]) -> list[int]:
    return [len(piece) for piece in pieces]


@given(st.text(alphabet="abc .\n#é数", min_size=1, max_size=3000), st.integers(200, 900))
def test_nothing_is_lost_and_no_piece_is_too_long(text: str, most: int) -> None:
    result = split(text, max_chars=most, max_tokens=MUCH, max_pieces=10_000)
    assert max(sizes(result), default=0) <= most
    together = re.sub(r"\s", "", "".join(result))
    rest = iter(together)
    assert all(letter in rest for letter in re.sub(r"\s", "", text))  # in order, though titles are repeated between


def test_headings_are_cut_at_before_paragraphs_before_lines_before_sentences_before_words() -> None:
    line = "One sentence about the pool. Another one about it.\n"
    for at, mark in (
        ("heading", "\n# Next\n\n"),
        ("rule", "\nNext\n====\n\n"),
        ("paragraph", "\n\nNext "),
        ("line", "\nNext "),
    ):
        text = line * 6 + mark + line.replace("\n", " ") * 6
        first, second = split(text, max_chars=420, max_tokens=MUCH, max_pieces=9)
        assert "Next" in second, at
        assert "Next" not in first, at
    first, *_ = split("word " * 300, max_chars=400, max_tokens=MUCH, max_pieces=9)
    assert first.endswith("word")
    first, *_ = split("数据库连接池。" * 100, max_chars=400, max_tokens=MUCH, max_pieces=9)
    assert first.endswith("。")


def test_every_piece_after_the_first_begins_with_the_title() -> None:
    text = "# Gateway manual\n\n" + "\n\n".join(f"## Part {i}\n\n" + "Some words here. " * 20 for i in range(5))
    pieces = split(text, max_chars=500, max_tokens=MUCH, max_pieces=99)
    assert len(pieces) > 2
    assert all(piece.startswith("Gateway manual\n\n") for piece in pieces[1:])


def test_a_script_that_takes_more_tokens_a_letter_is_cut_into_smaller_pieces() -> None:
    english = split("word " * 4000, max_chars=8000, max_tokens=2000, max_pieces=99)
    chinese = split("数据库连接" * 4000, max_chars=8000, max_tokens=2000, max_pieces=99)
    assert max(tokens(piece) for piece in (*english, *chinese)) <= 2200
    assert max(sizes(chinese)) < max(sizes(english)) / 2


def test_too_many_pieces_are_sampled_evenly_with_the_first_and_the_last() -> None:
    text = "\n\n".join(f"# Part {i}\n\n" + "x" * 300 for i in range(100))
    result = split(text, max_chars=400, max_tokens=MUCH, max_pieces=5)
    numbers = [int(re.findall(r"# Part (\d+)", piece)[0]) for piece in result[1:]]
    assert len(result) == 5
    assert numbers[-1] == 99
    assert all(15 < b - a < 35 for a, b in pairwise(numbers))


def test_a_keyword_of_several_pieces_beats_one_that_leads_a_single_piece() -> None:
    assert merge([["pool", "retry"], ["jitter", "retry"], ["lane", "retry"]], str)[0] == "retry"


@given(st.lists(st.lists(st.sampled_from(["pool", "Pools", "retry", "jitter"]), max_size=6), max_size=5))
def test_a_keyword_comes_once_in_its_first_spelling(lists: list[list[str]]) -> None:
    def same(word: str) -> str:
        return word.lower().rstrip("s")

    merged_list = merge(lists, same)
    assert len({same(word) for word in merged_list}) == len(merged_list)
    assert {same(word) for word in merged_list} == {same(word) for words in lists for word in words}
    first = {}
    for words in lists:
        for word in words:
            first.setdefault(same(word), word)
    assert all(first[same(word)] == word for word in merged_list)
