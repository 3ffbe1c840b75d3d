"""A file's document id: its path from a root, however the path was typed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from console.upload.inputs import STDIN
from console.upload.remote import is_remote


def root_of(paths: Sequence[str]) -> Path | None:
    """The folder that ids are relative to: the top of the git repository that holds all paths given, else the folder
    given, or the common parent of several. None if only URLs, which are ids themselves, or standard input was given."""
    places = [_folder(path) for path in paths if path != STDIN and not is_remote(path)]
    if not places:
        return None
    above = Path(os.path.commonpath(places))
    for folder in (above, *above.parents):
        if (folder / ".git").exists():
            return folder
    return above


def _folder(path: str) -> str:
    """The folder given, or the parent of the file or of the glob's fixed part; links resolved."""
    real = os.path.realpath(path)
    while not os.path.isdir(real):
        real = os.path.dirname(real)
    return real


def id_under(root: Path, path: str) -> str:
    """The path from the root, with slashes; "" for a file outside it. A link keeps its own name."""
    folder, name = os.path.split(os.path.abspath(path))
    inside = os.path.relpath(os.path.join(os.path.realpath(folder), name), root)
    return "" if inside == os.pardir or inside.startswith(os.pardir + os.sep) else inside.replace(os.sep, "/")


def outside(root: Path, paths: Iterable[str]) -> str:
    """The first file outside the root; "" if there is none."""
    local = (path for path in paths if path != STDIN and not is_remote(path))
    return next((path for path in local if not id_under(root, path)), "")
