"""Which messages belong to this moment: the daily and weekly ones that are due, and those that a decision calls for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.plan.model import Message, Plan

DAY = 86400.0
# an hour less than a week: across a change to summer time the same time of day comes earlier
WEEK = 7 * DAY - 3600.0
TELLS_OF = {"rollback": ("rollback", "trigger"), "hold": ("hold", "blind")}  # the decisions that a message is about


def last_time(plan: Plan, now: float) -> float | None:
    """The last moment at or before `now` at which daily messages go out; None where the plan sends none by itself."""
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
    """Automatic daily and weekly messages that are due, each with a key that is queued once.

    `began` is the rollout's begin, `last` when each message was last queued. After days without an engine one goes out, not one a day.
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
    """What is odd about sending it in this stage, for the person who does; "" when nothing is."""
    if message.when == "after" and stage <= plan.last_stage:
        return f"It is meant for the end of the rollout, which is in stage {stage}."
    if message.stages and stage not in message.stages:
        meant = ", ".join(map(str, message.stages))
        return f"It is meant for {'stage' if len(message.stages) == 1 else 'stages'} {meant}; the rollout is in stage {stage}."
    return ""


def called_for(plan: Plan, kind: str, stage: int, moved: bool) -> list[Message]:
    """Messages that a decision of this kind calls for; `stage` is the one after it, `moved` whether it has changed."""
    up = kind == "promote" and moved
    wanted = (
        {"rollback"}
        if kind in TELLS_OF["rollback"]
        else {"hold"}
        if kind in TELLS_OF["hold"]
        else {"gate"}
        if up
        else set()
    )
    if up and stage > plan.last_stage:
        wanted.add("after")
    found = [m for m in plan.messages if m.when in wanted and (not m.stages or stage in m.stages)]
    if up:
        found += [m for m in plan.messages if m.when == "stage" and stage in m.stages]
    return found


def suggested(plan: Plan, stage: int, entered: float, last: Mapping[str, float]) -> set[str]:
    """Messages that this stage calls for and that were not queued since it began: what the screen marks as due."""
    wanted = {
        m.id
        for m in plan.messages
        if (m.when == "before" and stage == 0)
        or (m.when == "stage" and stage in m.stages)
        or (m.when == "gate" and stage > 0)
        or (m.when == "after" and stage > plan.last_stage)
    }
    return {name for name in wanted if last.get(name, -1.0) < entered}


def regular_due(plan: Plan, stage: int, now: float, last: Mapping[str, float]) -> set[str]:
    """Daily and weekly messages that nobody has sent for a day or a week: due by a key where they are not automatic."""
    spans = {"daily": DAY, "weekly": 7 * DAY}
    return {
        m.id
        for m in plan.messages
        if m.when in spans and stage > 0 and _belongs(m, stage, plan) and now - last.get(m.id, 0.0) >= spans[m.when]
    }
