"""Rules across the parts of a plan, beyond what each value must satisfy on its own. One function per rule; all of them
run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from string import Formatter

from engine.plan.model import Item, Plan
from engine.plan.positions import Path, dotted
from engine.plan.validate import closest
from engine.plan.vocabulary import PLACEHOLDERS, Id
from engine.text import percent

Mistake = tuple[Path, str]

# These two have their own rule (consecutive calls and probes; a CUSUM), set in trigger_settings.
_OWN_RULE = ("llm_available", "error_creep")


def stages_in_order(plan: Plan) -> Iterator[Mistake]:
    if not plan.stages:
        yield ("stages",), "the plan has no stages; give at least one [[stages]]"
    for index, stage in enumerate(plan.stages):
        if stage.number != index:
            yield (
                ("stages", index, "number"),
                f"{stage.number} should be {index}; stages are numbered 0, 1, 2, ... in order",
            )


def percentages_never_fall(plan: Plan) -> Iterator[Mistake]:
    for index, (before, stage) in enumerate(zip(plan.stages, plan.stages[1:], strict=False), start=1):
        if stage.percent_bp < before.percent_bp:
            yield (
                ("stages", index, "percent"),
                f"{percent(stage.percent_bp)} is less than the {percent(before.percent_bp)} of the stage before; "
                "percentages never decrease from stage to stage",
            )


def rebakes_are_shares(plan: Plan) -> Iterator[Mistake]:
    for index, stage in enumerate(plan.stages):
        if not 0 <= stage.rebake <= 1:
            yield ("stages", index, "rebake"), 'it is a share of the bake: from "0 %" to "100 %", such as "25 %"'


def escalation_goes_to_contacts(plan: Plan) -> Iterator[Mistake]:
    roles = tuple(contact.role for contact in plan.contacts)
    for index, role in enumerate(plan.notify.escalate_to):
        if role not in roles:
            yield (
                ("notify", "escalate_to", index),
                f'"{role}" is not the role of any of the [[contacts]]{closest(role, roles)}',
            )


def ids_once(plan: Plan) -> Iterator[Mistake]:
    yield from _once(("triggers",), (entry.id for entry in plan.triggers))
    yield from _once(("messages",), (entry.id for entry in plan.messages))
    yield from _once(("stages",), (entry.id for entry in plan.stages))
    yield from _once(("post_rollout",), (entry.id for entry in plan.post_rollout))
    for index, stage in enumerate(plan.stages):
        here: Path = ("stages", index)
        yield from _once((*here, "checklist"), (entry.id for entry in stage.checklist))
        yield from _once((*here, "conditions"), (entry.id for entry in stage.success))
        yield from _once((*here, "reminders"), (entry.id for entry in stage.reminders))


def _once(path: Path, ids: Iterable[Id]) -> Iterator[Mistake]:
    first: dict[str, int] = {}
    for index, name in enumerate(ids):
        if name in first and name:
            yield ((*path, index, "id"), f'"{name}" is already the id of {dotted((*path, first[name]))}; give another')
        first.setdefault(name, index)


def triggers_have_a_threshold(plan: Plan) -> Iterator[Mistake]:
    for index, trigger in enumerate(plan.triggers):
        here: Path = ("triggers", index)
        if trigger.above is not None and trigger.below is not None:
            yield (*here, "below"), '"above" and "below" are both given; a trigger has one threshold'
        elif trigger.above is None and trigger.below is None and trigger.metric not in _OWN_RULE:
            yield (*here, "above"), f'"above" is missing; give the value of {trigger.metric} at which it fires'


def matrix_names_triggers(plan: Plan) -> Iterator[Mistake]:
    known = tuple(trigger.id for trigger in plan.triggers)
    for index, row in enumerate(plan.matrix):
        if row.trigger not in known:
            near = closest(row.trigger, known) or "."
            yield (
                ("matrix", index, "trigger"),
                f'"{row.trigger}" is not the id of a trigger{near} Triggers: {", ".join(known)}',
            )


def _items(plan: Plan) -> Iterator[tuple[Path, Item]]:
    """Every checklist item, with its place."""
    for number, stage in enumerate(plan.stages):
        yield from ((("stages", number, "checklist", at), item) for at, item in enumerate(stage.checklist))
    yield from ((("post_rollout", at), item) for at, item in enumerate(plan.post_rollout))


def checks_have_what_they_need(plan: Plan) -> Iterator[Mistake]:
    needs = {"http": "url", "command": "command", "metric": "metric"}
    for path, item in _items(plan):
        needed = needs.get(item.check.kind)
        if needed and not getattr(item.check, needed):
            yield (*path, "check", needed), f'"{needed}" is missing; a check of kind "{item.check.kind}" needs it'


def checks_name_messages_of_the_plan(plan: Plan) -> Iterator[Mistake]:
    known = tuple(message.id for message in plan.messages)
    for path, item in _items(plan):
        if item.check.message and item.check.message not in known:
            near = closest(item.check.message, known) or "."
            yield (
                (*path, "check", "message"),
                f'"{item.check.message}" is not the id of a message{near} Messages: {", ".join(known)}',
            )


def ab_test_has_two_arms(plan: Plan) -> Iterator[Mistake]:
    for index, stage in enumerate(plan.stages):
        here: Path = ("stages", index)
        if stage.ab_test and not 0 < stage.percent_bp < 10_000:
            yield (
                (*here, "percent"),
                f"{percent(stage.percent_bp)} leaves an A/B test with one arm; give a percentage between 0 and 100",
            )
        if stage.ab_test and stage.experiment is None:
            yield (
                (*here, "experiment"),
                'the table [stages.experiment] is missing; an A/B test is declared before its start: duration = "7d"',
            )


def reminders_end_after_they_begin(plan: Plan) -> Iterator[Mistake]:
    for index, stage in enumerate(plan.stages):
        for at, reminder in enumerate(stage.reminders):
            if reminder.until_s and reminder.until_s <= reminder.from_s:
                yield (
                    ("stages", index, "reminders", at, "until"),
                    'the reminder ends before it starts; "until" must be later than "from"',
                )


def messages_name_stages_of_the_plan(plan: Plan) -> Iterator[Mistake]:
    for index, message in enumerate(plan.messages):
        here: Path = ("messages", index, "stages")
        if message.when == "stage" and not message.stages:
            yield here, '"stages" is missing; list the stages at whose start it goes out, such as [2]'
        for at, number in enumerate(message.stages):
            if number >= len(plan.stages):
                yield ((*here, at), f"there is no stage {number}; the last one is {len(plan.stages) - 1}")


def placeholders_are_known(plan: Plan) -> Iterator[Mistake]:
    for index, message in enumerate(plan.messages):
        for key, template in (("subject", message.subject), ("body", message.body)):
            for mistake in _placeholders(template):
                yield ("messages", index, key), mistake


def _placeholders(template: str) -> Iterator[str]:
    try:
        for _, name, form, conversion in Formatter().parse(template):
            if name is None:
                continue
            if form or conversion or name not in PLACEHOLDERS:
                known = ", ".join(PLACEHOLDERS)
                near = closest(name, tuple(PLACEHOLDERS)) or "."
                whole = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
                yield f"{{{whole}}} is not a placeholder{near} Known: {known}; write a literal brace as {{{{"
    except ValueError:
        yield "unmatched brace; write a placeholder as {name} and a literal brace as {{ or }}"


def llm_has_a_server(plan: Plan) -> Iterator[Mistake]:
    if not plan.llm.urls:
        yield ("llm", "urls"), 'the list is empty; give at least one, such as "http://127.0.0.1:11434"'


def calendar_is_real(plan: Plan) -> Iterator[Mistake]:
    zone = plan.calendar.timezone
    if zone != "UTC" and not _is_zone(zone):
        yield (
            ("calendar", "timezone"),
            f'"{zone}" is not a time zone this machine knows; write "UTC" or "Europe/Berlin"',
        )
    for index, freeze in enumerate(plan.calendar.freeze):
        moments = []
        for key, text in (("start", freeze.start), ("end", freeze.end)):
            try:
                moments.append(datetime.fromisoformat(text).replace(tzinfo=None))
            except ValueError:
                yield (
                    ("calendar", "freeze", index, key),
                    f'"{text}" is not a date; write "2026-12-23" or "2026-12-23T18:00"',
                )
        if len(moments) == 2 and moments[1] < moments[0]:
            yield ("calendar", "freeze", index, "end"), "the freeze ends before it starts"


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return True


RULES: tuple[Callable[[Plan], Iterator[Mistake]], ...] = (
    stages_in_order,
    percentages_never_fall,
    rebakes_are_shares,
    escalation_goes_to_contacts,
    ids_once,
    triggers_have_a_threshold,
    matrix_names_triggers,
    checks_have_what_they_need,
    checks_name_messages_of_the_plan,
    ab_test_has_two_arms,
    reminders_end_after_they_begin,
    messages_name_stages_of_the_plan,
    placeholders_are_known,
    llm_has_a_server,
    calendar_is_real,
)
