"""Detects a text's format from its file name, its beginning, and its markup. Plain prose costs a few microseconds."""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.parsing import (
    bibtex,
    calendar,
    catalogue,
    changelog,
    diff,
    fields,
    latex,
    log,
    mail,
    memo,
    notebook,
    org,
    pod,
    roff,
    rtf,
    settings,
    source,
    subtitles,
    texinfo,
    wiki,
)
from engine.parsing.lists import lists
from engine.parsing.model import Format
from engine.patterns import pattern

_LISTS = lists("detect")
LOOKED_AT = 12_000  # characters examined
PAGED = 20_000  # of a memo, whose first page has fewer
_SUFFIXES: dict[str, list[str]] = _LISTS["suffixes"]
_BY_SUFFIX = {suffix: Format[named] for named, suffixes in _SUFFIXES.items() for suffix in suffixes}
_MAN_SUFFIX = pattern(r"\.[1-9n](?:[a-z]{1,4})?$")
_SHEBANG = pattern(r"#!(?!\[)")  # not an attribute of Rust
_ROFF = pattern(
    r"(?:['.]\\\"[^\n]*\n|\.\s*\n|\\\"[^\n]*\n|[ \t]*+\n){0,400}+[.'](?:TH|SH|Dd|Dt|so|de|if|ie|nr|ds|TS|mso"
    r"|lf|ad|hy|nh|tr|pc|ll|ss|fi|nf|rm|rn|ft|UC|ec|eo|cc|B|I|EQ|Os|ig|do|PP|TP|Sh|SS|am|LP|RS|Nm|BR|IP|P|TL|NH|AU|AB|RP|ND)\b"
)
_HTML = pattern(
    r"\s*(?:<\?xml[^>]{0,200}\?>\s*)?(?:<!--.{0,2000}?-->\s*)?<(?:!doctype\s+html|html|head|body"
    r"|!doctype\s+\w+\s+public\s+\"-//w3c//dtd x?html)\b",
    re.I | re.S,
)
_HTML_ANYWHERE = pattern(r"<(?:html|body|head)\b[^<>]{0,300}>", re.I)
_XML = pattern(r"\s*<\?xml\b|\s*<(?:article|book|chapter|refentry|section|para)\b[^<>]{0,400}>", re.I)
_MAILBOX = pattern(r"From \S+ .{10,60}\n[\w-]+:")
_HEADER = pattern(r"^([A-Z][\w-]{1,40}):(?:[ \t]|$)")
_MAIL_FIELDS = frozenset(_LISTS["mail_fields"]) | frozenset(mail.IN_OTHER_LANGUAGES)
_ONLY_IN_MAIL = frozenset(("from", "subject", "message-id", "received", "mime-version")) | mail.SUBJECTS
# A text that starts with a letter and has none of these is prose. Finding a single character takes a tenth of the time
# of finding two.
_NOT_BARE = ("From ", "package ", "msgid ", "WEBVTT", *mail.GREETINGS)
_SIGNS = tuple("#`[*|<=~^{")
_ANY_SIGN = (*_SIGNS, "\t", "\b", "  ", ".. ")
_ANY_SIGN_AFTER_COLON = ("::", "xref:")
_SIGNS_IN_PROSE = (*_SIGNS, ".. ", *_ANY_SIGN_AFTER_COLON)
_MARKED_LINE = pattern(r"\n(?:[-:+.\t]|  )")  # prose may contain some of them
_FIELD_CHARS = 80  # at the beginning, where a colon may end a field's name or follow a time
# Cheap tests for whether an expression can match.
_MARKDOWN_HINTS = ("](", "```", "**", "![", "]: ", "{#", "\nimport ", ":::", "|-")
_RST_HINTS = (".. ", ":`", ">`_", "``")
_UNDERLINES = ("\n==", "\n--", "\n~~", "\n^^", '\n""', "\n**", "\n++")
_ASCIIDOC_HINTS = ("\n=", "\n[", "::", "\n:", "xref:", "linkgit:")
_CODE_HINTS = ("\n#", "\n//", "\n *", "\nimport ", "\nfrom ", "\ndef ", "\nclass ", "{", ";\n", '"""', "'''", "SPDX-")
# These are sought in a text with a line break before it: an expression whose every alternative begins with a character
# of its own takes a quarter of the time.
_HASH_HEADING = pattern(r"\n {0,3}#{1,6}[ \t]+\S")
_MARKDOWN_MARK = pattern(
    r"\n(?:[ >]*```|\[[^\]\n]{1,80}\]: \S|(?:import|export) [\w{*].{0,200}from ['\"]|:::\w|\|[ :-]*-{3})"
    r"|\]\([^)\s]|!\[(?<!<!\[)|\*\*\w[^*\n]{0,200}\*\*|\{#[\w-]{1,80}\}"
)
_SETEXT = pattern(r"\n\S[^\n]{0,120}\n(=+|-+|~{4,}|\^{4,})[ \t]*(?:\n|$)")
_RST_MARK = pattern(
    r"\n[ \t]*\.\. (?:_[^\n:]{1,120}:|[\w:+-]{1,40}::|\|[^|\n]{1,80}\| [\w-]+::|\[[#\w]+\] )"
    r"|:[\w+.:-]{2,40}:`[^`\n]|`_\b(?<=\w`_)|`[^`\n<]{1,120}<[^<>`\n]{1,300}>`_|``[^`\n]{1,100}``"
)
_RST_FRAMED = pattern(r"\n([=\-~*#^+`])\1{3,}[ \t]*\n[ \t]*\S[^\n]{0,160}\n\1{4,}[ \t]*(?:\n|$)")
_RST_UNDER = pattern(r"\n\S[^\n]{0,120}\n([~^\"'`*+.#:])\1{3,}[ \t]*(?:\n|$)")
_ADOC_MARK = pattern(
    r"\n(?:= \S|={2,5} \S|:!?[\w-]{1,40}:(?: \S[^\n]*)?(?=\n)|\[\[[\w:.-]{1,100}\]\](?=\n)"
    r"|\[(?:source|NOTE|TIP|WARNING|IMPORTANT|CAUTION|quote|verse|listing|horizontal|%|#|cols|options|appendix"
    r"|abstract|role|\.)[^\]\n]{0,200}\](?=\n)"
    r"|(?:ifdef|ifndef|ifeval|endif|include)::|image::?\S+\[|NOTE: |TIP: |\|={3,}(?=\n)|toc::\[\]|'''(?=\n))"
    r"|xref:(?<!\wxref:)[\w./#-]{1,200}\[|link(?<!\wlink)(?:git:|:\S{1,200}\[)"
)
_ADOC_FENCE = pattern(r"\n(-{4,}|\.{4,})\n(?:[^\n]*\n){1,200}?\1(?:\n|$)")
_HTML_TAGS = pattern(r"</(?:p|div|h[1-6]|ul|li|table|main|section|article|nav|footer|span)>", re.I)
_JSON_LIST = pattern(r"\[\s{0,200}\{\s{0,200}\"[^\"\n]{1,100}\"\s{0,20}:")
_JSON = pattern(r"\{\s{0,200}\"[^\"\n]{1,100}\"\s{0,20}:")
_SOURCE = pattern(
    r"\s*(?:<\?php|/\*[*!\s]|//[ /!]|#include\b|\"\"\"|'''|# -\*- coding|package [\w.]+;|\(\*\s|# SPDX-"
    r"|// SPDX-|\"use strict\"|'use strict')"
)


