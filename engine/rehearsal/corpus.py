"""Real text from the Python installation: the language reference, docstrings of the standard library (read, never
imported), help texts, licences, the long descriptions of installed packages. Two thousand documents and more, then
endless edited versions.

Everything is lazy, because a rehearsal starts at once and its engine must never stall: a file is read when its turn
comes, and files that take long to parse are skipped.
"""

from __future__ import annotations

import ast
import hashlib
import html
import os
import random
import re
import sysconfig
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

LEAST_CHARS, MOST_CHARS = 50, 40_000
REPEATS = 0.3  # share of the endless stream that repeats a recent document unchanged: what a cache is for
LATELY = 400  # how far back a repeat reaches
MIXED = 12  # files read in turn, so that neighbours are not from one module
PARSED_BYTES = 60_000  # parsing holds the interpreter; a larger source file would cause a noticeable pause
LONG_DOCSTRING = 200  # of a class or function, in characters; a module's own is always taken

_NOT_HERE = {"test", "tests", "idle_test", "__pycache__", "site-packages", "dist-packages", "_bundled", "encodings"}
_TEXTS = (".rst", ".txt", ".md")
_LISTS = {"top_level.txt", "entry_points.txt", "sources.txt", "requires.txt", "dependency_links.txt", "grammar.txt"}
_TAG = re.compile(r"<(script|style)\b.*?</\1>|<[^>]+>", re.DOTALL | re.IGNORECASE)
_BLANK = re.compile(r"\n\s*\n\s*\n+")


class SampleDocument(Struct, frozen=True):
    id: str
    title: str
    text: str


Source = Callable[[], Iterator[SampleDocument]]


def documents(seed: int = 7) -> Iterator[SampleDocument]:
    """Every document once, 50 to 40,000 characters, in an order set by the seed and the installation."""
    chance = random.Random(seed)
    sources = list(_sources())
    chance.shuffle(sources)
    waiting = iter(sources)
    open_: deque[Iterator[SampleDocument]] = deque()
    seen: set[bytes] = set()
    while True:
        while len(open_) < MIXED and (source := next(waiting, None)) is not None:
            open_.append(source())
        if not open_:
            return
        turn = open_.popleft()
        document = next(turn, None)
        if document is None:
            continue
        open_.append(turn)
        text = document.text[:MOST_CHARS]
        mark = hashlib.blake2b(" ".join(text.split()).encode("utf-8", "replace"), digest_size=16).digest()
        if len(text) >= LEAST_CHARS and mark not in seen:
            seen.add(mark)
            yield replace(document, text=text)


def stream(seed: int = 7, repeats: float = REPEATS) -> Iterator[SampleDocument]:
    """An endless stream: `documents`, then edited versions of them ("#2", "#3", ...); a share `repeats` repeats a
    recent one."""
    chance = random.Random(seed + 1)
    since_change: deque[SampleDocument] = deque(maxlen=LATELY)
    for document in _versions(seed, chance):
        while since_change and chance.random() < repeats:
            yield chance.choice(since_change)
        since_change.append(document)
        yield document


def _versions(seed: int, chance: random.Random) -> Iterator[SampleDocument]:
    first: list[SampleDocument] = []
    for document in documents(seed):
        first.append(document)
        yield document
    version = 1
    while True:
        version += 1
        for document in first:
            yield _edited(document, version, chance)


def _edited(document: SampleDocument, version: int, chance: random.Random) -> SampleDocument:
    """An edited version: a new id, the paragraphs below the first rotated, one of many removed, a line with the
    revision."""
    head, *rest = document.text.split("\n\n")
    if rest:
        cut = chance.randrange(len(rest))
        rest = rest[cut:] + rest[:cut]
        if len(rest) > 3:
            rest.pop(chance.randrange(len(rest)))
    text = "\n\n".join([head, *rest, f"Revision {version}."])
    return replace(document, id=f"{document.id}#{version}", text=text[-MOST_CHARS:] if len(text) > MOST_CHARS else text)


@cache
def _sources() -> Sequence[Source]:
    """The sources, unread; sorted, because file system order is arbitrary. Once: there are thousands."""
    places = sysconfig.get_paths()
    library, packages = places["stdlib"], places["purelib"]
    # the topics in parts, or they would all come in a row
    sources: list[tuple[str, Source]] = [(f"topics {part}", partial(_topics, part)) for part in range(8)]
    for name in _files(library):
        path = f"{library}/{name}"
        if name.endswith(".py"):
            sources.append((name, partial(_docstrings, path, name)))
        elif _is_text(name):
            sources.append((name, partial(_file, path, f"python/{name}")))
    for name in _files(packages):
        path = f"{packages}/{name}"
        if name.endswith("/METADATA"):
            sources.append((name, partial(_description, path)))
        elif _is_text(name):
            sources.append((name, partial(_file, path, f"packages/{name}")))
    sources.sort(key=lambda entry: entry[0])
    return [source for _, source in sources]


