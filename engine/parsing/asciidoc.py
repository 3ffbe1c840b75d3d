"""AsciiDoc: header and attributes, anchors, delimited blocks, macros, conditionals."""

from __future__ import annotations

import re

from engine.parsing.inline import heading, is_prose, unescaped
from engine.parsing.model import Format, Paragraphs, Raw
from engine.patterns import pattern

_ATTRIBUTE = pattern(r"^:(!?[\w-]+!?):(?:[ \t]+(.*))?$")
_HEADING = pattern(r"^(={1,6}|#{1,6})[ \t]+(\S.*?)(?:[ \t]+=+)?[ \t]*$")
_UNDER = pattern(r"^(?:={4,}|-{4,}|~{4,}|\^{4,}|\+{4,})$")
_ANCHOR = pattern(r"^\[\[[^\]\n]{1,200}\]\]$")
_BLOCK_LINE = pattern(r"^\[[^\]\n]{0,300}\]$")
_DELIMITER = pattern(r"^(-{4,}|\.{4,}|`{3,}|\+{4,}|/{4,}|={4,}|\*{4,}|_{4,}|--|\|={3,}|,={3,}|!={3,})[\w, -]{0,40}$")
_CONDITION = pattern(r"^(?:ifdef|ifndef|ifeval|endif)::.*\[.*\]$")
_PICTURE = pattern(r"\b(?:image|icon)::?[^\s\[\]]{0,400}\[[^\[\]]{0,300}\]")
_BLOCK_MACRO = pattern(r"^(?:include|image|video|audio|toc|kroki|plantuml|icon)::?\S*\[.*\]$")
_ITEM = pattern(r"^[ \t]*(?:[*-]|\*{2,5}|\.{1,5}|\d{1,3}\.|<(?:\d+|\.)>)[ \t]+(?:\[[ xX*]\][ \t]+)?(.*)$")
_TERM = pattern(r"^[ \t]*(\S.{0,200}?)(?:::{1,3}|;;)(?:[ \t]+(.*))?$")
_BLOCK_TITLE = pattern(r"^\.[^\s.].{0,120}$")
_AUTHOR = pattern(
    r"^(?:[\w.'’-]+ ){1,3}[\w.'’-]+ <[^<>]+>|^v?\d+(?:\.\d+)+,? .*$|^\{?[\w-]+\}?, ?\d{4}-\d\d-\d\d"
    r"|^<?[\w.+-]+@[\w.-]+>?$"
)
_LINK = pattern(r"(?:link:|mailto:|xref:|https?://|\{[\w-]{1,60}\})[^\s\[\]]{0,400}\[([^\[\]]{0,200})\]")
_BARE_LINK = pattern(r"\blink:\S{1,300}|https?://[^\s\[\]<>]{1,400}")
_XREF = pattern(r"<<[^<>,\n]{1,120}(?:,([^<>\n]{1,200}))?>>")
_MACRO = pattern(
    r"\b(?:image|icon|kbd|btn|menu|footnote|indexterm2?|pass|stem|latexmath|anchor|xref|linkgit"
    r"|linkcurl):[^\s\[\]]{0,200}\[([^\[\]]{0,300})\]"
)
_LINKGIT = pattern(r"\blinkgit:([\w-]{1,40})\[\d?\]")
_ATTRIBUTE_USE = pattern(r"\{[\w-]{1,60}\}")
_JAVADOC = pattern(r"\{@(?:link|code)\s+([\w.#]{1,200})[^{}\n]{0,200}\}")  # as Vert.x writes links
_INLINE_ANCHOR = pattern(r"\[\[[^\]\n]{1,200}\]\]|\(\(\(.{1,200}?\)\)\)|\[#[\w-]{1,100}\]|\[\.[\w-]{1,60}\]")
_STRESS = pattern(
    r"(?<![\w*])\*{1,2}(?=[^\s*])|(?<=[^\s*])\*{1,2}(?![\w*])|(?<!\w)_(?=[A-Za-z][^_\n]{0,100}_(?!\w))"
    r"|(?<=[^\s_])_(?![\w_])|(?<![\w#])#(?=[^\s#][^#\n]{0,100}#)"
)
_CODE_STYLES = ("source", "listing", "literal")
_CODE_LISTS = (*_CODE_STYLES, "console", "plantuml", "mermaid", "stem", "latexmath")


def parse(text: str) -> Raw:
    reader = _Reader(text.split("\n"))
    reader.read()
    blocks, about = reader.out.ended(), reader.about
    title = about.get("doctitle") or about.get("title") or ""
    return Raw(Format.ASCIIDOC, blocks, heading(words(title, about)), about.get("lang", ""))


