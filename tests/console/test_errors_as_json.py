"""With --json every failure of a verb is one JSON object on standard output, with a code, and keeps its exit code."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from console.cli import VERBS, rollout
from engine.plan.init import set_value
from engine.plan.load import default_plan_text
from engine.server import openapi
from tests import sources

ROOT = Path(__file__).parents[2]


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


def test_an_answer_in_which_something_failed_has_a_code_and_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLOUT_STORE", str(tmp_path / "store"))
    (tmp_path / "rollout.toml").write_text(set_value(default_plan_text(), "llm.url", "http://127.0.0.1:9"))
    (tmp_path / "a.md").write_bytes(b"\0\1")
    for words, code in (
        ("check --json", "check"),
        ("load --json a.md", "partial"),
        ("load --json --dry-run a.md", "partial"),
    ):
        result = run(*words.split())
        body = json.loads(result.stdout)
        assert (body["ok"], body["code"], result.exit_code) == (False, code, 1), body
        assert body["sentence"]


def test_json_after_the_end_of_options_is_a_word() -> None:
    result = run("status", "--no-such-option", "--", "--json")
    assert (result.exit_code, result.stdout) == (2, "")


CODES = tomllib.loads((ROOT / "engine" / "error_codes.toml").read_text())
# where a call has its code: the number of the argument
CODE_AT = {
    "Denial": 1, "EngineRefused": 1, "Failed": 1, "Health": 4, "HttpRefusal": 1, "Mismatch": 0, "NoJob": 0, "Refusal": 1, "_refuse": 1,
    "fail": 2, "fail_in_json": 2, "outcome": 1, "refuse": 1,
}  # fmt: skip


def given_codes(node: ast.AST) -> Iterator[ast.expr]:
    """Expressions whose words are codes of errors."""
    match node:
        case ast.keyword(arg="code", value=value):
            yield value
        case ast.Assign(targets=[ast.Name(id="code")], value=value):
            yield value
        case ast.Dict(keys=names, values=values):
            yield from (
                v for k, v in zip(names, values, strict=True) if isinstance(k, ast.Constant) and k.value == "code"
            )
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if len(args) > CODE_AT.get(
            name, 99
        ):
            yield args[CODE_AT[name]]


def words(code: ast.expr) -> Iterator[str]:
    """The codes that an expression may be: not what it asks or looks up."""
    match code:
        case ast.Constant(value=str(value)):
            yield value
        case ast.IfExp(body=body, orelse=orelse):
            yield from (*words(body), *words(orelse))
        case ast.BoolOp(values=values):
            for value in values:
                yield from words(value)


def test_every_code_of_an_error_is_listed_with_its_meaning() -> None:
    # an LLM service's codes, a client's own, a guess of an encoding
    apart = ("engine/extraction/", "engine/rehearsal/", "engine/client/public/", "engine/parsing/")
    found = {"failed", "store", "system", "internal"}  # of `Failed` and `code_of`
    for file, node in sources.every_node():
        if not file.startswith(apart):
            found |= {word for code in given_codes(node) for word in words(code) if word}
    assert found == set(CODES)


def test_the_page_and_the_openapi_document_list_every_code() -> None:
    page = (ROOT / "console" / "help" / "troubleshooting.md").read_text().partition("## Codes of errors\n")[2]
    described = openapi.described("service", "test")["components"]["schemas"]["Problem"]["properties"]["code"][
        "description"
    ]
    assert [line for line in page.splitlines() if line.startswith("- ")] == [
        f"- `{code}`: {meaning}" for code, meaning in sorted(CODES.items())
    ]
    assert all(f"`{code}`: {meaning}" in described for code, meaning in CODES.items())
