"""AsciiDoc: header and attributes, anchors, delimited blocks, macros, conditionals."""

from __future__ import annotations

import re

from engine.parsing.inline import heading, unescaped
from engine.parsing.model import Block, Format, Raw

_ATTRIBUTE = re.compile(r"^:(!?[\w-]+!?):(?:[ \t]+(.*))?$")
_HEADING = re.compile(r"^(={1,6}|#{1,6})[ \t]+(\S.*?)(?:[ \t]+=+)?[ \t]*$")
_UNDER = re.compile(r"^(?:={4,}|-{4,}|~{4,}|\^{4,}|\+{4,})$")
_ANCHOR = re.compile(r"^\[\[[^\]\n]{1,200}\]\]$")
_BLOCK_LINE = re.compile(r"^\[[^\]\n]{0,300}\]$")
_DELIMITER = re.compile(r"^(-{4,}|\.{4,}|`{3,}|\+{4,}|/{4,}|={4,}|\*{4,}|_{4,}|--|\|={3,}|,={3,}|!={3,})[\w, -]{0,40}$")
_CONDITION = re.compile(r"^(?:ifdef|ifndef|ifeval|endif)::.*\[.*\]$")
_PICTURE = re.compile(r"\b(?:image|icon)::?[^\s\[\]]{0,400}\[[^\[\]]{0,300}\]")
_BLOCK_MACRO = re.compile(r"^(?:include|image|video|audio|toc|kroki|plantuml|icon)::?\S*\[.*\]$")
_ITEM = re.compile(r"^[ \t]*(?:[*-]|\*{2,5}|\.{1,5}|\d{1,3}\.|<(?:\d+|\.)>)[ \t]+(?:\[[ xX*]\][ \t]+)?(.*)$")
_TERM = re.compile(r"^[ \t]*(\S.{0,200}?)(?:::{1,3}|;;)(?:[ \t]+(.*))?$")
_BLOCK_TITLE = re.compile(r"^\.[^\s.].{0,120}$")
_AUTHOR = re.compile(
    r"^(?:[\w.'’-]+ ){1,3}[\w.'’-]+ <[^<>]+>|^v?\d+(?:\.\d+)+,? .*$|^\{?[\w-]+\}?, ?\d{4}-\d\d-\d\d|^<?[\w.+-]+@[\w.-]+>?$"
)
_LINK = re.compile(r"(?:link:|mailto:|xref:|https?://|\{[\w-]{1,60}\})[^\s\[\]]{0,400}\[([^\[\]]{0,200})\]")
_BARE_LINK = re.compile(r"\blink:\S{1,300}|https?://[^\s\[\]<>]{1,400}")
_XREF = re.compile(r"<<[^<>,\n]{1,120}(?:,([^<>\n]{1,200}))?>>")
_MACRO = re.compile(
    r"\b(?:image|icon|kbd|btn|menu|footnote|indexterm2?|pass|stem|latexmath|anchor|xref|linkgit|linkcurl):[^\s\[\]]{0,200}\[([^\[\]]{0,300})\]"
)
_LINKGIT = re.compile(r"\blinkgit:([\w-]{1,40})\[\d?\]")
_ATTRIBUTE_USE = re.compile(r"\{[\w-]{1,60}\}")
_INLINE_ANCHOR = re.compile(r"\[\[[^\]\n]{1,200}\]\]|\(\(\(.{1,200}?\)\)\)|\[#[\w-]{1,100}\]|\[\.[\w-]{1,60}\]")
_STRESS = re.compile(
    r"(?<![\w*])\*{1,2}(?=[^\s*])|(?<=[^\s*])\*{1,2}(?![\w*])|(?<!\w)_(?=[A-Za-z][^_\n]{0,100}_(?!\w))|(?<=[^\s_])_(?![\w_])|(?<![\w#])#(?=[^\s#][^#\n]{0,100}#)"
)
_CODE_LISTS = ("source", "listing", "literal", "console", "plantuml", "mermaid", "stem", "latexmath")


