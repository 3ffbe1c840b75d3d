"""Markdown as people write it: with HTML, badges, MDX, admonitions, lists of contributors.

Parsed line by line: markdown-it takes about eight times as long without better results, and any text must be
readable.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.parsing import frontmatter
from engine.parsing.inline import heading, inline, picture_name
from engine.parsing.model import Block, Format, Raw
from engine.parsing.template import names_columns
from engine.patterns import pattern
from engine.text import without

_FENCE = pattern(r"^[ \t>]{0,12}(?:[-*+] )?(`{3,}|~{3,})([^`\n]*)$")
_ATX = pattern(r"^ {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_TIGHT_ATX = pattern(r"^(#{1,6})([A-Z][^#]{2,80})$")  # no blank after the #
_SETEXT = pattern(r"^ {0,3}(=+|-+)[ \t]*$")
_RULE = pattern(r"^ {0,3}(?:[-*_][ \t]*){3,}$")
_ITEM = pattern(r"^([ \t]*)(?:[-*+•]|\d{1,4}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?(?:\([A-Z]\) )?(.*)$")
_DEFINITION = pattern(r"^ {0,3}\[[^\]\n]{1,120}\]:[ \t]*\S")
_TABLE_RULE = pattern(r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_ADMONITION = pattern(r"^[ \t]*(?::::+|!!!|\?\?\?\+?)[ \t]*(\w*)[ \t]*(.*)$")
_CALLOUT = pattern(r"^\[!\w{1,20}\]")
_MDX = pattern(
    r"^(?:import\s+(?:[\w*{].{0,300}\bfrom\s+)?['\"][^'\"]+['\"];?"
    r"|export\s+(?:const|let|default|function|async|class|\{).*)\s*$"
)
_ONLY_MARKS = pattern(
    r"^[ \t]*(?:\[\[?_?toc_?\]?\]|\[\[_TOC_\]\]|\{%.*%\}|\{\{.*\}\}|\{:.*\}"
    r"|\{ ?#.*\}|\{[*!>].*[*!]\}|-+8<-+.*|@[a-z]+(?:-[a-z]+)*|</?[A-Z][^<>]*/?>)[ \t]*$",
    re.I,
)

_CREDITED = pattern(r"^ {0,3}\[([^\]\n]{2,60})\]:[ \t]*<?(https?://\S{5,200}?)>?[ \t]*$", re.M)
_REFERENCE = pattern(r"\[([^\[\]\n]{2,60})\](\[\]|:)?")

# -- the HTML in it
_ALL_CONTRIBUTORS = pattern(r"<!--[ ]*ALL-CONTRIBUTORS-LIST:(?:START|END)", re.I)
_UNREAD = (("<script", "</script>"), ("<style", "</style>"))
_HAS_TAG = pattern(r"</?(?:[a-z][a-z0-9]*|h[1-6])\b[^<>]{0,400}>", re.I)
_IMG = pattern(r"<img\b([^<>]{0,800})>", re.I)
_ALT = pattern(r"\balt\s*=\s*(?:\"([^\"]*)\"|'([^']*)')", re.I)
_SRC = pattern(r"\bsrc\s*=\s*[\"']([^\"']*)[\"']", re.I)
_INNER_TAG = pattern(r"<[^<>]{0,400}>")
_ANCHOR = pattern(
    r"<a\b[^<>]{0,600}?\bhref\s*=\s*[\"']([^\"'<>\s]{0,400})[\"'][^<>]{0,300}>((?:[^<]|<(?!/a>)){0,600}?)</a>", re.I
)
_HTML_HEADING = pattern(r"<h([1-6])\b[^<>]{0,300}>((?:[^<]|<(?!/h)){0,800}?)</h\1>", re.I)
_HTML_ITEM = pattern(r"<(?:li|td|th|dt|dd)\b[^<>]{0,300}>", re.I)
_HTML_BREAK = pattern(
    r"</?(?:p|div|ul|ol|dl|table|tbody|thead|tr|center|details|summary|section|figure|figcaption|picture"
    r"|blockquote|align|hr)\b[^<>]{0,400}>",
    re.I,
)
_HTML_PRE = pattern(r"<(/?)pre\b[^<>]{0,300}>", re.I)
_HTML_CODE = pattern(r"<(code|kbd|tt)\b[^<>]{0,200}>([^<>`]{1,200})</\1>", re.I)
_BR = pattern(r"<br\b[^<>]{0,100}>", re.I)

# -- people
_PERSON = pattern(
    r"^\W{0,6}\[[ \t]*(?:!\[[^\[\]]{0,100}\]\([^()]{0,400}\)\s*)?[*_]{0,3}"
    r"(@?[^\[\]]{2,60}?)[*_]{0,3}[ \t]*\]\(([^()\s]{3,300})[^()]{0,80}\)[*_]{0,3}(?P<rest>.{0,160})$"
)
_PROFILE = pattern(
    r"^(?:https?:)?//(?:www\.)?(?:github|gitlab|twitter|x|bsky|mastodon|opencollective|npmjs|patreon"
    r"|liberapay)\.(?:com|org|social|app)/(?:@|~|in/|profile/)?[\w.-]+/?$|^mailto:",
    re.I,
)
_WITH_MAIL = pattern(
    r"^\W{0,4}[*_]{0,2}\w[\w .,'’()-]{1,60}[*_]{0,2},?\s*<{1,2}(?:mailto:)?[^<>\s@]+(?:@|\[at\]"
    r"| at )[^<>]{2,80}>{1,2}.{0,60}$"
)
_HANDLE = pattern(r"^\W{0,4}@[\w-]{2,40}\W{0,3}(?:\(.{0,60}\)|[-–:].{0,60})?$")
_WITH_HANDLE = pattern(
    r"^\W{0,4}[*_]{0,2}[A-ZÀ-Þ][\w.'’-]{0,30}(?: (?:(?:van|von|de|du|der|da|di|la|le|el|al) ){0,2}"
    r"[A-ZÀ-Þ][\w.'’-]{0,30}){1,3}[*_]{0,2}[:,–—-]{0,2} {1,3}(?:[–—-] )?[(\[]?@<?[\w.@-]{2,60}>?[)\]]?"
    r"(?:[ ,(–—-].{0,60})?$"
)
_ONLY_HANDLE = pattern(r"\W{0,4}@[\w-]{2,39}\W{0,3}")
_BY_HANDLE = pattern(r"(?:\s(?:[-–—] ?|\(|by )|: )@[\w-]{2,39}(?:(?:,| and|,? &) @[\w-]{2,39}){0,20}\)?$")
_LINKED = pattern(r"\[[^\[\]]{1,200}\]\([^()\s]{0,400}\)")
_CAPITALISED = pattern(r"(?:[A-ZÀ-Þ][\w.'’-]*\s+){1,3}[A-ZÀ-Þ][\w.'’-]+")


def parse(text: str) -> Raw:
    front = frontmatter.read(text)
    text = text[front.end :]
    if "<!--" in text:
        if len(marks := list(_ALL_CONTRIBUTORS.finditer(text))) >= 2:
            text = text[: marks[0].start()] + text[marks[-1].start() :]
        text = without(text, "<!--", "-->")
    if "]: http" in text:
        text = _uncredited(text)
    blocks: list[Block] = []
    for code, part in _segments(text):
        blocks += [Block("code", part)] if code else _prose(part)
    if front.description and front.title:
        blocks.insert(0, Block("text", inline(front.description)))
    top = text[: min(6000, _first_section(text))]
    logo = picture_name(_from_html(top) if "<img" in top else top) if "![" in top or "<img" in top else ""
    return Raw(Format.MARKDOWN, blocks, front.title, front.language, logo)


def _uncredited(text: str) -> str:
    """The text without references to people, whose definitions are profiles: [Jane Doe][]."""
    people = {named[1] for named in _CREDITED.finditer(text) if _PROFILE.match(named[2]) and " " in named[1]}

    def bare(reference: re.Match[str]) -> str:
        if reference[1] not in people:
            return reference[0]
        return "[-]:" if reference[2] == ":" else ""

    return _REFERENCE.sub(bare, text) if people else text


def _first_section(text: str) -> int:
    at = text.find("\n## ")
    return at if at >= 0 else len(text)


def _segments(text: str) -> Iterator[tuple[bool, str]]:
    """(whether it is code, text): the contents of fences, and the text between them. An unclosed fence does not
    count."""
    prose: list[str] = []
    code: list[str] = []
    mark = ""
    for line in text.split("\n"):
        fence = _FENCE.match(line) if "```" in line or "~~~" in line else None
        if mark:
            if fence and fence[1].startswith(mark) and not fence[2].strip():
                yield True, "\n".join(code)
                code, mark = [], ""
            else:
                code.append(line)
        elif fence:
            yield False, "\n".join(prose)
            prose, mark = [], fence[1]
        else:
            prose.append(line)
    yield False, "\n".join(prose + code)


def _prose(text: str) -> list[Block]:
    """The blocks of text between fences."""
    if "<" in text and _HAS_TAG.search(text):
        text = _from_html(text)
    reader = _Reader()
    for line in text.split("\n"):
        reader.read(line)
    return reader.end()


class _Reader:
    """One pass over the lines of prose."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._paragraph: list[str] = []
        self._item: list[str] | None = None  # lines of the current list item; None outside one
        self._code: list[str] = []
        self._export = False  # inside an MDX export
        self._row = -1  # the index of the last row of a table

    def read(self, line: str) -> None:
        if not line.strip():
            self._export = False
            if not self._code:
                self._flush()
        elif not (self._export or self._mdx(line) or self._indented(line)):
            if self._code:
                self._flush()
            line, bare = _unquoted(line)
            if bare and not _ONLY_MARKS.match(bare) and not self._mark(line, bare):
                self._text(line, bare)

    def end(self) -> list[Block]:
        self._flush()
        return self.blocks

    def _flush(self) -> None:
        if self._code:
            self.blocks.append(Block("code", "\n".join(self._code)))
            self._code = []
        if self._item is not None:
            self.blocks += _item("\n".join(self._item))
            self._item = None
        elif len(self._paragraph) > 2 and "@" in self._paragraph[0] and all(map(is_person, self._paragraph)):
            self.blocks += [Block("person", inline(line)) for line in self._paragraph]
        elif self._paragraph and not _is_navigation("\n".join(self._paragraph)):
            if words := inline("\n".join(self._paragraph)).strip():
                self.blocks.append(Block("text", words))
        self._paragraph.clear()

    def _mdx(self, line: str) -> bool:
        if not (line.startswith(("import ", "export ")) and _MDX.match(line)):
            return False
        self._export = line.startswith("export ") and not line.rstrip().endswith(";")
        return True

    def _indented(self, line: str) -> bool:
        """Indented code: between paragraphs, not in an item."""
        if not line.startswith(("    ", "\t")) or self._paragraph or self._item is not None or _ITEM.match(line):
            return False
        self._code.append(line)
        return True

    def _mark(self, line: str, bare: str) -> bool:
        """A line whose first characters mark it."""
        first = bare[0]
        if atx := _ATX.match(line) or _TIGHT_ATX.match(line):
            self._flush()
            self.blocks += _heading(atx[2] or "", len(atx[1]))
        elif first in "=-" and self._underlined(line):
            written = " ".join(self._paragraph)
            self._paragraph.clear()
            self.blocks += _heading(written, 1 if first == "=" else 2)
        elif _RULE.match(line):
            self._flush()
        elif _DEFINITION.match(line):
            pass
        elif first == "|" or " | " in bare or ("|" in bare and _TABLE_RULE.match(bare)):
            self._flush()
            self._tabled(bare)
        elif bare[:3] in (":::", "!!!", "???") and (noted := _ADMONITION.match(bare)):
            self._flush()
            if title := heading(noted[2].strip(' "[]')):
                self.blocks.append(Block("text", title))
        else:
            return False
        return True

    def _tabled(self, bare: str) -> None:
        """A row of a table. The rule under the names of columns shows them as that."""
        if not _TABLE_RULE.match(bare):
            self._row = len(self.blocks)
            self.blocks += _row(bare)
        elif 0 <= self._row == len(self.blocks) - 1 and names_columns(self.blocks[-1].text):
            self.blocks.pop()

    def _underlined(self, line: str) -> bool:
        """Whether the line underlines the paragraph above it as a heading."""
        if not self._paragraph or self._item is not None or not _SETEXT.match(line):
            return False
        return len("".join(self._paragraph)) < 300

    def _text(self, line: str, bare: str) -> None:
        listed = _ITEM.match(line)
        if listed and not (self._paragraph and bare[0].isdigit() and not bare.startswith("1")):
            self._flush()
            self._item = [listed[2]]
        else:
            (self._paragraph if self._item is None else self._item).append(bare)


