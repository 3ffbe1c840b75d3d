"""Where an armed file was made. One that came here with a copy of its folder or disk permits nothing: whoever made the
copy did not decide that this store calls the LLM."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from engine import files
from engine.store import state_folder
from engine.text import reason_of

INODE = "inode="  # begins the line that says which file it was made as
MACHINE = "machine="  # and on which machine: on a copy of the disk it is still that file


def lines(descriptor: int) -> str:
    """What the armed file opened as `descriptor` says about where it was made."""
    return f"{INODE}{os.fstat(descriptor).st_ino}\n{MACHINE}{state_folder.machine()}\n"


def why_foreign(armed: Path) -> str:
    """Why this armed file permits nothing here; "" if it does, or there is none. One of an older version says less, and
    some machines have no name: what is unknown does not differ."""
    try:
        made_as = files.read(armed).content.decode(errors="replace").splitlines()
        if _differs(made_as, INODE, str(os.stat(armed).st_ino)):
            return "the store's folder was copied or restored, and its armed file with it"
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"the armed file cannot be read ({reason_of(error)})"
    if _differs(made_as, MACHINE, state_folder.machine()):
        return "the armed file was made on another machine, by /etc/machine-id: this may be a copy of its disk"
    return ""


def _differs(made_as: Sequence[str], name: str, now: str) -> bool:
    then = [line.removeprefix(name) for line in made_as if line.startswith(name)]
    return any(one != now for one in then if one and now)
