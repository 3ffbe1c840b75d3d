"""Whose the store's files are: all belong to the owner of its folder, also what root makes there.

One `sudo rollout` must not lock the owner out. SQLite does the same for its write-ahead log; here it is done for everything else.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from pathlib import Path

ROOT = 0


def owner_for(path: Path) -> tuple[int, int] | None:
    """Whose a folder should be that root is about to make: as the nearest folder above it, unless anybody may write there."""
    if os.geteuid() != ROOT:
        return None
    for above in path.absolute().parents:
        with contextlib.suppress(OSError):
            found = os.stat(above)
            return None if found.st_mode & stat.S_IWOTH else (found.st_uid, found.st_gid)
    return None


def make_folder(path: Path) -> None:
    """Make it and what is missing above it, with the owner of the folder they are made in. OSError."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    owner = owner_for(path)
    path.mkdir(parents=True, exist_ok=True)
    if owner is not None:
        for made in missing:
            os.chown(made, *owner, follow_symlinks=False)


def give(descriptor: int, folder: Path) -> None:
    """Give a file that root has open, and owns, to the owner of its folder."""
    if os.geteuid() != ROOT:
        return
    with contextlib.suppress(OSError):
        owner, file = os.stat(folder), os.fstat(descriptor)
        if owner.st_uid != ROOT and _is_to_give(file):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def give_back(folder: Path) -> None:
    """The same for everything in the folder, two levels deep: its backups, and what an older version left."""
    if os.geteuid() != ROOT:
        return
    with contextlib.suppress(OSError):
        owner = os.stat(folder)
        if owner.st_uid == ROOT:
            return
        for path in (*folder.iterdir(), *folder.glob("backups/*")):
            with contextlib.suppress(OSError):
                if _is_to_give(os.lstat(path)):
                    os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _is_to_give(found: os.stat_result) -> bool:
    """Root's own, and no second name of a file elsewhere: the folder's owner could have linked any file of root's into it."""
    plain = stat.S_ISREG(found.st_mode) and found.st_nlink == 1
    return found.st_uid == ROOT and (plain or stat.S_ISSOCK(found.st_mode) or stat.S_ISDIR(found.st_mode))


def why_closed(folder: Path, *files: Path) -> str:
    """Why this user cannot use the store, and what to do about it; "" when it may."""
    try:
        owner = os.stat(folder).st_uid
    except OSError:
        return ""
    me = os.geteuid()
    closed = [file for file in files if _is_closed(file)]
    if not closed and os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return ""
    if me != owner:
        name = name_of(owner)
        return (
            f"The store in {folder} belongs to {name}: run this as {name} (`sudo -u {name} rollout ...`), or ask for "
            "[store] group, which opens it to a group."
        )
    if not closed:
        return f"{folder} is yours, but its mode is closed to you: chmod 700 {folder}"
    others = ", ".join(sorted({name_of(os.lstat(file).st_uid) for file in closed}))
    return (
        f"{', '.join(file.name for file in closed)} in {folder} belong{'s' if len(closed) == 1 else ''} to {others}, although "
        f"the folder is yours: sudo chown -R {name_of(owner)}: {folder}"
    )


def _is_closed(file: Path) -> bool:
    try:
        os.lstat(file)
    except OSError:
        return False
    return not os.access(file, os.R_OK | os.W_OK)


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
