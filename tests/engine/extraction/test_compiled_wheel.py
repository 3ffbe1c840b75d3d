"""When a wheel is compiled: never in an editable install, and never unless the switch is set."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import engine.extraction

FOLDER = Path(engine.extraction.__file__).parent


class PlainWheel:
    """setuptools' command, which an installed environment need not have."""

    def __init__(self, commands: list[str]) -> None:
        self.distribution = SimpleNamespace(commands=commands, ext_modules=None)

    def finalize_options(self) -> None:
        self.root_is_pure = not self.distribution.ext_modules


class PlainArchive:
    """setuptools' command too: it packs what was found and is not left out."""

    def __init__(self, files: list[str]) -> None:
        self.files = files
        self.filelist = SimpleNamespace(exclude_pattern=self._exclude)
        self.packed: list[str] = []

    def make_distribution(self) -> None:
        self.packed = self.files

    def _exclude(self, pattern: None, prefix: str) -> None:
        self.files = [name for name in self.files if not name.startswith(f"{prefix}/")]


@pytest.fixture
def compiled_wheel(monkeypatch: pytest.MonkeyPatch) -> Any:
    setuptools = ModuleType("setuptools.command.bdist_wheel")
    setuptools.bdist_wheel = PlainWheel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "setuptools.command.bdist_wheel", setuptools)
    archive = ModuleType("setuptools.command.sdist")
    archive.sdist = PlainArchive  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "setuptools.command.sdist", archive)
    monkeypatch.delitem(sys.modules, "engine.extraction.compiled_wheel", raising=False)
    module = importlib.import_module("engine.extraction.compiled_wheel")
    monkeypatch.setattr(module, "extensions", lambda: ["compiled"])
    yield module
    sys.modules.pop("engine.extraction.compiled_wheel", None)


@pytest.mark.parametrize(
    ("switch", "command", "is_pure"),
    [
        ("1", "bdist_wheel", False),
        ("1", "editable_wheel", True),  # a compiled module would shadow the file that is edited
        ("1", "dist_info", True),
        ("0", "bdist_wheel", True),
        (None, "bdist_wheel", True),
    ],
)
def test_only_a_wheel_built_with_the_switch_is_compiled(
    compiled_wheel: Any, monkeypatch: pytest.MonkeyPatch, switch: str | None, command: str, is_pure: bool
) -> None:
    monkeypatch.delenv(compiled_wheel.SWITCH, raising=False)
    if switch is not None:
        monkeypatch.setenv(compiled_wheel.SWITCH, switch)
    wheel = compiled_wheel.Wheel([command])
    wheel.finalize_options()
    assert wheel.root_is_pure is is_pure


def test_every_module_to_compile_is_a_plain_file_beside_the_others(compiled_wheel: Any) -> None:
    assert [name for name in compiled_wheel.MODULES if not (FOLDER / f"{name}.py").is_file()] == []


def test_the_source_archive_has_no_tests(compiled_wheel: Any) -> None:
    command = compiled_wheel.SourceArchive(["engine/a.py", "tests/test_a.py", "console/tests.py"])
    command.make_distribution()
    assert command.packed == ["engine/a.py", "console/tests.py"]
