"""The app's commands: sends them to the engine and shows the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from console.app.polling import ViewReading
from console.daemon_call import in_background
from console.plan_commands import CommandRun
from console.screens.asking import READ_ONLY
from engine.client.client import Reply

PAST = "This screen shows the past: esc returns to now, and only R acts from here."


class CommandActions(ViewReading):
    """Each command runs in a thread; esc stops waiting for it."""

    def act(self, kind: str, then: Callable[[Reply], None] | None = None, /, **fields: Any) -> None:
        """Send a command in a thread and show its sentence, good or bad."""
        if self.read_only:
            self.say(READ_ONLY, "caution")
            return
        if self.page is not None and self.page.cursor is not None and kind != "ran":
            self.say(PAST, "caution")
            return

        async def run() -> None:
            answer, seconds = asyncio.ensure_future(in_background(lambda: self.link.command(kind, **fields))), 0
            while not (await asyncio.wait({answer}, timeout=1.0))[0]:
                seconds += 1
                self.say(f"Working... {seconds} s (esc: stop waiting)")
            reply = answer.result()
            self.say(reply.sentence, "bar" if reply.ok else "caution")
            if then is not None:
                then(reply)
            await self._read()

        self._asked = self.run_worker(run(), exit_on_error=False, group="commands")

    def restore(self) -> None:
        """Serve frequency keywords again where the LLM wrote. Reversible, so it doesn't ask."""
        v = self.live.view
        if v is None or v.restore is None or not v.restore.documents:
            self.say("Nothing to restore: no document serves LLM keywords.", "caution")
            return
        self.act("restore", since=None, stage=None, dry_run=False)

    def action_start_engine(self) -> None:
        """Start an engine, if none runs, as `rollout` does: detached from this console."""
        if self.rehearsal:
            self.say(
                "A rehearsal's engine ends with it: q ends this one, `rollout rehearse` starts another.", "caution"
            )
        elif self.live.liveness.state != "dead":
            self.say(
                "An engine is already running on this store." if self.live.fresh else self.live.liveness.sentence,
                "caution",
            )
        else:

            async def start() -> None:
                self.say("Starting the engine …", seconds=35.0)
                trouble = await in_background(self.link.start_engine)
                self.say(trouble or "The engine is running.", "caution" if trouble else "bar")
                await self._read()

            self.run_worker(start(), exit_on_error=False, group="starting", exclusive=True)

    def action_acknowledge(self) -> None:
        """Take the alarm: shown to everyone, kept in the log, sent to the team."""
        self.act("acknowledge")

    def _ran(self, running: CommandRun) -> None:
        """A plan command has ended: log its output."""
        done = running.done
        if done is not None:
            self.act(
                "ran",
                command=running.command.run,
                text=running.command.text,
                line=running.line,
                exit=done.exit,
                ms=done.ms,
                ended=done.ended,
                output=running.output,
            )
