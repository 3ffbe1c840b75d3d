"""When messages go out automatically, and what a template may contain."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.messages import facts
from engine.messages.draft import render
from engine.messages.schedule import called_for, due, goes_out_alone, last_time, regular
from engine.plan.durations import iso
from engine.plan.init import set_value
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Message, Plan
from engine.text import took
from tests.console.samples import NORMAL, ROLLED
from tests.engine.report.history import History, incident

HOUR, DAY = 3600.0, 86400.0


@cache
def plan(zone: str = "UTC", at: str = "09:00") -> Plan:
    text = set_value(set_value(default_plan_text(), "notify.daily_at", at), "calendar.timezone", zone)
    return parse_plan(set_value(text, "messages[weekly_meeting].automatic", True))


PLAN = plan()
MONDAY_9 = datetime(2026, 11, 23, 9, tzinfo=UTC).timestamp()


def ids(result: list[tuple[Message, str]]) -> list[str]:
    return [message.id for message, _ in result]


def test_a_daily_message_goes_out_once_a_day_at_its_time() -> None:
    began = MONDAY_9 - 3 * DAY
    last = {"daily_summary": MONDAY_9 - DAY, "slack_update": MONDAY_9 - DAY, "weekly_meeting": began}
    assert ids(regular(PLAN, 2, began, MONDAY_9 - 1, last)) == []
    last["slack_update"] = MONDAY_9
    due = regular(PLAN, 2, began, MONDAY_9 + 1, last)
    assert ids(due) == ["daily_summary"]
    assert due == regular(PLAN, 2, began, MONDAY_9 + 5 * HOUR, last)  # the same key: it is queued once


def test_after_days_without_an_engine_one_goes_out_and_not_one_a_day() -> None:
    due = regular(PLAN, 2, MONDAY_9 - 9 * DAY, MONDAY_9 + HOUR, {"daily_summary": MONDAY_9 - 5 * DAY})
    assert ids(due).count("daily_summary") == 1


def test_a_weekly_message_goes_out_every_seventh_day() -> None:
    last, sent = {"weekly_meeting": MONDAY_9}, []
    for day in range(30):
        now = MONDAY_9 + day * DAY + 60
        if "weekly_meeting" in ids(regular(PLAN, 3, MONDAY_9 - DAY, now, last)):
            last["weekly_meeting"] = now
            sent.append(day)
    assert sent == [7, 14, 21, 28]


def test_stages_without_the_message_get_none() -> None:
    assert ids(regular(PLAN, 1, 0.0, MONDAY_9, {"weekly_meeting": MONDAY_9})) == []
    assert ids(regular(PLAN, PLAN.stable, 0.0, MONDAY_9, {})) == []


def test_without_a_time_nothing_goes_out_automatically() -> None:
    assert regular(plan(at=""), 2, 0.0, MONDAY_9, {}) == []


def test_what_is_not_sent_automatically_is_due_for_a_person() -> None:
    waits = plan(at="")
    names = {message.id for message in due(waits, 2, MONDAY_9, MONDAY_9, {})}
    assert {"daily_summary", "slack_update", "weekly_meeting"} <= names
    sent = dict.fromkeys(names, MONDAY_9 + 1)
    assert due(waits, 2, MONDAY_9, MONDAY_9 + HOUR, sent) == ()
    for schedule in (waits, PLAN):  # none is both due for a person and sent by the engine
        assert not any(goes_out_alone(schedule, message) for message in due(schedule, 2, MONDAY_9, MONDAY_9, {}))


@given(
    st.floats(min_value=1.7e9, max_value=1.9e9),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_the_time_of_day_is_that_of_the_calendar_s_zone_in_summer_and_winter(now: float, zone: str) -> None:
    moment = last_time(plan(zone), now)
    assert moment is not None
    assert 0 <= now - moment <= 25 * HOUR
    assert datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%H:%M") == "09:00"


def test_decisions_call_for_the_plan_s_messages() -> None:
    assert [m.id for m in called_for(PLAN, "trigger", 1, True)] == ["rollback"]
    assert [m.id for m in called_for(PLAN, "hold", 2, False)] == ["hold"]
    assert [m.id for m in called_for(PLAN, "promote", 2, True)] == ["stage_gate", "users_canary"]
    assert [m.id for m in called_for(PLAN, "promote", PLAN.stable, True)] == ["stage_gate", "completion"]
    assert called_for(PLAN, "sign", 2, False) == []


@given(st.text(max_size=200))
def test_what_a_fact_holds_is_never_a_template(text: str) -> None:
    message = Message("m", "team", "daily", "{who}", "{{literal}} {who} {stage}")
    made = render(message, {"who": text + "{stage}", "stage": "2"})
    assert "{stage}" in made.body
    assert made.body.startswith("{literal}")
    assert "\n" not in made.subject


def test_once_stable_a_message_names_the_last_stage_and_no_gate() -> None:
    view = replace(NORMAL, stage=PLAN.stable, stable=True, stage_name="stable", percent_bp=10_000)
    now = facts._now(PLAN, view)
    assert f"stage {now['stage']} {now['stage_name']}" == "stage 5 Full Rollout, declared stable"
    assert now["gate"].endswith("every gate is passed")


def test_a_first_daily_message_reports_the_rollback_before_the_way_back() -> None:
    """It began with the stage: after a rollback and the return of the same day it claimed that nothing had happened."""
    h = History()
    h.up("walking up", ("all",))
    h.up("walking up", ("all",))
    incident(h)
    h.wait(3600)
    h.up("the cause was mended", ("all",))
    view = replace(NORMAL, at=h.at + 60, stage=h.state.stage, entered_at=h.at)
    values = facts.facts(h.plan, view, h.conn)
    assert "error_critical took 10 % to 0 %" in values["incidents"]
    later = facts.facts(h.plan, view, h.conn, since=h.at)
    assert later["incidents"] == f"No incident or anomaly since {iso(h.at)}."
    assert "  not met: " in values["gate"]
    assert "  open: " not in values["gate"]
    h.conn.close()


def test_a_rollback_s_message_and_its_proof_have_the_same_time() -> None:
    """A rollback that took 0.2 ms was "Effective in 0.00 s." above its proof."""
    assert ROLLED.rollback is not None
    proven = replace(ROLLED.rollback, effective_ms=0.2)
    assert facts._effective(proven) == took(0.2) == "0.2 ms"
    assert facts._effective(replace(proven, effective_ms=None)) == "an unknown time"
