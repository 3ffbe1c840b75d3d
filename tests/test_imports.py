"""No module imports itself through others, not even for its types. .importlinter has the layers of packages."""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from engine.server import preload
from tests import sources

FILES = {".".join(Path(file).with_suffix("").parts).removesuffix(".__init__"): file for file in sources.trees()}


@cache
def imported(file: str) -> set[str]:
    """Modules of ours that a file names, wherever in it."""
    results: set[str] = set()
    for node in sources.nodes(file):
        if isinstance(node, ast.Import):
            results |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            results |= {f"{node.module}.{alias.name}" for alias in node.names}
            results.add(node.module)
    return results & FILES.keys()


def graph(package: str) -> dict[str, set[str]]:
    """Which module imports which; a package's own `__init__` gathers its parts and is left out."""
    return {
        name: {other for other in imported(file) if not FILES[other].endswith("/__init__.py")}
        for name, file in FILES.items()
        if name.startswith(package) and not file.endswith("/__init__.py")
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


@cache
def at_once_and_late(file: str) -> tuple[set[str], set[str]]:
    """Modules that a file imports with itself, and those that its functions import; without those for its types."""
    at_once: set[str] = set()
    late: set[str] = set()
    due: list[tuple[ast.AST, set[str]]] = [(sources.trees()[file], at_once)]
    while due:
        node, into = due.pop()
        if isinstance(node, ast.Import):
            into |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            into |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            due += [(inner, late) for inner in node.body]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            due += [(inner, into) for inner in node.orelse]
        elif isinstance(node, ast.stmt | ast.Module | ast.ExceptHandler):
            due += [(inner, into) for inner in ast.iter_child_nodes(node) if not isinstance(inner, ast.expr)]
    return at_once & FILES.keys(), late & FILES.keys()


def loaded_with(*names: str) -> set[str]:
    """These modules of ours, the packages they are in, and what they import at once."""
    loaded: set[str] = set()
    due = list(names)
    while due:
        name = due.pop()
        if name in FILES and name not in loaded:
            loaded.add(name)
            due += [name.rpartition(".")[0], *at_once_and_late(FILES[name])[0]]
    return loaded


def test_a_running_engine_has_loaded_all_its_modules() -> None:
    """Else an upgrade that replaces the files breaks the request that first needs one."""
    start = "engine.server.process"
    loaded = loaded_with(start, *at_once_and_late(FILES[start])[1], *preload.MODULES)
    elsewhere = ("engine.rehearsal", "engine.gameday", "engine.server.rehearse")
    late = {
        (name, other)
        for name in loaded
        if not name.startswith(elsewhere)
        for other in at_once_and_late(FILES[name])[1] - loaded
        if not other.startswith(elsewhere)
    }
    assert late == set()
