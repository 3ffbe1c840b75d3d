"""Nothing takes the keyboard that the person in front of it did not open."""

from __future__ import annotations

import contextlib

from engine.store.reader import Reader
from tests.console.terminal.place import Place
from tests.machine import patience

SHARED = {"ROLLOUT_AS": ""}  # two consoles of one account, and neither person has given a name


def is_known(place: Place) -> bool:
    """Whether the engine knows of a console."""
    with contextlib.closing(Reader(place.folder)) as reader:
        for _ in patience(30.0):
            view = reader.engine_record().view
            if view is not None and view.operators:
                return True
    return False


def test_keys_of_a_person_who_has_just_attached_act_on_the_screen_that_they_see(place: Place) -> None:
    with place.console(environ=SHARED) as first:
        first.until_keys_act()
        assert is_known(place)
        with place.console(environ=SHARED) as second:
            second.until_keys_act()
            second.press("2")
            second.until("GATE SHUT", "W sets your name")
            second.press("R")
            second.until("PROVEN")
            second.press("W")
            second.until("Your name")
            second.type("anna")
            second.press("\r")
            second.until("You are anna")