def parse(text: str) -> Raw:
    lines = text.split("\n")
    blocks: list[Block] = []
    about: dict[str, str] = {}
    paragraph: list[str] = []
    kind: list[str] = []  # the preceding block line: [source,console]
    headed = False  # right below the document's title: authors, revision
    listed = False

    def flush() -> None:
        nonlocal listed
        text = words("\n".join(paragraph), about).strip()
        if text:
            blocks.append(Block("item" if listed else "text", text))
        paragraph.clear()
        listed = False

    at = 0
    while at < len(lines):
        line = lines[at].rstrip()
        at += 1
        if not line.strip():
            flush()
            headed = False
            if not (at < len(lines) and _DELIMITER.match(lines[at].rstrip())):
                kind.clear()
            continue
        first = line[0]
        if first == ":" and (setting := _ATTRIBUTE.match(line)):
            about[setting[1].lower()] = (setting[2] or "").strip()
            continue
        if line.startswith("//") and not line.startswith("////"):
            continue
        if "::" in line and (_CONDITION.match(line) or _BLOCK_MACRO.match(line)):
            flush()
            continue
        if first == "[" and not paragraph and (_ANCHOR.match(line) or _BLOCK_LINE.match(line)):
            if not _ANCHOR.match(line):
                kind[:] = [line]
            continue
        if headed and _AUTHOR.match(line):
            continue
        if (section := _HEADING.match(line)) and first in "=#" and (first == "=" or not paragraph):
            flush()
            if title := heading(words(section[2], about)):
                blocks.append(Block("heading", title, len(section[1])))
                headed = len(section[1]) == 1
            continue
        if (
            not paragraph
            and at < len(lines)
            and _UNDER.match(lines[at].rstrip())
            and abs(len(lines[at].rstrip()) - len(line)) <= 2
        ):
            if title := heading(words(line, about)):
                blocks.append(Block("heading", title, "=-~^+".index(lines[at][0]) + 1))
                headed = lines[at][0] == "="
            at += 1
            continue
        if delimiter := _DELIMITER.match(line):
            mark = delimiter[1]
            flush()
            code = (mark[0] in "-.`" and mark != "--") or any(name in "".join(kind) for name in _CODE_LISTS)
            if mark[0] in "/+" or code:
                end = _closing(lines, at, mark)
                if code and end > at:
                    blocks.append(Block("code", "\n".join(lines[at:end])))
                at = end + 1
            kind.clear()
            continue
        if kind and any(name in kind[0] for name in ("source", "listing", "literal")) and not paragraph:
            end = at
            while end < len(lines) and lines[end].strip():
                end += 1
            blocks.append(Block("code", "\n".join(lines[at - 1 : end])))
            at = end
            kind.clear()
            continue
        if line == "+" or line in ("'''", "<<<"):
            flush()
        elif first == "." and not paragraph and _BLOCK_TITLE.match(line):
            blocks.append(Block("text", words(line[1:], about)))
        elif first == "|" or (first == "!" and line.startswith("!=")):
            flush()
            if cells := " | ".join(cell.strip() for cell in words(line, about).split("|") if cell.strip()):
                blocks.append(Block("text", cells))
        elif item := _ITEM.match(line):
            flush()
            paragraph.append(item[1])
            listed = True
        elif ("::" in line or ";;" in line) and (term := _TERM.match(line)):
            flush()
            if name := words(term[1], about).strip():
                blocks.append(Block("text", name))
            if term[2]:
                paragraph.append(term[2])
        elif first in " \t" and not paragraph and not listed:
            end = at
            while end < len(lines) and lines[end][:1] in (" ", "\t"):
                end += 1
            indented = "\n".join(lines[at - 1 : end])
            blocks.append(
                Block(
                    "code" if not _is_prose(indented) else "text",
                    words(indented, about) if _is_prose(indented) else indented,
                )
            )
            at = end
        else:
            paragraph.append(line.strip())
    flush()
    title = about.get("doctitle") or about.get("title") or ""
    return Raw(Format.ASCIIDOC, blocks, heading(words(title, about)), about.get("lang", ""))


def _closing(lines: list[str], at: int, mark: str) -> int:
    """The line that closes a block; its opening line if none does."""
    wanted = mark.rstrip() if mark[0] != "`" else "```"
    for place in range(at, len(lines)):
        if lines[place].rstrip() == wanted:
            return place
    return at - 1


def _is_prose(text: str) -> bool:
    words_ = text.split()
    return len(words_) > 12 and sum(word.isalpha() for word in words_) * 10 > 7 * len(words_)


def words(text: str, about: dict[str, str]) -> str:
    """A paragraph without anchors, macros and addresses; attributes replaced by their value in the document, if it is a
    word."""
    if "linkgit:" in text:
        text = _LINKGIT.sub(r"\1", text)
    if "image:" in text or "icon:" in text:
        text = _PICTURE.sub("", text)
    if "[" in text:
        text = _MACRO.sub(r"\1", _LINK.sub(_shown, text))
        text = _INLINE_ANCHOR.sub("", text)
    if "<<" in text:
        text = _XREF.sub(lambda match: match[1] or "", text)
    if "{" in text:
        text = _ATTRIBUTE_USE.sub(lambda use: _value(about.get(use[0][1:-1].lower(), "")), text)
    if "://" in text or "link:" in text:
        text = _BARE_LINK.sub("", text)
    if "*" in text or "_" in text or "#" in text:
        text = _STRESS.sub("", text)
    return unescaped(
        text.replace("`+", "`").replace("+`", "`").replace("++", "") if "+" in text and "C++" not in text else text
    )


def _shown(link: re.Match[str]) -> str:
    return link[1].split(",")[0].strip('"').rstrip("^")


def _value(value: str) -> str:
    return value if value and "://" not in value and len(value) <= 60 and "/" not in value else ""
