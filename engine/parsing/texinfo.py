"""Texinfo: its commands, menus, indices and definitions; and manuals as `makeinfo` prints them for Info readers."""

from __future__ import annotations

import re

from engine.parsing.ends import Ends
from engine.parsing.inline import heading, is_prose, replaced_inside_out
from engine.parsing.lists import lists
from engine.parsing.model import Block, Format, Paragraphs, Raw
from engine.patterns import pattern

MARK = pattern(r"(?:^|\n)(?:\\input texinfo|@(?:setfilename|settitle|node|chapter|unnumbered|appendix|section|c) )")
INFO = pattern(r"This is [\w./+-]{1,80}, produced by makeinfo|(?:^|\n)File: [\w./+-]{1,80},\s{1,4}Node: ")

_LISTS = lists("texinfo")
_LEVELS = {command: level for level, commands in enumerate(_LISTS["headings"], 1) for command in commands}
_CODE, _SKIPPED, _TEXT_COMMANDS = (frozenset(_LISTS[kind]) for kind in ("code", "skipped", "text"))
_LINE = pattern(r"^[ \t]*@(\w+)(?=[ \t{]|$)[ \t]*(.*)$")
_END = pattern(r"^[ \t]*@end (\w+)")
_DEFINES = pattern(
    r"def(?:typ?e?)?(?:fnx?|funx?|macx?|specx?|vrx?|varx?|optx?|tpx?|cvx?|ivarx?|opx?|methodx?|unx?|\w+)$"
)
_BRACED = pattern(r"\{[^{}]{0,200}\}|\S+")
_REFERENCE = pattern(r"(?:\(?\s*(?:[Ss]ee(?: also)?,? )?)?@(?:x|px|info)?ref\{[^{}]{0,300}\}[.,;]?\)?")
_LINKED = pattern(r"@(?:uref|url|email)\{([^{},]{0,300})(?:,([^{}]{0,200}))?\}")
_DROPPED = pattern(r"@(?:footnote|anchor|image|cindex|vindex|math|w|inforef|sortas|seeentry)\{[^{}]{0,400}\}")
_QUOTED = pattern(r"@(?:code|samp|command|option|file|env|kbd|verb|t|indicateurl)\{([^{}\n]{1,120})\}")
_WORDS = pattern(r"@\w{1,30}\{([^{}]{0,600})\}")
_SIGN = pattern(r"@(?:[*/:|-]|(?=[ \n])|[\"'`^~=,](?=\w))|@\w{1,30}\{\}")
_ESCAPED = {"@@": "@", "@{": "{", "@}": "}", "@dots{}": "...", "@copyright{}": "©", "@minus{}": "-", "@equiv{}": "="}


def parse(text: str) -> Raw:
    """The source of a manual."""
    return _Reader(text).read()


class _Reader:
    """One pass over the lines."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._ends = Ends(self._lines, _END)
        self._next = 0  # the line after the one that is read
        self._out = Paragraphs(words)
        self._title = ""

    def read(self) -> Raw:
        while self._next < len(self._lines):
            line = self._lines[self._next]
            self._next += 1
            command = _LINE.match(line) if "@" in line else None
            if not line.strip():
                self._out.end()
            elif command is None or (command[2].startswith("{") and not command[1].startswith("def")):
                if not line.startswith("\\"):
                    self._out.line(line.strip())
            else:
                self._command(command[1], command[2])
        return Raw(Format.TEXINFO, self._out.ended(), self._title)

    def _command(self, name: str, rest: str) -> None:
        if name in _SKIPPED or name in _CODE:
            self._environment(name)
        elif name in _LEVELS:
            self._out.add("heading", heading(words(rest)), _LEVELS[name])
        elif name == "settitle" or (name == "title" and not self._title):
            self._title = heading(words(rest))
        elif _DEFINES.match(name):
            named = _defined(name, rest)
            self._out.add("text", named and f"`{named}`")
        elif name in _TEXT_COMMANDS:
            self._out.end()
            if rest:
                self._out.line(rest)
        elif not (self._out.open and name.endswith("index")):  # an index entry does not end a paragraph
            self._out.end()

    def _environment(self, name: str) -> None:
        """Code, or what is left out."""
        self._out.end()
        begin, end = self._next, self._ends.after(name, self._next)
        if name in _CODE and end >= 0:
            code = [part for part in self._lines[begin:end] if not part.startswith(("@group", "@end group", "@c "))]
            self._out.add("code", _plain_code("\n".join(code)))
        self._next = max(begin, end + 1)


def _defined(command: str, rest: str) -> str:
    """The name that a definition introduces: after the category, and after the type if it has one."""
    parts = [part.strip("{}") for part in _BRACED.findall(rest)[:6]]
    has_category = command.rstrip("x") in ("deffn", "deftypefn", "defvr", "deftypevr", "deftp", "defop", "defcv")
    place = (1 if has_category else 0) + (1 if command.startswith("deftype") else 0)
    return words(parts[place]).strip("` ") if place < len(parts) else ""


def words(text: str) -> str:
    """Text without commands; code as Markdown's inline code."""
    if "@" not in text:
        return text
    for sign, written in _ESCAPED.items():
        text = text.replace(sign, written) if sign[1].isalpha() else text
    text = _LINKED.sub(lambda link: link[2] or "", _REFERENCE.sub("", text))
    text = _QUOTED.sub(r"`\1`", _DROPPED.sub("", text))
    text = replaced_inside_out(_WORDS, r"\1", text, 3)
    text = _SIGN.sub("", text)
    return text.replace("@@", "@").replace("@{", "{").replace("@}", "}").replace("``", '"').replace("''", '"')


