"""Programs: their comments and docstrings are the text, the program itself is code. A licence header and a shebang are
neither."""

from __future__ import annotations

import re

from engine.parsing.inline import heading
from engine.parsing.model import Block, Format, Raw

_SHEBANG = re.compile(r"^#![^\n]*\n?")
_EDITOR = re.compile(
    r"^\W*(?:-\*-.*-\*-|vim?:.*|coding[:=].*|eslint[- ].*|@?ts-(?:check|nocheck).*|pylint:.*|noqa.*|type: ignore.*|prettier-ignore.*|usr/bin/.*|region\b.*|endregion\b.*|@(?:flow|jsx|file|format|preserve|license|author|copyright|version|since|date).*|[=*#/-]{3,}.*|use strict.*)$",
    re.I,
)
_LEGAL = re.compile(
    r"^\W*(?:spdx-|copyright\b|\(c\)|©|all rights reserved|licensed under|released under|(?:mit|bsd|apache|isc)[ -]licensed?\b)",
    re.I,
)
_ADDRESS = re.compile(r"\bhttps?://\S+")
_DOCSTRING = re.compile(r"^[ \t]*[rRuUbBfF]{0,2}(\"\"\"|''')")
_HASH = re.compile(r"^[ \t]*(?:#|--|;{1,3}|%|dnl\b|REM\b|\")[ \t]?(.*)$")
_SLASHES = re.compile(r"^[ \t]*//[/!]?[ \t]?(.*)$")
_STAR = re.compile(r"^[ \t]*\*+[ \t]?")
_USELESS = re.compile(
    r"module (?:dependencies|exports|variables)|imports?|constants|globals?|types|helpers?|main|setup", re.I
)
_TAGGED = re.compile(
    r"^@(?:param|return|returns|throws|type|see|private|public|example|default|internal|deprecated)\b.*"
)
_SLASH_LANGUAGES = frozenset(
    [
        ".js",
        ".mjs",
        ".cjs",
        ".ts",
        ".tsx",
        ".jsx",
        ".c",
        ".h",
        ".cc",
        ".cpp",
        ".hpp",
        ".java",
        ".go",
        ".rs",
        ".swift",
        ".kt",
        ".scala",
        ".php",
        ".cs",
        ".dart",
        ".css",
        ".scss",
        ".less",
        ".proto",
        ".groovy",
    ]
)
SUFFIXES = _SLASH_LANGUAGES | frozenset(
    [
        ".py",
        ".pyi",
        ".rb",
        ".pl",
        ".pm",
        ".sh",
        ".bash",
        ".zsh",
        ".fish",
        ".ps1",
        ".lua",
        ".r",
        ".jl",
        ".ex",
        ".exs",
        ".erl",
        ".hs",
        ".ml",
        ".sql",
        ".tf",
        ".nix",
        ".awk",
        ".tcl",
        ".m",
        ".vim",
        ".el",
        ".clj",
        ".cmake",
        ".mk",
    ]
)


def parse(text: str, suffix: str = "") -> Raw:
    text = _SHEBANG.sub("", text.lstrip("\ufeff"), count=1)
    slashes = suffix in _SLASH_LANGUAGES or (
        not suffix and ("\n//" in text or text.lstrip().startswith(("/*", "//", "<?php")))
    )
    blocks: list[Block] = []
    comment: list[str] = []
    code: list[str] = []

    def close(into: list[str], kind: str) -> None:
        joined = "\n".join(into).strip("\n")
        if joined.strip():
            if kind == "code":
                blocks.append(Block("code", joined))
            else:
                prose = (words.strip() for words in joined.split("\n\n"))
                blocks.extend(
                    Block("text", words) for words in prose if words and not _USELESS.fullmatch(words.rstrip("."))
                )
        into.clear()

    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        bare = line.strip()
        if opened := _DOCSTRING.match(line):
            close(code, "code")
            inside = line[opened.end() :]
            while opened[1] not in inside and at < len(lines):
                inside += "\n" + lines[at].strip()
                at += 1
            comment.append(inside.split(opened[1])[0])
            close(comment, "text")
        elif bare.startswith(("/*", "(*", "{-", "--[[", "=begin", "<!--", "<#")):
            close(code, "code")
            end = {"/*": "*/", "(*": "*)", "{-": "-}", "--[[": "]]", "=begin": "=end", "<!--": "-->", "<#": "#>"}[
                next(mark for mark in ("/*", "(*", "{-", "--[[", "=begin", "<!--", "<#") if bare.startswith(mark))
            ]
            inside = bare.lstrip("/*({-[=<!#").removeprefix("begin") if end not in bare[2:] else bare[2:]
            while end not in inside and at < len(lines):
                line = lines[at].strip()
                inside += "\n" + (line if line.startswith(end) else _STAR.sub("", line))
                at += 1
            comment += [
                piece
                for piece in inside.split(end)[0].split("\n")
                if not (_EDITOR.match(piece.strip()) or _TAGGED.match(piece.strip()) or _LEGAL.match(piece))
            ]
            close(comment, "text")
        elif noted := (_SLASHES if slashes else _HASH).match(line):
            if not comment:
                close(code, "code")
            if not (_EDITOR.match(noted[1].strip()) or _LEGAL.match(noted[1])):
                comment.append(noted[1])
        elif not bare:
            close(comment, "text")
            code.append("")
        else:
            close(comment, "text")
            code.append(line)
    close(comment, "text")
    close(code, "code")
    return Raw(Format.SOURCE, blocks, _title(blocks))


def _title(blocks: list[Block]) -> str:
    """The first sentence of the first comment that is not a licence."""
    from engine.parsing.boilerplate import is_licence

    for block in blocks[:12]:
        if block.kind == "text" and not is_licence(block.text):
            line = " ".join(_ADDRESS.sub("", block.text).split())
            first = re.split(r"(?<=[.!?])\s", line, maxsplit=1)[0]
            words = heading(first)[:200].rstrip(".")
            if len(words) > 2 and not _USELESS.fullmatch(words):
                return words
    return ""
