"""Mail: the subject is the title, the text part the body; quotations, signatures and headers are left out."""

from __future__ import annotations

import quopri
import re
from typing import TYPE_CHECKING, Literal

from engine.parsing import diff
from engine.parsing.encoding import decode
from engine.parsing.inline import heading
from engine.parsing.lists import either, lists
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

_LISTS = lists("mail")
_REPLY = pattern(rf"^(?:\s*{either(_LISTS['replies'])}(?:\[\d+\])?\s*[:：]\s*)+", re.I)
if TYPE_CHECKING:
    from email.message import Message

_TRANSLATED: dict[str, list[str]] = _LISTS["translated"]
IN_OTHER_LANGUAGES = {name: field for field, names in _TRANSLATED.items() for name in names}
SUBJECTS = frozenset(_TRANSLATED["subject"])
_FIELD = pattern(r"^([^\W\d_]{1,10})[ ]?:(?=[ \t])", re.M)
_PASSED_ON = r"-{5,} ?(?:forwarded|original) message ?-{5,}\n"
# what _GREETING may begin with, in English and German; a text begins with it as a letter does
GREETINGS = ("Dear ", "Guten Tag", "Hallo", "Hello", "Hey", "Hi", "Liebe", "Sehr geehrte")
# a text that begins with its subject alone, with what it answers or passes on, or with whom it greets
ALONE = pattern(
    rf"(?:subject|{'|'.join(sorted(SUBJECTS))}) ?: \S[^\n]{{0,200}}\n[ \t]*\n"
    rf"|On [^\n]{{10,120}} wrote:\s{{0,3}}\n>|{_PASSED_ON}"
    rf"|(?:{'|'.join(GREETINGS)})(?:r|n)?\b[^\n.!?:]{{0,40}},\n",
    re.I,
)
_PATCH = pattern(r"\[(?:RFC )?PATCH\b[^\[\]]{0,40}\]\s*", re.I)
_ATTRIBUTION = pattern(
    r"^(?:on\b.{5,200}\bwrote:|am\b.{5,200}\bschrieb\b.{0,100}:|le\b.{5,200}\ba écrit\s?:"
    r"|el\b.{5,200}\bescribió:|.{2,120}\b(?:wrote|writes|schrieb|said):|\d{4}[-/年].{5,160}:"
    r"|.{0,80}于.{0,80}写道[:：])\s*$",
    re.I,
)
_ATTRIBUTION_ENDS = ("wrote:", "schrieb:", "écrit :")
_ATTRIBUTION_BEGINS = pattern(r"^(?:on|am|le|el) .{8,100}(?:\d|,)", re.I)
_SEPARATOR = pattern(
    r"^(?:-{2,}\s?(?:original message|forwarded message|begin forwarded).{0,60}|_{10,}|-{5,} ?.{0,40}-{5,}"
    r"|begin forwarded message:?|from:\s.{3,120}|von:\s.{3,120}|de\s?:\s.{3,120})$",
    re.I,
)
_FIELD_BELOW = pattern(r"(?:sent|to|date|subject|cc|gesendet|an|datum|envoyé|à|enviado|para)\s?:", re.I)
_SIGNATURE = pattern(rf"^{either(_LISTS['signatures'])}$", re.I)
_GREETING = pattern(rf"^{either(_LISTS['greetings'])}(?:[ ,][^.!?]{{0,40}})?[,!:.]?$", re.I)
_CLOSING = pattern(rf"^{either(_LISTS['closings'])}[,.!。]?$", re.I)
_CONTACT = pattern(
    r"(?:\b(?:tel|fax|phone|mobile|mob|cell|telefon|téléphone|telefono|тел)\b|[☎📞])[.:]? ?[+(]?\d"
    r"|\be-?mails?\b ?: ?\S+@"
    r"|\bp\. ?iva\b|\bvat (?:no|id)\b|\+\d{2}[ \d()/-]{7,}",
    re.I,
)
_NEWSLETTER = pattern(rf"\b{either(_LISTS['newsletters'])}", re.I)
_NOTICE = pattern(rf"\b{either(_LISTS['notices'])}", re.I | re.S)
_FROM_LINE = pattern(rf"^(?:From \S+ .{{10,60}}\n|(?i:{_PASSED_ON}))")


def parse(text: str) -> Raw:
    import email
    import email.policy

    text = _in_english(_FROM_LINE.sub("", text.lstrip("\n"), count=1))
    message = email.message_from_string(text, policy=email.policy.default)
    try:
        subject = str(message["subject"] or "")
        language = str(message["content-language"] or "")
        part = message.get_body(("plain", "html")) if message.is_multipart() else message
        body = _content(part) if part is not None else ""
        if part is not None and part.get_content_type() == "text/html":
            from engine.parsing import page

            html = page.parse(body, mail=True)
            blocks = _without_menu([block for block in html.blocks if not _is_newsletter(block)])
            return Raw(Format.MAIL, blocks or html.blocks, _subject(subject) or html.title, language)
    # headers that the email library cannot parse
    except (ValueError, LookupError, TypeError, AttributeError, IndexError):
        subject, body = _by_lines(text)
        language = ""
    if not message.is_multipart() and not body.strip():
        body = text.split("\n\n", 1)[-1]
    blocks = _with_patch(body)
    return Raw(Format.MAIL, blocks, _subject(subject), language)


