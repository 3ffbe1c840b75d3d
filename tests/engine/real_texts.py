"""Windows of real texts, cut anywhere, spliced with each other and with signs: what random characters never make.

The texts: this repository's documents, the language reference, descriptions of installed packages, one of each format.
"""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path
from pydoc_data.topics import topics

from hypothesis import strategies as st

from tests.engine.parsing.test_formats import KINDS

ROOT = Path(__file__).parents[2]
SIGNS = (
    *"'\"`’“”()[]{}<>|#*_=~^+-–—/\\.,;:!?&@%$ \t\n",
    *("'s", "’s", "s's", "D's", "''", "``", "...", "--", "::", "->", "()", "++", "\n\n", "\n\n\n", "\n    ", "\n- ", "\n> "),
    *("\n===\n", "\n.SH ", "\n.. ", "<p>", "</p>", "<pre>", "<!--", "-->", "![", "](", "```\n", "\x0c", "\b", "\r\n", "\x1b[1m"),
    *("\u0301", "\u200b", "\u200d", "\u202e", "\xa0", "\xad", "\u2028", "\x00", "\ud800", "·", "™", "İ", "ß", "ﬁ", "ǅ", "²", "½", "①", "Ⅷ"),
    *("٣", "中", "中国", "の", "データ", "한", "ก", "א", "ال", "हि", "й", "😀", "1", "0x1f", "v2", "10am", "3D", "a.b", "_a", "C", "s", "K"),
)  # fmt: skip
_ENDINGS = """
md rst adoc html xml 1 eml txt py c js sh hs log ipynb org texi info pod tex po srt vtt yaml json toml ini csv sql rb go
lua vim diff
"""
NAMES = (
    *("", "README", "README.md", "acorn-1.2/CHANGELOG.md", "doc/acorn/NEWS", "doc/changelog.Debian", ".md", "..", "\x00.md"),
    *(f"acorn.{ending}" for ending in _ENDINGS.split()),
)  # fmt: skip


@cache
def texts() -> list[str]:
    own = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "console" / "help").glob("*.md"))]
    made = [kind.text for kind in KINDS.values()]
    made += [path.read_text() for path in own]
    made += [topics[name] for name in sorted(topics)]
    return made + sorted(package.read_text("METADATA") or "" for package in metadata.distributions())


def _window(text: int, at: float, length: int, sign: str, times: int, cut: int) -> str:
    """A part of a text with a sign somewhere in it; `at`: where the part begins, 0 to 1."""
    whole = texts()[text % len(texts())]
    begin = int(at * len(whole))
    part = whole[begin : begin + length]
    place = cut % (len(part) + 1)
    return part[:place] + sign * times + part[place:]


_WINDOW = st.builds(
    _window,
    text=st.integers(0, 999),
    at=st.floats(0, 1),
    length=st.integers(1, 1200),
    sign=st.sampled_from(SIGNS),
    times=st.sampled_from((0, 1, 1, 1, 2, 7)),
    cut=st.integers(0, 1200),
)
_CASES = st.sampled_from((str, str, str, str.upper, str.title, str.swapcase))


def windows() -> st.SearchStrategy[str]:
    """One to three windows, one after the other, perhaps in another case."""
    spliced = st.lists(_WINDOW, min_size=1, max_size=3).map("".join)
    return st.builds(lambda text, case: case(text), spliced, _CASES)
