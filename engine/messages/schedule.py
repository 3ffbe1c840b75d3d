"""Which messages are due now: daily and weekly ones, and those a decision triggers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.plan.model import Message, Plan

DAY = 86400.0
# one hour less than a week: after a change to summer time the same time of day comes earlier
WEEK = 7 * DAY - 3600.0
ABOUT = {"rollback": ("rollback", "trigger"), "hold": ("hold", "blind")}  # the decisions a message is about
ADOPTED = "adopt"  # a person adopted a changed plan, which may move the stage and restarts the bake


def last_time(plan: Plan, now: float) -> float | None:
    """The last time at or before `now` for daily messages; None if the plan sends none automatically."""
    if not plan.notify.daily_at:
        return None
    zone = UTC if plan.calendar.timezone == "UTC" else ZoneInfo(plan.calendar.timezone)
    at = time.fromisoformat(plan.notify.daily_at)
    today = datetime.fromtimestamp(now, zone).date()
    for day in (today, today - timedelta(days=1)):
        moment = datetime.combine(day, at, zone).timestamp()
        if moment <= now:
            return moment
    return None


def regular(plan: Plan, stage: int, began: float, now: float, last: Mapping[str, float]) -> list[tuple[Message, str]]:
    """Automatic daily and weekly messages that are due, each with a key so that it is queued once.

    `began`: the start of the rollout; `last`: when each message was last queued. After days without an engine one
    message goes out, not one for each day.
    """
    moment = last_time(plan, now)
    if moment is None or moment < began:
        return []
    due = []
    for message in plan.messages:
        if not message.automatic or message.when not in ("daily", "weekly") or not _belongs(message, stage, plan):
            continue
        since = last.get(message.id, began)
        wanted = since < moment if message.when == "daily" else moment - since >= WEEK
        if wanted:
            due.append((message, f"{message.id} {moment:.0f}"))
    return due


def _belongs(message: Message, stage: int, plan: Plan) -> bool:
    return stage in message.stages if message.stages else stage <= plan.last_stage


def misplaced(plan: Plan, message: Message, stage: int) -> str:
    """A warning about sending it in this stage; "" if it fits."""
    if message.when == "after" and stage <= plan.last_stage:
        return f"It is meant for the end of the rollout; the rollout is in stage {stage}."
    if message.stages and stage not in message.stages:
        meant = ", ".join(map(str, message.stages))
        return (
            f"It is meant for {'stage' if len(message.stages) == 1 else 'stages'} {meant}; the rollout is in "
            f"stage {stage}."
        )
    return ""


def called_for(plan: Plan, kind: str, stage: int, moved: bool) -> list[Message]:
    """Messages that a decision of this kind triggers. `stage`: the stage after it; `moved`: whether it changed."""
    up = kind == "promote" and moved
    if kind in ABOUT["rollback"]:
        wanted = {"rollback"}
    elif kind in (*ABOUT["hold"], ADOPTED):
        wanted = {"hold"}
    elif up:
        wanted = {"gate", "after"} if stage > plan.last_stage else {"gate"}
    else:
        return []
    messages = [m for m in plan.messages if m.when in wanted and (not m.stages or stage in m.stages)]
    if up:
        messages += [m for m in plan.messages if m.when == "stage" and stage in m.stages]
    return messages


def goes_out_alone(plan: Plan, message: Message) -> bool:
    """Whether the engine sends it. An automatic daily or weekly message without a time of day waits for a person."""
    return message.automatic and (message.when not in ("daily", "weekly") or bool(plan.notify.daily_at))


def due(plan: Plan, stage: int, entered: float, now: float, last: Mapping[str, float]) -> tuple[Message, ...]:
    """Messages that a person has to send now, in the plan's order: the inbox and the messages' screen show these.
    `last`: when each was last queued."""
    wanted = _of_stage(plan, stage, entered, last) | _of_days(plan, stage, now, last)
    return tuple(m for m in plan.messages if m.id in wanted and not goes_out_alone(plan, m))


def _of_stage(plan: Plan, stage: int, entered: float, last: Mapping[str, float]) -> set[str]:
    """Messages for this stage that were not queued since it began."""
    wanted = {
        m.id
        for m in plan.messages
        if (m.when == "before" and stage == 0)
        or (m.when == "stage" and stage in m.stages)
        or (m.when == "gate" and stage > 0)
        or (m.when == "after" and stage > plan.last_stage)
    }
    return {name for name in wanted if last.get(name, -1.0) < entered}


def _of_days(plan: Plan, stage: int, now: float, last: Mapping[str, float]) -> set[str]:
    """Daily and weekly messages not sent for a day or a week."""
    spans = {"daily": DAY, "weekly": 7 * DAY}
    return {
        m.id
        for m in plan.messages
        if m.when in spans and stage > 0 and _belongs(m, stage, plan) and now - last.get(m.id, 0.0) >= spans[m.when]
    }
