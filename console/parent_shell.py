"""Whether a program that stops can be continued."""

from __future__ import annotations

import os


def has_shell() -> bool:
    """Whether a shell is behind this program that could continue it. None is after `ssh -t host rollout`."""
    return os.getsid(0) != os.getpgrp()
