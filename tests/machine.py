"""The machine that the tests run on."""

from __future__ import annotations

import os


def crowd() -> float:
    """How many want each core: 1 on a quiet machine, where the bounds hold to the letter."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) + 0.5)