class _Reader:
    """One pass over the lines. Each step returns whether it took the line."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.about: dict[str, str] = {}  # attributes that the document defines
        self.out = Paragraphs(self._words)
        self._next = 0  # the line after the current one
        self._style = ""  # the line before the block: [source,console]
        self._header = False  # directly below the document's title: authors, revision

    def read(self) -> None:
        while self._next < len(self.lines):
            line = self._peek()
            self._next += 1
            if not line.strip():
                self._blank()
            elif not (self._unread(line) or self._heading(line) or self._block(line) or self._mark(line)):
                self._text(line)

    def _words(self, text: str) -> str:
        return words(text, self.about)

    def _peek(self) -> str:
        return self.lines[self._next].rstrip() if self._next < len(self.lines) else ""

    def _blank(self) -> None:
        self.out.end()
        self._header = False
        if not _DELIMITER.match(self._peek()):
            self._style = ""

    def _unread(self, line: str) -> bool:
        """Skip attributes, comments, conditions, pictures, anchors, styles and authors: none of them is text."""
        if setting := _ATTRIBUTE.match(line):
            self.about[setting[1].lower()] = (setting[2] or "").strip()
        elif line.startswith("//") and not line.startswith("////"):
            pass
        elif "::" in line and (_CONDITION.match(line) or _BLOCK_MACRO.match(line)):
            self.out.end()
        elif line[0] == "[" and not self.out.open and (_ANCHOR.match(line) or _BLOCK_LINE.match(line)):
            self._style = self._style if _ANCHOR.match(line) else line
        else:
            return self._header and _AUTHOR.match(line) is not None
        return True

    def _heading(self, line: str) -> bool:
        if (section := _HEADING.match(line)) and (line[0] == "=" or (line[0] == "#" and not self.out.open)):
            self.out.end()
            self._headed(section[2], len(section[1]))
            return True
        under = self._peek()
        if not self.out.open and _UNDER.match(under) and abs(len(under) - len(line)) <= 2:
            self._headed(line, "=-~^+".index(under[0]) + 1)
            self._next += 1
            return True
        return False

    def _headed(self, written: str, level: int) -> None:
        if title := heading(self._words(written)):
            self.out.add("heading", title, level)
            self._header = level == 1

    def _block(self, line: str) -> bool:
        """A delimited block, or a paragraph that its style makes code."""
        if delimiter := _DELIMITER.match(line):
            self.out.end()
            self._delimited(delimiter[1])
        elif self._style and not self.out.open and any(name in self._style for name in _CODE_STYLES):
            end = self._next
            while end < len(self.lines) and self.lines[end].strip():
                end += 1
            self._code(self._next - 1, end)
        else:
            return False
        self._style = ""
        return True

    def _delimited(self, mark: str) -> None:
        """Code and comments are taken whole; of a block of text only the delimiters are dropped."""
        code = (mark[0] in "-.`" and mark != "--") or any(name in self._style for name in _CODE_LISTS)
        if code or mark[0] in "/+":
            end = _closing(self.lines, self._next, mark)
            if code and end > self._next:
                self._code(self._next, end)
            self._next = end + 1

    def _code(self, begin: int, end: int) -> None:
        self.out.add("code", "\n".join(self.lines[begin:end]))
        self._next = end

    def _mark(self, line: str) -> bool:
        """A line whose first characters mark it: a separator, a title, a table row, an item, a term."""
        if line in ("+", "'''", "<<<"):
            self.out.end()
        elif not self.out.open and _BLOCK_TITLE.match(line):
            self.out.add("text", self._words(line[1:]))
        elif line.startswith(("|", "!=")):
            self.out.add("text", " | ".join(cell.strip() for cell in self._words(line).split("|") if cell.strip()))
        elif item := _ITEM.match(line):
            self.out.item(item[1])
        elif ("::" in line or ";;" in line) and (term := _TERM.match(line)):
            self.out.add("text", self._words(term[1]).strip())
            if term[2]:
                self.out.line(term[2])
        else:
            return False
        return True

    def _text(self, line: str) -> None:
        """A line of a paragraph. Indented lines are code unless they read like prose."""
        if line[0] not in " \t" or self.out.open:
            self.out.line(line.strip())
            return
        end = self._next
        while end < len(self.lines) and self.lines[end][:1] in (" ", "\t"):
            end += 1
        indented = "\n".join(self.lines[self._next - 1 : end])
        if is_prose(indented):
            self.out.add("text", self._words(indented))
        else:
            self.out.add("code", indented)
        self._next = end


def _closing(lines: list[str], at: int, mark: str) -> int:
    """The index of the line that closes a block; its opening line's if none does."""
    wanted = mark.rstrip() if mark[0] != "`" else "```"
    for place in range(at, len(lines)):
        if lines[place].rstrip() == wanted:
            return place
    return at - 1


def words(text: str, about: dict[str, str]) -> str:
    """A paragraph without anchors, macros and addresses. An attribute that the document defines as a word is
    replaced by it."""
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
        text = _JAVADOC.sub(lambda tag: f"`{tag[1].rsplit('.', 1)[-1].replace('#', '.')}`", text)
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
