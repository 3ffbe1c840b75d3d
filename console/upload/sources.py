"""Documents out of files, folders, globs and standard input. Nothing here raises for what a file holds: a bad one says so."""

from __future__ import annotations

import glob
import io
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from engine.extraction.prose import plain
from engine.text import digest

LINES = {".jsonl", ".ndjson"}
KINDS = {".md", ".markdown", ".txt", ".text", ".rst", ".adoc", ".html", ".htm", ".json", *LINES}
SIZE_LIMIT = 40_000_000  # bytes of one document, and of a file that is not read line by line
STDIN = "-"


class Source(NamedTuple):
    """A document to load, or why it cannot be (`trouble`). `size`: bytes of the input it stands for; `named`: it brought its id."""

    id: str
    title: str = ""
    text: str = ""
    trouble: str = ""
    size: int = 0
    named: bool = False


# -- which files -----------------------------------------------------------------------------------------------------------------


def files(paths: tuple[str, ...]) -> list[str]:
    """The arguments' files, each once, in a stable order; folders are walked, globs expanded (a shell may not have)."""
    found: dict[str, None] = {}
    for path in paths:
        if path == STDIN:
            found[STDIN] = None
        elif os.path.isdir(path):
            found.update(dict.fromkeys(_walked(path)))
        elif os.path.lexists(path):
            found[os.path.normpath(path)] = None
        else:
            matches = sorted(glob.glob(path, recursive=True))
            for match in matches:
                found.update(dict.fromkeys(_walked(match) if os.path.isdir(match) else [os.path.normpath(match)]))
            if not matches:
                found[path] = None  # named as missing when it is read
    return list(found)


def _walked(top: str) -> Iterator[str]:
    unreadable: list[str] = []
    for folder, folders, names in os.walk(top, onerror=lambda error: unreadable.append(str(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if Path(name).suffix.lower() in KINDS and not name.startswith("."):
                yield os.path.normpath(os.path.join(folder, name))
    yield from unreadable  # reading them says why


def weight(path: str) -> int:
    """Bytes, 0 if not known before it is read."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


# -- what is in them -------------------------------------------------------------------------------------------------------------


def documents(path: str, called: str = "") -> Iterator[Source]:
    """The documents of one file; never raises. `called` stands for its path in the ids of those that bring none."""
    name = (
        (called or path).encode("utf-8", "backslashreplace").decode()
    )  # a name of bytes that are no text still names it
    for source in _documents(path):
        yield source._replace(id=name + source.id.removeprefix(path)) if name != path and not source.named else source


def _documents(path: str) -> Iterator[Source]:
    try:
        if path == STDIN:
            yield from _of_stdin(sys.stdin.buffer)
            return
        if not stat.S_ISREG(os.stat(path).st_mode) and not path.startswith("/dev/fd/"):  # as <(command) gives it
            yield Source(path, trouble="not a file, but a pipe or a device")
            return
        with open(path, "rb") as file:
            if Path(path).suffix.lower() in LINES:
                yield from _of_lines(path, file)
                return
            raw = file.read(SIZE_LIMIT + 1)
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL
        yield Source(path, trouble=getattr(error, "strerror", None) or str(error))
        return
    if len(raw) > SIZE_LIMIT:
        yield Source(path, trouble=f"larger than {SIZE_LIMIT // 1_000_000} MB; split it", size=len(raw))
        return
    yield from _of_bytes(path, raw, Path(path).suffix.lower())


def _of_stdin(stdin: BinaryIO) -> Iterator[Source]:
    """What brought no id is named by what it says: another text is another document, the same one stays itself."""
    for source in _out_of(stdin):
        nameless = source.text and not source.named
        yield source._replace(id=f"stdin-{digest(source.text)[:12]}") if nameless else source


def _out_of(stdin: BinaryIO) -> Iterator[Source]:
    """JSON lines as they come if the first line begins like one; otherwise one text."""
    first = stdin.readline(SIZE_LIMIT + 1)
    while first and not first.strip():
        first = stdin.readline(SIZE_LIMIT + 1)
    if first.lstrip(b"\xef\xbb\xbf \t").startswith(b"{"):
        yield from _of_lines("stdin", stdin, first)
        return
    raw = first + stdin.read(SIZE_LIMIT + 1)
    if len(raw) > SIZE_LIMIT:
        yield Source("stdin", trouble=f"larger than {SIZE_LIMIT // 1_000_000} MB; send JSON lines", size=len(raw))
        return
    yield from _of_bytes("stdin", raw, ".json" if raw.lstrip().startswith(b"[{") else "")


def _of_lines(path: str, file: BinaryIO, first: bytes = b"") -> Iterator[Source]:
    number = 0
    line = first or file.readline(SIZE_LIMIT + 1)
    while line:
        number += 1
        name = f"{path}:{number}"
        if len(line) > SIZE_LIMIT:
            yield Source(name, trouble=f"a line longer than {SIZE_LIMIT // 1_000_000} MB", size=len(line))
            while line and not line.endswith(b"\n"):
                line = file.readline(SIZE_LIMIT)
        elif line.strip():
            try:
                row = json.loads(decoded(line))
            except (ValueError, RecursionError) as error:
                yield Source(name, trouble=_broken(error), size=len(line))
            else:
                yield of_row(name, row)._replace(size=len(line))
        line = file.readline(SIZE_LIMIT + 1)


def _of_bytes(path: str, raw: bytes, suffix: str) -> Iterator[Source]:
    if b"\0" in raw[:4096] and not raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        yield Source(path, trouble="not a text file", size=len(raw))
        return
    text = decoded(raw)
    if not text.strip():
        yield Source(path, trouble="empty", size=len(raw))
    elif suffix == ".json":
        yield from _of_json(path, text, raw)
    elif suffix in (".html", ".htm"):
        title, text = plain(text)
        trouble = "" if text.strip() else "a page without text"
        yield Source(path, title, text, trouble, len(raw))
    else:
        yield Source(path, text=text, size=len(raw))


def _of_json(path: str, text: str, raw: bytes) -> Iterator[Source]:
    """An object, a list of objects, or, whatever the name says, JSON lines."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        yield from _of_lines(path, io.BytesIO(raw))
        return
    if isinstance(found, list):
        size = len(raw) // max(len(found), 1)
        for number, row in enumerate(found, 1):
            yield of_row(f"{path}:{number}", row)._replace(size=size)
    else:
        yield of_row(path, found)._replace(size=len(raw))


def of_row(name: str, row: Any) -> Source:
    """{"text", and perhaps "id" (or "file", as exports have it) and "title"}; `name` stands in for a missing id."""
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        return Source(name, trouble='not a JSON object with "text"')
    given = row.get("id", row.get("file"))
    named = isinstance(given, str | int) and not isinstance(given, bool) and bool(str(given).strip())
    id = str(given) if named else name
    title = row.get("title")
    text = _sound(row["text"])
    trouble = "" if text.strip() else "empty"
    return Source(_sound(id), _sound(title) if isinstance(title, str) else "", text, trouble, named=named)


def _broken(error: Exception) -> str:
    """One sentence for all lines that are broken alike."""
    return f"not JSON: {error.msg[0].lower()}{error.msg[1:]}" if isinstance(error, json.JSONDecodeError) else "not JSON"


def decoded(raw: bytes) -> str:
    """UTF-8, UTF-16 if it says so, and Windows-1252 for what is neither: any bytes are some text."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return raw.decode("utf-16", "replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def _sound(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
