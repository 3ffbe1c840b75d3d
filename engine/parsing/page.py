"""HTML pages: the main text, without navigation, footers and what a browser does not show. The tree is lexbor's, by
selectolax."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.parsing.boilerplate import is_furniture
from engine.parsing.inline import heading, unescaped, unnumbered
from engine.parsing.lists import either, lists
from engine.parsing.model import Block, Format, Raw
from engine.patterns import pattern

if TYPE_CHECKING:
    from selectolax.lexbor import LexborHTMLParser, LexborNode

MAIN = 250  # characters of a <main> or <article> that count as the page's text
_LISTS = lists("page")
_HIDDEN, _AROUND = _LISTS["hidden"], ",".join(_LISTS["around"])
_MAINS = _LISTS["mains"]
_TITLE_END = pattern(r"\s+(?:[-–—|·•»:]|&mdash;|::)\s+")
_BLOCK_TAG = pattern(rf"</?{either(_LISTS['blocks'])}\b[^<>]{{0,5000}}>", re.I)
_HEADING_TAG = pattern(r"<(/?)h([1-6])\b[^<>]{0,5000}>", re.I)
_BROKEN_HEADING = pattern(r"(<h[1-6]\b[^<>]{0,500}>[^<]{0,200})<br\b[^<>]{0,50}>", re.I)
_PRE_TAG = pattern(r"<(/?)(?:pre|listing|xmp|screen|programlisting)\b[^<>]{0,5000}>", re.I)
_CODE_TAG = pattern(r"<(?:code|tt|kbd|samp)\b[^<>]{0,1000}>([^<>`\s]{2,60})</(?:code|tt|kbd|samp)>", re.I)
_ANY_TAG = pattern(r"<[A-Za-z/!?][^<>]{0,5000}>")
# Elements that contain others and whose end a page must write; any other is closed by the next of its kind.
_NESTING_TAG = pattern(rf"<(/?)({'|'.join(_LISTS['nesting'])})\b", re.I)
# elements that decide what is content
_KEPT_TAG = frozenset(("nav", "main", "article", "header", "footer", "template"))
_INLINE_TAG = pattern(either(_LISTS["inline"]), re.I)
# In XML, what stands side by side is apart: <author>Ada Quill</author><name>Pool</name>. An XHTML page is no such XML.
_XML = pattern(r"\s*<\?xml\b(?!.{0,2000}?<html\b)", re.I | re.S)
_SIDE_BY_SIDE = pattern(r"(</[\w:.-]{1,60}>)(?=(?:[ \t\r]*\n\s*)?<[A-Za-z_])")
DEEPEST = 500
FLATTENED = 50  # levels kept of a page that is nested too deep
_HEADING_MARK = "\ue000"  # a private character, which no page contains
_VAGUE = pattern(either(_LISTS["vague"]), re.I)
_SITE = pattern(either(_LISTS["site"]), re.I)
_BLANKS = pattern(r"[ \t\r\n\f]+")
_MANUAL = pattern(r" \((?:[^()]{1,80} API|[^()]{1,60} \(version [\w.]{1,20}\))\)$")
_LINKS = 0.8  # share of a list's words in links; with more, it is navigation


def parse(page: str, mail: bool = False) -> Raw:
    """Parse a page. `mail`: short links in a row are a menu of the sender's site, whatever they are called."""
    from selectolax.lexbor import LexborHTMLParser

    if _XML.match(page):
        page = _SIDE_BY_SIDE.sub(r"\1<br>", page)
    if _depth(page) > DEEPEST:  # every search below an element would scan the rest of the page
        page = _flattened(page)
    tree = LexborHTMLParser(page.replace(_HEADING_MARK, " "))
    declared = _declared(tree)
    language = _language(tree)
    above = _above(tree)
    tree.strip_tags(_HIDDEN)
    _drop(tree, _AROUND)
    _drop_link_tables(tree, mail)
    body = _main(tree)
    blocks = _blocks(body.html or "" if body is not None else "")
    title = _without_number(_title(declared, blocks), blocks)
    if _VAGUE.fullmatch(title) and above:
        title = f"{above}: {title}"
    return Raw(Format.HTML, blocks, title, language)


