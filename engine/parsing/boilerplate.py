"""Text that is not a document's content: credits, sponsors, licences, navigation, tables of contents, encoded bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.parsing import fields
from engine.parsing.labels import names_of
from engine.parsing.model import Block
from engine.parsing.template import is_template
from engine.patterns import pattern

FEW = 200  # characters of prose; with less, apparent boilerplate is kept

# Sections about the people and the money behind a project, or that repeat its headings.
_SECTION = pattern(
    r"(?:(?:our|the|project|all|core|current|past|former|active|main|top|code|other|technical|list of"
    r"|thanks to(?: our| all)?|special)\s+){0,3}"
    r"(?:(?:open ?collective|financial|github|gold|silver|platinum|bronze|diamond|generous|premium|corporate"
    r"|monthly|special|individual|organi[sz]ational)\s+){0,2}"
    r"(?:contributors?|collaborators?|maintainers?|team"
    r"|(?:core |technical |steering |triage )?(?:team|committee|members?|collaborators?|captains?|group)"
    r"|committers|tsc(?: \(.{1,60}\))?|tc(?: \(.{1,60}\))?|technical steering committee"
    r"|emerit(?:us|i)(?: members?| contributors?| maintainers?| tc)?|triagers?"
    r"|authors?|credits?|sponsors?(?:hip|ing)?|backers?|supporters?|donat(?:e|ions?|ors?)|funding|patrons?"
    r"|partners?|people|stargazers?|star history"
    r"|acknowledge?ments?|acknowledg?ements?|thanks?|special thanks|hall of fame"
    r"|who(?:'s| is) using(?: (?:it|this))?|used by|see also|copyright|copying"
    r"|references|further reading|next steps|what'?s next|where to go next|learn more"
    r"|(?:related|useful|external|additional|other|important) (?:links?|pages?|topics?|resources?|articles?|reading)"
    r"|links|resources"
    r"|licen[cs](?:e|es|ing|ing information)|legal|copyrights?(?: and licen[cs]e)?|reporting bugs"
    r"|present|attendees|attendance|attending|participants?|invited|invitees|regrets|absent(?:ees)?|apologies"
    r"|roll call|in attendance|(?:members|people) present|standing invitations?"
    r"|table of contents?|contents?|toc|badges|buy me a coffee|support (?:us|the project))"
    r"(?:\s+(?:and|&|/)\s+(?:contributors?|licen[cs]e|copyright|sponsors?|backers?|thanks?|credits?"
    r"|acknowledge?ments?|authors?|maintainers?|contributing|donations?|supporters?))*(?:\s(?:to|of|for|in"
    r"|behind) (?:this|the|our|it)?\s?[\w -]{0,30})?[.:!]?",
    re.I,
)
_LICENCE = pattern(
    r"permission is hereby granted, free of charge|the software is provided [\"'“`]*as is"
    r"|this software is (?:being )?provided\b|in no event shall the|redistribution and use in source"
    r"|redistributions (?:of source code|in binary form) must|neither the name of the? "
    r"|licensed under the (?:apache|mit|bsd|gnu|mozilla|terms)"
    r"|you may (?:not use this file except|obtain a copy of the license)"
    r"|unless required by applicable law or agreed|distributed under the license is distributed"
    r"|gnu (?:lesser |library |affero )?general public licen"
    r"|this (?:program|library|file|package|page) is (?:free software|distributed in the hope|part of"
    r"|licensed under|released under|copyrighted)|without even the implied warranty|the above copyright notice"
    r"|creative commons attribution|all rights reserved"
    r"|see (?:the )?\W?(?:licen[cs]e|copying)(?:\.\w+)?\W? (?:file )?for"
    r"|spdx-(?:license-identifier|filecopyrighttext)"
    r"|licen[cs]ed? under (?:the |an? )?\W?(?:\w+[ -]){0,3}(?:mit|bsd|apache|gpl|mpl|isc)"
    r"|permission to use, copy, modify|this document has been placed in the public domain"
    r"|you should have received a copy of the"
    r"|is free software(?<!\wis free software)[;:,] you|can redistribute it and/or"
    r"|protected by federal copyright law|these coded instructions"
    r"|accompanying materials are made available under the terms of"
    r"|published by the free software foundation|distributed in the hope that it will be useful"
    r"|use of this source code is governed by|the author of this software is"
    r"|see:? <?https?://www\.gnu\.org/licenses"
)  # searched in lower case: ignoring case takes five times as long
# Every match contains one of these; searching for them is a hundred times faster.
_LEGAL_WORDS = (
    "icen", "ICEN", "opyright", "OPYRIGHT", "ermission", "edistribut", "oftware", "OFTWARE", "arrant", "WARRANT",
    "ights", "RIGHTS", "(c)", "(C)", "©", "SPDX", "spdx", "ommons", "ublic domain", "NO EVENT", "endorse", " part of",
)  # fmt: skip
_COPYRIGHT = pattern(r"\W{0,4}(?:(?:portions )?copyright\b|copyright ?©|\(c\) ?(?:19|20)\d\d|© ?)", re.I)
_FURNITURE = pattern(
    r"(?:\W{0,3}(?:prev(?:ious)?|next|up|home|top|index|contents|back|back to top|show source"
    r"|view (?:page )?source|edit (?:this page|on github|source|me on github)"
    r"|report (?:a |this )?(?:bug|issue|problem)(?: on this page)?"
    r"|cookie (?:settings|policy|preferences)|manage cookies|accept(?: all)?(?: cookies)?|reject(?: all)?"
    r"|privacy(?: (?:policy|notice|statement))?|terms(?: of (?:use|service))?|legal(?: notice)?|imprint"
    r"|sitemap|site map|contact(?: us)?|about(?: us)?"
    r"|log ?in|log ?out|sign (?:in|up|out)|register|search|skip to (?:main )?content|skip to navigation"
    r"|toggle (?:navigation|menu|sidebar|table of contents.*)|menu|navigation|quick search|table of contents"
    r"|on this page|in this article"
    r"|was this (?:page|article) helpful\??|yes|no|share(?: this page)?|tweet|print|feedback|send feedback"
    r"|subscribe|follow us|trademarks?|careers?|blog|modules|this page|previous topic|next topic|previous page"
    r"|next page|expand all|collapse all|available languages:?.*)\W{0,3})"
    r"|(?:created|generated|built|made|powered|hosted|theme(?:d)?) (?:with|using|by|on) [^.]{0,60}\.?"
    r"|(?:this page (?:was )?)?last (?:updated|modified|changed|edited|built|generated)\b.{0,80}"
    r"|(?:we|this (?:web ?)?site) uses? cookies\b.{0,200}|copyright\b.{0,160}|©.{0,160}",
    re.I,
)
_NAMES = pattern(
    r"(?:[A-ZÀ-Þ][\w.'’-]{0,20} ){1,3}[A-ZÀ-Þ][\w'’-]{1,20}(?: \([^()]{1,40}\)| <[^<>]{1,60}>)?(?:,|;|\n| and |\.?$)"
)
_ADDRESSED = pattern(r"\W{0,4}[A-ZÀ-Þ][\w .,'’-]{1,60}[ \t]{1,20}[<(][^<>()\s]{1,60}@[^<>()\s]{2,80}[>)].{0,60}$")
# What is known of a document, not its subject: - Start Date: 2024-01-01. Some of the names may begin a sentence too.
_ABOUT = pattern(
    rf"\W{{0,4}}(?:(?P<sure>{'|'.join(fields.SURE)}|"
    r"feature name|start date|(?:creation|created|last updated|last modified|published"
    r"|release)(?: (?:date|at|on))?|date|status|(?:co-?)?authors?(?:\(s\))?|deciders|owners?|reviewers?|approvers?"
    r"|editors?"
    r"|(?:[\w-]+ ){1,2}(?:issue|pr)|facilitators?|moderators?"
    r"|note ?takers?|scribes?|recording"
    r"|attendees|present|apologies|regrets|absent(?:ees)?|participants"
    r"|supersedes|superseded by|maintainers?|contact|e-?mail|licen[cs]e)"
    r"|(?:issue|version|tags?|labels?|categor(?:y|ies)|discussion|repository|homepage|website|target|stage|type|id))"
    r"\W{0,3}:(?=\W|$)\W{0,4}(?P<value>.{0,300})$",
    re.I,
)
_NAMED = pattern(r"\W{0,4}(?:feature name|title|summary|subject)\W{0,3}:\W{1,4}(\S.{1,200})$", re.I)
# A bar of links to translations: English | 简体中文 | Português Brasileiro.
_LANGUAGE = pattern(
    r"\b(?:english|deutsch|german|fran[çc]ais|french|espa[ñn]ol|spanish"
    r"|portugu[êe]s(?: brasileiro| \(?(?:br|brasil)\)?)?"
    r"|portuguese|brazilian portuguese|italiano|italian|nederlands|dutch|polski|polish|t[üu]rk[çc]e|turkish|svenska"
    r"|magyar|[čc]e[šs]tina|rom[âa]n[ăa]|suomi|dansk|norsk|bahasa(?: indonesia)?|ti[ếe]ng vi[ệe]t|vietnamese|русский"
    r"|russian|українська|ελληνικά|japanese|korean|(?:simplified |traditional )?chinese|العربية|فارسی|עברית|हिन्दी)\b"
    r"|[简簡繁]体?中文|繁體中文|正體中文|中文(?:版|文档)?|日本語|한국어|ไทย"
)  # sought in lower case
SHORT = 100  # characters of a value
_CODED = pattern(r"[A-Za-z0-9+/=_-]{60,}\s*")
MINIFIED = 400  # characters of a line that may be a minified program's


def is_section(heading: str) -> bool:
    """Whether a heading opens a part that is not about the subject."""
    return len(heading) <= 80 and _SECTION.fullmatch(heading.strip()) is not None


def is_licence(text: str) -> bool:
    if not any(map(text.__contains__, _LEGAL_WORDS)):
        return False
    return _LICENCE.search(" ".join(text[:4000].lower().split())) is not None or (
        len(text) < 400 and _COPYRIGHT.match(text) is not None
    )


def grants(text: str) -> bool:
    """Whether a text grants a licence, rather than only naming a copyright."""
    return _LICENCE.search(" ".join(text[:4000].lower().split())) is not None


def is_people(text: str) -> bool:
    """A paragraph that is little more than six or more names separated by commas, or of three or more lines with an
    address in each."""
    if "@" in text and len(lines := text.split("\n")) >= 3 and all(map(_ADDRESSED.match, lines)):
        return True
    if len(text) > 20_000 or text.count(",") + text.count("\n") < 5:
        return False
    names = [match[0] for match in _NAMES.finditer(text)]
    return len(names) >= 6 and 10 * sum(map(len, names)) > 7 * len(text)


def _opens_people(block: Block) -> bool:
    """A line of text that is the label of a list of people: "Attendees:"."""
    return block.kind == "text" and len(block.text) < 40 and block.text.endswith(":") and is_section(block.text)


def is_about(text: str) -> bool:
    """Whether each line is a field about the document: its date, status, authors."""
    if ":" not in text[:60] or len(text) > 2000:
        return False
    for line in text.split("\n"):
        field = _ABOUT.match(line)
        if field is None or (not field["sure"] and len(field["value"].split()) > 4):
            return False
    return True


def _names(field: re.Match[str]) -> bool:
    """Whether a field of a person or date has its value in the next block."""
    return bool(field["sure"]) and not field["value"].strip()


def named(text: str) -> str:
    """The title that a field gives: - Feature Name: pool_sizes."""
    field = _NAMED.match(text.split("\n", 1)[0])
    return field[1].strip("`*_ ") if field else ""


def is_language_bar(text: str) -> bool:
    """Whether a short paragraph consists of little but three or more names of languages."""
    if len(text) > 600:
        return False
    names = _LANGUAGE.findall(text.lower())
    return len(names) >= 3 and 10 * _letters("".join(names)) > 6 * _letters(text)


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def is_furniture(line: str) -> bool:
    """Whether a short line belongs to a web site's frame."""
    return len(line) <= 240 and _FURNITURE.fullmatch(line.strip()) is not None