def _with_patch(body: str) -> list[Block]:
    patch = diff.MARK.search(body)
    if patch is None:
        return _blocks(body)
    return [*_blocks(diff.without_counts(body[: patch.start()])), *diff.parse(body[patch.start() :]).blocks]


def _content(part: Message) -> str:
    """The text of a part. What no transfer encoding hides was decoded when the file was read, whatever charset the part
    declares."""
    written = part.get_payload()
    if not isinstance(written, str):
        return ""
    coding = str(part.get("content-transfer-encoding", "")).strip().lower()
    if coding == "quoted-printable":
        raw = quopri.decodestring(written.encode("utf-8", "surrogatepass"))
    elif coding in ("base64", "x-uuencode", "uuencode", "uue", "x-uue"):
        hidden = part.get_payload(decode=True)
        raw = hidden if isinstance(hidden, bytes) else b""
    else:
        return written
    try:
        return raw.decode(part.get_content_charset() or "utf-8")
    except (LookupError, ValueError):
        return decode(raw).text


def _in_english(text: str) -> str:
    """The mail with English names of its header fields."""
    head, blank, body = text.partition("\n\n")

    def named(field: re.Match[str]) -> str:
        return f"{IN_OTHER_LANGUAGES.get(field[1].lower(), field[1])}:"

    return f"{_FIELD.sub(named, head)}{blank}{body}"


def _subject(subject: str) -> str:
    return heading(_PATCH.sub("", _REPLY.sub("", " ".join(subject.split()))))


def _by_lines(text: str) -> tuple[str, str]:
    head, _, body = text.partition("\n\n")
    match = re.search(r"^subject:[ \t]*(.*(?:\n[ \t].*)*)", head, re.I | re.M)
    return (match[1] if match else ""), body


def _blocks(body: str) -> list[Block]:
    """What the sender wrote. An answer that quotes a whole mail and adds nothing keeps the quotation."""
    own, all_lines = _own(body)
    lines = own if any(map(str.isalpha, "".join(own))) else all_lines
    blocks: list[Block] = []
    for paragraph in "\n".join(lines).split("\n\n"):
        if words := paragraph.strip():
            blocks.append(Block("text", words))
    return _without_card(blocks)


def _is_name(block: Block) -> bool:
    """Whether a line above an address is its owner: a few words and no sentence."""
    return len(block.text.split()) <= 12 and not re.search(r"[.!?:,;](?:\s|$)", block.text.replace("Dr.", ""))


def _without_menu(blocks: list[Block]) -> list[Block]:
    """Paragraphs without a menu of the sender's site: three or more in a row with a word or two each."""
    kept: list[Block] = []
    run: list[Block] = []
    for block in (*blocks, None):
        if block is not None and len(block.text.split()) <= 2 and block.text[-1].isalpha():
            run.append(block)
            continue
        kept += run if len(run) < 3 else []
        run = []
        kept += [] if block is None else [block]
    return kept or blocks


def _is_newsletter(block: Block) -> bool:
    return len(block.text) < 400 and _NEWSLETTER.search(block.text) is not None


def _without_card(blocks: list[Block]) -> list[Block]:
    """Paragraphs without the confidentiality notice, and, if text is above it, without everything from the sender's
    address and telephone on."""
    kept = [block for block in blocks if not (_NOTICE.search(block.text[:400]) or _is_newsletter(block))]
    kept = _without_menu(kept)
    for place, block in enumerate(kept):
        if place and 2 * len(_CONTACT.findall(block.text)) >= block.text.count("\n") + 1:
            return kept[: place - (place > 1 and _is_name(kept[place - 1]))]
        if place and len(_CONTACT.findall(block.text)) >= 2 and len(block.text) < 600:
            return kept[: place - (place > 1 and _is_name(kept[place - 1]))]
    return kept or blocks


def _own(body: str) -> tuple[list[str], list[str]]:
    """The sender's own lines, or the greeting if there is nothing else; and all lines but the signatures."""
    own: list[str] = []
    greetings: list[str] = []
    lines = [line.strip() for line in body.split("\n")]
    for place, line in enumerate(lines):
        match _role(lines, place):
            case "text":
                own.append(line)
            case "greeting":
                greetings.append(line)
            case "end":
                break
            case "quoted mail":
                if any(own) or greetings:
                    break
    every = [line.lstrip("> ").strip() for line in lines if not _SIGNATURE.match(line)]
    return (greetings if greetings and not any(map(str.isalpha, "".join(own))) else own), every


def _role(lines: list[str], place: int) -> Literal["text", "greeting", "around", "quoted mail", "end"]:
    """What a line is in a mail. `around`: it belongs to what is quoted or to the signature."""
    line = lines[place]
    if line.startswith(">") or (line.startswith("|") and line.count("|") == 1):
        return "around"
    if _SIGNATURE.match(line):
        return "end" if line.startswith(("--", "—")) else "around"
    if _SEPARATOR.match(line) and (":" not in line or _FIELD_BELOW.match(" ".join(lines[place + 1 : place + 3]))):
        return "quoted mail"
    if _ATTRIBUTION.match(line) or line == "wrote:":
        return "around"
    if _ATTRIBUTION_BEGINS.match(line) and "".join(lines[place + 1 : place + 2]).endswith(_ATTRIBUTION_ENDS):
        return "around"
    if _GREETING.match(line):
        return "greeting"
    if not _CLOSING.match(line):
        return "text"
    is_last = place > len(lines) // 3 and len(lines) - place < 12
    return "end" if is_last and not any(later.startswith(">") for later in lines[place:]) else "around"
