"""The contract of imports covers every module, and what a rollback needs at once loads no screen."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_every_module_has_its_layer() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:floors"]["layers"]
    named = {name.strip() for line in layers.splitlines() for name in line.split("|") if name.strip()}
    modules = {
        f"{package}.{path.stem}"
        for package in ("engine", "console")
        for path in (ROOT / package).iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or any(path.glob("*.py"))
    }
    assert modules == named


def test_the_readme_s_layers_are_the_engine_s_packages() -> None:
    table = (ROOT / "engine" / "README.md").read_text().partition("| layer | packages |")[2].partition("\n\n")[0]
    named = [name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[2])]
    modules = {path.stem for path in (ROOT / "engine").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert sorted(named) == sorted(modules - {"__init__"})


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["status", "--help"], ["rollback", "--help"]])
def test_what_has_to_answer_at_once_loads_neither_textual_nor_httpx(words: list[str]) -> None:
    code = (
        "import sys; from console.cli import main\n"
        f"sys.argv = ['rollout', *{words!r}]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'textual', 'httpx', 'numpy', 'scipy', 'difflib'} & sys.modules.keys()\n"
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_rollback_and_a_status_do_not_wait_for_the_plan_s_types() -> None:
    """They are a tenth of a start."""
    code = "import sys, engine.client.client, console.link; sys.exit('engine.plan.model' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_httpx_is_loaded_without_its_command_line() -> None:
    code = "import sys; from engine.extraction.llm import transport; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_only_one_module_of_ours_imports_httpx() -> None:
    """Whichever is the first to import it decides; `rollout_console` is for other services' processes."""
    importing = {
        path.relative_to(ROOT).as_posix()
        for package in ("engine", "console")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"^\s*(import httpx|from httpx)\b", path.read_text(), re.MULTILINE)
    }
    assert importing == {"engine/light_httpx.py", "engine/client/public/rollout_console/asynchronous.py"}
