"""Bibliographies (BibTeX): what each entry is about, without authors, publishers and numbers."""

from __future__ import annotations

import re

from engine.parsing import plain
from engine.parsing.latex import words
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

MARK = pattern(
    r"\s*(?:%[^\n]*\n\s*){0,200}@(?:article|book|booklet|conference|dataset|inbook|incollection|inproceedings|manual"
    r"|mastersthesis|misc|online|phdthesis|preamble|proceedings|report|software|string|techreport|thesis|unpublished)"
    r"\s*[{(]",
    re.I,
)
_FIELD = pattern(
    r"(?:^|,)[ \t,]*(title|abstract|keywords)\s*=\s*(?:\{((?:[^{}]|\{(?:[^{}]|\{[^{}]{0,200}\}){0,300}\}){0,8000})\}"
    r"|\"([^\"]{0,8000})\")",
    re.I | re.M,
)


def parse(text: str) -> Raw:
    blocks: list[Block] = []
    for field in _FIELD.finditer(text):
        written = " ".join(words(field[2] or field[3] or "").split())
        if written:
            blocks.append(Block("text", f"{written.rstrip('.')}."))
    return Raw(Format.BIBLIOGRAPHY, blocks or plain.parse(text).blocks)