def _unquoted(line: str) -> tuple[str, str]:
    """A line without the marks of a quotation or callout; and the same without its indent."""
    bare = line.strip()
    while bare.startswith(">"):
        bare = line = bare[1:].lstrip()
    if bare.startswith("[!"):
        bare = line = _CALLOUT.sub("", bare).strip()
    return line, bare


def _heading(written: str, level: int) -> Iterator[Block]:
    words = _BY_HANDLE.sub("", heading(written)) or picture_name(written)
    if words:
        yield Block("heading", words, level)


def _row(line: str) -> Iterator[Block]:
    cells = [cell.strip() for cell in line.strip().strip("|").split("|") if cell.strip()]
    if cells and all(map(is_person, cells)):
        yield from (Block("person", inline(cell)) for cell in cells)
    elif words := " | ".join(cell for cell in map(str.strip, map(inline, cells)) if cell):
        yield Block("text", words)


def _item(written: str) -> Iterator[Block]:
    words = _BY_HANDLE.sub("", inline(written).strip())
    if not words or _ONLY_HANDLE.fullmatch(words):
        return
    if is_person(" ".join(written.split())):
        yield Block("person", words)
    elif not (_to_here(written) or (_LINKED.fullmatch(written.strip()) and "readme" in written.lower())):
        yield Block("item", words)


