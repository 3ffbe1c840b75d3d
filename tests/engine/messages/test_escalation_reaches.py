"""An alarm that no one took reaches someone, whatever audiences the addresses are for."""

from __future__ import annotations

import pytest

from engine.messages.addresses import Destination
from engine.messages.dispatcher import _takers
from engine.messages.draft import ESCALATION, Draft
from engine.plan.model import Contact

LEAD = Destination("mailto://lead", frozenset({"technical_lead"}))
TEAM = Destination("mailto://team", frozenset({"team"}))
USERS = Destination("mailto://users", frozenset({"users"}))
ALL = Destination("mailto://all")


@pytest.mark.parametrize(
    ("destinations", "taken"),
    [([LEAD, TEAM], [LEAD]), ([TEAM, USERS], [TEAM]), ([USERS], [USERS]), ([ALL, TEAM], [ALL])],
)
def test_an_escalation_goes_to_its_contact_else_to_the_team_else_to_anyone(
    destinations: list[Destination], taken: list[Destination]
) -> None:
    assert _takers(Draft(ESCALATION, "technical_lead", "s", "b"), destinations, "") == (taken, "")


def test_other_messages_keep_to_their_audience() -> None:
    wanted, why = _takers(Draft("weekly_meeting", "team", "s", "b"), [USERS], "")
    assert not wanted
    assert why == "no address takes messages for team"


def test_a_contact_that_the_plan_has_in_brackets_is_not_sent_out() -> None:
    assert Contact("Lead", "Lea", "[Phone]", "lea@example.org").reach == "Lea, lea@example.org"
    assert Contact("Lead", "[Name]", "[Phone]", "[Email]").reach == ""
