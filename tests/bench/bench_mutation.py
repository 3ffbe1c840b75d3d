"""How many small faults in the core the tests notice.

    python -m tests.bench.bench_mutation [--only control] [--most 40] [--seed 1] [--budget 400]

A mutant is the module with one comparison, connective, arithmetic sign, constant or `not` changed. The near tests of a module run once
with a tracer, which shows the tests that reach each line; a mutant then runs in a fork of this process, against the tests that reach its
line (`-x`). It is killed when one of them fails. EQUIVALENT lists the mutants that no test can kill, with the reason; they are left out
of the share. A function that no near test calls leaves its mutants alive. Aim: 95 % killed.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CORES: dict[str, tuple[str, ...]] = {  # module -> its near tests: quick ones, each start costs half a second
    "engine/rollout/control.py": ("tests/engine/rollout",),
    "engine/rollout/state.py": ("tests/engine/rollout",),
    "engine/rollout/corrections.py": ("tests/engine/rollout", "tests/engine/store/test_log.py"),
    "engine/rollout/actions.py": ("tests/engine/rollout",),
    "engine/rollout/calendar.py": ("tests/engine/rollout",),
    "engine/rollout/way_back.py": ("tests/engine/rollout",),
    "engine/triggers/evaluate.py": ("tests/engine/triggers",),
    "engine/triggers/rules.py": ("tests/engine/triggers",),
    "engine/routing/switch.py": ("tests/engine/routing/test_switch.py",),
    "engine/gate/conditions.py": ("tests/engine/gate",),
    "engine/gate/stability.py": ("tests/engine/gate",),
    "engine/experiment/sequence.py": ("tests/engine/experiment",),
}
EQUIVALENT: dict[tuple[str, str], str] = {}  # (module, mutant) -> why no test can notice

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot,
    ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
}  # fmt: skip
_SLOW_IMPORTS = (
    "hypothesis",
    "msgspec",
    "httpx",
    "starlette",
    "uvicorn",
    "anyio",
    "snowballstemmer",
    "sqlite_utils",
    "tomli_w",
)
MUTANT_S = 60
_PYTEST = ("-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:randomly", "--no-header")


class Mutant(NamedTuple):
    line: int
    change: str  # "a < b -> a <= b"
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its syntax tree."""
    original = ast.parse(source)
    ignored = set(_ignored(original))
    for number, node in enumerate(ast.walk(original)):
        if node in ignored:
            continue
        tree = ast.parse(source)
        twin = next(other for place, other in enumerate(ast.walk(tree)) if place == number)
        before = ast.unparse(twin) if isinstance(twin, ast.expr) else ""
        if _mutated(tree, twin):
            yield Mutant(node.lineno, f"{before} -> {ast.unparse(twin)}"[:160], ast.unparse(tree))  # type: ignore[attr-defined]


def _ignored(tree: ast.AST) -> Iterator[ast.AST]:
    """What is no behaviour: options of a class (`frozen=True`) and annotations."""
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(keywords=keywords):
                parts: list[ast.AST | None] = [*keywords]
            case ast.arg(annotation=annotation) | ast.AnnAssign(annotation=annotation):
                parts = [annotation]
            case ast.FunctionDef(returns=returns):
                parts = [returns]
            case _:
                continue
        for part in parts:
            if part is not None:
                yield from ast.walk(part)


def _mutated(tree: ast.AST, node: ast.AST) -> bool:
    """Change the node in place; False when there is nothing to change."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in _COMPARE:
            node.ops = [_COMPARE[type(op)]()]
        case ast.BoolOp():
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC and not isinstance(node.left, ast.Constant | ast.JoinedStr):
            node.op = _ARITHMETIC[type(op)]()
        case ast.UnaryOp(op=ast.Not()):
            node.op = ast.UAdd()
            node.operand = ast.Call(ast.Name("bool", ast.Load()), [node.operand], [])
            ast.fix_missing_locations(tree)
        case ast.Constant(value=bool(value)):
            node.value = not value
        case ast.Constant(value=int(value) | float(value)):
            node.value = value + 1
        case _:
            return False
    return True


class Replaced(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from other source."""

    def __init__(self, module: str, source: str) -> None:
        self.name, self.path = module.removesuffix(".py").replace("/", "."), str(ROOT / module)
        self.source = source

    def find_spec(self, name: str, path: Any, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self, origin=self.path) if name == self.name else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = self.path
        exec(compile(self.source, self.path, "exec"), module.__dict__)


