"""reStructuredText, with Sphinx's directives and roles. Parsed line by line: docutils writes errors about unknown
markup into the text."""

from __future__ import annotations

import re

from engine.parsing.inline import heading, picture_name, unescaped
from engine.parsing.lists import lists
from engine.parsing.model import Block, Format, Paragraphs, Raw
from engine.patterns import pattern

UNDERLINE = pattern(r"^([=\-`:.'\"~^_*+#<>!$%&(),/;?@\[\\\]{|}])\1{2,}[ \t]*$")
_DIRECTIVE = pattern(r"^([ \t]*)\.\.[ \t]+(?:\|[^|\n]{1,80}\|[ \t]+)?([\w:+.-]+)::[ \t]*(.*)$")
_COMMENT = pattern(r"^([ \t]*)\.\.(?:[ \t]+.*)?$")
_FIELD = pattern(r"^[ \t]*:([\w .+-]{1,40}):(?:[ \t]+(.*))?$")
_ITEM = pattern(r"^[ \t]*(?:[-*+•]|#\.|\d{1,3}[.)]|\([a-z0-9]\))[ \t]+(.*)$")
_TABLE = pattern(r"^[ \t]*(?:[+|][-=+| ]{3,}|={2,}(?:[ \t]+={2,})+)[ \t]*$")
_ROLE = pattern(r":[\w+.:-]{1,40}:`([^`\n]{1,200})`|`([^`\n]{1,200})`:[\w-]{1,30}:")
_LINK = pattern(r"(?<!`)`([^`<\n]{0,200}?)\s*<[^<>`]{1,400}>`__?|(?<!`)`([^`\n]{1,200})`__?")
_LITERAL = pattern(r"``([^`\n]{1,200})``")
_REFERENCE = pattern(r"(?<=\w)__?(?=[\s.,;:)]|$)|\[(?:\d+|#\w*|\*|[A-Z][\w-]{1,20})\]_")
_SUBSTITUTION = pattern(r"\|[^|\s][^|\n]{0,60}\|_{0,2}")
_STRESS = pattern(r"(?<![\w*])\*{1,2}(?=[^\s*])|(?<=[^\s*])\*{1,2}(?![\w*])")
_LISTS = {kind: frozenset(names) for kind, names in lists("rst").items()}
_OPEN, _CODE, _NAMED = _LISTS["open"], _LISTS["code"], _LISTS["named"]
_OPTIONS, _SHOWN = _LISTS["options"], _LISTS["shown"]
_NUMBERS = ("issue", "pr", "user", "ghuser")  # roles of what a tracker knows
_SINCE = pattern(r"^v?\d[\w.]*\s*")  # the version of .. versionadded:: 2.1
_ABOUT = ("title", "lang", "language")


def parse(text: str) -> Raw:
    reader = _Reader(text.split("\n"))
    blocks, about = reader.read(), reader.meta
    return Raw(Format.RST, blocks, about.get("title", ""), about.get("language") or about.get("lang", ""), reader.logo)


