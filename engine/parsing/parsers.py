"""A text's blocks, read by its format's parser. A parser is imported on first use: most processes meet few formats."""

from __future__ import annotations

from importlib import import_module

from engine.parsing import fields, frontmatter, plain
from engine.parsing.model import Format, Raw

# the modules whose `parse` reads every text of a format
_MODULES = {
    Format.PLAIN: "plain", Format.MARKDOWN: "markdown", Format.RST: "rst", Format.ASCIIDOC: "asciidoc",
    Format.HTML: "page", Format.ROFF: "roff", Format.MAIL: "mail", Format.CHANGELOG: "changelog", Format.LOG: "log",
    Format.ORG: "org", Format.POD: "pod", Format.LATEX: "latex", Format.CATALOGUE: "catalogue",
    Format.SUBTITLES: "subtitles", Format.SETTINGS: "settings", Format.WIKI: "wiki", Format.DIFF: "diff",
    Format.CALENDAR: "calendar", Format.RTF: "rtf", Format.BIBLIOGRAPHY: "bibtex",
}  # fmt: skip
_FRONTED = frozenset({Format.RST, Format.ASCIIDOC})  # with front matter that their parsers do not read
_DECLARED = {"text/markdown": Format.MARKDOWN, "text/x-rst": Format.RST, "text/plain": Format.PLAIN}


def read(text: str, kind: Format, suffix: str) -> Raw:
    """`suffix`: the file's, which names the language of source code."""
    match kind:
        case Format.MAN_PAGE:
            from engine.parsing import roff

            return roff.parse_printed(text)
        case Format.MEMO:
            from engine.parsing import memo

            return _headed(text) if fields.is_header(text) else memo.parse_rfc(text)
        case Format.SOURCE:
            from engine.parsing import source

            return source.parse(text, suffix if suffix in source.SUFFIXES else "")
        case Format.NOTEBOOK:
            from engine.parsing import notebook

            return notebook.parse(text) or plain.parse(text)
        case Format.TEXINFO:
            from engine.parsing import texinfo

            return texinfo.parse_info(text) if texinfo.INFO.search(text[:4000]) else texinfo.parse(text)
    return _fronted(text, kind) if kind in _FRONTED else _parsed(text, kind)


def _parsed(text: str, kind: Format) -> Raw:
    raw: Raw = import_module(f"engine.parsing.{_MODULES[kind]}").parse(text)
    return raw


def _headed(text: str) -> Raw:
    """The text under a header of fields, read by the format that the header declares or the text shows."""
    from engine.parsing.detect import detect

    header = fields.read(text)
    kind = _DECLARED.get(header.markup.partition(";")[0]) or detect(header.body)
    raw = _parsed(header.body, kind if kind in _MODULES else Format.PLAIN)
    return Raw(Format.MEMO, raw.blocks, header.title, raw.language)


def _fronted(text: str, kind: Format) -> Raw:
    front = frontmatter.read(text)
    raw = _parsed(text[front.end :], kind)
    return raw._replace(title=front.title or raw.title, language=front.language or raw.language)