def _plain_code(text: str) -> str:
    return words(text).replace("`", "")


# -- as printed for Info readers --------------------------------------------------------------------------------------

_NODE = pattern(r"^File: [^\n]{1,300}$")
_UNDER = pattern(r"^([*=.-])\1{2,}[ \t]*$")
_INFO_LEVELS = {"*": 1, "=": 2, "-": 3, ".": 4}
_MENU_ITEM = pattern(r"^\* [^\n]{1,200}?:(?::|\s{1,200}(?:\(|[\w`'.-]))")
_INFO_REFERENCE = pattern(r"\(?\*[Nn]ote\s+[^:\n]{1,100}(?:::|:\s+[^.,\n]{1,100}[.,])\)?")
_ENTRY = pattern(r"^\* ([^:\n]{1,60}): ?\([^()\n]{1,60}\)[^.\n]{0,60}\.[ \t]+(\S[^\n]{1,120})", re.M)
_INFO_SKIPPED = pattern(r"(?:gnu free documentation license|.{0,40}\bindex|copying|index of .{1,40})", re.I)
_INFO_NUMBER = pattern(r"^(?:\d{1,3}(?:\.\d{1,3}){0,4}|[A-Z](?:\.\d{1,3}){0,4}|Appendix [A-Z]) +")


def parse_info(text: str) -> Raw:
    """A printed manual: its underlined headings and paragraphs, without menus, node lines and indices."""
    blocks: list[Block] = []
    paragraph: list[str] = []
    skipping = text.lstrip().startswith("This is ")  # the licence and directory entry before the first node
    lines = text.split("\n")

    def flush() -> None:
        if paragraph and not skipping:
            written = "\n".join(paragraph)
            indented = all(line.startswith("     ") for line in paragraph) and not is_prose(written)
            plain = _INFO_REFERENCE.sub("", "\n".join(map(str.strip, paragraph)))
            blocks.append(Block("code" if indented else "text", written if indented else plain.replace("'", "`", 0)))
        paragraph.clear()

    for at, line in enumerate(lines):
        bare = line.strip().strip("\x1f·")
        if not bare:
            flush()
        elif _NODE.match(line):
            flush()
            skipping = False
        elif bare == "Tag Table:" or bare == "Indirect:":
            flush()
            skipping = True
        elif at + 1 < len(lines) and (under := _UNDER.match(lines[at + 1])) and len(bare) <= 100:
            flush()
            written = heading(_INFO_NUMBER.sub("", bare))
            skipping = _INFO_SKIPPED.fullmatch(written) is not None
            if written and not skipping:
                blocks.append(Block("heading", written, _INFO_LEVELS[under[1]]))
        elif not (_UNDER.match(bare) or bare == "* Menu:" or _MENU_ITEM.match(bare)):
            paragraph.append(line)
    flush()
    return Raw(Format.TEXINFO, blocks, _info_title(text))


def _info_title(text: str) -> str:
    """The title that the first lines quote: This is the 'Widget Manual' (version 2)."""
    entries = _ENTRY.findall(text[:3000].partition("START-INFO-DIR-ENTRY")[2].partition("END-INFO")[0])
    if len(entries) == 1:
        return heading(f"{entries[0][0]} - {' '.join(entries[0][1].split()).rstrip('.')}")
    quoted = re.search(
        r"[`'‘“\"]([A-Z][^'’”\"\n]{3,80}(?:\n[^'’”\"\n]{1,80})?)['’”\"]", text[:3000].partition("INFO-DIR")[0]
    )
    return heading(" ".join(quoted[1].split())) if quoted else ""