class _Mark(NamedTuple):
    """What shows a format. The first characters and the signs are sought first: an expression takes longer."""

    kind: Format
    first: str  # the characters that a text may begin with; "" for any
    expression: re.Pattern[str]
    anywhere: int = 0  # characters in which it is sought; 0: the text begins with it
    signs: tuple[str, ...] = ("",)  # the text holds one of them

    def is_in(self, start: str) -> bool:
        if (self.first and start[0] not in self.first) or not _has(start, self.signs):
            return False
        found = self.expression.search(start[: self.anywhere]) if self.anywhere else self.expression.match(start)
        return found is not None


_DIGITS = "0123456789"
# formats whose mark decides, in the order in which they are sought
_BEGINNINGS = (
    _Mark(Format.ROFF, ".'\\", _ROFF),
    _Mark(Format.SOURCE, "#", _SHEBANG),
    _Mark(Format.HTML, "<", _HTML),
    _Mark(Format.HTML, "<", _XML),
    _Mark(Format.DIFF, "-dI", diff.MARK),
    _Mark(Format.RTF, "{", rtf.MARK),
    _Mark(Format.NOTEBOOK, "{", notebook.MARK),
    _Mark(Format.SETTINGS, "{", _JSON),
    _Mark(Format.SETTINGS, "[", _JSON_LIST),
    _Mark(Format.TEXINFO, "@\\", texinfo.MARK),
    _Mark(Format.LATEX, "\\%", latex.MARK, LOOKED_AT),
    _Mark(Format.BIBLIOGRAPHY, "@%", bibtex.MARK),
    _Mark(Format.POD, "=", pod.MARK),
    _Mark(Format.ORG, "#*-:", org.MARK, LOOKED_AT, ("#+",)),
)
# formats that mail may hold, or that begin as prose does
_LATER = (
    _Mark(Format.CALENDAR, "Bb", calendar.MARK),
    _Mark(Format.CATALOGUE, "", catalogue.MARK, LOOKED_AT, ('msgid "',)),
    _Mark(Format.SUBTITLES, f"{_DIGITS}W", subtitles.MARK),
    _Mark(Format.TEXINFO, "", texinfo.INFO, 400, ("makeinfo", "Node: ")),
    _Mark(Format.SETTINGS, "aos-#", settings.MARK, signs=(": ",)),
)
# formats whose lines begin alike
_BY_LINES = (
    _Mark(Format.CHANGELOG, "c", changelog.GIT),
    _Mark(Format.CHANGELOG, "", changelog.DEBIAN, 600, ("urgency=",)),
    _Mark(Format.CHANGELOG, _DIGITS, changelog.DATED),
    _Mark(Format.DIFF, "", diff.MARK, 4000, ("diff --git ", "\n+++ ")),
    _Mark(Format.CHANGELOG, "", changelog.GNU, signs=("\n\t",)),
)


