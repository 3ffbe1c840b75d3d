"""The head of the log as this user's engine wrote it last, kept in the user's state folder: out of reach of whoever may
write only the store.

A log that was cut or replaced while no engine ran can be a valid chain; it lacks this decision. One that was continued
can be too; it has decisions beyond this one that no engine recorded. Therefore every decision that gives something away
(see `rollout.beyond`) is noted here, on the disk, before it is committed: as `coming`, because the commit may fail.
"""

from __future__ import annotations

import contextlib
import os
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import msgspec
from msgspec.structs import replace

from engine import files
from engine.decoding import decode
from engine.rollout.state import Decision, Refusal
from engine.rollout.unrecorded import opens_the_way_up
from engine.store import state_folder
from engine.store.trust import Head

ERRORS = (OSError, RuntimeError, msgspec.MsgspecError)  # RuntimeError: a user without a home
WAIT_S = 2.0  # a state folder on a network can hang; a rollback's record may wait behind a raise


class RememberedHead(msgspec.Struct, frozen=True):
    """`coming` may have been committed after decision `rev`, or not. `rev` is 0 before the first decision."""

    store: str
    rev: int
    hash: str
    epoch: int
    coming_rev: int = 0
    coming_hash: str = ""


def recall(store: Path) -> RememberedHead | None:
    """What is remembered of the store at this path, wherever a link in it leads; None when nothing is."""
    with contextlib.suppress(*ERRORS):
        for path in places(store):
            with contextlib.suppress(*ERRORS):
                return decode(files.read(path, 10_000).content, RememberedHead)
    return None


def places(store: Path) -> tuple[Path, ...]:
    """RuntimeError for a user without a home."""
    return state_folder.places(store, "heads")


def memories_of_others(store: Path) -> Iterator[tuple[int, RememberedHead]]:
    """(uid, what it remembers) for each other user whose engine remembers this log. The caller decides whether to
    trust them."""
    for uid, content in state_folder.others(store, "heads"):
        with contextlib.suppress(msgspec.MsgspecError):
            yield uid, decode(content, RememberedHead)


class HeadMemory:
    """One engine's memory of the head. One thread does all writes, in order, so that nothing waits for a folder
    that hangs."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self.known = recall(store)
        self.distrusted = False  # the log is not the remembered one, and nothing has been recorded about it yet
        self.problem = ""  # why the last write failed
        self._rev = 0  # of the newest decision written, committed or coming
        self._writes: queue.SimpleQueue[tuple[RememberedHead, Future[str]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._late: Future[str] | None = None

    def before(self, head: Head, decision: Decision, coming: Head) -> Refusal | None:
        """Note a decision before its commit, in the writer's thread; return whether it may be made. `head` is the
        one before it."""
        if not opens_the_way_up(head.state, decision, coming.state):
            return None
        person = decision.actor.kind == "person"
        if self.distrusted:
            return _UNRECORDED if person else None
        why = self._note(head, coming)
        if not why or not person or self.known is None:
            return None
        return Refusal(
            f"Not done: the engine must first record the decision outside the store, in {self.folder}, and "
            f"cannot ({why}). Without that record a later start would not trust it. Make that folder "
            "writable, then decide again.",
            "not_noted",
        )

    def keep(self, head: Head) -> None:
        """Note a decision after its commit. Does not wait."""
        if not self.distrusted:
            self._put(RememberedHead(os.path.realpath(self._store), head.rev, head.hash, head.state.epoch))

    def close(self) -> None:
        """Wait for what is being written, for a moment."""
        if self._thread is not None:
            self._writes.put(None)
            self._thread.join(WAIT_S)

    def _note(self, head: Head, coming: Head) -> str:
        if self._late is not None and not self._late.done():
            return "it does not answer"
        place = os.path.realpath(self._store)
        written = self._put(RememberedHead(place, head.rev, head.hash, head.state.epoch, coming.rev, coming.hash))
        try:
            return written.result(WAIT_S)
        except TimeoutError:
            self._late = written
            return "it does not answer"

    def _put(self, remembered: RememberedHead) -> Future[str]:
        future: Future[str] = Future()
        self._writes.put((remembered, future))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="heads", daemon=True)
            self._thread.start()
        return future

    def _run(self) -> None:
        while (work := self._writes.get()) is not None:
            remembered, future = work
            rev = max(remembered.rev, remembered.coming_rev)
            why = "" if rev < self._rev else self._write(remembered)  # else: looked up before a newer one was noted
            if not why:
                self._rev = max(self._rev, rev)
            self.problem = why
            future.set_result(why)

    def _write(self, remembered: RememberedHead) -> str:
        try:
            for path in places(self._store):
                state_folder.write(path, msgspec.json.encode(remembered), durable=True)
        except ERRORS as error:
            return getattr(error, "strerror", None) or str(error)
        self.known = remembered
        with contextlib.suppress(OSError):
            if state_folder.has_other_users(self._store):
                shown = state_folder.published_path(self._store, "heads", os.geteuid())
                state_folder.publish(shown, msgspec.json.encode(replace(remembered, store="")))
        return ""

    @property
    def folder(self) -> str:
        try:
            return str(places(self._store)[0].parent)
        except RuntimeError:
            return f"{state_folder.SHOWN}/heads"


_UNRECORDED = Refusal(
    "Not done: the log is not the one that this user's engine wrote, and that is not recorded yet. Check the store, "
    "then decide again.",
    "not_noted",
)
