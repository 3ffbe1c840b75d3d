"""With --json every failure of a verb is one JSON object on standard output, with a code, and keeps its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from console.cli import VERBS, rollout


def run(*words: str) -> Result:
    return CliRunner().invoke(rollout, words, prog_name="rollout")


def takes_json(verb: str) -> bool:
    """`query` is left out below: to it, what looks like an option is a word to search for."""
    command = rollout.get_command(click.Context(rollout), verb)
    return command is not None and any("--json" in param.opts for param in command.params)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if takes_json(verb) and verb != "query"])
def test_a_wrong_option_of_any_verb_is_a_usage_error_in_json(verb: str) -> None:
    plain, as_json = run(verb, "--no-such-option"), run(verb, "--json", "--no-such-option")
    assert (plain.exit_code, plain.stdout) == (2, "")
    body = json.loads(as_json.stdout)
    assert (as_json.exit_code, body["ok"], body["code"]) == (2, False, "usage")
    assert body["sentence"] in plain.stderr.replace("Error: ", "")
    assert as_json.stderr == ""


@pytest.mark.parametrize(
    ("words", "code", "status"),
    [
        ("statsu --json", "usage", 2),
        ("--no-such-option status --json", "usage", 2),
        ("--plan= status --json", "usage", 2),
        ("gate --json --plan missing.toml", "plan", 1),
        ("status --json", "no_plan", 1),
        ("status --json --store missing", "no_view", 1),
        ("load --json", "usage", 2),
        ("load --json .", "no_files", 1),
        ("promote --json --store missing", "store", 1),
        ("query --json --limit x word", "usage", 2),
    ],
)
def test_an_error_has_a_code(
    words: str, code: str, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROLLOUT_PLAN", raising=False)
    monkeypatch.delenv("ROLLOUT_STORE", raising=False)
    result = run(*words.split())
    body = json.loads(result.stdout)
    assert (body["ok"], body["code"], result.exit_code) == (False, code, status), body
    assert body["sentence"]


def test_json_after_the_end_of_options_is_a_word() -> None:
    result = run("status", "--no-such-option", "--", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