class Reach:
    """A pytest plugin: which tests run which lines of the module, and how long each takes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.tests: dict[str, set[int]] = {}
        self.seconds: dict[str, float] = {}
        self.unfit: set[str] = set()  # failed or skipped without a mutant
        self._lines: set[int] = set()

    def _trace(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != self.path:
            return None
        self._lines.add(frame.f_lineno)
        return self._trace

    def pytest_runtest_logstart(self) -> None:
        self._lines = set()
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if not report.passed:
            self.unfit.add(report.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]
        self.tests[nodeid] = self._lines


def forked(work: Callable[[], int], limit_s: float) -> int:
    """The exit code of `work` in a fork of this process; 1 when it takes too long."""
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        code = 3
        try:
            code = work()
        finally:
            os._exit(code)
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def reached(module: str) -> dict[int, list[str]]:
    """The tests that run each line, the quickest first."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as answer:

        def work() -> int:
            plugin = Reach(str(ROOT / module))
            code = int(pytest.main([*_PYTEST, *CORES[module]], plugins=[plugin]))
            fit = sorted(plugin.tests.keys() - plugin.unfit, key=lambda test: plugin.seconds.get(test, 0.0))
            reach = [(test, sorted(plugin.tests[test])) for test in fit]
            Path(answer.name).write_text(json.dumps([reach, sorted(plugin.unfit)]))
            return code

        if forked(work, 400) not in (0, 1):
            raise SystemExit(f"{module}: its tests cannot be collected.")
        reach, unfit = json.loads(answer.read())
        for test in unfit:
            print(f"    left out, fails without a mutant: {test}", flush=True)
        by_line: dict[int, list[str]] = {}
        for test, lines in reach:
            for line in lines:
                by_line.setdefault(line, []).append(test)
        return by_line


def statements(source: str) -> dict[int, tuple[int, ...]]:
    """For each line, the lines of the statement it belongs to; an empty tuple for what runs at import."""
    spans: dict[int, tuple[int, ...]] = {}

    def visit(node: ast.AST, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                body = getattr(child, "body", None)
                last = body[0].lineno - 1 if isinstance(body, list) and body else child.end_lineno or child.lineno
                for line in range(child.lineno, max(last, child.lineno) + 1):
                    spans[line] = tuple(range(child.lineno, max(last, child.lineno) + 1)) if inside else ()
            visit(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    visit(ast.parse(source), False)
    return spans


def killed(module: str, mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether one of the tests notices it; one that hangs is noticed."""

    def work() -> int:
        sys.meta_path.insert(0, Replaced(module, mutant.source))
        return int(pytest.main(["-x", *_PYTEST, *tests]))

    return bool(tests) and forked(work, MUTANT_S) != 0


def tests_of(
    mutant: Mutant, spans: dict[int, tuple[int, ...]], by_line: dict[int, list[str]], near: Iterable[str]
) -> list[str]:
    lines = spans.get(mutant.line, ())
    return list(dict.fromkeys(test for line in lines for test in by_line.get(line, ()))) if lines else list(near)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=0, help="mutants a module, drawn by seed; default: all")
    parser.add_argument("--skip", type=int, default=0, help="mutants of each module to leave out at the beginning")
    parser.add_argument("--budget", type=float, default=1e9, help="seconds; then print where to continue")
    parser.add_argument("--only", default="", help="modules whose name contains this")
    options = parser.parse_args()
    until = time.monotonic() + options.budget
    os.chdir(ROOT)
    for name in _SLOW_IMPORTS:
        importlib.import_module(name)
    all_killed = all_tried = 0
    for module in (name for name in CORES if options.only in name):
        source = (ROOT / module).read_text(encoding="utf-8")
        by_line, spans = reached(module), statements(source)
        drawn = [m for m in mutants(source) if (module, m.change) not in EQUIVALENT]
        if options.most:
            drawn = random.Random(options.seed).sample(drawn, min(options.most, len(drawn)))
        alive, tried = [], 0
        for mutant in drawn[options.skip :]:
            if time.monotonic() > until:
                print(f"out of time: continue with --only {module} --skip {options.skip + tried} (of {len(drawn)})")
                break
            tried += 1
            if not killed(module, mutant, tests_of(mutant, spans, by_line, CORES[module])):
                alive.append(mutant)
                print(f"    alive  {module}:{mutant.line}: {mutant.change}", flush=True)
        all_killed, all_tried = all_killed + tried - len(alive), all_tried + tried
        print(f"{module:34} {tried - len(alive):4} of {tried:3}", flush=True)
    if all_tried:
        print(f"{'all':34} {all_killed:4} of {all_tried:3}   {all_killed / all_tried:.1%} (aim 95 %)")


if __name__ == "__main__":
    main()
