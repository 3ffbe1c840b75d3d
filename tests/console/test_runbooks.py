"""The runbooks: all of them open, none is empty, and every key, verb and screen that they name exists."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from console.cli import VERBS
from console.screens.help import RUNBOOKS, book
from engine.plan.load import default_plan_text, parse_plan

NAMES = [name for name, _ in RUNBOOKS if name != "keys"]


def test_every_page_of_the_folder_is_a_runbook() -> None:
    pages = {
        path.name.removesuffix(".md") for path in (files("console") / "help").iterdir() if path.name.endswith(".md")
    }
    assert pages == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_names_only_verbs_that_exist(name: str) -> None:
    text = book(name)
    assert text.startswith("# ")
    for verb in re.findall(r"(?<![\w./-])rollout ([a-z][a-z-]+)(?=[ `\n)])", text):
        if verb not in ("engine",):
            assert verb in VERBS, f"{name}.md: there is no `rollout {verb}`"


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_reads_on_a_narrow_screen(name: str) -> None:
    if name != "configuration":  # tables
        assert max(len(line) for line in book(name).splitlines()) <= 140


def test_the_plan_s_messages_that_the_steps_name_exist() -> None:
    messages = {message.id for message in parse_plan(default_plan_text()).messages}
    for named in re.findall(r"[Ss]end `([a-z_]+)`", book("plan")):
        assert named in messages
