"""The documents of a file, a URL or standard input. Bad content never raises: the document carries the trouble."""

from __future__ import annotations

import importlib
import io
import json
import lzma
import os
import re
import stat
import sys
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple, cast

from console.upload import inputs, remote
from engine.parsing.encoding import Decoded, decode
from engine.text import clean_line, digest

SIZE_LIMIT = 40_000_000  # bytes of one document, and of a file that isn't read line by line
EMPTY = "empty"  # the trouble of an empty file: skipped, not a failure
FIELDS = 6  # of a row without a text, that are named
PACKED_TEXT = "compressed, and not JSON lines; unpack it first"
# files that may decode as some text, by how they begin
_NO_TEXT = {
    b"\x1f\x8b": PACKED_TEXT, b"BZh91AY&SY": PACKED_TEXT, b"\xfd7zXZ\0": PACKED_TEXT, b"\x28\xb5\x2f\xfd": PACKED_TEXT,
    b"PK\x03\x04": "a zip archive or an office document; convert it to text first",
    b"%PDF-": "a PDF; convert it to text first",
}  # fmt: skip
_INFO_INDEX = re.compile(r"\0\x08\[[^\0]{0,500}\0\x08\]")  # where an Info reader builds an index or shows a picture


class Source(NamedTuple):
    """A document to load, or why it can't be (`trouble`). `size`: bytes of its input; `named`: the input gave its id;
    `encoding`: set if it was guessed; `span`: where in its file it is, if it is not the whole; `gone`: the service of
    its URL cannot be reached now."""

    id: str
    title: str = ""
    text: str = ""
    trouble: str = ""
    size: int = 0
    named: bool = False
    encoding: str = ""
    span: tuple[int, int, int] | None = None
    gone: bool = False


# ValueError: a name with a NUL, a Parquet file that is none; NotImplementedError: Parquet of a kind that pyarrow does
# not read; the others: a compressed file that is cut short or damaged
UNREADABLE = (OSError, ValueError, NotImplementedError, EOFError, zlib.error, lzma.LZMAError)
# of a file of JSON lines: from byte, to before byte, the number of its first line (0: the lines that begin in there,
# named by their byte); of a Parquet file: from row, to before row
Span = tuple[int, int, int]


def documents(path: str, called: str = "", span: Span | None = None) -> Iterator[Source]:
    """The documents of one file, or of a span of its lines; never raises. `called` replaces its path in the ids of
    documents without one."""
    name = (called or path).encode("utf-8", "backslashreplace").decode()  # undecodable names still identify the file
    for source in _documents(path, span):
        yield source._replace(id=name + source.id.removeprefix(path)) if name != path and not source.named else source


def _documents(path: str, span: Span | None = None) -> Iterator[Source]:
    try:
        if path == inputs.STDIN:
            yield from _of_stdin(sys.stdin.buffer)
            return
        if remote.is_remote(path):
            yield from _of_url(path, span)
            return
        if not stat.S_ISREG(os.stat(path).st_mode) and not path.startswith("/dev/fd/"):  # as from <(command)
            yield Source(path, trouble="not a file, but a pipe or a device")
            return
        with _opened(path) as file:
            yield from _of_file(path, file, span)
    except UNREADABLE as error:
        yield Source(path, trouble=getattr(error, "strerror", None) or str(error))


def _opened(path: str) -> BinaryIO:
    """Compressed JSON lines as what is in them."""
    if not (inputs.is_packed(path) and inputs.is_lines(path)):
        return open(path, "rb")
    module = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}[inputs.suffix(path)]
    return cast("BinaryIO", importlib.import_module(module).open(path, "rb"))


def _of_url(url: str, span: Span | None) -> Iterator[Source]:
    try:
        with remote.opened(url) as file:
            yield from _of_file(url, file, span)
    except Exception as error:  # each service's client has errors of its own
        why = str(error) if isinstance(error, remote.RemoteTrouble) else remote.reason(error)
        yield Source(url, trouble=why, gone=remote.is_unreachable(url))


def _of_file(path: str, file: BinaryIO, span: Span | None) -> Iterator[Source]:
    if inputs.is_lines(path):
        yield from _of_range(path, file, span) if span and not span[2] else _of_lines(path, file, span=span)
        return
    if inputs.suffix(path) == inputs.PARQUET:
        yield from _of_parquet(path, file, span)
        return
    raw = file.read(SIZE_LIMIT + 1)
    if len(raw) > SIZE_LIMIT:
        yield Source(path, trouble=f"larger than {SIZE_LIMIT // 1_000_000} MB; split it", size=len(raw))
        return
    yield from _of_bytes(path, raw, inputs.suffix(path))


def _of_stdin(stdin: BinaryIO) -> Iterator[Source]:
    """A document without an id is named by its text's digest: the same text keeps its id, another gets another."""
    for source in _out_of(stdin):
        nameless = source.text and not source.named
        yield source._replace(id=f"stdin-{digest(source.text)[:12]}") if nameless else source


def _out_of(stdin: BinaryIO) -> Iterator[Source]:
    """JSON lines, streamed, if the first line looks like one; otherwise one text."""
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


def _of_parquet(path: str, file: BinaryIO, span: Span | None) -> Iterator[Source]:
    from console.upload import parquet

    start, end, _ = span or (0, 0, 0)
    try:
        for number, row in parquet.rows(file, start, end):
            yield of_row(f"{path}:{number + 1}", row)._replace(span=(number, number + 1, 1))
    except parquet.NoParquet as error:
        yield Source(path, trouble=str(error).rstrip("."))
    except Exception as error:  # pyarrow's errors are of many kinds
        yield Source(path, trouble=f"not Parquet: {remote.reason(error)}")