def _depth(page: str) -> int:
    """The deepest nesting of elements that can contain others."""
    depth = deepest = 0
    for tag in _NESTING_TAG.finditer(page):
        depth = max(0, depth - 1) if tag[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _flattened(page: str) -> str:
    """The page without the tags of elements that are nested too deep; their text stays."""
    kept: list[str] = []
    at = depth = named = 0
    for tag in _NESTING_TAG.finditer(page):
        if tag.start() < at:
            continue
        depth += 0 if tag[1] else 1
        deep = depth > FLATTENED
        depth = max(0, depth - 1) if tag[1] else depth
        name = tag[2].lower()
        if deep and name in _KEPT_TAG:
            named += 1
            deep = named > FLATTENED
        if deep:
            kept += (page[at : tag.start()], "" if _INLINE_TAG.fullmatch(name) else "<br>")
            end = page.find(">", tag.end())
            at = end + 1 if end >= 0 else tag.end()
    return "".join((*kept, page[at:]))


def _declared(tree: LexborHTMLParser) -> str:
    """The content of <title>, or in other XML formats the first title."""
    for selector in ("head > title", "article-meta article-title", "title"):
        node = tree.css_first(selector)
        if node is not None and (text := heading(unescaped(node.text(deep=True)))):
            return _MANUAL.sub("", text)
    return ""


def _above(tree: LexborHTMLParser) -> str:
    """The title of the chapter that a page of a book links to."""
    node = tree.css_first("link[rel=up][title]")
    return unnumbered(heading(node.attributes.get("title") or "")) if node is not None else ""


def _language(tree: LexborHTMLParser) -> str:
    node = tree.css_first("html")
    return ((node.attributes.get("lang") or node.attributes.get("xml:lang") or "") if node is not None else "")[:20]


def _drop(tree: LexborHTMLParser, selectors: str) -> None:
    for node in tree.css(selectors):
        if node.tag in ("html", "body", "main", "article") or node.parent is None:
            continue
        if node.tag in ("nav", "footer") or node.css_first("main, article, [role=main]") is None:
            node.decompose()


def _drop_link_tables(tree: LexborHTMLParser, mail: bool) -> None:
    """Lists and tables of site links: Prev, Up, Next; Home, Docs, Log in."""
    for node in tree.css("table, ul, ol, dl, div, p, header"):
        if node.parent is None or node.css_first("h1, h2, h3, table table, pre") is not None:
            continue
        words = " ".join(node.text(deep=True, separator=" ").split()) if len(node.html or "") < 20_000 else ""
        if not 0 < len(words) <= 600:
            continue
        links = [" ".join(link.text(deep=True).split()) for link in node.css("a")]
        if (
            links
            and sum(map(len, links)) >= _LINKS * len(words.replace(" | ", "")) - 4
            and (_leads_around(links) or (mail and len(links) >= 3 and max(map(len, links)) <= 30))
        ):
            node.decompose()


def _leads_around(links: list[str]) -> bool:
    named = [link for link in links if link]
    return bool(named) and 2 * sum(is_furniture(link) or _SITE.fullmatch(link) is not None for link in named) >= len(
        named
    )


def _main(tree: LexborHTMLParser) -> LexborNode | None:
    """The element marked as the page's text, if it holds most of it; otherwise the whole body."""
    body = tree.body
    if body is None:
        return tree.root
    whole = len(body.text(deep=True))
    for selector in _MAINS:
        candidate = tree.css(selector)
        if len(candidate) == 1 and (size := len(candidate[0].text(deep=True))) and (size >= MAIN or 3 * size > whole):
            _drop_outer_heads(candidate[0])
            return candidate[0]
    return body


def _drop_outer_heads(main: LexborNode) -> None:
    for node in main.css("header"):
        if node.css_first("h1, h2") is None:
            node.decompose()


def _blocks(source: str) -> list[Block]:
    at, begun = 0, -1
    blocks: list[Block] = []
    for tag in _PRE_TAG.finditer(source):
        if not tag[1] and begun < 0:
            blocks += _prose(source[at : tag.start()])
            begun = tag.end()
        elif tag[1] and begun >= 0:
            blocks.append(Block("code", unescaped(_ANY_TAG.sub("", source[begun : tag.start()])).strip("\n")))
            begun, at = -1, tag.end()
    blocks += _prose(source[at if begun < 0 else begun :])
    return blocks


def _prose(source: str) -> list[Block]:
    text = _BROKEN_HEADING.sub(r"\1 ", _CODE_TAG.sub(r"`\1`", _BLANKS.sub(" ", source)))
    text = _HEADING_TAG.sub(lambda tag: "\n" if tag[1] else f"\n{_HEADING_MARK}{tag[2]}", text)
    text = _BLOCK_TAG.sub("\n", text)
    text = unescaped(_ANY_TAG.sub("", text)).replace("\xa0", " ")
    blocks: list[Block] = []
    for line in text.split("\n"):
        words = line.strip()
        if not words:
            continue
        if words[0] == _HEADING_MARK:
            level, words = words[1:2], unnumbered(heading(words[2:]))
            if words and not is_furniture(words):
                blocks.append(Block("heading", words, int(level)))
        elif not is_furniture(words):
            blocks.append(Block("text", words))
    return blocks


def _title(declared: str, blocks: list[Block]) -> str:
    """The first-level heading that <title> contains too; otherwise <title> without the site's name."""
    heads = [block.text for block in blocks if block.kind == "heading" and block.level == 1]
    only = heads[0] if len(heads) == 1 else ""
    if not declared:
        return only
    parts = [unnumbered(part) for part in _TITLE_END.split(declared)]
    if only and only.lower() in [part.lower() for part in parts[1:]]:  # the site's
        return parts[0]
    if only and _alike(only, declared):
        return only
    # one heading is the site's, the other the chapter's
    if len(heads) > 1 and len(parts) == 2 and _alike(heads[0], parts[0]):
        return declared
    return parts[0] if len(parts[0]) > 2 else " ".join(parts[:2])


def _without_number(title: str, blocks: list[Block]) -> str:
    """A title without its number, if its sections are numbered below it: "Completion System" of "20 Completion
    System"."""
    number = re.match(r"(\d{1,3}) (?=[^\W\d])", title)
    numbered = number and any(
        block.text.startswith((f"{number[1]}.1 ", f"{number[1]}.2 ")) or f" {number[1]}.1 " in block.text[:200]
        for block in blocks
    )
    return title[number.end() :] if number and numbered else title


def _alike(heading: str, title: str) -> bool:
    """Whether half of a heading's words are in a title."""
    words = heading.lower().split()
    return 2 * sum(word in title.lower() for word in words) >= len(words)
