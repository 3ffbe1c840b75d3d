"""The runbooks: all of them open, none is empty, and every key, verb and screen that they name exists."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import click
import pytest

from console.cli import VERBS, rollout
from console.context import CliContext, DisplayOptions
from console.screens.help import RUNBOOKS, book
from engine.plan import locate
from engine.plan.load import default_plan_text, parse_plan
from tests.engine.service.rig import EngineRig

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
    prose = text if name != "configuration" else "".join(re.findall(r"`[^`\n]*`", text))  # there it is also the noun
    for verb in re.findall(r"(?<![\w./-])(?<!the )(?<!The )rollout ([a-z][a-z-]+)(?=[ `\n)])", prose):
        if verb not in ("engine",):
            assert verb in VERBS, f"{name}.md: no `rollout {verb}` exists"


@pytest.mark.parametrize("name", NAMES)
def test_a_runbook_reads_on_a_narrow_screen(name: str) -> None:
    if name != "configuration":  # tables
        assert max(len(line) for line in book(name).splitlines()) <= 140


def test_the_plan_s_messages_that_the_steps_name_exist() -> None:
    messages = {message.id for message in parse_plan(default_plan_text()).messages}
    for named in re.findall(r"[Ss]end `([a-z_]+)`", book("plan")):
        assert named in messages


# -- every command is parsed, every key of the plan exists -------------------------------------------------------------------

PAGES = {**{name: book(name) for name in NAMES}, "README": (Path(__file__).parents[2] / "README.md").read_text()}
OPTIONAL = re.compile(r"\[[^\]]*\]")


def commands(text: str) -> list[str]:
    """`rollout ...` in backticks, and in lines of code; a unit's ExecStart too."""
    spans = re.findall(r"`([^`\n]*)`", text)
    lines = re.findall(r"^(?: {4,}|\$ )(.*)$", text, re.M) + re.findall(r"^```\w*\n(.*?)^```", text, re.S | re.M)
    results = []
    for line in "\n".join([*spans, *lines]).splitlines():
        line = line.split("  #")[0].removeprefix("ExecStart=").strip()
        match = re.match(r"(?:sudo (?:-u \S+ )?)?(?:\S*/)?rollout((?: .*)?)$", line)
        if match and "rollout-console" not in line:
            results.append(re.split(r"\s*(?:&&|\||;|>)\s*", match[1].strip())[0])
    return results


def parse(words: str) -> None:
    """As click does, without running anything. click.UsageError for what it would refuse."""
    words = OPTIONAL.sub("", words).replace("|", " ").replace("...", "").replace("$(date +%F)", "2026-01-01")
    arguments = shlex.split(words, comments=True)
    command: click.Command = rollout
    parent = None
    while True:
        context = command.make_context("rollout", list(arguments), parent=parent)
        if not isinstance(command, click.Group) or not (rest := [*context._protected_args, *context.args]):
            return
        _, inner, arguments = command.resolve_command(context, rest)
        assert inner is not None
        command, parent = inner, context


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_one_that_rollout_takes(page: str) -> None:
    for words in commands(PAGES[page]):
        try:
            parse(words)
        except (click.exceptions.Exit, click.exceptions.NoArgsIsHelpError):  # --help, --version, a group named alone
            pass
        except click.MissingParameter:
            assert len(words.split()) <= 2, f"{page}: `rollout {words}` lacks something"  # the verb alone is named
        except click.UsageError as error:
            pytest.fail(f"{page}: `rollout {words}`: {error.format_message()}")


def test_the_pages_have_commands_to_test() -> None:
    assert sum(len(commands(text)) for text in PAGES.values()) > 60


@pytest.mark.parametrize("page", PAGES)
def test_every_key_of_the_plan_that_a_page_names_is_in_its_table(page: str) -> None:
    known: dict[str, set[str]] = {}
    table = ""
    for line in default_plan_text().splitlines():
        if heading := re.match(r"\s*\[+([a-z_.]+)\]+", line):
            table = heading[1]
        elif key := re.match(r"\s*#? ?([a-z_]+) = ", line):
            known.setdefault(table, set()).add(key[1])
    for table, key in re.findall(r"(?<!\[)\[([a-z_.]+)\]\s+([a-z_]+)\b(?! to)", PAGES[page]):
        if table in known and (key in {k for keys in known.values() for k in keys} or "_" in key):
            assert key in known[table], f"{page}: no [{table}] {key} exists"
        elif "_" in key:
            pytest.fail(f"{page}: no table [{table}] exists")


def test_the_test_of_keys_sees_a_wrong_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAGES, "plan", "give [triggers] blind_step_down a longer time")
    with pytest.raises(AssertionError, match="exists"):
        test_every_key_of_the_plan_that_a_page_names_is_in_its_table("plan")


def test_a_plan_in_etc_is_found_where_none_is_nearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system = tmp_path / "etc" / "rollout.toml"
    system.parent.mkdir()
    elsewhere = tmp_path / "home"
    elsewhere.mkdir()
    monkeypatch.setattr(locate, "SYSTEM", system)
    assert locate.find_plan(elsewhere) is None
    system.write_text("")
    assert locate.find_plan(elsewhere) == system
    (elsewhere / "rollout.toml").write_text("")
    assert locate.find_plan(elsewhere) == elsewhere / "rollout.toml"
    monkeypatch.setenv("ROLLOUT_PLAN", str(system))
    monkeypatch.setenv("ROLLOUT_STORE", str(tmp_path / "kept"))
    monkeypatch.chdir(elsewhere)
    context = CliContext(None, None, DisplayOptions())
    assert (context.plan_path, context.store.path) == (system, tmp_path / "kept")


def test_check_and_serve_agree_on_an_address_beyond_loopback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROLLOUT_TOKEN", raising=False)
    with EngineRig(tmp_path, speed=None, settings={"http.host": "0.0.0.0"}) as rig:
        served, checked = rig.cli("serve"), rig.cli("check", "--offline")
    assert (served.returncode, checked.returncode) == (1, 1)
    assert served.stderr.strip() in checked.stdout
    assert "ROLLOUT_TOKEN" in served.stderr


def test_every_verb_that_prints_takes_json() -> None:
    def walk(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                yield from walk(inner, (*path, name))
        else:
            yield path, command

    without = {" ".join(path) for path, command in walk(rollout, ()) if "json" not in {p.name for p in command.params}}
    assert without == {"serve", "rehearse", "worker"}  # they run until they are ended