def is_coded(text: str) -> bool:
    """Base64, hexadecimal, a minified program: long runs with hardly a word between blanks."""
    if len(text) < 60:
        return False
    sample = text[:4000]
    if _CODED.fullmatch(sample.split("\n", 1)[0].strip()) and any(map(str.isdigit, sample)):
        return True
    blanks = sample.count(" ") + sample.count("\n")
    if not sample.isascii():  # Chinese writes without blanks
        return False
    return (len(sample) > MINIFIED and blanks * 20 < len(sample)) or (
        len(sample) > MINIFIED and sum(map(sample.count, ";{}()=")) * 12 > len(sample) and "\n" not in sample
    )


def without(blocks: Sequence[Block]) -> tuple[list[Block], frozenset[str]]:
    """The blocks that are content, and the names of people listed in the others. If hardly anything would be left, a
    document about authors or a licence stays whole."""
    kept: list[Block] = []
    listed: list[Block] = []  # in sections about people
    one = sum(block.kind == "heading" and block.level == 1 for block in blocks) == 1  # the document's own
    closed = 0  # level of the heading whose section is being dropped
    people: list[Block] = []
    field = False  # the block before was a field's name alone: Author:
    listing = False  # in a list that a label such as "Attendees:" opens
    for block in blocks:
        listing = (listing and block.kind in ("item", "person")) or _opens_people(block)
        if listing:
            listed.append(block)
            field = block.kind == "text"
            continue
        if field and block.kind in ("text", "item") and len(block.text) < SHORT:
            field = False
            continue
        field = block.kind != "heading" and (about := _ABOUT.match(block.text)) is not None and _names(about)
        if block.kind == "person":
            people.append(block)
            listed.append(block)
            continue
        if len(people) < 3:
            kept += people if not closed else []
        people = []
        if block.kind == "heading":
            if closed and block.level > closed:
                continue
            closed = block.level if block.level and is_section(block.text) else 0
            if closed or (is_template(block.text) and not (one and block.level == 1)):
                continue
        elif closed or _is_boilerplate(block):
            if closed or is_people(block.text):
                listed.append(block)
            continue
        kept.append(block)
    if 0 < len(people) < 3 and not closed:
        kept += people
    program = sum(len(block.text) for block in kept if block.kind == "code") >= FEW
    if all(block.kind == "heading" for block in kept) or (not program and _size(kept) < min(FEW, _size(blocks) // 4)):
        return [block for block in blocks if not is_coded(block.text)] or list(blocks), frozenset()
    return kept, names_of(listed)


def _is_boilerplate(block: Block) -> bool:
    text = block.text
    if block.kind == "code":
        return is_coded(text)
    return is_licence(text) or is_people(text) or is_language_bar(text) or is_about(text) or is_coded(text)


def _size(blocks: Sequence[Block]) -> int:
    return sum(len(block.text) for block in blocks if block.kind in ("text", "item"))
