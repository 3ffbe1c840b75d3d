"""Manual pages: their source in man(7) or mdoc(7), and as `man` prints them."""

from __future__ import annotations

import re

from engine.parsing.inline import heading
from engine.parsing.model import Block, Format, Raw

_ESCAPES = re.compile(
    r"\\f(?:\[[^\]]{0,12}\]|\(..|.)|\\s(?:\[[^\]]{0,6}\]|[-+]?\d{1,2}|[-+]?\(..)|\\[*nmMgkV](?:\[[^\]]{0,30}\]|\(..|.)"
    r"|\\[hvwLlDNXZ]'[^'\n]{0,80}'|\\\(..|\\\[[^\]]{0,30}\]|\\u\[?[0-9A-Fa-f]{4}\]?|\\."
)
_CHARACTERS = {
    r"\-": "-", r"\ ": " ", r"\~": " ", r"\0": " ", r"\e": "\\", r"\(bu": "", r"\(em": " - ", r"\(en": "-", r"\(aq": "'", r"\(cq": "'", r"\(oq": "'", r"\(lq": '"', r"\(rq": '"',
    r"\(dq": '"', r"\(ga": "`", r"\(ha": "^", r"\(ti": "~", r"\(hy": "-", r"\(mi": "-", r"\(rs": "\\", r"\(co": "(c)", r"\(->": "->", r"\(<-": "<-", r"\*(lq": '"', r"\*(rq": '"', r"\[aq]": "'",
    r"\'": "'", r"\`": "`", r"\*(C+": "C++", r"\[lq]": '"', r"\[rq]": '"', r"\[en]": "-", r"\[em]": " - ", r"\(:o": "ö", r"\(:a": "ä", r"\(:u": "ü", r"\(ss": "ß", r"\('e": "é", r"\(`e": "è",
}  # fmt: skip
_FONT = frozenset(("B", "I", "BI", "BR", "IB", "IR", "RB", "RI", "SM", "SB"))
_NEW = frozenset(
    (
        "P",
        "PP",
        "LP",
        "TP",
        "IP",
        "HP",
        "TQ",
        "RS",
        "RE",
        "Pp",
        "Lp",
        "Bl",
        "El",
        "br",
        "sp",
        "Bd",
        "Ed",
        "D1",
        "Dl",
        "in",
        "ti",
        "UR",
        "MT",
    )
)
_ALL_ARGUMENTS = frozenset(
    [
        "Nm",
        "Fl",
        "Ar",
        "Op",
        "Ic",
        "Cm",
        "Em",
        "Sy",
        "Li",
        "Pa",
        "Ev",
        "Va",
        "Vt",
        "Fn",
        "Fa",
        "Dv",
        "Er",
        "Ql",
        "Dq",
        "Sq",
        "Qq",
        "Pq",
        "Aq",
        "Bq",
        "Brq",
        "Ns",
        "Xr",
        "Cd",
        "Ft",
        "Fo",
        "An",
        "Lk",
        "Mt",
        "Tn",
        "St",
        "Ux",
        "Bx",
        "No",
        "Oo",
        "Oc",
        "Ao",
        "Ac",
        "Po",
        "Pc",
        "Qo",
        "Qc",
        "Do",
        "Dc",
        "So",
        "Sc",
        "In",
        "Cm",
        "Sx",
        "Ms",
        "Nd",
        "UE",
        "ME",
    ]
)
_CALLABLE = frozenset(
    [
        "Nm",
        "Fl",
        "Ar",
        "Op",
        "Ic",
        "Cm",
        "Em",
        "Sy",
        "Li",
        "Pa",
        "Ev",
        "Va",
        "Vt",
        "Fn",
        "Fa",
        "Dv",
        "Er",
        "Ql",
        "Dq",
        "Sq",
        "Qq",
        "Pq",
        "Aq",
        "Bq",
        "Brq",
        "Ns",
        "Xr",
        "Ap",
        "Oo",
        "Oc",
        "Ao",
        "Ac",
        "Po",
        "Pc",
        "Qo",
        "Qc",
        "Do",
        "Dc",
        "No",
        "Sx",
        "So",
        "Sc",
    ]
)
_ARGUMENT = re.compile(r'"((?:[^"]|"")*)"|(\S+)')
_TABLE_FORMAT = re.compile(r"^[lrcnasb^|\s\d.()wW,xX;*tTfFiIBpveuzZdD_=-]+\.$")
SKIPPED = (
    "SYNOPSIS",
    "COPYRIGHT",
    "AUTHOR",
    "AUTHORS",
    "REPORTING BUGS",
    "SEE ALSO",
    "COLOPHON",
    "LICENSE",
    "HISTORY",
    "STANDARDS",
    "CONFORMING TO",
    "AVAILABILITY",
    "NOTES",
    "LIBRARY",
)
NAMES = ("NAME", "BEZEICHNUNG", "NOM", "NOMBRE", "ИМЯ", "НАЗВАНИЕ", "名前", "名称", "NOME", "NAZWA", "NAAM", "NAMN")
_DASH = re.compile(r"\s+(?:-{1,3}|–|—)\s+")


