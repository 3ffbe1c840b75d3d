"""The name of the frequency method changes with what it gives."""

from __future__ import annotations

from engine.extraction import method
from engine.extraction.frequency import extract

TEXT = """Consistent snapshots for a sharded key-value store

A sharded store answers most reads from one replica, yet a backup needs a consistent snapshot of all shards. Earlier work
takes a global lock, which blocks writers for seconds. We describe a protocol that marks a vector clock in the write-ahead
log of each shard and lets readers choose the newest snapshot that every replica has applied. The coordinator keeps no
state of its own: after a crash it rebuilds the vector clock from the logs. On a cluster of forty machines the protocol adds
3 % to write latency, and a snapshot of two terabytes takes eleven minutes. We discuss clock skew, slow replicas and how
garbage collection of old versions must wait for the oldest snapshot in use.
"""
# by version, best first
KEYWORDS = {
    "12": (
        "vector clock",
        "replica",
        "sharded key-value store",
        "sharded store",
        "garbage collection",
        "write-ahead log",
        "snapshot",
        "protocol",
        "shard",
        "global lock",
        "clock skew",
    )
}


def test_other_keywords_are_another_version_of_the_method() -> None:
    assert extract(TEXT).ranked == KEYWORDS[method.VERSION], (
        "raise VERSION in engine/extraction/method.py once a release"
    )
