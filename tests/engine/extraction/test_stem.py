"""Stems are the same from every thread: long documents and search quality are worked on beside the loop."""

from __future__ import annotations

import random
import sys
from concurrent.futures import ThreadPoolExecutor

from engine.extraction.keywords import stem


def test_four_threads_at_once_find_what_one_finds() -> None:
    chance = random.Random(1)
    endings = ("ational", "iveness", "ization", "ically", "fulness", "ing", "ed", "s", "ment", "y")
    words = ["".join(chance.choices("abcdefghijklmnoprstuvw", k=6)) + chance.choice(endings) for _ in range(4000)]
    uncached = stem.__wrapped__
    alone = [uncached(word) for word in words]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            result = list(pool.map(lambda _: [uncached(word) for word in words], range(4)))
    finally:
        sys.setswitchinterval(before)
    assert all(one == alone for one in result)
