"""Where the plan and its store are, found without loading the plan: a rollback must not wait for it, nor fail when it is broken."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from engine.plan import memory

NAME = "rollout.toml"
STORE = ".rollout"
SYSTEM = Path("/etc/rollout") / NAME  # where the systemd unit of help/systemd.md keeps it
# any `path = ...` of a plan that is not valid TOML, however its key and value are quoted
_PATH = re.compile(r"""(?m)^\s*["']?path["']?\s*=\s*(?:"{1,3}([^"\n]*)"|'{1,3}([^'\n]*)')""")


def find_plan(start: str | Path = ".") -> Path | None:
    """The rollout.toml in the folder `start` or the nearest one above it, else the machine's own."""
    folder = Path(start).absolute()
    for candidate in (folder, *folder.parents):
        try:
            if (candidate / NAME).is_file():
                return candidate / NAME
        except OSError:
            continue
    return SYSTEM if SYSTEM.is_file() else None


class Meant(NamedTuple):
    """The stores that a plan may mean. `doubt` says why the first is not certain; "" when it is what the plan says."""

    first: Path
    others: tuple[Path, ...] = ()
    doubt: str = ""
    remembered: bool = False  # the first is the one that the plan last ran with


def store_of(plan: Path) -> Path:
    """The folder that a plan's store is in, by what can be read of the plan. Relative to the plan's own folder."""
    return meant(plan).first


def meant(plan: Path) -> Meant:
    """The plan's store, and every other store that it may mean: the one it last ran with, and what a broken plan may say."""
    beside = plan.resolve().parent
    ran = memory.recall(plan)
    try:
        text = plan.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        text, trouble = "", error.strerror or "it cannot be read"
    else:
        try:
            table = tomllib.loads(text).get("store")
            path = table.get("path", STORE) if isinstance(table, dict) else STORE
            if isinstance(path, str):
                named = beside / Path(path or STORE).expanduser()
                return Meant(named, tuple(store for store in ran if not _same(store, named)))
            trouble = "[store] path is not text"
        except (ValueError, RecursionError) as error:
            trouble = str(error)
    written = [beside / Path(found[1] or found[2] or STORE).expanduser() for found in _PATH.finditer(text)]
    all_of_them = list(dict.fromkeys((*ran, *written, beside / STORE)))
    there = [store for store in all_of_them if store.is_dir()] or all_of_them
    first = ran[0] if ran else there[0]
    doubt = f"{plan} cannot be read ({trouble}), so which store it means is not certain"
    return Meant(first, tuple(store for store in there if not _same(store, first)), doubt, bool(ran))


def _same(a: Path, b: Path) -> bool:
    return a == b or a.resolve() == b.resolve()