def _is_navigation(written: str) -> bool:
    """A row of links with only signs between them: to other languages or pages."""
    if written.count("](") < 3 or len(written) > 10_000 or "![" in written:
        return False
    return len(re.sub(r"[\W_]", "", _LINKED.sub("", written))) <= 3


def _to_here(written: str) -> bool:
    """A line of a table of contents: only a link within the document."""
    return written.startswith("[") and written.endswith(")") and "](#" in written and written.count("](") == 1


def is_person(written: str) -> bool:
    """Whether a list item is a person: a profile, an address, a handle; or a name that links to a page of that name."""
    if len(written) > 500:
        return False
    if match := _PERSON.match(written):
        return _is_linked_name(match[1], match[2]) if len(match["rest"].split()) <= 8 else False
    return any(form.match(written) is not None for form in (_WITH_MAIL, _HANDLE, _WITH_HANDLE))


def _is_linked_name(label: str, target: str) -> bool:
    """Whether a link leads to a profile, or to a page of the name that it shows."""
    if label.startswith("@") or _PROFILE.match(target):
        return True
    if target.startswith(("#", ".", "/")) or target.count("/") > 3 or not _CAPITALISED.fullmatch(label):
        return False
    last = target.rstrip("/").rsplit("/", 1)[-1].lower()
    return any(len(name) > 2 and (name in last or last in name) for name in label.lower().split())


