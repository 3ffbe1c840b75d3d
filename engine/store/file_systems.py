"""Which file system holds a path, and which ones are networks', where locks and SQLite are not safe."""

from __future__ import annotations

import os
from pathlib import Path

OF_NETWORKS = frozenset((
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ncpfs", "ceph", "lustre", "gpfs", "beegfs", "ocfs2", "gfs2",
    "pvfs2", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.juicefs",
    "fuse.davfs2", "fuse.curlftpfs", "fuse.moosefs", "fuse.vmhgfs-fuse", "davfs",
))  # fmt: skip


def type_of(path: Path, table: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds `path` ("ext4", "nfs4"), or "" where the system does not report it."""
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
