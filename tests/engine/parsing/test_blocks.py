"""The blocks that a format's parser makes of single marks, step by step."""

from __future__ import annotations

import pytest

from engine.parsing import asciidoc, detect, markdown, roff, source
from engine.parsing.inline import is_prose
from engine.parsing.model import Block

PROSE = "the pool keeps one open connection for every peer that has asked for it"
TEXT, CODE, ITEM, HEADING = "text", "code", "item", "heading"


def blocks(made: list[Block]) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in made]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo\n\nthree", [(TEXT, "one\ntwo"), (TEXT, "three")]),
        ("= Pool\nJane Doe <j@x.example>\nv1.2, 2024-01-01\n\none", [(HEADING, "Pool"), (TEXT, "one")]),
        ("== Pool\n\nJane Doe <j@x.example>", [(HEADING, "Pool"), (TEXT, "Jane Doe <j@x.example>")]),
        ("Pool\n----\none", [(HEADING, "Pool"), (TEXT, "one")]),
        (":size: ten\nof {size} and {other}", [(TEXT, "of ten and")]),
        ("// a note\none\nifdef::x[]\ntwo", [(TEXT, "one"), (TEXT, "two")]),
        ("----\none\n\ntwo\n----\nthree", [(CODE, "one\n\ntwo"), (TEXT, "three")]),
        ("----\none\ntwo", [(TEXT, "one\ntwo")]),
        ("====\nthe pool keeps\n====", [(TEXT, "the pool keeps")]),
        ("////\none\n////\ntwo", [(TEXT, "two")]),
        ("[source,sh]\none\ntwo\n\nthree", [(CODE, "one\ntwo"), (TEXT, "three")]),
        ("[quote]\none", [(TEXT, "one")]),
        ("[source]\n\none", [(TEXT, "one")]),
        ("[source]\n\n====\none\n====\ntwo", [(CODE, "one"), (TEXT, "two")]),
        (".Sizes\n|one |two", [(TEXT, "Sizes"), (TEXT, "one | two")]),
        ("* one\ntwo\n* three", [(ITEM, "one\ntwo"), (ITEM, "three")]),
        ("pool:: keeps it", [(TEXT, "pool"), (TEXT, "keeps it")]),
        ("  make it\n  so", [(CODE, "  make it\n  so")]),
        (f"  {PROSE}", [(TEXT, f"  {PROSE}")]),
    ],
)
def test_asciidoc_becomes_blocks(text: str, expected: list[tuple[str, str]]) -> None:
    assert blocks(asciidoc.parse(text).blocks) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".PP\none\ntwo\n\nthree", [(TEXT, "one two"), (TEXT, "three")]),
        (".SH POOLS\none", [(HEADING, "Pools"), (TEXT, "one")]),
        (".SH\nPOOLS\none", [(HEADING, "Pools"), (TEXT, "one")]),
        (".de XX\none\n..\ntwo", [(TEXT, "two")]),
        (".ig end\none\n.end\ntwo", [(TEXT, "two")]),
        ('.\\" a note\none', [(TEXT, "one")]),
        (".TS\nl l.\none\ttwo\n.TE\nthree", [(TEXT, "one | two"), (TEXT, "three")]),
        (".EX\nmake it\n.EE\none", [(CODE, "make it"), (TEXT, "one")]),
        (f".nf\n{PROSE}\n.fi\n.EX\n{PROSE}\n.EE", [(TEXT, PROSE), (CODE, PROSE)]),
        (".nf\nmake it", [(CODE, "make it")]),
        ("the\n.B pool\n.BR open (2)\nkeeps", [(TEXT, "the pool open(2) keeps")]),
        (".TP\n.B \\-\\-size\nhow many", [(TEXT, "--size"), (TEXT, "how many")]),
        (".TP\n\\-\\-size\nhow many", [(TEXT, "--size"), (TEXT, "how many")]),
        (".IP \\-\\-size 4\nhow many", [(TEXT, "--size"), (TEXT, "how many")]),
        (".Nm pool\n.Nd keeps\n.Pp\n.Nm\nis open", [(TEXT, "pool - keeps"), (TEXT, "pool is open")]),
        (".It Fl s Ar size\nhow many", [(TEXT, "-s size"), (TEXT, "how many")]),
    ],
)
def test_roff_becomes_blocks(text: str, expected: list[tuple[str, str]]) -> None:
    assert blocks(roff.parse(text).blocks) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo\n\nthree", [(TEXT, "one\ntwo"), (TEXT, "three")]),
        ("##Pool\none", [(HEADING, "Pool"), (TEXT, "one")]),
        ("Pool\n====\none", [(HEADING, "Pool"), (TEXT, "one")]),
        ("one\n\n---\n\ntwo", [(TEXT, "one"), (TEXT, "two")]),
        ("    make it\n\n    so\none", [(CODE, "    make it\n    so"), (TEXT, "one")]),
        ("- one\n    two\n- three", [(ITEM, "one\ntwo"), (ITEM, "three")]),
        ("in the year\n2024. One", [(TEXT, "in the year\n2024. One")]),
        ("> [!NOTE]\n> one", [(TEXT, "one")]),
        ("| one | two |\n|---|---|\n| three | |", [(TEXT, "one | two"), (TEXT, "three")]),
        ("export const x = {\n  one\n}\n\ntwo", [(TEXT, "two")]),
        ("import X from 'x';\ntwo", [(TEXT, "two")]),
        ("!!! note Pools\none", [(TEXT, "Pools"), (TEXT, "one")]),
        ("[x]: https://x.example\none", [(TEXT, "one")]),
        ("```\none\n```\ntwo", [(CODE, "one"), (TEXT, "two")]),
        ("```\none", [(TEXT, "one")]),
    ],
)
def test_markdown_becomes_blocks(text: str, expected: list[tuple[str, str]]) -> None:
    assert blocks(markdown.parse(text).blocks) == expected