def _from_html(text: str) -> str:
    """HTML tags as equivalent Markdown. Tags without an equivalent are removed later, with the inline marks."""
    for begin, end in _UNREAD:
        if begin in text:
            text = without(text, begin, end)
    text = _indented_pre(text)
    text = _HTML_CODE.sub(r"`\2`", text)
    text = _BR.sub("\n", text)
    text = _IMG.sub(lambda img: f"![{_alt(img[1])}]({_source(img[1])})", text)
    text = _ANCHOR.sub(lambda link: f"[{' '.join(_INNER_TAG.sub(' ', link[2]).split())}]({link[1] or '#'})", text)
    text = _HTML_HEADING.sub(lambda match: f"\n\n{'#' * int(match[1])} {' '.join(match[2].split())}\n\n", text)
    text = _HTML_ITEM.sub("\n\n- ", text)
    return _HTML_BREAK.sub("\n\n", text)


def _indented_pre(text: str) -> str:
    """The text between <pre> and </pre> as indented code of Markdown."""
    kept: list[str] = []
    begun, at = -1, 0
    for tag in _HTML_PRE.finditer(text):
        if not tag[1] and begun < 0:
            begun = tag.end()
            kept.append(text[at : tag.start()])
        elif tag[1] and begun >= 0:
            lines = text[begun : tag.start()].strip("\n").split("\n")
            kept.append("\n\n" + "\n".join(f"    {line}" for line in lines) + "\n\n")
            begun, at = -1, tag.end()
    return "".join(kept) + text[at if begun < 0 else begun :]


def _source(attributes: str) -> str:
    match = _SRC.search(attributes)
    return re.sub(r"[()\s]", "", match[1])[:400] if match else "picture"


def _alt(attributes: str) -> str:
    match = _ALT.search(attributes)
    return re.sub(r"[\[\]()!]", " ", match[1] or match[2] or "").strip() if match else ""
