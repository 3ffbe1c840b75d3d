"""Manual pages: their source in man(7) or mdoc(7), and the output of `man`."""

from __future__ import annotations

import re
import unicodedata

from engine.parsing.inline import heading, is_prose
from engine.parsing.lists import lists
from engine.parsing.model import Block, Format, Paragraphs, Raw
from engine.patterns import pattern

_LISTS = lists("roff")
_ESCAPES = pattern(
    r"\\f(?:\[[^\]]{0,12}\]|\(..|.)|\\s(?:\[[^\]]{0,6}\]|[-+]?\d{1,2}|[-+]?\(..)|\\[*nmMgkV](?:\[[^\]]{0,30}\]|\(..|.)"
    r"|\\[hvwLlDNXZ]'[^'\n]{0,80}'|\\\(..|\\\[[^\]]{0,30}\]|\\u\[?[0-9A-Fa-f]{4}\]?|\\."
)
_CHARACTERS: dict[str, str] = _LISTS["characters"]
_ACCENTS: dict[str, str] = _LISTS["accents"]
_FONT, _NEW = frozenset(_LISTS["font"]), frozenset(_LISTS["new_paragraph"])
_CALLABLE = frozenset(_LISTS["callable"])
_ALL_ARGUMENTS = (_CALLABLE - {"Ap"}) | frozenset(_LISTS["all_arguments"])
_ARGUMENT = pattern(r'"((?:[^"]|"")*)"|(\S+)')
NAMES, SKIPPED, USUAL = (frozenset(_LISTS[kind]) for kind in ("name", "skipped", "usual"))
_CELL = pattern(r"^T\}|T\{$")  # around a cell of several lines
_DASH = pattern(r"\s+(?:-{1,3}|–|—)\s+")


def parse(text: str) -> Raw:
    """The paragraphs of the source. Its title is the name with the purpose."""
    reader = _Reader()
    for line in text.replace("\\\n", "").split("\n"):
        reader.read(line)
    blocks = reader.end()
    title = heading(" ".join(reader.title.split()))
    return Raw(Format.ROFF, list(_content(blocks)), title or _title(blocks) or reader.page.lower())


