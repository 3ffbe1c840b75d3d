"""Messages: made from the plan's templates and the live numbers, queued in the store, delivered by apprise with retries.

Addresses are secrets: they come from the environment or a 0600 file, and appear in no log, no error and no screen. A dead mail
server delays nothing but its own message.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
import stat
import uuid
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from engine.clock import Clock
from engine.plan.model import Message, Notify, Plan
from engine.store.writer import Writer
from engine.text import clean_block, clean_line

RETRY_S = (10.0, 60.0, 300.0, 900.0, 3600.0)
TRIES = 8
POLL_S = 1.0
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


class Draft(Struct, frozen=True):
    """A message ready to send."""

    message: str
    subject: str
    body: str


def render(message: Message, facts: Mapping[str, str]) -> Draft:
    """Fill the template; a fact that is not known says so instead of leaving a brace."""

    def fill(text: str) -> str:
        return _PLACEHOLDER.sub(lambda found: facts.get(found[1], f"({found[1]} unknown)"), text)

    return Draft(message.id, clean_line(fill(message.subject), 200), clean_block(fill(message.body), 20_000))


def addresses(notify: Notify, environ: Mapping[str, str]) -> tuple[list[str], str]:
    """(apprise URLs, trouble in words). Whatever goes wrong, no URL is part of the words."""
    found = environ.get(notify.urls_env, "").split()
    if notify.urls_file:
        path = Path(notify.urls_file).expanduser()
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                return (
                    found,
                    f"{path} may be read by others (mode {mode:o}); chmod 600 it, its addresses are not used until then",
                )
            found += [
                line.strip() for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")
            ]
        except OSError as error:
            return found, f"{path} cannot be read: {error.strerror}"
    if not found:
        return found, f"nowhere to send: put apprise URLs into {notify.urls_env} or [notify] urls_file"
    return found, ""


def deliver(urls: list[str], draft: Draft) -> str:
    """Send to all addresses; "" when every one took it, else which kinds did not (never the URL)."""
    import apprise

    failed: list[str] = []
    for url in urls:
        kind = clean_line(url.split(":", 1)[0], 20)
        sender = apprise.Apprise()
        if not sender.add(url):
            failed.append(f"{kind}: not an address that apprise knows")
            continue
        try:
            if not sender.notify(title=draft.subject, body=draft.body, body_format=apprise.NotifyFormat.TEXT):
                failed.append(f"{kind}: not accepted")
        except Exception as error:
            failed.append(f"{kind}: {type(error).__name__}")
    return "; ".join(failed)


class Post:
    """The outbox and its carrier. `send` only queues; delivery runs beside everything else."""

    def __init__(
        self, plan: Plan, clock: Clock, conn: sqlite3.Connection, writer: Writer, environ: Mapping[str, str]
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._conn = conn
        self._writer = writer
        self._environ = environ
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._carry())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def trouble(self) -> str:
        return addresses(self._plan.notify, self._environ)[1]

    async def send(self, draft: Draft) -> None:
        """Queue one message; returns when it is stored."""
        now, key = self._clock.real(), uuid.uuid4().hex
        at = self._clock.now()

        def job(conn: sqlite3.Connection) -> None:
            conn.execute("BEGIN IMMEDIATE")
            conn.execute(
                "INSERT INTO outbox (at, message, subject, body, state, tries, next_try, error, request_id) VALUES (?,?,?,?,'waiting',0,?,'',?)",
                (at, draft.message, draft.subject, draft.body, now, key),
            )
            conn.execute("COMMIT")

        await asyncio.wrap_future(self._writer.control(job))

    async def test(self) -> str:
        """Send a test message now, without the queue: "Delivered ..." or why not."""
        urls, trouble = addresses(self._plan.notify, self._environ)
        if trouble and not urls:
            return f"Not delivered: {trouble}."
        draft = Draft(
            "test",
            f"Test message of the rollout console: {self._plan.service}",
            "This address receives the messages of the rollout.",
        )
        failed = await asyncio.to_thread(deliver, urls, draft)
        return (
            f"Not delivered: {failed}."
            if failed
            else f"Delivered a test message to {len(urls)} address{'es' if len(urls) > 1 else ''}."
        )

    async def _carry(self) -> None:
        while True:
            with contextlib.suppress(sqlite3.Error):
                await self._round()
            await asyncio.sleep(POLL_S)

    async def _round(self) -> None:
        now = self._clock.real()
        due = self._conn.execute(
            "SELECT id, message, subject, body, tries FROM outbox WHERE state = 'waiting' AND next_try <= ? ORDER BY id LIMIT 5",
            (now,),
        ).fetchall()
        for number, message, subject, body, tries in due:
            urls, trouble = addresses(self._plan.notify, self._environ)
            failed = trouble if not urls else await asyncio.to_thread(deliver, urls, Draft(message, subject, body))
            again = self._clock.real() + RETRY_S[min(tries, len(RETRY_S) - 1)]
            state = "sent" if not failed else "failed" if tries + 1 >= TRIES or not urls else "waiting"

            def mark(
                conn: sqlite3.Connection,
                number: int = number,
                state: str = state,
                failed: str = failed,
                again: float = again,
            ) -> None:
                conn.execute(
                    "UPDATE outbox SET state = ?, tries = tries + 1, next_try = ?, error = ? WHERE id = ?",
                    (state, again, failed, number),
                )

            self._writer.later(mark)
            await asyncio.sleep(0)
        if due:
            await asyncio.sleep(0.2)  # the marks are committed before the next look
