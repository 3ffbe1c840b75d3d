"""The store's folder: the database, the lock, the keyed switch, the ballast, rollback intents and the engine's socket.

Every file here has one purpose that must work when the others do not: `armed` needs no Python and no free disk, the lock is
freed by the kernel when its holder dies, an intent waits for an engine that is stopped.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import shlex
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine import files
from engine.store import ownership
from engine.text import clean_line

BALLAST_BYTES = 256 * 1024
INTENT_BYTES = 64 * 1024
OF_A_STORE = ("store.db", "lock", "armed", "engine.log")  # one of them is there as soon as a folder has been a store
NETWORK_FILE_SYSTEMS = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ncpfs",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "ocfs2",
        "gfs2",
        "pvfs2",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.s3fs",
        "fuse.gcsfuse",
        "fuse.rclone",
        "fuse.juicefs",
        "fuse.davfs2",
        "fuse.curlftpfs",
        "fuse.moosefs",
        "fuse.vmhgfs-fuse",
        "davfs",
    ]
)


class StoreError(Exception):
    """The store cannot be used: a sentence that says where, why and what to do."""


class Intent(msgspec.Struct, frozen=True):
    """A rollback that could not reach the engine; applied before anything else when it wakes."""

    request_id: str
    at: float
    actor: dict[str, object]
    reason: str
    seen: str = ""
    pressed: float | None = None  # when the key was pressed, on the machine's monotonic clock
    to_stage: int | None = None  # the stage that was asked for; without an answer of the engine it is 0 % all the same
    target_bp: int = 0  # an engine's own, of a rollback that is in force there and not yet recorded
    owner: int = -1  # the uid that owns the file, whatever the file says; -1 where that could not be seen


class Folder:
    """Paths and the small files. Nothing here opens the database."""

    def __init__(self, path: Path, group: str = "") -> None:
        self.path = Path(path)
        self.group = group
        self.database = self.path / "store.db"
        self.armed = self.path / "armed"
        self._key = self.path / "armed.forged"
        self._listening_at = (0, 0)  # of the socket that this process made
        self.lock = self.path / "lock"
        self.socket = self.path / "engine.sock"
        self.ballast = self.path / "ballast"
        self.engine_log = self.path / "engine.log"

    @property
    def exists(self) -> bool:
        """Whether a database is there, as far as this user may look."""
        return os.path.exists(self.database)

    @property
    def missing(self) -> bool:
        """Whether there is no folder; one that this user may not look into is not missing."""
        try:
            os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False

    def prepare(self) -> None:
        """Create the folder (0700, or 2770 for a group). StoreError when it cannot be used safely."""
        try:
            group = grp.getgrnam(self.group).gr_gid if self.group else -1
        except KeyError:
            raise StoreError(
                f"The store's group {self.group!r} does not exist on this machine. Set [store] group to one that does."
            ) from None
        try:
            ownership.make_folder(self.path)
            if self._is_someone_else_s():
                raise StoreError(
                    f"{self.path} holds other files and is no store, so nothing in it was touched: a store makes its folder private. "
                    "Give --store, or [store] path, a new or an empty folder."
                )
            self._permit(group)
            ownership.give_back(self.path)
            if why := self.why_closed():
                raise StoreError(why)
        except OSError as error:
            raise StoreError(
                self.why_closed()
                or f"The store folder {self.path} cannot be prepared: {error.strerror}. Check [store] path and its permissions."
            ) from None
        kind = file_system(self.path)
        if kind in NETWORK_FILE_SYSTEMS:
            raise StoreError(
                f"The store folder {self.path} is on a network file system ({kind}). SQLite's log needs shared memory, which "
                "such a file system does not give, and a write could be lost. Set [store] path to a folder on a local disk."
            )

    def why_closed(self) -> str:
        """Why this user cannot use the store, and what to do about it; "" when it may."""
        log = Path(f"{self.database}-wal")
        return ownership.why_closed(self.path, self.database, log, self.lock, self.armed, self.ballast, self.engine_log)

    def _is_someone_else_s(self) -> bool:
        """A folder with something in it, and nothing of a store: a home, /tmp, a repository, given by mistake."""
        names = set(os.listdir(self.path))
        return bool(names) and names.isdisjoint(OF_A_STORE)

    def _permit(self, group: int) -> None:
        """Mode and group of the folder. Only its owner may set them; a member of the group finds them set."""
        found = os.stat(self.path)
        mode = 0o2770 if self.group else 0o700
        if os.geteuid() in (0, found.st_uid):
            if self.group and found.st_gid != group:
                os.chown(self.path, -1, group)
            if stat.S_IMODE(found.st_mode) != mode:
                os.chmod(self.path, mode)
        elif not os.access(self.path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    @property
    def file_mode(self) -> int:
        """0600, or 0660 in a folder that a group shares, whoever opens it."""
        return 0o660 if self.group or self._is_shared() else 0o600

    def _is_shared(self) -> bool:
        try:
            return bool(os.stat(self.path).st_mode & stat.S_IWGRP)
        except OSError:
            return False

    def create(self, path: Path, flags: int = 0) -> int:
        """Open one of the store's files for writing, with its mode whatever the umask; the descriptor. Never through a link: in a
        folder that a group shares it could lead to any file of whoever runs the engine. NotAFile for a pipe or a folder."""
        descriptor = files.open_regular(path, os.O_RDWR | os.O_CREAT | flags, self.file_mode)
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != self.file_mode:
            with contextlib.suppress(PermissionError):  # another member of the group made it
                os.fchmod(descriptor, self.file_mode)
        ownership.give(descriptor, self.path)
        return descriptor

    # -- the keyed switch ------------------------------------------------------------------------------------------

    def is_armed(self) -> bool:
        """One stat (2 us). No file, no LLM call."""
        try:
            os.stat(self.armed)
        except OSError:
            return False
        return True

    def armed_stamp(self) -> tuple[int, int] | None:
        """What tells this armed file from one put there later, None without one; one stat, like `is_armed`."""
        try:
            found = os.stat(self.armed)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns

    def is_surely_out(self) -> bool:
        """That the switch is seen not to be there; a folder that this user may not look into proves nothing."""
        try:
            os.stat(self.armed)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def forge(self, note: str) -> None:
        """Make the key beside its place, before anything is decided. OSError when the folder or the disk takes no file."""
        with os.fdopen(self.create(self._key, os.O_TRUNC), "w") as file:
            file.write(note + "\n")
            file.flush()
            os.fsync(file.fileno())

    def arm(self) -> None:
        """Put the forged key in; needs no room on the disk. Until `sync` a power cut may undo it, which is 0 %."""
        os.replace(self._key, self.armed)

    def disarm(self) -> bool:
        """Remove the switch; True when it was there. Works on a full disk. OSError when the folder is not writable.

        In force at once; `sync` makes it outlast a power cut, and may wait for the disk, so it comes after everything else.
        """
        try:
            os.unlink(self.armed)
        except FileNotFoundError:
            return False
        return True

    def sync(self) -> None:
        """Make the folder's entries durable."""
        with contextlib.suppress(OSError):
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    # -- the ballast: room for one commit on a full disk -------------------------------------------------------------

    def lay_ballast(self) -> None:
        """Best effort: on a full disk there is none, and a rollback is still effective before it is recorded."""
        with contextlib.suppress(OSError):
            descriptor = self.create(self.ballast, os.O_APPEND)
            try:
                short = BALLAST_BYTES - os.fstat(descriptor).st_size
                if short > 0:
                    os.write(descriptor, os.urandom(short))  # incompressible, so that the room is really taken
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def drop_ballast(self) -> bool:
        try:
            os.unlink(self.ballast)
        except OSError:
            return False
        return True

    # -- intents -----------------------------------------------------------------------------------------------------

    def leave_intent(self, intent: Intent) -> Path:
        """Write a rollback for the engine to find. On a full disk the ballast makes room. OSError when nothing helps."""
        path = self.intent_path(intent.request_id)
        body = msgspec.json.encode(intent)
        try:
            self.write_whole(path, body)
        except OSError:
            self.drop_ballast()
            self.write_whole(path, body)
        self.sync()
        return path

    def write_whole(self, path: Path, content: bytes) -> None:
        """One of the store's files, whole or not at all, with its mode and owner. OSError."""
        files.write_whole(
            path, content, self.file_mode, exact=True, made=lambda descriptor: ownership.give(descriptor, self.path)
        )

    def intent_path(self, request_id: str) -> Path:
        return self.path / f"rollback-{request_id}.intent"

    def intents(self) -> list[tuple[Path, Intent]]:
        """Waiting rollbacks, oldest first. A file that cannot be read still counts: it asks for 0 %. Which request it is, its name says."""
        found: list[tuple[Path, Intent]] = []
        for name in self._intent_names():
            path = self.path / name
            request = clean_line(name.removeprefix("rollback-").removesuffix(".intent"), 64)
            try:
                kept = files.read(path, INTENT_BYTES)
                known = msgspec.json.decode(kept.content, type=Intent)
                intent = replace(known, request_id=request, owner=kept.owner)
            except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                intent = Intent(request, 0.0, {"name": "unknown"}, "a rollback intent that could not be read")
            found.append((path, intent))
        return sorted(found, key=lambda pair: pair[1].at)

    def has_intents(self) -> bool:
        return bool(self._intent_names())

    def _intent_names(self) -> list[str]:
        """Only regular files: a pipe, a folder or a link of such a name is nobody's rollback and could not be read or removed."""
        with os.scandir(self.path) as entries:
            return [e.name for e in entries if e.name.endswith(".intent") and e.is_file(follow_symlinks=False)]

    # -- the lock ----------------------------------------------------------------------------------------------------

    def try_lock(self) -> Lock | None:
        """The right to write the database, or None when somebody has it. Freed by the kernel at death."""
        descriptor = self.create(self.lock)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return Lock(descriptor)

    def is_locked(self) -> bool:
        """Whether an engine (or a console that commits a rollback) holds the lock now. Looking needs no right to write, makes no file,
        and is not taken for a holder by another who looks."""
        try:
            descriptor = files.open_regular(self.lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    # -- the socket --------------------------------------------------------------------------------------------------

    def listen(self) -> socket.socket:
        """A listening unix socket that replaces a dead engine's."""
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        os.fchmod(server.fileno(), self.file_mode)  # before it has a name, under which another file could lie by then
        mask = os.umask(0o007)
        try:
            with _short(self.socket) as address:
                server.bind(address)
        finally:
            os.umask(mask)
        ownership.give_back(self.path)
        self._listening_at = self._socket_s_own()
        server.listen(64)
        return server

    def stop_listening(self) -> None:
        """Take the socket away, unless it is another engine's by now."""
        with contextlib.suppress(OSError):
            if self._socket_s_own() == self._listening_at:
                self.socket.unlink()

    def _socket_s_own(self) -> tuple[int, int]:
        """What tells this socket from one made later under its name; an inode's number alone is given out again."""
        found = os.stat(self.socket)
        return found.st_ino, found.st_ctime_ns

    def connect(self, timeout_s: float) -> socket.socket:
        """OSError when nobody listens or nobody answers in time."""
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(timeout_s)
        try:
            with _short(self.socket) as address:
                client.connect(address)
        except BaseException:
            client.close()
            raise
        return client


class Lock:
    """A held `flock`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A unix socket's address holds about 107 bytes; a deep folder is reached through its descriptor."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def file_system(path: Path, table: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds `path` ("ext4", "nfs4"), or "" where the system does not tell."""
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return ""
    target = os.path.realpath(path)
    best, kind = "", ""
    for line in lines:
        left, _, right = line.partition(" - ")
        mount = left.split()[4].encode().decode("unicode_escape")
        inside = target == mount or target.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, right.split()[0]
    return kind


def take_key_out(folder: Folder) -> str:
    """The first step of every rollback; what came of it, in words."""
    try:
        return "armed file removed" if folder.disarm() else "armed file was not there"
    except OSError as error:
        return f"the armed file could not be removed ({error.strerror}); as a user who may: rm {shlex.quote(str(folder.armed))}"
