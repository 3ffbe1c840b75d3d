"""httpx without its command line, whose rich, Pygments and click are two thirds of the import: `from
engine.light_httpx import httpx`."""

from __future__ import annotations

import sys

sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # as if the extra httpx[cli] were not installed

import httpx  # noqa: E402

__all__ = ["httpx"]
