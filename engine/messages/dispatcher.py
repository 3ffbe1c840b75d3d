"""Delivers the outbox: one delivery at a time per address, each in a process with a time limit.

A dead mail server delays only its own messages, not the engine and not Slack. The store records what each address and
recipient has taken, so a retry or a restart does not send it twice. Only a kill between the server's answer and that
record does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sqlite3
import sys
import uuid
from collections.abc import Mapping, Sequence
from functools import partial

from msgspec import Struct

from engine.clock import Clock
from engine.messages import outbox
from engine.messages.addresses import Destination, addresses, are_given
from engine.messages.draft import ESCALATION, Draft
from engine.messages.outbox import Queued
from engine.plan.model import Plan
from engine.store.log import Fenced
from engine.store.writer import Writer
from engine.text import counted

journal = logging.getLogger("rollout.engine")

POLL_S = 1.0
LIMIT_S = 30.0


class TestDelivery(Struct, frozen=True):
    """How a test message went."""

    delivered: bool
    sentence: str


class Dispatcher:
    """Queues messages, and delivers them in the background. `exercise`: "REHEARSAL" or "GAME DAY", if it is one."""

    def __init__(
        self,
        plan: Plan,
        clock: Clock,
        conn: sqlite3.Connection,
        writer: Writer,
        environ: Mapping[str, str],
        exercise: str = "",
        limit_s: float = LIMIT_S,
        poll_s: float = POLL_S,
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._conn = conn
        self._writer = writer
        self._environ = environ
        self.exercise = exercise
        self._limit_s = limit_s
        self._poll_s = poll_s
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._carry())

    async def stop(self) -> None:
        tasks = [task for task in (self._task, *self._busy.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def addresses(self) -> tuple[list[Destination], str]:
        """Read on every call, so that a corrected address takes effect immediately."""
        return addresses(self._plan.notify, self._environ)

    @property
    def trouble(self) -> str:
        """What is wrong with the addresses that were given."""
        return self.addresses()[1] if are_given(self._plan.notify, self._environ) else ""

    @property
    def notice(self) -> str:
        """The notice that messages go nowhere because no address is set, which may be on purpose."""
        return "" if are_given(self._plan.notify, self._environ) else self.addresses()[1]

    @property
    def keeps(self) -> bool:
        """Whether messages are only stored for the screen, not sent."""
        return bool(self.exercise) and not self.addresses()[0]

    def unreachable(self, draft: Draft) -> str:
        """Why no address takes it now; "" if one does, and in a rehearsal, which keeps what it cannot send."""
        return "" if self.exercise else _takers(draft, *self.addresses())[1]

    def queue(self, conn: sqlite3.Connection, draft: Draft, key: str = "") -> bool:
        """Queue a message in the caller's transaction; the same key queues once. A rehearsal without addresses keeps
        it.
        """
        state = "kept" if self.keeps else "waiting"
        return outbox.put(conn, self._marked(draft), self._clock.now(), key or uuid.uuid4().hex, state)

    async def test(self) -> TestDelivery:
        """Send a test message now to every address, without the queue."""
        destinations, trouble = self.addresses()
        if not destinations:
            return TestDelivery(False, f"Not delivered: {trouble}.")
        subject = f"Test message of the rollout console: {self._plan.service}"
        draft = Draft("test", "team", subject, "This address receives the messages of the rollout.")
        failed = await self._all(destinations, draft)
        if trouble:
            failed.append(trouble)
        if failed:
            return TestDelivery(False, f"Not delivered: {'; '.join(failed)}.")
        kinds = ", ".join(sorted({a.kind for a in destinations}))
        where = counted(len(destinations), "address", "addresses")
        return TestDelivery(True, f"Delivered a test message to {where} ({kinds}).")

    async def past_the_queue(self, draft: Draft) -> bool:
        """Deliver it now, once, to every address that takes it, when the store cannot queue it. Whether any took it."""
        wanted, _ = _takers(draft, *self.addresses())
        return len(await self._all(wanted, self._marked(draft))) < len(wanted)

    async def _all(self, destinations: list[Destination], draft: Draft) -> list[str]:
        """Why it was not delivered, one phrase per failed address."""
        answers = await asyncio.gather(*(self._deliver(address, draft) for address in destinations))
        return [f"{a.kind}: {why}" for a, (why, _) in zip(destinations, answers, strict=True) if why]

    def _marked(self, draft: Draft) -> Draft:
        subject = f"[{self.exercise}] {draft.subject}" if self.exercise else draft.subject
        return Draft(draft.message, draft.audience, subject, draft.body)

    # -- delivery ------------------------------------------------------------------------------------------------------

    async def _carry(self) -> None:
        """Run rounds forever: no error ends it."""
        last_error = ""
        while True:
            try:
                await self._round()
            except sqlite3.Error:
                pass  # the engine reports the store's problems
            except Exception as error:
                if last_error != repr(error):
                    journal.exception("cannot deliver messages")
                last_error = repr(error)
            await asyncio.sleep(self._poll_s)

    async def _round(self) -> None:
        now = self._clock.now()
        waiting = outbox.due(self._conn, now)
        if not waiting:
            return
        destinations, trouble = self.addresses()
        for queued in waiting:
            wanted, why = _takers(queued.draft, destinations, trouble)
            if why:
                await self._write(partial(outbox.refused, number=queued.id, why=why, now=now))
                continue
            marks = {a.url: a.mark(queued.key) for a in wanted}
            for address in wanted:
                if marks[address.url] not in queued.delivered and address.url not in self._busy:
                    work = self._one(queued, address, list(marks.values()))
                    task = self._busy[address.url] = asyncio.create_task(work)
                    task.add_done_callback(lambda _, url=address.url: self._busy.pop(url, None))  # type: ignore[misc]

    async def _one(self, queued: Queued, address: Destination, marks: list[str]) -> None:
        why, took = await self._deliver(address, queued.draft, queued.key, queued.delivered)
        if why:
            sentence, now = f"{address.kind}: {why}", self._clock.now()

            def keep(conn: sqlite3.Connection) -> None:
                outbox.partly(conn, queued.id, took)
                outbox.refused(conn, queued.id, sentence, now)

            await self._write(keep)
        else:
            await self._write(lambda conn: outbox.took(conn, queued.id, address.mark(queued.key), marks))

    async def _write(self, change: outbox.Change) -> None:
        with contextlib.suppress(sqlite3.Error, Fenced):
            await asyncio.wrap_future(self._writer.write(change))

    async def _deliver(
        self, address: Destination, draft: Draft, salt: str = "", skip: Sequence[str] = ()
    ) -> tuple[str, list[str]]:
        """("" or why not, marks of the recipients that took it). Kills the process at the time limit or when the engine
        stops.
        """
        took: list[str] = []
        try:
            process = await self._postman()
        except OSError as error:
            return f"cannot start the delivery process: {error.strerror}", took
        message = {"subject": draft.subject, "body": draft.body, "type": self._type(draft)}
        order = {"url": address.url, **message, "salt": salt, "skip": list(skip)}
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._limit_s):
                process.stdin.write(json.dumps(order).encode())
                with contextlib.suppress(ConnectionError):
                    await process.stdin.drain()
                process.stdin.close()
                async for line in process.stdout:
                    answer = json.loads(line)
                    if "why" in answer:
                        return str(answer["why"]), took
                    took.append(str(answer["took"]))
            return "the delivery process ended without an answer", took
        except TimeoutError:
            return f"no answer within {self._limit_s:g} s", took
        except (ValueError, KeyError, TypeError):
            return "the delivery process ended without an answer", took
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _type(self, draft: Draft) -> str:
        """Apprise's type: a rollback is a failure, not just information, and so is an alarm that no one took."""
        if draft.message == ESCALATION:
            return "failure"
        when = next((message.when for message in self._plan.messages if message.id == draft.message), "")
        return {"rollback": "failure", "hold": "warning"}.get(when, "info")

    async def _postman(self) -> asyncio.subprocess.Process:
        environ = {name: value for name, value in os.environ.items() if name != self._plan.notify.urls_env}
        command = (sys.executable, "-P", "-m", "engine.messages.deliver_worker")
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        return await asyncio.create_subprocess_exec(
            *command, stdin=pipe, stdout=pipe, stderr=nowhere, env=environ, start_new_session=True
        )


def _takers(draft: Draft, destinations: list[Destination], trouble: str) -> tuple[list[Destination], str]:
    """The addresses that take it, and why there are none."""
    wanted = [a for a in destinations if a.takes(draft.message, draft.audience)]
    if (
        draft.message == ESCALATION and not wanted
    ):  # an alarm that no one took must reach someone; it names whom to call
        wanted = [a for a in destinations if a.takes(draft.message, "team")] or destinations
    return wanted, "" if wanted else trouble or f"no address takes messages for {draft.audience}"
