"""Finds the plan and its store without loading the plan: a rollback must not wait for a plan, or fail because it is
broken."""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from engine import files
from engine.plan import memory

NAME = "rollout.toml"
STORE = ".rollout"
DATABASE = "store.db"
SYSTEM = Path("/etc/rollout") / NAME  # where the systemd unit in help/systemd.md puts it
# any `path = ...` in a plan that is not valid TOML, however its key and value are quoted, in an inline table, dotted
_PATH = re.compile(r"""(?m)^[^#\n]*?(?<![\w-])["']?path["']?\s*=\s*(?:"{1,3}([^"\n]*)"|'{1,3}([^'\n]*)')""")


def find_plan(start: Path) -> Path | None:
    """The rollout.toml of the folder `start` or its nearest parent that has one, or a store beside which it is gone
    (moved, or being replaced); else the machine-wide one.

    A rollback beside such a store must not wait for its plan to come back, and a plan further up is another rollout's.
    """
    near = next((plan for plan in _plans_above(start) if not _is_strange(plan)), None)
    return near or (SYSTEM if SYSTEM.is_file() else None)


def strange_plan(start: Path) -> Path | None:
    """The nearest plan that `find_plan` leaves out, because anyone may have put it there."""
    return next(filter(_is_strange, _plans_above(start)), None)


def _plans_above(start: Path) -> Iterator[Path]:
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        with contextlib.suppress(OSError):
            if (candidate / NAME).is_file() or is_lost(candidate / NAME):
                yield candidate / NAME


def _is_strange(plan: Path) -> bool:
    """Whether it is another user's, in a folder that everyone may write to, such as /tmp: the plan's commands would run
    as whoever works somewhere below."""
    try:
        left = plan if plan.exists() else plan.parent / STORE
        return bool(plan.parent.stat().st_mode & stat.S_IWOTH) and left.lstat().st_uid not in (0, os.geteuid())
    except OSError:
        return True


def is_lost(plan: Path) -> bool:
    """Whether there is no such plan, though the store beside it ran with one. OSError."""
    return not plan.exists() and (plan.parent / STORE / DATABASE).is_file()


class CandidateStores(NamedTuple):
    """The stores that a plan may mean. `doubt` explains why the first is uncertain; "" if the plan names it."""

    first: Path
    others: tuple[Path, ...] = ()
    doubt: str = ""
    remembered: bool = False  # the first is the store that the plan last ran with


def store_of(plan: Path) -> Path:
    """The folder of a plan's store, from what can be read of the plan. Relative to the plan's own folder."""
    return candidate_stores(plan).first


def lost_plan(start: Path) -> Path | None:
    """The missing plan that ran in the folder `start` or a parent, or left its store there."""
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        if memory.recall(candidate / NAME) or _is_folder(candidate / STORE):
            return candidate / NAME
    return None


def candidate_stores(plan: Path) -> CandidateStores:
    """The plan's store, and every other store it may mean: the one it last ran with, and any a broken plan may name.
    Never raises or blocks, whatever lies under the plan's name."""
    beside = Path(os.path.realpath(plan)).parent
    ran = memory.recall(plan)
    text, trouble = _read(plan)
    if not trouble:
        try:
            table = tomllib.loads(text).get("store")
            path = table.get("path", STORE) if isinstance(table, dict) else STORE
            named = _place(beside, path) if isinstance(path, str) else None
            if named is not None:
                return CandidateStores(named, tuple(store for store in ran if not _same(store, named)))
            trouble = "[store] path is not the path of a folder"
        except (ValueError, RecursionError) as error:
            trouble = str(error)
    written = [_place(beside, match[1] or match[2]) for match in _PATH.finditer(text)]
    likely = [store for store in (*ran, *written, beside / STORE) if store is not None]
    all_of_them = list(dict.fromkeys(likely))
    there = [store for store in all_of_them if _is_folder(store)] or all_of_them
    first = ran[0] if ran else there[0]
    doubt = f"{plan} cannot be read ({trouble}), so it is uncertain which store it means"
    return CandidateStores(first, tuple(store for store in there if not _same(store, first)), doubt, bool(ran))


def _read(plan: Path) -> tuple[str, str]:
    """The plan's text, and why it cannot be read; "" if it can."""
    try:
        # the plan may be a link, as a configuration manager makes it
        content = files.read(Path(os.path.realpath(plan))).content
    except (OSError, ValueError) as error:
        return "", getattr(error, "strerror", None) or "it cannot be read"
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    return content.decode("utf-16" if wide else "utf-8-sig", errors="replace").replace("\r\n", "\n"), ""


def _place(beside: Path, path: str) -> Path | None:
    """The folder that a plan in the folder `beside` means by `path`; None if it cannot be a folder."""
    try:
        return None if "\0" in path else beside / Path(path or STORE).expanduser()
    except RuntimeError:  # the home of a user who does not exist
        return None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _same(a: Path, b: Path) -> bool:
    return a == b or os.path.realpath(a) == os.path.realpath(b)