def _files(root: str) -> Iterator[str]:
    """Paths below `root`. Strings: tens of thousands of Path objects would take a third of an engine's start."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _NOT_HERE and not name.startswith("config-"))
        within = folder[len(root) :].replace(os.sep, "/").lstrip("/")
        for name in names:
            yield f"{within}/{name}" if within else name


def _is_text(path: str) -> bool:
    name = path.rpartition("/")[2].lower()
    if name in _LISTS:
        return False
    return name.endswith((*_TEXTS, ".html")) or name.startswith(("license", "copying", "readme", "news", "changelog"))


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(4 * MOST_CHARS)
    except OSError:
        return ""


def _topics(part: int) -> Iterator[SampleDocument]:
    try:
        from pydoc_data import topics
    except ImportError:  # some distributions omit it
        return
    for name in sorted(topics.topics)[part::8]:
        text = topics.topics[name].strip()
        title = next((line.strip() for line in text.splitlines() if line.strip(" *\"'")), name)
        yield SampleDocument(f"python/reference/{name}", title.strip(" *\"'")[:100], text)


def _description(path: str) -> Iterator[SampleDocument]:
    """A package's long description: what follows the headers."""
    headers, _, text = _read(path).partition("\n\n")
    facts = dict(line.split(": ", 1) for line in headers.splitlines() if ": " in line)
    name = facts.get("Name", Path(path).parent.name)
    summary = facts.get("Summary", "").strip()
    yield SampleDocument(f"packages/{name}", f"{name}: {summary}"[:100] if summary else name, _plain(text))


def _file(path: str, name: str) -> Iterator[SampleDocument]:
    from engine.parsing import parse  # all parsers: not before a file is reached

    text, where = _read(path), Path(path)
    title = parse(text, name).title or where.stem
    if where.suffix == ".html":
        text = html.unescape(_TAG.sub(" ", text))
    owner = next((p for p in reversed(where.parts[:-1]) if p.endswith("-info")), where.parent.name)
    yield SampleDocument(name, f"{owner.split('-')[0]}: {title}"[:100], _plain(text))


def _docstrings(path: str, name: str) -> Iterator[SampleDocument]:
    """Pages for the module, for each public class and function with a long docstring, and one with all of them, as
    in a manual."""
    module = name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    try:
        if os.path.getsize(path) > PARSED_BYTES:
            return
        with open(path, "rb") as file:
            tree = ast.parse(file.read())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return
    own = ast.get_docstring(tree) or ""
    members = list(_members(tree, module))
    if len(members) >= 2:
        parts = [f"## {call}\n\n{_plain(text)}" for _, call, text in members]
        page = "\n\n".join([f"# {module}", _plain(own), *parts])
        yield SampleDocument(f"python/{module}/page", _titled(f"{module} reference", own), page)
    elif own:
        yield _entry(module, module, own)
    for member, call, text in members:
        if len(text) >= LONG_DOCSTRING:
            yield _entry(member, call, text)


def _members(tree: ast.Module | ast.ClassDef, within: str) -> Iterator[tuple[str, str, str]]:
    """(name, signature, docstring) of public definitions with more than a line of docstring."""
    for node in tree.body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        name = f"{within}.{node.name}"
        text = ast.get_docstring(node)
        if text and len(text) >= LEAST_CHARS:
            called = "" if isinstance(node, ast.ClassDef) else f"({', '.join(a.arg for a in node.args.args)})"
            yield name, name + called, text
        if isinstance(node, ast.ClassDef):
            yield from _members(node, name)


def _entry(name: str, call: str, text: str) -> SampleDocument:
    """An entry as in a reference manual: name and signature first."""
    return SampleDocument(f"python/{name}", _titled(name, text), f"{call}\n\n{_plain(text)}")


def _titled(name: str, text: str) -> str:
    """The name, plus the first sentence of the text if it is short enough for a title."""
    summary = " ".join(text.split("\n\n", 1)[0].split()).rstrip(".")
    return f"{name}: {summary}" if summary not in ("", name) and len(summary) <= 80 else name


def _plain(text: str) -> str:
    return _BLANK.sub("\n\n", text.expandtabs(4)).strip()
