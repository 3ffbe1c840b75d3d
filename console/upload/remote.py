"""Documents at a URL: s3://, gs://, http://, file://, memory:// and whatever else fsspec opens. An optional extra: `pip
install 'rollout-console[remote]'`, and for s3:// and the like the package that fsspec names."""

from __future__ import annotations

import importlib
import io
import re
from typing import Any, BinaryIO, cast

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_WEB = ("http://", "https://")
BUFFER_BYTES = 1 << 20


class RemoteTrouble(OSError):
    """The URL cannot be used. The message is a sentence's end: `... cannot be read: MESSAGE`."""


def is_remote(path: str) -> bool:
    return _URL.match(path) is not None


def system(url: str) -> tuple[Any, str]:
    """(fsspec's file system, the path there). RemoteTrouble."""
    try:
        core = importlib.import_module("fsspec.core")
    except ImportError:
        raise RemoteTrouble("URLs need fsspec: pip install 'rollout-console[remote]'") from None
    try:
        fs, path = core.url_to_fs(url)
    except ImportError as error:  # fsspec names what to install: "Install s3fs to access S3"
        raise RemoteTrouble(f"{error}, in this Python and in that of every worker") from None
    except Exception as error:
        raise RemoteTrouble(reason(error)) from None
    return fs, path


def listed(url: str) -> list[str]:
    """The files of a glob or a folder, in a stable order; the URL itself for anything else. RemoteTrouble."""
    fs, path = system(url)
    try:
        if any(sign in path for sign in "*?["):
            names = fs.glob(path)
        elif not url.startswith(_WEB) and fs.isdir(path):
            names = fs.find(path)
        else:
            return [url]
    except Exception as error:  # each service's client has errors of its own
        raise RemoteTrouble(reason(error)) from None
    return sorted(str(fs.unstrip_protocol(name)) for name in names)


def size(url: str) -> int:
    """The size in bytes; 0 if the service does not give it. RemoteTrouble."""
    fs, path = system(url)
    try:
        return int(fs.size(path) or 0)
    except Exception as error:
        raise RemoteTrouble(reason(error)) from None


def is_unreachable(url: str) -> bool:
    """Whether not even the size can be asked: then the service is in trouble, and not this file."""
    try:
        fs, path = system(url)
    except RemoteTrouble:
        return False
    try:
        fs.invalidate_cache()
        fs.size(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        # fsspec calls a web server without a connection a missing file
        return isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, type(error))
    except Exception:  # each service's client has errors of its own
        return True
    return False


def opened(url: str) -> BinaryIO:
    """A stream to read; decompresses compressed files. RemoteTrouble."""
    system(url)
    try:
        file = importlib.import_module("fsspec").open(url, "rb", compression="infer").open()
    except Exception as error:
        raise RemoteTrouble(reason(error)) from None
    return cast("BinaryIO", file if isinstance(file, io.BufferedIOBase) else io.BufferedReader(file, BUFFER_BYTES))


def reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "No such file or directory"
    lines = str(error).strip().splitlines()
    return f"{lines[0][:200] if lines else 'no reason given'} ({type(error).__name__})"
