"""Untrusted text stays text: nothing of it acts, in the bytes that a real pseudo-terminal gets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan.init import set_value
from engine.plan.load import default_plan_text
from engine.server.spawning import spawn, wait_until_up
from engine.store.folder import Folder
from tests.console.hostile import ALLOWED, ATTACKS, HIDDEN, PAYLOAD
from tests.machine import crowd
from tests.terminal import ROLLOUT, ROOT, Terminal

PROGRAM = (sys.executable, "-m", "tests.console.hostile")


def harmless(raw: bytes) -> str:
    """The text that was shown; fails when anything in it could act."""
    text = raw.decode()
    for answer in ALLOWED.finditer(text):
        words = answer["words"] or ""
        assert words.isprintable(), answer[0]
        assert "\x1b" not in words
    shown = ALLOWED.sub("", text)
    acting = {char for char in shown if not char.isprintable()}
    assert not acting, f"{acting} in {shown[:200]!r}"
    assert not HIDDEN.search(shown)
    return shown


def all_bytes(terminal: Terminal) -> bytes:
    """What the program wrote up to its end: a stream read while it writes may end within a sequence."""
    os.kill(terminal.pid, signal.SIGTERM)
    assert terminal.ended(30.0), terminal.text
    return terminal.raw


def test_no_screen_question_notice_title_or_search_lets_it_act(tmp_path: Path) -> None:
    with Terminal(PROGRAM, cwd=tmp_path, answers=False, environ={"XDG_CONFIG_HOME": str(tmp_path)}) as terminal:
        terminal.until("STAGE 2")
        terminal.until_keys_act()
        for keys in [
            "2",
            "sq",
            "psq",
            "3",
            "4",
            "5",
            "n",
            "6",
            "7",
            "j",
            "8",
            "j",
            "y",
            "9",
            "s\x1b",
            "d",
            "0",
            "s",
            "?",
            "l",
            "l",
            "l",
            "q",
            "R",
            "w\x1b",
            "1",
            ":click\x1b",
            "/",
        ]:
            for key in keys:
                terminal.press(key)
            for row in range(2, 23, 4):  # a click on a text with [@click=...] in it
                for column in (20, 60):
                    terminal.send(f"\x1b[<0;{column};{row}M\x1b[<0;{column};{row}m")
            assert not terminal.ended(), terminal.text
        assert "PWNED" in harmless(all_bytes(terminal))


def test_no_widget_of_textual_lets_it_act(tmp_path: Path) -> None:
    with Terminal([*PROGRAM, "gallery"], rows=60, columns=120, cwd=tmp_path, answers=False) as terminal:
        terminal.until("STAGE 2")
        terminal.until("▐X▌")  # its checkbox
        for number in range(12):
            terminal.send("\t" if number % 2 else "\x1b[B")
            terminal.read(0.05)
        assert not terminal.ended(), terminal.text
        shown = harmless(all_bytes(terminal))
        assert shown.count("PWNED") > 10


# -- the command line on a store that was fed with it --------------------------------------------------------------------------

VERBS = (
    "status",
    "query PWNED",
    "query HYPERLINK",
    "log",
    "triggers list",
    "metrics snapshot",
    "logs analyze",
    "notify preview pre_rollout",
    "load --method frequency docs",
    "hold --reason {}",
    "resume --reason {}",
    "rollback --reason {}",
    "report --format md",
    "feedback complaint {}",
)


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("fed")
    text = set_value(set_value(default_plan_text(), "http.port", 0), "llm.url", "http://127.0.0.1:9")
    (root / "rollout.toml").write_text(text)
    (root / "docs").mkdir()
    for number, attack in enumerate(ATTACKS):
        name = f"{number}{attack}".encode().replace(b"/", b"_").replace(b"\0", b"")[:200]
        with open(os.fsencode(root / "docs") + b"/" + name + b".md", "wb") as file:
            body = f"# {PAYLOAD}\n\nPWNED retries with {attack} backoff and HYPERLINK queues.\n" * 3
            file.write(body.replace("\0", "").encode())
    folder = Folder(root / ".rollout")
    engine = spawn(root / "rollout.toml", folder)
    assert wait_until_up(folder, engine, 20.0 * crowd()) == ""
    yield root
    engine.terminate()
    engine.wait(15)


def test_no_verb_prints_it_so_that_it_acts(fed: Path) -> None:
    printed = ""
    argument = PAYLOAD.replace("\0", "")
    for verb in VERBS:
        words = [argument if word == "{}" else word for word in verb.split()]
        done = subprocess.run([*ROLLOUT, *words], cwd=fed, capture_output=True, timeout=60, check=False, env=environ())
        output = (done.stdout + done.stderr).decode()
        assert "Traceback" not in output
        assert "Unexpected error" not in output
        lines = output.replace("\n", "").replace("\t", "")
        assert not {c for c in lines if not c.isprintable()}, (verb, output)
        assert not HIDDEN.search(lines), verb
        printed += output
    assert "PWNED" in printed


def test_exports_are_json_and_terminals_get_text(fed: Path) -> None:
    subprocess.run(
        [*ROLLOUT, *["export", "--method", "frequency", "--limit", "50", "--output", "out.json"]],
        cwd=fed,
        check=True,
        env=environ(),
    )
    raw = (fed / "out.json").read_text()
    assert raw.replace("\n", "").isprintable() or not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in raw if c != "\n")
    assert json.loads(raw)


def environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
