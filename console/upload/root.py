"""What a file's document is called: its path from a root, however the path was typed."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from console.upload.sources import STDIN


def root_of(paths: Sequence[str]) -> Path | None:
    """The folder from which ids are counted: the top of the git repository that holds all that was given, else the folder given; of
    several the one above them all. None where only standard input was given."""
    places = [_folder(path) for path in paths if path != STDIN]
    if not places:
        return None
    above = Path(os.path.commonpath(places))
    for folder in (above, *above.parents):
        if (folder / ".git").exists():
            return folder
    return above


def _folder(path: str) -> str:
    """The folder that was given, or that holds the file or the glob's fixed part; without links."""
    real = os.path.realpath(path)
    while not os.path.isdir(real):
        real = os.path.dirname(real)
    return real


def id_under(root: Path, path: str) -> str:
    """The path from the root, with slashes; "" for a file that is not below it. A link keeps its own name."""
    folder, name = os.path.split(os.path.abspath(path))
    inside = os.path.relpath(os.path.join(os.path.realpath(folder), name), root)
    return "" if inside == os.pardir or inside.startswith(os.pardir + os.sep) else inside.replace(os.sep, "/")


def outside(root: Path, paths: Iterable[str]) -> str:
    """The first of the files that is not below the root; "" when all are."""
    return next((path for path in paths if path != STDIN and not id_under(root, path)), "")
