"""No module imports itself through others, not even for its types. .importlinter has the layers of packages."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PATHS = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in ("engine", "console")
    for path in (ROOT / package).rglob("*.py")
}


@cache
def imported(path: Path) -> set[str]:
    """Modules of ours that a file names, wherever in it."""
    results: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            results |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            results |= {f"{node.module}.{alias.name}" for alias in node.names}
            results.add(node.module)
    return results & PATHS.keys()


def graph(package: str) -> dict[str, set[str]]:
    """Which module imports which; a package's own `__init__` gathers its parts and is left out."""
    return {
        name: {other for other in imported(path) if PATHS[other].name != "__init__.py"}
        for name, path in PATHS.items()
        if name.startswith(package) and path.name != "__init__.py"
    }


def test_the_engine_knows_nothing_of_the_console() -> None:
    back = {name for name, others in graph("engine").items() if any(o.startswith("console") for o in others)}
    assert not back


@pytest.mark.parametrize("package", ["engine", "console"])
def test_no_module_imports_itself_through_others(package: str) -> None:
    try:
        list(TopologicalSorter(graph(package)).static_order())
    except CycleError as cycle:
        raise AssertionError(" imports ".join(reversed(cycle.args[1]))) from None
