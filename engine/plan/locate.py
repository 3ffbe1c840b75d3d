"""Finds the plan and its store without loading the plan: a rollback must not wait for a plan, or fail because it is
broken."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

from engine.plan import memory

NAME = "rollout.toml"
STORE = ".rollout"
DATABASE = "store.db"
SYSTEM = Path("/etc/rollout") / NAME  # where the systemd unit in help/systemd.md puts it
# any `path = ...` in a plan that is not valid TOML, however its key and value are quoted
_PATH = re.compile(r"""(?m)^\s*["']?path["']?\s*=\s*(?:"{1,3}([^"\n]*)"|'{1,3}([^'\n]*)')""")


def find_plan(start: str | Path = ".") -> Path | None:
    """The rollout.toml in the folder `start` or its nearest parent that has one, else the machine-wide one."""
    folder = Path(start).absolute()
    for candidate in (folder, *folder.parents):
        try:
            if (candidate / NAME).is_file():
                return candidate / NAME
        except OSError:
            continue
    return SYSTEM if SYSTEM.is_file() else None


def find_plan_of_store(start: str | Path = ".") -> Path | None:
    """Where the plan was, if it is gone (moved, or being replaced) and its store is still beside it: in `start` or its
    nearest parent with one. A rollback there must not wait for the plan to come back."""
    folder = Path(start).absolute()
    for candidate in (folder, *folder.parents):
        try:
            if (candidate / STORE / DATABASE).is_file():
                return candidate / NAME
        except OSError:
            continue
    return None


class Meant(NamedTuple):
    """The stores that a plan may mean. `doubt` explains why the first is uncertain; "" if the plan names it."""

    first: Path
    others: tuple[Path, ...] = ()
    doubt: str = ""
    remembered: bool = False  # the first is the store that the plan last ran with


def store_of(plan: Path) -> Path:
    """The folder of a plan's store, from what can be read of the plan. Relative to the plan's own folder."""
    return meant(plan).first


def meant(plan: Path) -> Meant:
    """The plan's store, and every other store it may mean: the one it last ran with, and any a broken plan may name."""
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
            trouble = "[store] path is not a string"
        except (ValueError, RecursionError) as error:
            trouble = str(error)
    written = [beside / Path(match[1] or match[2] or STORE).expanduser() for match in _PATH.finditer(text)]
    all_of_them = list(dict.fromkeys((*ran, *written, beside / STORE)))
    there = [store for store in all_of_them if store.is_dir()] or all_of_them
    first = ran[0] if ran else there[0]
    doubt = f"{plan} cannot be read ({trouble}), so it is uncertain which store it means"
    return Meant(first, tuple(store for store in there if not _same(store, first)), doubt, bool(ran))


def _same(a: Path, b: Path) -> bool:
    return a == b or a.resolve() == b.resolve()
