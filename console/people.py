"""The people at consoles: who else shares this account, this person's own name, and the last hand-over note."""

from __future__ import annotations

import os

from console import themes
from console.link import Link
from engine.view.model import HandoverView, View


class People:
    """Remembers people in a file next to the theme, for this account on this machine."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._dismissed: str | None = None  # read once

    def shares_account(self, v: View) -> bool:
        """Whether another terminal has a console open under the same name."""
        here = self._link.terminal
        return bool(here) and any(o.name == self._link.who and o.terminal not in ("", here) for o in v.operators)

    # -- the name: remembered for a suggestion only, because others come from the same machine -------------------------

    def last_name(self) -> str:
        return themes.recall(_name_key())

    def remember_name(self, name: str) -> None:
        themes.remember(_name_key(), name)

    # -- the hand-over note --------------------------------------------------------------------------------------------

    def handover(self, v: View) -> HandoverView | None:
        """The note that this person has not dismissed; not their own."""
        note = v.handover
        if note is None or note.name == self._link.who:
            return None
        if self._dismissed is None:
            self._dismissed = themes.recall(self._note_key())
        return note if self._dismissed != str(note.at) else None

    def dismiss(self, note: HandoverView) -> None:
        self._dismissed = str(note.at)
        themes.remember(self._note_key(), self._dismissed)

    def _note_key(self) -> str:
        return f"hand-over {self._link.who} {self._link.folder.path}"


def _name_key() -> str:
    return f"name {os.environ.get('SSH_CONNECTION', '').split(' ')[0] or 'here'}"
