"""reStructuredText, with Sphinx's directives and roles. Parsed line by line: docutils writes errors about unknown
markup into the text."""

from __future__ import annotations

import re

from engine.parsing.inline import heading, picture_name, unescaped
from engine.parsing.lists import lists
from engine.parsing.model import Block, Format, Raw
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
_ABOUT = ("title", "lang", "language")


def parse(text: str) -> Raw:
    reader = _Reader(text.split("\n"))
    reader.read()
    return Raw(
        Format.RST,
        reader.blocks,
        reader.meta.get("title", ""),
        reader.meta.get("language") or reader.meta.get("lang", ""),
        reader.logo,
    )


class _Reader:
    """One pass over the lines. `levels`: heading styles in order of appearance."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.blocks: list[Block] = []
        self.meta: dict[str, str] = {}
        self.logo = ""
        self._levels: list[str] = []
        self._paragraph: list[str] = []
        self._item = False

    def read(self) -> None:
        at, lines = 0, self.lines
        while at < len(lines):
            line = lines[at]
            bare = line.strip()
            if not bare:
                self._flush()
                at += 1
            elif bare.startswith("..") and (match := _DIRECTIVE.match(line) or _COMMENT.match(line)):
                self._flush()
                at = self._directive(at, match)
            elif bare[0] == ":" and not self._paragraph and (field := _FIELD.match(line)):
                self._flush()
                if field[1].lower() in _ABOUT:
                    self.meta[field[1].lower()] = heading(field[2] or "")
                elif self.blocks and field[2] and not _option(field[1]):
                    self.blocks.append(Block("text", words(field[2])))
                at += 1
            elif (size := self._heading(at)) > 0:
                at += size
            elif _TABLE.match(line) or (UNDERLINE.match(bare) and len(bare) >= 3):
                self._flush()
                at += 1
            elif (listed := _ITEM.match(line)) is not None:
                self._flush()
                self._paragraph, self._item = [listed[1]], True
                at = self._literal(at, listed[1])
            elif bare.startswith(">>> ") and not self._paragraph:
                at = self._doctest(at)
            else:
                self._paragraph.append(bare.strip("|").strip() if bare[0] == "|" else bare)
                at = self._literal(at, bare)
        self._flush()

    def _flush(self) -> None:
        if self._paragraph and (text := words("\n".join(self._paragraph)).strip()):
            self.blocks.append(Block("item" if self._item else "text", text))
        self._paragraph, self._item = [], False

    def _heading(self, at: int) -> int:
        """How many lines the heading here takes; 0 if there is none."""
        lines = self.lines
        over = UNDERLINE.match(lines[at])
        if over and at + 2 < len(lines) and lines[at + 1].strip() and lines[at + 2].strip() == lines[at].strip():
            self._flush()
            return self._headed(lines[at + 1], over[1] * 2, 3)
        if self._paragraph or over or at + 1 >= len(lines) or lines[at][0] in " \t":
            return 0
        under = UNDERLINE.match(lines[at + 1])
        if (
            under
            and len(lines[at + 1].strip()) >= min(4, len(lines[at].strip()))
            and 2 * len(lines[at + 1].strip()) >= len(lines[at].strip())
        ):
            return self._headed(lines[at], under[1], 2)
        return 0

    def _headed(self, written: str, form: str, size: int) -> int:
        if form not in self._levels:
            self._levels.append(form)
        if text := heading(words(written)):
            self.blocks.append(Block("heading", text, self._levels.index(form) + 1))
        return size

    def _directive(self, at: int, match: re.Match[str]) -> int:
        """The index after a directive or comment: after its content, or only its options if the content is prose."""
        indent = len(match[1].expandtabs())
        name = match[2].lower() if match.re.groups > 1 else ""  # a comment has none
        if name == "meta" or name == "title":
            for line in self.lines[at + 1 : at + 12]:
                if (field := _FIELD.match(line)) and field[1].lower() in _ABOUT:
                    self.meta.setdefault(field[1].lower(), heading(field[2] or ""))
            if name == "title":
                self.meta["title"] = heading(match[3])
        if name.rsplit(":", 1)[-1] in _OPEN or name in _OPEN:
            if match[3] and (
                name in _NAMED or name.startswith("version") or name in ("note", "warning", "tip", "deprecated")
            ):
                argument = (
                    re.sub(r"^v?\d[\w.]*\s*", "", match[3]) if name.startswith(("version", "deprecated")) else match[3]
                )
                if text := words(argument).strip():
                    self.blocks.append(Block("text", text))
            elif match[3] and name not in _NAMED:
                self.blocks.append(
                    Block("text", f"`{match[3].split('(')[0].split()[-1]}`" if match[3].split("(")[0].split() else "")
                )
            end = at + 1
            while end < len(self.lines) and (field := _FIELD.match(self.lines[end])) and _option(field[1]):
                end += 1
            return end
        end = self._inside(at + 1, indent)
        if name == "image" and not self.logo and not any(block.kind == "heading" for block in self.blocks):
            alt = next(
                (
                    field[2] or ""
                    for line in self.lines[at + 1 : end]
                    if (field := _FIELD.match(line)) and field[1] == "alt"
                ),
                "",
            )
            self.logo = (
                picture_name(f"![{alt}]({match[3][:300]})") if alt and not match[0].lstrip().startswith(".. |") else ""
            )
        if name in _CODE:
            code = [line for line in self.lines[at + 1 : end] if not _FIELD.match(line)]
            self.blocks.append(Block("code", "\n".join(code).strip("\n")))
        return end

    def _literal(self, at: int, bare: str) -> int:
        """The index after this line and the literal block that its :: announces."""
        if not bare.endswith("::"):
            return at + 1
        below = at + 1
        while below < len(self.lines) and not self.lines[below].strip():
            below += 1
        if below == at + 1 or below == len(self.lines) or self.lines[below][0] not in " \t>":
            return at + 1
        self._paragraph[-1] = self._paragraph[-1][:-1] if bare != "::" else ""
        self._flush()
        indent = len(self.lines[at]) - len(self.lines[at].lstrip())
        end = self._inside(below, indent)
        self.blocks.append(Block("code", "\n".join(self.lines[below:end]).strip("\n")))
        return end

    def _doctest(self, at: int) -> int:
        end = at
        while end < len(self.lines) and self.lines[end].strip():
            end += 1
        self.blocks.append(Block("code", "\n".join(self.lines[at:end])))
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


def _option(name: str) -> bool:
    """Whether a line is an option of a directive or of the document's head, not text."""
    return name.lower() in _OPTIONS


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
    role = match[0].split("`")[0].strip(":").rsplit(":", 1)[-1]
    if inside.startswith("~"):
        shown = shown.rsplit(".", 1)[-1]
    if role in _SHOWN:
        return (
            ""
            if role in ("issue", "pr", "user", "ghuser")
            else shown.replace("/", " ")
            if role == "doc" and "/" in shown
            else shown
        )
    return f"\ue000{shown}\ue001" if " " not in shown else shown
