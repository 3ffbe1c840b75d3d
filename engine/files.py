"""Files in folders that others can write to: opens only regular files, never follows a link, never blocks on a pipe.

Users who share the store's folder can put anything there under any name. An opened file is checked through its
descriptor, so it cannot be replaced between check and use.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

MOST_BYTES = 1 << 20
TRIES = 8


class NotAFile(OSError):
    """The name belongs to a folder, a pipe or a device. For a link the error is "Too many levels of symbolic links"."""


class FileContent(Struct, frozen=True):
    """A file's content and the uid that owns it."""

    content: bytes
    owner: int


def open_regular(path: Path, flags: int, mode: int = 0o600) -> int:
    """The descriptor of a regular file; `flags` as for `os.open`. NotAFile for anything else; OSError."""
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, mode)
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ENXIO):  # a folder, or a pipe or socket without a peer
            raise NotAFile(errno.EINVAL, "it is not a regular file; move it away", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFile(errno.EINVAL, "it is not a regular file; move it away", str(path))
    return descriptor


def is_open_as(descriptor: int, path: Path) -> bool:
    """Whether this descriptor is open on that very file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except OSError:
        return False


def read(path: Path, most: int = MOST_BYTES) -> FileContent:
    """A regular file of at most `most` bytes. OSError."""
    descriptor = open_regular(path, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most + 1)
        if len(content) > most:
            raise OSError(errno.EFBIG, f"it is larger than {most} bytes", str(path))
        return FileContent(content, os.fstat(descriptor).st_uid)


def tail(path: Path, most: int = 64 * 1024) -> bytes:
    """The end of a regular file. OSError."""
    with os.fdopen(open_regular(path, os.O_RDONLY), "rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - most))
        return file.read(most)


def write_whole(
    path: Path,
    content: bytes | Iterable[bytes],
    mode: int = 0o666,
    *,
    exact: bool = False,
    made: Callable[[int], None] = lambda _: None,
    durable: bool = True,
) -> None:
    """Write a file completely or not at all: a new file with an unpredictable name replaces `path`. OSError, and what
    iterating `content` raises.

    The umask narrows `mode` unless `exact`; `made` gets the new file's descriptor. A link at `path` is replaced, not
    followed. `durable`: it survives a power cut when this returns.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        part, descriptor = _new_part(path.name, folder, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if exact:
                    os.fchmod(descriptor, mode)
                made(descriptor)
                file.writelines((content,) if isinstance(content, bytes) else content)
                file.flush()
                if durable:
                    os.fsync(descriptor)
            os.replace(part, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part, dir_fd=folder)
            raise
    finally:
        os.close(folder)
    if durable:
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make a folder's entries durable, where its file system can. OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _new_part(name: str, folder: int, mode: int) -> tuple[str, int]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    for _ in range(TRIES):
        part = f".{name[:200]}.{os.urandom(6).hex()}.part"
        with contextlib.suppress(FileExistsError):
            return part, os.open(part, flags, mode, dir_fd=folder)
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), name)


def is_regular_or_absent(path: Path) -> bool:
    """For code that opens a file by name, such as SQLite."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return True