class _Reader:
    """One pass over the lines: text, and requests that begin with a dot."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.page = ""
        self.title = ""  # of a paper in the macros of -ms and -mm
        self._front = ""  # inside its title (TL) or the names of its authors (AU)
        self._paragraph: list[str] = []
        self._code: list[str] | None = None  # lines of an example; None outside one
        self._command = ""  # the name that .Nm without an argument repeats
        self._table = self._format = False  # in a table; in the lines that say how to set it
        self._heading_below = False  # .SH without an argument: the next line is the heading
        self._term = False  # .TP: the next line is the term of a list
        self._skip_to = ""  # inside a macro's definition or ignored text, up to this line

    def read(self, line: str) -> None:
        if self._skip_to:
            if "".join(line.split()) == self._skip_to:  # a definition inside another ends with .  .
                self._skip_to = ""
        elif line[:1] not in (".", "'"):
            self._text(line)
        elif not line.startswith(("'\\\"", '.\\"')):
            macro, _, rest = line[1:].strip().partition(" ")
            if macro and not macro.startswith(('\\"', "\\#")):
                self._heading_below = False
                self._macro(macro, rest.strip())

    def end(self) -> list[Block]:
        self._flush()
        if self._code:
            self.blocks.append(Block("code", "\n".join(self._code)))
        return self.blocks

    def _flush(self) -> None:
        if words := " ".join(self._paragraph).strip():
            self.blocks.append(Block("text", words))
        self._paragraph.clear()

    def _text(self, line: str) -> None:
        bare = line.strip()
        if self._heading_below and bare:
            self._flush()
            self.blocks.append(Block("heading", heading(_plain(line)), 2))
            self._heading_below = False
        elif self._front:
            self.title += f" {_plain(bare)}" if self._front == "TL" else ""
        elif self._code is not None:
            self._code.append(_plain(line))
            self._term = False
        elif self._table and (self._format or bare in ("T{", "T}", "_", "=")):
            self._format = self._format and not bare.endswith(".")
        elif not bare:
            self._flush()
            self._term = False
        else:
            self._paragraph.append(_plain(_CELL.sub("", line).replace("\t", " | ") if self._table else bare))
            if self._table or self._term:
                self._flush()
            self._term = False

    def _macro(self, macro: str, rest: str) -> None:
        if macro not in _FONT:
            self._front = macro if macro == "TL" else "AU" if macro in ("AU", "AI") else ""
        match macro:
            case "de" | "de1" | "am" | "ig":
                self._skip_to = ".." if macro != "ig" or not rest else f".{rest}"
            case "TH" | "Dt":
                self.page = " ".join(_arguments(rest)[:1])
            case "SH" | "SS" | "Sh" | "Ss":
                self._section(macro, rest)
            case "NH":
                self._flush()
                self._heading_below = True
            case "PS" | "EQ" | "[":
                self._flush()
                self._skip_to = {"PS": ".PE", "EQ": ".EN", "[": ".]"}[macro]
            case "TS" | "TE":
                self._flush()
                self._table = self._format = macro == "TS"
            case "T&":
                self._format = True
            case "EX" | "nf" | "Bd":
                self._flush()
                self._code = []
            case "EE" | "fi" | "Ed":
                self._end_code(example=macro == "EE")
            case "It":
                self._flush()
                self._paragraph.append(_plain(" ".join(_mdoc("It", _arguments(rest)))))
                self._flush()
            case _ if macro in _FONT:
                self._font(macro, rest)
            case "Nd":
                self._paragraph += ["-", _plain(" ".join(_mdoc(macro, _arguments(rest))))]
            case _ if macro in _ALL_ARGUMENTS:
                self._paragraph.append(_plain(" ".join(self._words(macro, _arguments(rest)))))
            case _ if macro in _NEW:
                self._new_paragraph(macro, rest)

    def _section(self, macro: str, rest: str) -> None:
        self._flush()
        if named := heading(_plain(" ".join(_arguments(rest)))):
            self.blocks.append(Block("heading", named, 2 if macro[1].upper() == "H" else 3))
        else:
            self._heading_below = True

    def _end_code(self, example: bool) -> None:
        """Close an unfilled block: it is code unless it reads like prose."""
        if self._code:
            joined = "\n".join(self._code)
            self.blocks.append(Block("code" if example or not is_prose(joined) else "text", joined))
        self._code = None

    def _font(self, macro: str, rest: str) -> None:
        """Words in one font. A macro of two letters alternates fonts without spaces."""
        between = " " if len(macro) == 1 or macro in ("SM", "SB") else ""
        words = _plain(between.join(_arguments(rest)))
        if self._front:
            self.title += f" {words}" if self._front == "TL" else ""
            return
        (self._paragraph if self._code is None else self._code).append(words)
        if self._term:
            self._flush()
        self._term = False

    def _words(self, macro: str, arguments: list[str]) -> list[str]:
        if macro == "Nm":
            if not arguments:
                return [self._command]
            self._command = self._command or arguments[0]
        return _mdoc(macro, arguments)

    def _new_paragraph(self, macro: str, rest: str) -> None:
        self._flush()
        if macro == "IP" and (arguments := _arguments(rest)) and len(arguments[0]) > 3:
            self.blocks.append(Block("text", _plain(arguments[0])))
        self._term = macro in ("TP", "TQ")


def _arguments(rest: str) -> list[str]:
    if '\\"' in rest:
        rest = rest.split('\\"', 1)[0]
    return [match[1].replace('""', '"') if match[2] is None else match[2] for match in _ARGUMENT.finditer(rest)]


def _mdoc(macro: str, arguments: list[str]) -> list[str]:
    """Arguments of a macro that may call others by name: .Op Fl v"""
    made: list[str] = []
    dash = macro == "Fl"
    for argument in arguments:
        if argument == "Ta":
            made.append("|")
        elif argument in _CALLABLE:
            dash = argument == "Fl"
        else:
            made.append(f"-{argument}" if dash and argument[:1].isalnum() else argument)
            dash = False
    if macro == "Xr" and len(made) > 1:
        return [f"{made[0]}({made[1]})", *made[2:]]
    return made


def _plain(text: str) -> str:
    if "\\" in text:
        text = _ESCAPES.sub(_character, text)
    return " ".join(text.split())


def _character(match: re.Match[str]) -> str:
    written = match[0]
    if written in _CHARACTERS:
        return _CHARACTERS[written]
    if written.startswith("\\[u") and len(written) >= 8:  # \[u00F3], \[u006F_0301]
        try:
            return unicodedata.normalize("NFC", "".join(chr(int(code, 16)) for code in written[3:-1].split("_")))
        except (ValueError, OverflowError):
            return ""
    name = written[2:].removesuffix("]") if written[1] in "([" else ""
    if len(name) == 2 and name[0] in _ACCENTS and name[1].isalpha():
        return unicodedata.normalize("NFC", name[1] + _ACCENTS[name[0]])
    return ""


def _title(blocks: list[Block]) -> str:
    """ "widget - table of timers": the first paragraph of the NAME section."""
    for place, block in enumerate(blocks[:-1]):
        if block.kind == "heading" and block.text.upper() in NAMES:
            words = " ".join(blocks[place + 1].text.split()) if blocks[place + 1].kind == "text" else ""
            return _DASH.sub(" - ", words, count=1)
    return ""


def _content(blocks: list[Block]) -> list[Block]:
    """Blocks without the sections that every manual page has. Headings are in capitals by convention."""
    kept: list[Block] = []
    dropped = False
    for block in blocks:
        if block.kind == "heading" and block.level <= 2:
            name = block.text.upper()
            dropped = name in SKIPPED
            if not dropped and name not in NAMES and name not in USUAL:
                text = block.text.capitalize() if block.text.isupper() else block.text
                kept.append(Block("heading", text, 2))
        elif not dropped:
            kept.append(block)
    return kept if any(block.kind == "text" for block in kept) else blocks


# -- as printed --------------------------------------------------------------------------------------------------------

HEADER = pattern(r"^\s{0,4}([\w.:+@-]{1,60}\(\w{1,8}\))(?:[ \t]{2,}\S.*?)?[ \t]{2,}\1?\s*$", re.I)
_OVERSTRUCK = pattern("(.)\b")
_CAPITALS = pattern(r"^[^\Wa-z\d_][^a-z]{2,60}$")


def parse_printed(text: str) -> Raw:
    """The output of `man`: headings in capitals at the margin, indented text, a page header and footer."""
    if "\b" in text:
        text = _OVERSTRUCK.sub("", text)
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    match = HEADER.match(first)
    page = (match[1] if match else first.strip()).lower()
    out = Paragraphs()
    for line in lines:
        bare = line.strip()
        if not bare:
            out.end()
        elif page and _is_header_of(page, line):
            continue
        elif line[0] not in " \t" and _CAPITALS.match(bare):
            out.add("heading", bare, 2)
        elif not out.open and _is_subheading(line):
            out.add("heading", bare, 3)
        else:
            out.line(bare)
    blocks = out.ended()
    return Raw(Format.MAN_PAGE, _content(blocks), _title(blocks) or page)


def _is_header_of(page: str, line: str) -> bool:
    """Whether a line is the header or footer of a printed page: its name at either side, and wide space."""
    bare = line.strip()
    words = bare.lower().split()
    is_named = page in (words[0], words[-1])
    return is_named and "  " in bare and (HEADER.match(line) is not None or bare.lower().endswith(page))


def _is_subheading(line: str) -> bool:
    """Three spaces in, short, and no sentence."""
    bare = line.strip()
    is_indented = line.startswith("   ") and line[3:4] not in " \t"
    return is_indented and len(bare) < 60 and bare[0].isupper() and not bare.endswith(".")
