"""Detects a text's format from its file name, its beginning, and its markup. Plain prose costs a few microseconds."""

from __future__ import annotations

import re

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
    r"|\]\([^)\s]|!\[|\*\*\w[^*\n]{0,200}\*\*|\{#[\w-]{1,80}\}"
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


def detect(text: str, suffix: str = "") -> Format:
    """The format; plain text unless something indicates another. Never raises."""
    if not suffix and _is_bare_prose(text):
        return Format.PLAIN
    head = text[:LOOKED_AT]
    first = head.lstrip("\ufeff \t\r\n")[:1]
    if not first:
        return Format.PLAIN
    if suffix and (named := _by_name(head, suffix)) is not None:
        return named
    for look in (_by_mark, _of_one_line, _by_first_lines, _by_lines):
        if (kind := look(head, first)) is not None:
            return kind
    if "[Page " in text[:PAGED] and memo.PAGE_END.search(text[:PAGED]):
        return Format.MEMO
    if _is_man_page(head):
        return Format.MAN_PAGE
    return Format.WIKI if wiki.is_wiki(head) else _marked(head)


def _is_bare_prose(text: str) -> bool:
    """Whether nothing that follows in `detect` can match. Most prose has no sign of markup at all."""
    head = text[:PAGED]
    if not head[:1].isalpha() or head.startswith(_NOT_BARE):
        return False
    if _has(head, _ANY_SIGN) or _MARKED_LINE.search(head):
        return False
    colon = head.find(":")
    return colon < 0 or (colon >= _FIELD_CHARS and not _has(head, _ANY_SIGN_AFTER_COLON))


def _by_mark(head: str, first: str) -> Format | None:
    """The format that the first characters prove."""
    if first in ".'\\" and _ROFF.match(head.lstrip("\ufeff\n")):
        return Format.ROFF
    if first == "#" and head.lstrip("\ufeff").startswith("#!") and not head.startswith("#!["):
        return Format.SOURCE
    if first == "<" and (_HTML.match(head) or _XML.match(head)):
        return Format.HTML
    if first in "-dI" and diff.MARK.match(head.lstrip("\ufeff \t\r\n")):
        return Format.DIFF
    if first == "{":
        return _of_braces(head)
    if first == "[" and _JSON_LIST.match(head.lstrip("\ufeff \t\r\n")):
        return Format.SETTINGS
    if (first in "@\\" or "@node " in head or "@c " in head) and texinfo.MARK.match(head.lstrip("\ufeff\n")):
        return Format.TEXINFO
    if first in "\\%" and "\\" in head and latex.MARK.search(head):
        return Format.LATEX
    if first in "@%" and "@" in head and bibtex.MARK.match(head.lstrip("\ufeff")):
        return Format.BIBLIOGRAPHY
    if first == "=" and pod.MARK.match(head.lstrip()):
        return Format.POD
    return Format.ORG if "#+" in head and first in "#*-:" and org.MARK.search(head) else None


def _of_braces(head: str) -> Format | None:
    if head.lstrip("\ufeff \t\r\n").startswith(rtf.MARK):
        return Format.RTF
    if notebook.is_notebook(head):
        return Format.NOTEBOOK
    return Format.SETTINGS if _JSON.match(head) else None


def _of_one_line(head: str, first: str) -> Format | None:
    """The format of a single line; None for a longer text."""
    if "\n" in head.strip():
        return None
    if first == "#" or (first in "[!<*" and _MARKDOWN_MARK.search(f"\n{head}")):
        return Format.MARKDOWN
    return Format.HTML if first == "<" and _HTML_TAGS.search(head) else Format.PLAIN


def _by_first_lines(head: str, first: str) -> Format | None:
    """The format by a text's first lines: header fields, a comment or import, front matter."""
    if (first.isalpha() or first == "-") and (kind := _by_header(head)) is not None:
        return kind
    if (kind := _by_rarer_line(head, first)) is not None:
        return kind
    if first in "\"'/#<(pu" and _SOURCE.match(head) and _looks_like_code(head):
        opening = head.lstrip("\n")
        if not _HASH_HEADING.match(f"\n{opening}"):
            return Format.SOURCE
    if head.removeprefix("\ufeff")[:3] in ("---", "+++"):
        return _marked(head, front=True)
    return None


def _by_rarer_line(head: str, first: str) -> Format | None:
    if first in "Bb" and calendar.MARK.match(head.lstrip("\ufeff")):
        return Format.CALENDAR
    if 'msgid "' in head and catalogue.MARK.search(head):
        return Format.CATALOGUE
    if (first.isdigit() or first == "W") and subtitles.MARK.match(head.lstrip("\ufeff \t\n")):
        return Format.SUBTITLES
    if ("makeinfo" in head or "Node: " in head[:400]) and texinfo.INFO.search(head[:400]):
        return Format.TEXINFO
    if first in "aos-#" and (": " in head) and settings.MARK.match(head):
        return Format.SETTINGS
    return None


