"""Every file in the store belongs to the folder's owner, including those root creates.

One `sudo rollout` must not lock the owner out. SQLite handles its write-ahead log the same way; this covers everything
else.
"""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
from pathlib import Path

from engine.store import write_trouble

ROOT = 0


def owner_for(path: Path) -> tuple[int, int] | None:
    """Owner for a folder that root is about to create: that of the nearest existing parent, unless the parent is
    world-writable."""
    if os.geteuid() != ROOT:
        return None
    for above in path.absolute().parents:
        with contextlib.suppress(OSError):
            status = os.stat(above)
            return None if status.st_mode & stat.S_IWOTH else (status.st_uid, status.st_gid)
    return None


def make_folder(path: Path) -> None:
    """Create the folder and missing parents, owned like the folder they are created in. OSError."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    owner = owner_for(path)
    path.mkdir(parents=True, exist_ok=True)
    if owner is not None:
        for made in missing:
            os.chown(made, *owner, follow_symlinks=False)


def make_private(path: Path) -> str:
    """Create a folder inside the store's for this user alone; why what lies there is not one, "" if it is.

    A member of the store's group could make it first, as a link to any folder of the engine's user.
    """
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir(mode=0o700)
        status, owner = os.lstat(path), os.stat(path.parent).st_uid
    except OSError as error:
        return f"{path} cannot be made ({error.strerror})"
    own = stat.S_ISDIR(status.st_mode) and status.st_uid in (os.geteuid(), owner)
    if own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return ""
    return f"{path} is not a folder of {name_of(os.geteuid())} alone; move it away"


def give(descriptor: int, folder: Path) -> None:
    """Give a file that root opened, and owns, to the folder's owner."""
    if os.geteuid() != ROOT:
        return
    with contextlib.suppress(OSError):
        owner, file = os.stat(folder), os.fstat(descriptor)
        if owner.st_uid != ROOT and _is_to_give(file):
            os.fchown(descriptor, owner.st_uid, owner.st_gid)


def give_back(folder: Path) -> None:
    """Give everything in the folder, two levels deep, to its owner: backups, and files from an older version."""
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


def _is_to_give(status: os.stat_result) -> bool:
    """Whether root owns it and it has no second link: the folder's owner could have hard-linked any of root's files
    here."""
    plain = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
    return status.st_uid == ROOT and (plain or stat.S_ISSOCK(status.st_mode) or stat.S_ISDIR(status.st_mode))


def why_no_access(folder: Path, *files: Path) -> str:
    """Why this user cannot use the store, and how to fix it; "" when it can."""
    try:
        status = os.stat(folder)
    except OSError:
        return ""
    owner = status.st_uid
    me = os.geteuid()
    closed = [file for file in files if _is_closed(file)]
    if not closed and os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return ""
    if os.access(folder, os.R_OK | os.X_OK) and os.statvfs(folder).f_flag & os.ST_RDONLY:
        return f"The store cannot be used: {write_trouble.meaning(errno.EROFS, folder)}."
    if me != owner:
        name = name_of(owner)
        if status.st_mode & stat.S_IWGRP and status.st_gid not in (os.getegid(), *os.getgroups()):
            group, mine = _name_of_group(status.st_gid), name_of(me)
            return (
                f"The store in {folder} belongs to {name} and is open to the group {group}, which {mine} is not in: "
                f"ask for `sudo usermod -aG {group} {mine}`, then log in again."
            )
        return (
            f"The store in {folder} belongs to {name}: run this as {name} (`sudo -u {name} rollout ...`), or ask for "
            "[store] group, which opens it to a group."
        )
    if not closed:
        return f"{folder} is yours, but its mode denies you access: chmod 700 {folder}"
    others = ", ".join(sorted({name_of(os.lstat(file).st_uid) for file in closed}))
    return (
        f"{', '.join(file.name for file in closed)} in {folder} belong{'s' if len(closed) == 1 else ''} to "
        f"{others}, although the folder is yours: sudo chown -R {name_of(owner)}: {folder}"
    )


def _is_closed(file: Path) -> bool:
    try:
        os.lstat(file)
    except OSError:
        return False
    return not os.access(file, os.R_OK | os.W_OK)


def _name_of_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