@pytest.mark.parametrize(
    ("text", "suffix", "expected"),
    [
        ("#!/bin/sh\n# the pool\nopen", ".sh", [(TEXT, "the pool"), (CODE, "open")]),
        ("# vim: set x\n# Copyright X\n# the pool", ".sh", [(TEXT, "the pool")]),
        ("// the pool\nopen", ".js", [(TEXT, "the pool"), (CODE, "open")]),
        ("// the pool\n" + "let a=1;" * 200 + "\n//# sourceMappingURL=pool.js.map", ".js", [(TEXT, "the pool")]),
        ("// the pool\nopen", ".py", [(CODE, "// the pool\nopen")]),
        ("/* the pool */\nopen", ".js", [(TEXT, "the pool"), (CODE, "open")]),
        ("/**\n * the pool\n * @param x\n * keeps\n */", ".js", [(TEXT, "the pool\nkeeps")]),
        ("open\n{- the pool\nkeeps -}", ".hs", [(CODE, "open"), (TEXT, "the pool\nkeeps")]),
        ('"""The pool\nkeeps."""\nopen', ".py", [(TEXT, "The pool\nkeeps."), (CODE, "open")]),
        ("# imports\nimport x", ".py", [(CODE, "import x")]),
    ],
)
def test_source_code_becomes_blocks(text: str, suffix: str, expected: list[tuple[str, str]]) -> None:
    assert blocks(source.parse(text, suffix).blocks) == expected


@pytest.mark.parametrize(
    ("head", "markdown_marks", "rst_marks", "asciidoc_marks"),
    [
        ("one two", 0, 0, 0),
        ("# Pool\n\none", 3, 0, 0),
        ("see [it](https://x) and **this one**", 2, 0, 0),
        (".. note::\n\n   see :ref:`it`", 0, 4, 0),
        ("the ``pool`` or the ``gate``", 0, 1, 0),
        ("Pool\n~~~~\n", 0, 1, 0),
        ("= Pool\n:size: ten\n", 0, 0, 4),
        ("see xref:it[it]\n----\none\n----\n", 0, 0, 3),
    ],
)
def test_marks_are_counted_by_language(head: str, markdown_marks: int, rst_marks: int, asciidoc_marks: int) -> None:
    text = f"\n{head}"
    assert detect._markdown_marks(text) == markdown_marks
    assert detect._rst_marks(text, underlined="~~" in text) == rst_marks
    assert detect._asciidoc_marks(text) == asciidoc_marks


@pytest.mark.parametrize(
    ("text", "expected"), [(PROSE, True), ("the pool keeps it", False), ("x=1 " * 20, False), (PROSE.upper(), True)]
)
def test_prose_differs_from_code(text: str, expected: bool) -> None:
    assert is_prose(text) is expected
