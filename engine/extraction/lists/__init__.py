"""Word lists, one file per language. The modules that use a list (words, languages) describe it."""

from __future__ import annotations

import tomllib
from importlib.resources import files


def word_lists(language: str) -> dict[str, frozenset[str]]:
    """The lists of a language by name."""
    read = tomllib.loads(files(__name__).joinpath(f"{language}.toml").read_text("utf-8"))
    return {name: frozenset(words.split()) for name, words in read.items()}