def parse(text: str) -> Raw:
    """Paragraphs of the source; its name and purpose are the title."""
    blocks: list[Block] = []
    paragraph: list[str] = []
    page = command = ""
    table = waiting = term = False
    code: list[str] | None = None

    def flush() -> None:
        if words := " ".join(paragraph).strip():
            blocks.append(Block("text", words))
        paragraph.clear()

    lines = text.replace("\\\n", "").split("\n")
    skipping = ""  # inside a macro's definition or ignored text, until this line
    for line in lines:
        if skipping:
            if line.rstrip() == skipping:
                skipping = ""
            continue
        if waiting and line[:1] not in (".", "'") and line.strip():  # the heading is on the line after .SH
            flush()
            blocks.append(Block("heading", heading(_plain(line)), 2))
            waiting = False
            continue
        if line[:1] not in (".", "'"):
            bare = line.strip()
            if code is not None:
                code.append(_plain(line))
            elif table and (
                _TABLE_FORMAT.match(bare) or (";" in bare and len(bare) < 60) or bare in ("T{", "T}", "_", "=")
            ):
                continue
            elif not bare:
                flush()
            else:
                paragraph.append(_plain(line.replace("\t", " | ") if table else bare))
                if table or term:
                    flush()
            term = False
            continue
        macro, _, rest = line[1:].strip().partition(" ")
        rest = rest.strip()
        if macro.startswith(('\\"', "\\#")) or not macro or line.startswith(("'\\\"", '.\\"')):
            continue
        waiting = False
        if macro in ("de", "de1", "am", "ig"):
            skipping = ".." if macro != "ig" or not rest else f".{rest}"
        elif macro in ("TH", "Dt"):
            page = " ".join(_arguments(rest)[:1])
        elif macro in ("SH", "SS", "Sh", "Ss"):
            flush()
            if named := heading(_plain(" ".join(_arguments(rest)))):
                blocks.append(Block("heading", named, 2 if macro[1].upper() == "H" else 3))
            else:
                waiting = True
        elif macro in ("TS", "TE"):
            flush()
            table = macro == "TS"
        elif macro in ("EX", "nf", "Bd"):
            flush()
            code = []
        elif macro in ("EE", "fi", "Ed"):
            if code:
                joined = "\n".join(code)
                blocks.append(Block("code" if macro == "EE" or not _is_prose(joined) else "text", joined))
            code = None
        elif macro in _FONT:
            arguments = _arguments(rest)
            words = _plain(" ".join(arguments) if len(macro) == 1 or macro in ("SM", "SB") else "".join(arguments))
            code.append(words) if code is not None else paragraph.append(words)
            if term:
                flush()
            term = False
        elif macro in ("Nm", "Nd") or macro in _ALL_ARGUMENTS:
            arguments = _arguments(rest)
            if macro == "Nm" and not command and arguments:
                command = arguments[0]
            if macro == "Nd":
                paragraph.append("-")
            paragraph.append(
                _plain(" ".join([command] if macro == "Nm" and not arguments else _mdoc(macro, arguments)))
            )
        elif macro == "It":
            flush()
            paragraph.append(_plain(" ".join(_mdoc("It", _arguments(rest)))))
            flush()
        elif macro in _NEW:
            flush()
            if macro == "IP" and len(arguments := _arguments(rest)) and len(arguments[0]) > 3:
                blocks.append(Block("text", _plain(arguments[0])))
            term = macro in ("TP", "TQ")
    flush()
    if code:
        blocks.append(Block("code", "\n".join(code)))
    return Raw(Format.ROFF, list(_content(blocks)), _title(blocks) or page.lower())


