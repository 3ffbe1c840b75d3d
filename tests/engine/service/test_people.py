"""Several people on one rollout: names beside an account, who hears of an alarm that no one takes, a note for the next on-call."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from engine.client.client import EngineClient
from engine.client.identity import name_of, named_actor
from engine.plan.load import load_plan
from engine.plan.model import Access, Contact, Notify, Plan
from engine.plan.problems import PlanError
from engine.rollout.state import ENGINE, Actor
from engine.service import escalation
from engine.service.escalation import audience_of, draft, steps
from tests.console.samples import PLAN
from tests.engine.service.rig import SETTINGS, EngineRig
from tests.machine import crowd

CONTACTS = (
    Contact("Technical Lead", "Ann", "+49 1", "[Email]"),
    Contact("Product Owner", "Ben", "+49 2", "ben@example.org"),
)


def escalating(after: float = 0.0, to: tuple[str, ...] = ("Technical Lead", "Product Owner")) -> Plan:
    return replace(PLAN, contacts=CONTACTS, notify=Notify(escalate_to=to, escalate_after_s=after))


# -- names -------------------------------------------------------------------------------------------------------------------


def test_a_name_of_ones_own_always_carries_the_kernels_uid() -> None:
    here = Actor("deploy", 1000, "person", "", "pts/3")
    assert named_actor(here, "alice").name == "alice (uid 1000)"
    assert named_actor(here, "alice").account == "deploy"
    assert named_actor(here, "root (uid 0)").name == "root uid 0 (uid 1000)"
    assert named_actor(here, "\x1b[31m ali\x07ce\n ").name.isprintable()
    assert named_actor(here, "  ") == here
    assert named_actor(here, "()") == here
    assert named_actor(ENGINE, "alice") == ENGINE
    assert len(named_actor(here, "x" * 500).name) < 60


def test_two_people_in_one_account_are_two_viewers_and_one_approval(tmp_path: Path) -> None:
    """Approvals count people by uid, never by a name that someone chose."""
    with EngineRig(tmp_path, speed=None, settings={**SETTINGS, "stages[preparation].approvals": 2}) as rig:
        rig.engine()
        alice = EngineClient(rig.folder, rig.plan, replace(rig.client.actor, terminal="pts/1"), acting_name="alice")
        bob = EngineClient(rig.folder, rig.plan, replace(rig.client.actor, terminal="pts/2"), acting_name="bob")
        uid = os.getuid()
        for client in (alice, bob):
            assert client.command("presence", screen="Live").ok
        both = {f"alice (uid {uid})", f"bob (uid {uid})"}
        assert rig.until(lambda: {o.name for o in rig.view.operators} == both)
        assert alice.command("approve").ok
        refused = bob.command("approve")
        assert not refused.ok
        assert f"the same uid {uid}" in refused.sentence
        (row,) = rig.reader.log(1, kind="approve")
        assert row.actor == f"alice (uid {uid})"
        assert alice.actor.name == row.actor


def test_a_report_that_arrives_after_its_console_left_brings_no_one_back(tmp_path: Path) -> None:
    """Reports go out in the background: the last one may be overtaken by the end."""
    with EngineRig(tmp_path, speed=None) as rig:
        rig.engine()
        client = EngineClient(rig.folder, rig.plan, replace(rig.client.actor, terminal="pts/1"))
        assert client.command("presence", console="pts/1 41", screen="Live").ok
        rig.until(lambda: len(rig.view.operators) == 1)
        assert client.command("presence", console="pts/1 41", gone=True).ok
        assert client.command("presence", console="pts/1 41", screen="Live").ok
        rig.until(lambda: not rig.view.operators)
        assert client.command("presence", console="pts/1 42", screen="Live").ok  # the next on the same terminal
        rig.until(lambda: len(rig.view.operators) == 1)


def test_the_right_to_promote_is_the_accounts_and_not_a_chosen_names(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None, settings={**SETTINGS, "access.promote": ["alice"]}) as rig:
        rig.engine()
        me = name_of(os.getuid())
        assert me != "alice"
        for name in ("alice", "", "alice (uid 1)"):
            client = EngineClient(rig.folder, rig.plan, acting_name=name)
            reply = client.command("approve")
            assert "[access] allows alice" in reply.sentence, name


def test_access_of_the_account_holds_under_any_name(tmp_path: Path) -> None:
    assert Access(promote=("x",))
    with EngineRig(tmp_path, speed=None, settings={**SETTINGS, "access.promote": [name_of(os.getuid())]}) as rig:
        rig.engine()
        reply = EngineClient(rig.folder, rig.plan, acting_name="alice").command("approve")
        assert "[access]" not in reply.sentence


# -- an alarm that no one takes ------------------------------------------------------------------------------------------------


def test_each_contact_hears_after_the_same_time() -> None:
    result = steps(escalating(), 1000.0, 300.0)
    assert [(s.contact.name, s.at) for s in result] == [("Ann", 1300.0), ("Ben", 1600.0)]
    assert [s.at for s in steps(escalating(after=60.0), 1000.0, 300.0)] == [1060.0, 1120.0]
    assert [s.at for s in steps(escalating(), 1000.0, 0.0)] == [1900.0, 2800.0]
    assert steps(escalating(to=()), 1000.0, 300.0) == []


def test_the_message_explains_what_is_on_and_whom_to_call() -> None:
    made = draft(escalating(), steps(escalating(), 1000.0, 300.0)[0], 1000.0, "errors 12 % over 5 %", 1300.0)
    assert made.audience == "technical_lead" == audience_of(CONTACTS[0])
    for part in ("errors 12 % over 5 %", "Ann", "+49 1", "K acknowledges it"):
        assert part in made.body
    for part in ("ALARM", "not acknowledged for 5m", "Technical Lead", "errors 12 % over 5 %"):
        assert part in made.subject
    assert "[Email]" not in made.body


def test_a_role_that_no_contact_has_is_a_mistake_of_the_plan(tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "rollout.toml").read_text()
    (tmp_path / "rollout.toml").write_text(text.replace("# escalate_to = []", 'escalate_to = ["Technical Laed"] #'))
    with pytest.raises(PlanError, match=r'did you mean "Technical Lead"'):
        load_plan(tmp_path / "rollout.toml")


def test_an_alarm_goes_up_until_a_person_takes_it(tmp_path: Path) -> None:
    """A real engine on a rehearsal's clock: one message to the first contact, none after K."""
    settings = {**SETTINGS, "notify.escalate_to": ["Technical Lead", "Product Owner"], "notify.escalate_after": "8m"}
    with EngineRig(tmp_path, speed=240.0 / crowd(), settings=settings) as rig:
        rig.engine()
        rig.climb(2)
        rig.client.command("fault", name="error_rate", value=1.0)
        assert rig.until(lambda: any("message to Technical Lead in" in line for line in rig.view.next), 60)
        assert rig.view.alarm_since is not None

        def sent() -> list[str]:
            return [d.sentence for d in rig.reader.log(200) if "no one acknowledged the alarm" in d.sentence]

        assert rig.until(lambda: len(sent()) == 1, 60)
        assert "Technical Lead" in sent()[0]
        assert rig.client.command("acknowledge").ok
        assert rig.until(lambda: rig.view.acknowledged is not None)
        since = rig.view.at
        assert rig.until(lambda: rig.view.at > since + 960)
        assert len(sent()) == 1
        assert escalation.MESSAGE in {
            row[0] for row in rig.reader.read(lambda c: c.execute("SELECT message FROM outbox").fetchall())
        }


# -- hand-over -----------------------------------------------------------------------------------------------------------------


def test_a_hand_over_note_is_in_the_view_and_in_the_log(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None) as rig:
        rig.engine()
        assert rig.view.handover is None
        assert rig.client.command("note", kind="handover", text="ollama-2 flaps; leave it").ok
        assert rig.until(lambda: rig.view.handover is not None)
        note = rig.view.handover
        assert note is not None
        assert note.text == "ollama-2 flaps; leave it"
        assert rig.reader.log(1)[0].kind == "note"
