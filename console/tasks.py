"""The key that leads to each kind of task, from Live: for the screens, and for lines that are read without them."""

from __future__ import annotations

from engine.view.model import TaskKind

KEYS: dict[TaskKind, str] = {
    "acknowledge": "K", "resume": "e", "release": "e", "promote": "p", "approve": "2", "item": "2", "overruled": "2",
    "reason": "v", "blind": "3", "backtest": "3", "review": "5", "complaint": "8", "message": "9",
    "monitoring": "9 tab",
}  # fmt: skip