def _is_prose(text: str) -> bool:
    words_ = text.split()
    return len(words_) > 12 and sum(word.isalpha() for word in words_) * 10 > 7 * len(words_)


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
    if written.startswith("\\[u") and 4 <= len(written) - 4 <= 6:
        try:
            return chr(int(written[3:-1], 16))
        except (ValueError, OverflowError):
            return ""
    return ""


def _title(blocks: list[Block]) -> str:
    """ "widget - table of timers": the first paragraph of the section NAME."""
    for place, block in enumerate(blocks[:-1]):
        if block.kind == "heading" and block.text.upper() in NAMES:
            words = " ".join(blocks[place + 1].text.split()) if blocks[place + 1].kind == "text" else ""
            return _DASH.sub(" - ", words, count=1)
    return ""


def _content(blocks: list[Block]) -> list[Block]:
    """Without the sections that surround the subject in every manual page; headings are in capitals by convention."""
    kept: list[Block] = []
    dropped = False
    for block in blocks:
        if block.kind == "heading" and block.level <= 2:
            dropped = block.text.upper() in SKIPPED
            if not dropped and block.text.upper() not in NAMES and block.text.upper() not in ("DESCRIPTION", "OPTIONS"):
                text = block.text.capitalize() if block.text.isupper() else block.text
                kept.append(Block("heading", text, 2))
        elif not dropped:
            kept.append(block)
    return kept if any(block.kind == "text" for block in kept) else blocks


# -- as printed --------------------------------------------------------------------------------------------------------

HEADER = re.compile(r"^\s{0,4}([\w.:+@-]{1,60}\(\w{1,8}\))(?:[ \t]{2,}\S.*?)?[ \t]{2,}\1?\s*$", re.I)
_OVERSTRUCK = re.compile("(.)\b")
_CAPITALS = re.compile(r"^[^\Wa-z\d_][^a-z]{2,60}$")


def parse_printed(text: str) -> Raw:
    """The output of `man`: headings at the margin in capitals, indented text, a page header and footer."""
    if "\b" in text:
        text = _OVERSTRUCK.sub("", text)
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    match = HEADER.match(first)
    page = (match[1] if match else first.strip()).lower()
    blocks: list[Block] = []
    paragraph: list[str] = []

    def flush() -> None:
        if paragraph:
            blocks.append(Block("text", "\n".join(paragraph)))
        paragraph.clear()

    for line in lines:
        bare = line.strip()
        if not bare:
            flush()
        elif (
            page
            and page in (bare.split()[0].lower(), bare.split()[-1].lower())
            and (HEADER.match(line) or bare.lower().endswith(page))
            and "  " in bare
        ):
            continue
        elif line[0] not in " \t" and _CAPITALS.match(bare):
            flush()
            blocks.append(Block("heading", bare, 2))
        elif (
            line.startswith("   ")
            and line[3:4] not in " \t"
            and len(bare) < 60
            and not paragraph
            and bare[0].isupper()
            and not bare.endswith(".")
        ):
            blocks.append(Block("heading", bare, 3))
        else:
            paragraph.append(bare)
    flush()
    return Raw(Format.MAN_PAGE, _content(blocks), _title(blocks) or page)