class _Reader:
    """One pass over the lines. Each step returns the index of the line after what it read."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.out = Paragraphs(words)
        self.meta: dict[str, str] = {}
        self.logo = ""
        self._levels: list[str] = []  # styles of headings in order of appearance

    def read(self) -> list[Block]:
        at = 0
        while at < len(self.lines):
            line = self.lines[at]
            bare = line.strip()
            if not bare:
                self.out.end()
                at += 1
            elif bare.startswith("..") and (match := _DIRECTIVE.match(line) or _COMMENT.match(line)):
                self.out.end()
                at = self._directive(at, match)
            elif bare[0] == ":" and not self.out.open and (field := _FIELD.match(line)):
                self._field(field)
                at += 1
            elif (size := self._heading(at)) > 0:
                at += size
            else:
                at = self._text(at, line, bare)
        return self.out.ended()

    def _text(self, at: int, line: str, bare: str) -> int:
        if _TABLE.match(line) or (UNDERLINE.match(bare) and len(bare) >= 3):
            self.out.end()
            return at + 1
        if listed := _ITEM.match(line):
            self.out.item(listed[1])
            return self._literal(at, listed[1])
        if bare.startswith(">>> ") and not self.out.open:
            return self._doctest(at)
        self.out.line(bare.strip("|").strip() if bare[0] == "|" else bare)
        return self._literal(at, bare)

    def _field(self, field: re.Match[str]) -> None:
        """What a field tells of the document; or text, where the head is over."""
        name, value = field[1].lower(), field[2] or ""
        if name in _ABOUT:
            self.meta[name] = heading(value)
        elif self.out.blocks and value and name not in _OPTIONS:
            self.out.add("text", words(value))

    def _heading(self, at: int) -> int:
        """How many lines the heading here takes; 0 if there is none."""
        first, second, third = (*(line.strip() for line in self.lines[at : at + 3]), "", "")[:3]
        over, under = UNDERLINE.match(first), UNDERLINE.match(second)
        if over and second and third == first:
            return self._headed(second, over[1] * 2, 3)
        if not under or over or self.out.open or self.lines[at][0] in " \t":
            return 0
        is_long = len(second) >= min(4, len(first)) and 2 * len(second) >= len(first)
        return self._headed(first, under[1], 2) if is_long else 0

    def _headed(self, written: str, form: str, size: int) -> int:
        if form not in self._levels:
            self._levels.append(form)
        self.out.add("heading", heading(words(written)), self._levels.index(form) + 1)
        return size

    def _directive(self, at: int, match: re.Match[str]) -> int:
        """After a directive or comment: after its content, or only its options if the content is prose."""
        name, argument = (match[2].lower(), match[3]) if match.re.groups > 1 else ("", "")  # a comment has none
        if name in ("meta", "title"):
            self._about(at, name, argument)
        if name in _OPEN or name.rsplit(":", 1)[-1] in _OPEN:
            self._argument(name, argument)
            return self._after_options(at + 1)
        end = self._inside(at + 1, len(match[1].expandtabs()))
        if name == "image" and not self.logo and not match[0].lstrip().startswith(".. |"):
            self._picture(argument, self.lines[at + 1 : end])
        if name in _CODE:
            code = [line for line in self.lines[at + 1 : end] if not _FIELD.match(line)]
            self.out.blocks.append(Block("code", "\n".join(code).strip("\n")))
        return end

    def _about(self, at: int, name: str, argument: str) -> None:
        for line in self.lines[at + 1 : at + 12]:
            if (field := _FIELD.match(line)) and field[1].lower() in _ABOUT:
                self.meta.setdefault(field[1].lower(), heading(field[2] or ""))
        if name == "title":
            self.meta["title"] = heading(argument)

    def _argument(self, name: str, argument: str) -> None:
        """What a directive says in its first line: a title, a note, since when; otherwise the name that it defines."""
        if name.startswith(("version", "deprecated")):
            self.out.add("text", words(_SINCE.sub("", argument)).strip())
        elif name in _NAMED or name in ("note", "warning", "tip"):
            self.out.add("text", words(argument).strip())
        elif named := argument.partition("(")[0].split():
            self.out.add("text", f"`{named[-1]}`")

    def _after_options(self, at: int) -> int:
        while at < len(self.lines) and (field := _FIELD.match(self.lines[at])) and field[1].lower() in _OPTIONS:
            at += 1
        return at

    def _picture(self, address: str, options: list[str]) -> None:
        """The name on a picture above the first heading."""
        fields = [field for line in options if (field := _FIELD.match(line)) and field[1] == "alt"]
        if fields and not any(block.kind == "heading" for block in self.out.blocks):
            self.logo = picture_name(f"![{fields[0][2] or ''}]({address[:300]})")

    def _literal(self, at: int, bare: str) -> int:
        """The index after this line and the literal block that its :: announces."""
        if not bare.endswith("::"):
            return at + 1
        below = at + 1
        while below < len(self.lines) and not self.lines[below].strip():
            below += 1
        if below == at + 1 or below == len(self.lines) or self.lines[below][0] not in " \t>":
            return at + 1
        self.out.open[-1] = self.out.open[-1][:-1] if bare != "::" else ""
        indent = len(self.lines[at]) - len(self.lines[at].lstrip())
        end = self._inside(below, indent)
        self.out.add("code", "\n".join(self.lines[below:end]).strip("\n"))
        return end

    def _doctest(self, at: int) -> int:
        end = at
        while end < len(self.lines) and self.lines[end].strip():
            end += 1
        self.out.add("code", "\n".join(self.lines[at:end]))
        return end

    def _inside(self, at: int, indent: int) -> int:
        """The index of the first line from `at` that is neither empty nor indented beyond `indent`."""
        end = at
        for place in range(at, len(self.lines)):
            line = self.lines[place].expandtabs()
            if line.strip():
                if len(line) - len(line.lstrip()) <= indent:
                    break
                end = place + 1
        return end


def words(text: str) -> str:
    """A paragraph without roles, link addresses and references; literals as Markdown's inline code."""
    if "`" in text:
        text = _LINK.sub(
            lambda match: match[1] or match[2] or "", _LITERAL.sub("\ue000\\1\ue001", _ROLE.sub(_of_role, text))
        )
        text = text.replace("`", "").replace("\ue000", "`").replace("\ue001", "`")
    if "|" in text:
        text = _SUBSTITUTION.sub("", text)
    if "*" in text:
        text = _STRESS.sub("", text)
    if "_" in text:
        text = _REFERENCE.sub("", text)
    return unescaped(text.replace("\\ ", "").replace("\\", ""))


def _of_role(match: re.Match[str]) -> str:
    inside = match[1] or match[2]
    shown = inside.partition("<")[0].strip() if inside.endswith(">") and "<" in inside[1:] else inside
    shown = shown.lstrip("~!.")
    if inside.startswith("~"):
        shown = shown.rsplit(".", 1)[-1]
    role = match[0].split("`")[0].strip(":").rsplit(":", 1)[-1]
    if role in _NUMBERS:
        return ""
    if role == "doc":
        return shown.replace("/", " ")
    return shown if role in _SHOWN or " " in shown else f"\ue000{shown}\ue001"
