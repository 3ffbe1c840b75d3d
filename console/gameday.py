"""The console on a game day: a briefing first, then the console as it is, then the debrief."""

from __future__ import annotations

import time
from typing import Any, Protocol

from msgspec.structs import replace

from console.app import Console
from console.daemon_call import in_background
from console.link import EngineSnapshot, StoreLink
from console.liveness import Liveness
from console.screens.ask import QuestionDialog
from console.screens.briefing import Briefing
from console.screens.debrief import DebriefPage
from engine.gameday.debrief import Debrief
from engine.plan.model import Plan
from engine.store.folder import Folder
from engine.store.reader import EngineRecord


class Game(Protocol):
    """A game day as the console drives it; see `engine.server.rehearse.GameDay`."""

    folder: Folder
    plan: Plan
    speed: float
    player: str
    finished: Debrief | None

    @property
    def lasts_s(self) -> float: ...
    @property
    def ready(self) -> bool: ...
    def begin(self) -> tuple[bool, str]: ...
    def restart(self) -> str: ...
    def screen_opened(self, screen: str) -> None: ...
    def left_s(self) -> float | None: ...
    def finish(self) -> Debrief | None: ...


class GameLink(StoreLink):
    """The link to a game day's store. An engine that it starts is the game's."""

    def __init__(self, game: Game, acting_name: str) -> None:
        super().__init__(game.folder.path, game.plan, acting_name)
        self._game = game
        self._game.player = self.who

    def act_as(self, name: str) -> None:
        super().act_as(name)
        self._game.player = self.who

    def start_engine(self) -> str:
        return self._game.restart()

    def _judge(self, record: EngineRecord, now: float, armed: bool) -> Liveness:
        liveness = super()._judge(record, now, armed)
        if liveness.state != "dead":
            return liveness
        return replace(
            liveness,
            sentence=f"No engine: process {record.pid} ended. No document is extracted.",
            remedy="E starts one.",
        )


class GameConsole(Console):
    """A game day's console. Not a `rehearsal` to its screens: it offers nothing that a real shift would not have."""

    def __init__(self, game: Game, acting_name: str = "", **more: Any) -> None:
        super().__init__(GameLink(game, acting_name), game.plan, **more)
        self.game = game
        self.runner.folder = game.folder.path.parent  # not in the player's, which may be the real rollout's
        self.throwaway = True

    @property
    def shows_faults(self) -> bool:
        return False

    @property
    def briefing(self) -> tuple[float, float, bool]:
        return self.game.lasts_s, self.game.speed, self.game.ready

    def screen_opened(self, screen: str) -> None:
        self.game.screen_opened(screen)

    def on_mount(self) -> None:
        super().on_mount()
        self.push_screen(Briefing())

    def _see(self, snapshot: EngineSnapshot) -> None:
        super()._see(snapshot)
        if isinstance(self.screen, Briefing):
            self.screen.repaint()
        left = self.game.left_s()
        if left is not None and left <= 0 and self.game.finished is None:
            self._finish()

    def action_begin(self) -> None:
        if not isinstance(self.screen, Briefing):
            return

        async def begin() -> None:
            ok, sentence = await in_background(self.game.begin)
            if ok and isinstance(self.screen, Briefing):
                self.pop_screen()
            self.say(sentence, "bar" if ok else "caution")

        self.run_worker(begin(), exit_on_error=False, group="beginning", exclusive=True)

    def action_go(self, number: int) -> None:
        if self.game.left_s() is None:
            self.say("Your shift has not started: press enter to start it.", "caution")
        else:
            super().action_go(number)

    def action_leave(self) -> None:
        """Leave at once from the briefing and the debrief; during the shift ask first, and show the debrief
        afterwards."""
        if isinstance(self.screen, Briefing | DebriefPage | QuestionDialog) or self.game.left_s() is None:
            self.exit(0)
            return
        left = self.game.left_s() or 0.0
        facts = [
            f"{left:.0f} s left. Anything not fixed by now counts as if you had done nothing.",
            "The debrief follows.",
        ]
        self.push_screen(
            QuestionDialog("End your shift?", facts, "end it", "stay"),
            lambda typed: self._finish() if typed is not None else None,
        )

    def _finish(self) -> None:
        async def finish() -> None:
            made = await in_background(self.game.finish)
            if made is None:
                self.say("The store cannot be read; retrying.", "caution")
            elif not isinstance(self.screen, DebriefPage):
                while len(self.screen_stack) > 1:
                    self.pop_screen()
                self.push_screen(DebriefPage(made))
                self.key_guard.typed_blind_from(time.monotonic(), text=False)  # the shift may end under someone's hands

        self.run_worker(finish(), exit_on_error=False, group="finishing", exclusive=True)