def _of_range(path: str, file: BinaryIO, span: Span) -> Iterator[Source]:
    """The lines that begin within a span of bytes, each named by its byte, since the lines before are not
    counted."""
    start, end, _ = span
    if start:
        file.seek(start - 1)
        while (line := file.readline(SIZE_LIMIT)) and not line.endswith(b"\n"):
            pass
    while (at := file.tell()) < end and (line := file.readline(SIZE_LIMIT + 1)):
        for source in _of_lines(path, io.BytesIO(), line):
            source = source._replace(span=(at, at + len(line), 0))
            yield source if source.named else source._replace(id=f"{path}@{at}")
        while len(line) > SIZE_LIMIT and not line.endswith(b"\n"):
            if not (line := file.readline(SIZE_LIMIT)):
                return


def _of_lines(path: str, file: BinaryIO, first: bytes = b"", span: Span | None = None) -> Iterator[Source]:
    number = at = 0
    if span is not None:
        at = span[0]
        file.seek(at)
        number = span[2] - 1
    line = first or file.readline(SIZE_LIMIT + 1)
    while line:
        number += 1
        name = f"{path}:{number}"
        if len(line) > SIZE_LIMIT:
            yield Source(name, trouble=f"a line longer than {SIZE_LIMIT // 1_000_000} MB", size=len(line))
            while line and not line.endswith(b"\n"):
                at += len(line)
                line = file.readline(SIZE_LIMIT)
        elif line.strip():
            read = decode(line)
            try:
                row = json.loads(read.text)
            except (ValueError, RecursionError) as error:
                yield Source(name, trouble=_broken(error), size=len(line))
            else:
                place = (at, at + len(line), number) if not inputs.is_packed(path) else None
                yield of_row(name, row)._replace(size=len(line), encoding=_guess(read), span=place)
        at += len(line)
        if span is not None and file.tell() >= span[1]:
            return
        line = file.readline(SIZE_LIMIT + 1)


def _of_bytes(path: str, raw: bytes, ending: str) -> Iterator[Source]:
    if trouble := next((trouble for begin, trouble in _NO_TEXT.items() if raw.startswith(begin)), ""):
        yield Source(path, trouble=trouble, size=len(raw))
        return
    read = decode(raw)
    text = _INFO_INDEX.sub("", read.text) if "\0\b[" in read.text else read.text
    guess = _guess(read)
    if "\0" in text[:4096]:
        yield Source(path, trouble="not a text file", size=len(raw))
    elif not text.strip():
        yield Source(path, trouble=EMPTY, size=len(raw))
    elif ending == ".json":
        yield from _of_json(path, text, raw)
    elif ending in inputs.PAGES:
        from engine.parsing import parse

        page = parse(text, path)
        trouble = "" if page.text.strip() else "a page without text"
        yield Source(path, page.title, page.text, trouble, len(raw), encoding=guess)
    elif ending == inputs.NOTEBOOK:  # most of its bytes are pictures
        from engine.parsing import parse

        book = parse(text, path)
        trouble = "" if book.body.strip() else "a notebook without text"
        yield Source(path, book.title, book.body, trouble, len(raw), encoding=guess)
    else:
        yield Source(path, text=text, size=len(raw), encoding=guess)


def _guess(read: Decoded) -> str:
    """A note on the encoding; "" if it is certain."""
    if not read.guessed:
        return ""
    return f"{read.encoding}, unreadable bytes replaced" if "\ufffd" in read.text else read.encoding


def _of_json(path: str, text: str, raw: bytes) -> Iterator[Source]:
    """An object, a list of objects, or JSON lines, whatever the file's name."""
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        yield from _of_lines(path, io.BytesIO(raw))
        return
    if isinstance(parsed, list):
        size = len(raw) // max(len(parsed), 1)
        for number, row in enumerate(parsed, 1):
            yield of_row(f"{path}:{number}", row)._replace(size=size)
    else:
        yield of_row(path, parsed)._replace(size=len(raw))


def of_row(name: str, row: Any) -> Source:
    """{"text", optional "id" (or "file", as in exports) and "title"}; `name` replaces a missing id."""
    if trouble := _textless(row):
        return Source(name, trouble=trouble)
    given = row.get("id", row.get("file"))
    named = isinstance(given, str | int) and not isinstance(given, bool) and bool(str(given).strip())
    id = str(given) if named else name
    title = row.get("title")
    text = _sound(row["text"])
    trouble = "" if text.strip() else EMPTY
    if _sound(id) != id:  # two ids would become the same name
        trouble = "its id holds half of a surrogate pair"
    return Source(_sound(id), _sound(title) if isinstance(title, str) else "", text, trouble, named=named)


def _textless(row: Any) -> str:
    """Why a row has no text; "" if it has one."""
    if not isinstance(row, dict):
        return "not a JSON object"
    if "text" in row:
        return "" if isinstance(row["text"], str) else '"text" is not a string'
    names = [clean_line(str(name), 40) for name in sorted(row, key=str)]
    more = f" and {len(names) - FIELDS} more" if len(names) > FIELDS else ""
    return f'no "text"; its fields are {", ".join(names[:FIELDS])}{more}' if names else 'no "text"; it has no fields'


def _broken(error: Exception) -> str:
    """One sentence for all lines with the same mistake."""
    return f"not JSON: {error.msg[0].lower()}{error.msg[1:]}" if isinstance(error, json.JSONDecodeError) else "not JSON"


def _sound(text: str) -> str:
    """The text without halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")
