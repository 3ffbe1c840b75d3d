"""Where the plan and its store are, found without loading the plan: a rollback must not wait for it, nor fail when it is broken."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

NAME = "rollout.toml"
STORE = ".rollout"
SYSTEM = Path("/etc/rollout") / NAME  # where the systemd unit of help/systemd.md keeps it
_STORE_TABLE = re.compile(r"(?ms)^\s*\[store\]\s*$(.*?)(?=^\s*\[|\Z)")
_PATH_KEY = re.compile(r"""(?m)^\s*path\s*=\s*["']([^"']*)["']""")


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


def store_of(plan: Path) -> Path:
    """The folder that a plan's store is in, also of a plan that does not parse. Relative to the plan's own folder."""
    return plan.resolve().parent / (Path(_written(plan)).expanduser() if _written(plan) else Path(STORE))


def _written(plan: Path) -> str:
    """`[store] path` as it stands in the file, "" for none."""
    try:
        text = plan.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""
    try:
        table = tomllib.loads(text).get("store")
        path = table.get("path") if isinstance(table, dict) else None
    except (ValueError, RecursionError):
        broken = _STORE_TABLE.search(text)
        found = _PATH_KEY.search(broken[1]) if broken else None
        path = found[1] if found else None
    return path if isinstance(path, str) else ""
