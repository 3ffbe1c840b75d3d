"""The app's people: whose console this is, and what the last on-call left."""

from __future__ import annotations

from typing import cast

from console.app.navigation import Navigation
from console.screens.app_api import AppApi
from console.screens.ask import TextField
from console.screens.asking import ask_text
from engine.view.model import URGENT, HandoverView

NAME_S = 20.0  # how long the key for it is shown


class PeopleActions(Navigation):
    """Offers to set a name, takes notes for the next on-call, and dismisses them."""

    def _offer_name(self) -> None:
        """Say once how to set a name, if another console of the same account is open and there is nothing more urgent
        to read. A question that opens unasked would take the keys of whoever is pressing some."""
        v = self.live.view
        busy = self.notice or self.attempt
        asks = v is not None and not (self.link.acting_name or self.read_only or self.rehearsal or busy)
        if v is not None and asks and self.people.shares_account(v) and v.health not in URGENT:
            self.say("Another console is open in this account. W sets your name for the log.", seconds=NAME_S)

    def action_go_by(self) -> None:
        """Ask for the name of the person at this console."""
        ask_text(
            cast(AppApi, self),
            "Your name",
            [f"It is shown next to this account: {self.link.who}. Approvals still count by account."],
            TextField("a name", least=1, typed=self.people.last_name()),
            self._named,
            "use it",
        )

    def _named(self, name: str) -> None:
        self.link.act_as(name)
        self.people.remember_name(name)
        self._report_presence()
        self.say(f"You are {self.link.who} in the log and to others from now on.")

    def action_hand_over(self) -> None:
        """Write a note for the next on-call."""
        ask_text(
            cast(AppApi, self),
            "Hand over: a note for the next on-call",
            ["Each person sees it until they dismiss it, for 3 days. It stays in the log."],
            TextField("what they should know", least=3),
            lambda text: self.act("note", kind="handover", text=text),
            "hand over",
        )

    @property
    def handover(self) -> HandoverView | None:
        v = self.live.view
        return self.people.handover(v) if v is not None else None

    def action_dismiss(self) -> None:
        """Remove the notice before its time, else the hand-over note; both stay in the inbox."""
        if self.notice is not None:
            self.notice = None
        elif (note := self.handover) is not None:
            self.people.dismiss(note)
        self._page_refreshed()
