"""An error that is a bug: one sentence for the user, the traceback in a file that only they can read."""

from __future__ import annotations

import os


def write_traceback(error: BaseException) -> str:
    """Write the traceback, without locals, to a 0600 file; return its name, or "" if none could be written."""
    import tempfile
    import traceback

    try:
        descriptor, name = tempfile.mkstemp(prefix="rollout-", suffix=".traceback", text=True)
        with os.fdopen(descriptor, "w") as file:
            traceback.print_exception(error, file=file)
    except OSError:  # a full disk
        return ""
    return name


def bug_sentence(error: BaseException) -> str:
    """What happened, and where its traceback is."""
    return f"Unexpected error: {type(error).__name__}: {error}.{details(error)}"


def details(error: BaseException) -> str:
    """Where its traceback is, to append to a sentence."""
    name = write_traceback(error)
    return f" Details for a bug report: {name}" if name else ""