def _by_lines(head: str, first: str) -> Format | None:
    """The format of logs and change logs, whose lines begin alike."""
    if _may_be_log(head) and log.is_log(head.split("\n")[:60]):
        return Format.LOG
    if first == "c" and changelog.GIT.match(head.lstrip()):
        return Format.CHANGELOG
    if "urgency=" in head and changelog.DEBIAN.search(head[:600]):
        return Format.CHANGELOG
    if first.isdigit() and changelog.DATED.match(head.lstrip().split("\n", 1)[0]):
        return Format.CHANGELOG
    if ("diff --git " in head or "\n+++ " in head) and (patch := diff.MARK.search(head)) and patch.start() < 4000:
        return Format.DIFF
    if "@" in head and "\n\t" in head and changelog.GNU.match(head.lstrip()):
        return Format.CHANGELOG
    return None


def _is_man_page(head: str) -> bool:
    """Whether a text is a rendered manual page: a header such as "LS(1) User Commands LS(1)", or overstruck letters."""
    if "(" in head[:200] and roff.HEADER.match(head.lstrip("\n").split("\n", 1)[0]):
        return True
    return "\b" in head and "_\b" in head


def _by_name(head: str, suffix: str) -> Format | None:
    named = _BY_SUFFIX.get(suffix)
    if named is Format.HTML or named is Format.MAIL:
        return named
    if named in (Format.MARKDOWN, Format.RST, Format.ASCIIDOC):
        if _HTML.match(head):
            return Format.HTML
        if named is not Format.ASCIIDOC and fields.is_header(head):
            return Format.MEMO
        if suffix == ".asc" and head.lstrip().startswith("-----BEGIN"):
            return Format.PLAIN
        return named
    if named is Format.LOG:
        return Format.LOG if log.is_log(head.split("\n")[:60]) else None
    if named is not None:
        return _by_name_and_mark(head, named)
    if suffix in settings.SUFFIXES:
        return Format.SETTINGS
    if suffix in (".pm", ".pl") and "\n=head1" in head:
        return Format.POD
    if suffix in source.SUFFIXES:
        return Format.SOURCE
    if _MAN_SUFFIX.fullmatch(suffix) and _ROFF.match(head.lstrip("\ufeff\n")):
        return Format.ROFF
    return None


def _by_name_and_mark(head: str, named: Format) -> Format | None:
    """The format of a name, for those that other programs' files share."""
    if named is Format.NOTEBOOK:
        return named if head.lstrip("\ufeff \n").startswith("{") else None
    if named is Format.TEXINFO:
        return named if texinfo.MARK.search(head) or texinfo.INFO.search(head[:4000]) else None
    if named is Format.DIFF:  # what a mail holds is read as mail
        return named if diff.MARK.search(head) and _by_header(head) is None else None
    return named


def _by_header(head: str) -> Format | None:
    """The format of mail, a PEP or an RFC, each of which begins with header fields."""
    if head.startswith("From ") and re.match(r"From \S+ .{10,60}\n[\w-]+:", head):
        return Format.MAIL
    start = head.lstrip()
    first, _, rest = start.partition("\n")
    if mail.ALONE.match(start):
        return Format.MAIL
    if _HEADER.match(first):
        names = []
        for line in start.split("\n")[:60]:
            if named := _HEADER.match(line):
                names.append(named[1].lower())
            elif not (line[:1] in (" ", "\t") and line.strip()):
                break
        if len(names) >= 2:
            known = [name for name in names if name in _MAIL_FIELDS or name.startswith("x-")]
            if len(known) >= 2 and not _ONLY_IN_MAIL.isdisjoint(known):
                return Format.MAIL
        if fields.is_header(start):
            return Format.MEMO
    if (
        (
            "nternet" in start[:1500]
            or "NTERNET" in start[:1500]
            or "Request for C" in start[:1500]
            or "Working Group" in start[:1500]
        )
        and memo.HEADER.search(start[:1500])
        and ("Request for Comments" in start[:2500] or "nternet" in start[:2500])
        and ("  " in first or "   " in rest[:400])
        and not _HASH_HEADING.search(f"\n{start[:1500]}")
    ):
        return Format.MEMO
    return None


def _may_be_log(head: str) -> bool:
    return (
        head.lstrip()[:1].isdigit()
        or (head.lstrip()[:1] in "[JFMASONDWT<IEtl" and ":" in head[:400])
        or " - - [" in head[:120]
    )


def _looks_like_code(head: str) -> bool:
    return _has(head, _CODE_HINTS)


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