def _marked_as(start: str, marks: tuple[_Mark, ...]) -> Format | None:
    return next((mark.kind for mark in marks if mark.is_in(start)), None)


def detect(text: str, suffix: str = "") -> Format:
    """The format; plain text unless something indicates another. Never raises."""
    if not suffix and _is_bare_prose(text):
        return Format.PLAIN
    head = text[:LOOKED_AT]
    start = head.lstrip("\ufeff \t\r\n")
    if not start:
        return Format.PLAIN
    kind = (_by_name(head, suffix) if suffix else None) or _marked_as(start, _BEGINNINGS)
    kind = kind or _of_one_line(head, start[0]) or _by_first_lines(head, start)
    return kind or _by_lines(head, start) or _by_pages(text[:PAGED]) or _marked(head)


def _by_lines(head: str, start: str) -> Format | None:
    return Format.LOG if _is_log(head) else _marked_as(start, _BY_LINES)


def _by_pages(text: str) -> Format | None:
    """The format of pages: of a memo, a manual, a wiki."""
    if "[Page " in text and memo.PAGE_END.search(text):
        return Format.MEMO
    head = text[:LOOKED_AT]
    if _is_man_page(head):
        return Format.MAN_PAGE
    return Format.WIKI if wiki.is_wiki(head) else None


def _is_bare_prose(text: str) -> bool:
    """Whether nothing that follows in `detect` can match. Most prose has no sign of markup at all."""
    head = text[:PAGED]
    if not head[:1].isalpha() or head.startswith(_NOT_BARE):
        return False
    if _has(head, _ANY_SIGN) or _MARKED_LINE.search(head):
        return False
    colon = head.find(":")
    return colon < 0 or (colon >= _FIELD_CHARS and not _has(head, _ANY_SIGN_AFTER_COLON))


def _of_one_line(head: str, first: str) -> Format | None:
    """The format of a single line; None for a longer text."""
    if "\n" in head.strip():
        return None
    if first == "#" or (first in "[!<*" and _MARKDOWN_MARK.search(f"\n{head}")):
        return Format.MARKDOWN
    return Format.HTML if first == "<" and _HTML_TAGS.search(head) else Format.PLAIN


def _by_first_lines(head: str, start: str) -> Format | None:
    """The format by a text's first lines: header fields, a comment or import, front matter."""
    if (start[0].isalpha() or start[0] == "-") and (kind := _by_header(head)) is not None:
        return kind
    if (kind := _marked_as(start, _LATER)) is not None:
        return kind
    if _SOURCE.match(head) and _has(head, _CODE_HINTS) and not _HASH_HEADING.match(f"\n{head.lstrip(chr(10))}"):
        return Format.SOURCE
    if head.removeprefix("\ufeff")[:3] in ("---", "+++"):
        return _marked(head, front=True)
    return None


def _is_man_page(head: str) -> bool:
    """Whether a text is a rendered manual page: a header such as "LS(1) User Commands LS(1)", or overstruck letters."""
    if "(" in head[:200] and roff.HEADER.match(head.lstrip("\n").split("\n", 1)[0]):
        return True
    return "\b" in head and "_\b" in head


def _by_name(head: str, suffix: str) -> Format | None:
    """The format that a file's ending tells; None where the text tells another, or decides."""
    named = _BY_SUFFIX.get(suffix)
    if named in (Format.MARKDOWN, Format.RST, Format.ASCIIDOC):
        if _HTML.match(head):
            return Format.HTML
        if named is not Format.ASCIIDOC and fields.is_header(head):
            return Format.MEMO
        return Format.PLAIN if suffix == ".asc" and head.lstrip().startswith("-----BEGIN") else named
    if named is not None:
        return named if _may_be(named, head) else None
    if suffix in settings.SUFFIXES:
        return Format.SETTINGS
    if suffix in (".pm", ".pl") and "\n=head1" in head:
        return Format.POD
    if suffix in source.SUFFIXES:
        return Format.SOURCE
    return Format.ROFF if _MAN_SUFFIX.fullmatch(suffix) and _ROFF.match(head.lstrip("\ufeff\n")) else None


