"""The files to load, from folders, globs, URLs and standard input, and what their names tell of them."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from itertools import chain

from console.upload import remote
from engine.parsing.encoding import decode

STDIN = "-"
LINES = {".jsonl", ".ndjson"}
PARQUET = ".parquet"
PACKED = {".gz", ".bz2", ".xz"}  # compressed JSON lines; at URLs whatever fsspec knows
NOTEBOOK = ".ipynb"
PAGES = {".html", ".htm", ".xhtml", ".shtml"}
KINDS = {
    ".md", ".markdown", ".mdx", ".txt", ".text", ".rst", ".adoc", ".asciidoc", ".log", ".eml", ".man",
    ".org", ".tex", ".texi", ".texinfo", ".pod", NOTEBOOK,
    *(f".{n}" for n in range(1, 10)), ".json", *PAGES, *LINES,
}  # fmt: skip
LINKED = "linked"  # in place of an ending: a link to a folder, which is not followed
BINARY = "binary"  # the ending assumed for a binary file without one
# README.old-1.2 has none
_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$|\.[1-9]$|\.[0-9][A-Za-z][A-Za-z0-9]{0,6}$")


def files(paths: tuple[str, ...], passed_over: dict[str, list[str]] | None = None) -> list[str]:
    """The arguments' files, each once, in a stable order; folders are walked, globs expanded (a shell may not have).

    `passed_over` collects skipped files in folders, by ending.
    """
    skipped = passed_over if passed_over is not None else {}
    chosen: dict[str, None] = {}
    for path in paths:
        if path == STDIN:
            found: Iterable[str] = [STDIN]
        elif remote.is_remote(path):
            found = _listed(path, skipped)
        else:
            named = [path] if os.path.lexists(path) else sorted(glob.glob(path, recursive=True))
            # reading a missing one reports that it is missing
            found = chain.from_iterable(_under(name, skipped) for name in named) if named else [path]
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def _under(path: str, skipped: dict[str, list[str]]) -> Iterable[str]:
    return _walked(path, skipped) if os.path.isdir(path) else [os.path.normpath(path)]


def _listed(url: str, skipped: dict[str, list[str]]) -> Iterator[str]:
    try:
        names = remote.listed(url)
    except remote.RemoteTrouble:
        names = [url]  # reading it reports why
    for name in names or [url]:
        if name == url or is_known(name):
            yield name
        else:
            skipped.setdefault(suffix(name) or "nameless", []).append(name)


def _walked(top: str, skipped: dict[str, list[str]]) -> Iterator[str]:
    unreadable: list[str] = []
    for folder, folders, names in os.walk(top, onerror=lambda error: unreadable.append(str(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if linked := [path for name in folders if os.path.islink(path := os.path.join(folder, name))]:
            skipped.setdefault(LINKED, []).extend(map(os.path.normpath, linked))
        for name in sorted(names):
            if name.startswith("."):
                continue
            path = os.path.normpath(os.path.join(folder, name))
            ending = suffix(name)
            if is_known(path) or (not ending and not _is_binary(path)):
                yield path
            else:
                skipped.setdefault(ending or BINARY, []).append(path)
    yield from unreadable  # reading them reports why


def suffix(path: str) -> str:
    """ ".md"; "" for README, and for a name whose last part isn't an ending."""
    match = _ENDING.search(os.path.basename(path).lstrip("."))
    return match[0].lower() if match else ""


def why_passed_over(ending: str) -> str:
    """Why `files` skips files of this ending, as the end of a sentence."""
    if ending == LINKED:
        return "load doesn't follow links to folders; name the folder itself"
    return "not a text file" if ending == BINARY else f"load skips {ending} files in a folder"


def _is_binary(path: str) -> bool:
    """Whether a file without an ending is binary; an unreadable one is reported when it is read."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return False
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    return b"\0" in head and decode(head).encoding[:5] not in ("utf-1", "utf-3")


def weight(path: str) -> int:
    """Size in bytes, 0 if unknown before reading."""
    if remote.is_remote(path):
        return 0  # a request each
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def is_lines(path: str) -> bool:
    """Whether it holds JSON lines, compressed or not."""
    return suffix(unpacked(path)) in LINES


def is_packed(path: str) -> bool:
    return suffix(path) in PACKED


def unpacked(path: str) -> str:
    """ "a.jsonl" for "a.jsonl.gz"."""
    return path[: -len(suffix(path))] if is_packed(path) else path


def is_known(path: str) -> bool:
    """Whether a folder's file of this name holds documents."""
    return suffix(path) in KINDS or suffix(path) == PARQUET or (is_packed(path) and is_lines(path))
