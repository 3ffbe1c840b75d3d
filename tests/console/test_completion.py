"""Completion of words by the shells: what the command line offers, and what bash, zsh and fish make of it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import click
import pytest

from console.cli import main, rollout
from tests.engine.service.rig import COMMAND, EngineRig


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    """A store with a document, with no engine running."""
    root = tmp_path_factory.mktemp("place")
    with EngineRig(root, speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as made:
        (root / "docs").mkdir()
        (root / "docs" / "queues.md").write_text("# About queues\n\nThe worker pool retries requests with queues.\n")
        made.cli("load", str(root / "docs"))
        yield made


def complete(rig: EngineRig, *words: str) -> list[str]:
    env = {
        **os.environ,
        "_ROLLOUT_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(["rollout", *words]),
        "COMP_CWORD": str(len(words)),
    }
    done = subprocess.run(
        [sys.executable, "-c", "from console.cli import main; main()"],
        env=env,
        capture_output=True,
        text=True,
        cwd=rig.root,
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_ids_complete_from_the_plan_and_the_store(rig: EngineRig) -> None:
    at = ("--plan", str(rig.plan_path), "--store", str(rig.folder.path))
    assert complete(rig, "triggers", "why", "error_c") == ["error_critical", "error_creep"]
    assert "code_deployed" in complete(rig, *at, "sign", "code")
    assert complete(rig, "rollback", "--to", "4") == ["4"]
    assert complete(rig, "documents", "show", *at, "que") == ["queues.md"]
    assert "stage=2" in complete(rig, "wait", "--for", "stage")
    assert complete(rig, "plan", "adopt", "--stage", "4") == ["4"]
    assert complete(rig, "--plan", "missing.toml", "triggers", "why", "err") == []
    assert {"gate", "wait"} <= set(complete(rig, ""))


def completions(group: click.Group, parent: click.Context | None = None) -> Iterator[tuple[str, list[str]]]:
    """Of every parameter of every verb, what the shell would be offered for nothing typed yet."""
    ctx = click.Context(group, parent, "rollout" if parent is None else group.name, resilient_parsing=True)
    for name in group.list_commands(ctx):
        verb = group.get_command(ctx, name)
        assert verb is not None
        own = click.Context(verb, ctx, name, resilient_parsing=True)
        for param in verb.params:
            items = param.shell_complete(own, "")
            yield f"{name} {param.name}", [item.value or item.type for item in items]
        if isinstance(verb, click.Group):
            yield from completions(verb, ctx)


def test_tab_prints_nothing_but_completions_where_there_is_no_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("ROLLOUT_PLAN", "ROLLOUT_STORE"):
        monkeypatch.delenv(variable, raising=False)
    offered = dict(completions(rollout))
    assert offered["wait goal"] == ["stable", "gate-open", "rolled-back"]
    assert offered["why trigger"] == offered["stop job"] == []
    assert offered["load paths"] == offered["load output"] == ["file"]  # left to the shell
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("_ROLLOUT_COMPLETE", "bash_complete")
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, getattr(sys, stream))  # `main` wraps them for the rest of a process
    monkeypatch.setattr("console.cli.gc", Mock())  # as well
    monkeypatch.setattr("console.cli.rollout", lambda **_: 1 / 0)  # whatever goes wrong
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_takes_its_completion_script(rig: EngineRig, shell: str, tmp_path: Path) -> None:
    script = rig.cli("completion", shell, "--quiet").stdout
    assert "_ROLLOUT_COMPLETE" in script
    if program := shutil.which(shell):
        (tmp_path / "script").write_text(script)
        done = subprocess.run([program, "-n", str(tmp_path / "script")], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def at_the_prompt(rig: EngineRig, tmp_path: Path) -> dict[str, str]:
    """An environment in which a shell finds `rollout`, and that finds the plan."""
    (tmp_path / "rollout").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (tmp_path / "rollout").chmod(0o755)
    where = {"ROLLOUT_PLAN": str(rig.plan_path), "ROLLOUT_STORE": str(rig.folder.path)}
    return {**os.environ, **where, "PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}


BASH = """eval "$(rollout completion bash)"
COMP_LINE=$1; COMP_POINT=${#1}; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2))
_rollout_completion rollout; printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("rollout wait --for ", "rollout", "wait", "--for", ""), {"stage=2", "stable", "gate-open"}),
        (("rollout wait --for st", "rollout", "wait", "--for", "st"), {"stage=2", "stable"}),
        (("rollout wait --for stage=", "rollout", "wait", "--for", "stage", "="), {"2"}),
        (("rollout wait --for=st", "rollout", "wait", "--for", "=", "st"), {"stage=2", "stable"}),
        (("rollout wait --for=stage=2", "rollout", "wait", "--for", "=", "stage", "=", "2"), {"2"}),
        (("rollout promote --dr", "rollout", "promote", "--dr"), {"--dry-run"}),
    ],
)
def test_bash_completes_values_across_its_word_breaks(
    at_the_prompt: dict[str, str], words: tuple[str, ...], offered: set[str]
) -> None:
    done = subprocess.run(["bash", "-c", BASH, "bash", *words], capture_output=True, text=True, env=at_the_prompt)
    lines = done.stdout.split()
    assert offered <= set(lines), done
    assert all(len(line) == 1 for line in lines) == (offered == {"2"})  # what was typed is not typed again


def test_zsh_and_fish_keep_the_option_before_the_value(at_the_prompt: dict[str, str]) -> None:
    asked = {
        **at_the_prompt,
        "_ROLLOUT_COMPLETE": "zsh_complete",
        "COMP_WORDS": "rollout wait --for=st",
        "COMP_CWORD": "2",
    }
    zsh = subprocess.run(["rollout"], capture_output=True, text=True, env=asked)
    assert "--for=stable" in zsh.stdout.split(), zsh
    if fish := shutil.which("fish"):
        script = 'rollout completion fish | source; complete -C "rollout wait --for=st"'
        done = subprocess.run([fish, "-c", script], capture_output=True, text=True, env=at_the_prompt)
        assert "--for=stable" in done.stdout.split(), done