def _may_be(named: Format, head: str) -> bool:
    """Whether a text may have the format of its name. Other programs' files share the names of some."""
    match named:
        case Format.LOG:
            return log.is_log(head.split("\n")[:60])
        case Format.NOTEBOOK:
            return head.lstrip("\ufeff \n").startswith("{")
        case Format.TEXINFO:
            return bool(texinfo.MARK.search(head) or texinfo.INFO.search(head[:4000]))
        case Format.DIFF:  # what a mail holds is read as mail
            return diff.MARK.search(head) is not None and _by_header(head) is None
    return True


def _by_header(head: str) -> Format | None:
    """The format of mail, a PEP or an RFC, each of which begins with header fields."""
    start = head.lstrip()
    if _MAILBOX.match(head) or mail.ALONE.match(start) or _has_mail_header(start):
        return Format.MAIL
    return Format.MEMO if fields.is_header(start) or _is_rfc(start) else None


def _has_mail_header(start: str) -> bool:
    names: list[str] = []
    for line in start.split("\n")[:60]:
        if named := _HEADER.match(line):
            names.append(named[1].lower())
        elif not names or not (line[:1] in (" ", "\t") and line.strip()):
            break
    known = [name for name in names if name in _MAIL_FIELDS or name.startswith("x-")]
    return len(known) >= 2 and not _ONLY_IN_MAIL.isdisjoint(known)


def _is_rfc(start: str) -> bool:
    """Whether a text names its series of RFCs or drafts, in the columns of their first page."""
    if not _has(start[:2500], ("Request for Comments", "nternet")) or not memo.HEADER.search(start[:1500]):
        return False
    first, _, rest = start.partition("\n")
    return ("  " in first or "   " in rest[:400]) and not _HASH_HEADING.search(f"\n{start[:1500]}")


def _is_log(head: str) -> bool:
    first = head.lstrip()[:1]
    may_be = first.isdigit() or (first in "[JFMASONDWT<IEtl" and ":" in head[:400]) or " - - [" in head[:120]
    return may_be and log.is_log(head.split("\n")[:60])


def _marked(head: str, front: bool = False) -> Format:
    """The markup language with the most marks in the text; Markdown at a tie."""
    text = f"\n{head}"
    if not (front or _has(text, _SIGNS_IN_PROSE) or _MARKED_LINE.search(text)):
        return Format.PLAIN
    underlined = _has(text, _UNDERLINES)
    setext = underlined and _SETEXT.search(text) is not None
    markdown = _markdown_marks(text) + setext
    rst = _rst_marks(text, underlined)
    rst += setext and rst > 0
    asciidoc = _asciidoc_marks(text)
    if not (markdown or rst or asciidoc):
        return _lightly_marked(text, front)
    if asciidoc > markdown and asciidoc > rst:
        return Format.ASCIIDOC
    return Format.RST if rst > markdown else Format.MARKDOWN


def _has(text: str, marks: tuple[str, ...]) -> bool:
    return any(map(text.__contains__, marks))


def _markdown_marks(text: str) -> int:
    marks = 3 * len(_HASH_HEADING.findall(text)) if "\n#" in text else 0
    if _has(text, _MARKDOWN_HINTS):
        marks += len(_MARKDOWN_MARK.findall(text))
    return marks


def _rst_marks(text: str, underlined: bool) -> int:
    marks = 0
    if _has(text, _RST_HINTS):
        marks += 2 * sum(not mark.startswith("``") for mark in _RST_MARK.findall(text))
        marks += min(3, text.count("``") // 4) if "```" not in text else 0
    if underlined:
        marks += 3 if _RST_FRAMED.search(text) else 0
        marks += 1 if _RST_UNDER.search(text) else 0
    return marks


def _asciidoc_marks(text: str) -> int:
    if not _has(text, _ASCIIDOC_HINTS):
        return 0
    return 2 * len(_ADOC_MARK.findall(text)) + (1 if _ADOC_FENCE.search(text) else 0)


def _lightly_marked(text: str, front: bool) -> Format:
    """Markdown if lists, pictures or stray tags suggest it and nothing else identifies the text; else plain text."""
    if "</" in text and _HTML_TAGS.search(text):
        return Format.HTML if text.lstrip()[:1] == "<" and _HTML_ANYWHERE.search(text) else Format.MARKDOWN
    return Format.MARKDOWN if front or _has(text, ("\n- ", "\n* ", "<img", "![")) else Format.PLAIN
