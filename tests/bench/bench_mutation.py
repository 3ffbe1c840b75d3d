"""How many small faults in the core the tests notice.

    python -m tests.bench.bench_mutation [--only control] [--most 40] [--seed 1] [--budget 400]

A mutant is the module with one comparison, connective, arithmetic sign, constant or `not` changed. The near tests of a module are
collected once and run once with a tracer, which shows the tests that reach each line. Each mutant then runs in a fork: the functions get
its code, and the tests that reach its line run until one fails, which kills it. What runs at import is reimported. EQUIVALENT lists the mutants that no test can kill, with the reason; they are left out
of the share. A function that no near test calls leaves its mutants alive. Aim: 95 % killed.

The tracer takes most of a short run: `--only calendar --most 10` half a minute, `--only triggers/evaluate --most 10` three.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
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
    "engine/triggers/error_rules.py": ("tests/engine/triggers",),
    "engine/triggers/latency_rules.py": ("tests/engine/triggers",),
    "engine/triggers/cache_rules.py": ("tests/engine/triggers",),
    "engine/routing/switch.py": ("tests/engine/routing/test_switch.py",),
    "engine/gate/conditions.py": ("tests/engine/gate",),
    "engine/gate/stability.py": ("tests/engine/gate",),
    "engine/experiment/sequence.py": ("tests/engine/experiment",),
}
# (module, its line, mutant) -> why no test can notice
EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("engine/rollout/calendar.py", "_AHEAD = 60", "60 -> 61"): "a bound on a loop that ends long before, or never",
    (
        "engine/rollout/calendar.py",
        "if len(freeze.end) <= 10:",
        "10 -> 11",
    ): "no date or moment in ISO 8601 has 11 characters",
    (
        "engine/rollout/control.py",
        "lifts = ceiling_bp > state.ceiling_bp",
        "ceiling_bp > state.ceiling_bp -> ceiling_bp >= state.ceiling_bp",
    ): "an equal ceiling was refused before",
    (
        "engine/rollout/control.py",
        "shadowed = plan.stages[stage].shadow_bp if stage <= plan.last_stage else 0",
        "0 -> 1",
    ): "the sentence of a stable rollout names no shadow",
    (
        "engine/routing/switch.py",
        "return percent_bp < min(self._caps.values(), default=10_001)",
        "10001 -> 10002",
    ): "no percentage is above 10 000",
    (
        "engine/gate/conditions.py",
        "return bounds.first_true(holds, max(1, n), 1 << 24)",
        "1 -> 2",
    ): "at the present n it does not hold, else the condition were met; no rollout reaches the end",
    (
        "engine/gate/conditions.py",
        "return bounds.first_true(holds, max(1, n), 1 << 24)",
        "24 -> 25",
    ): "no rollout reaches the end",
    (
        "engine/gate/stability.py",
        'hourly = series.buckets(conn, 3600, state.entered_at - 3600, now + 3600, "treatment", stage=state.stage)',
        "3600 -> 3601",
    ): "buckets begin at whole hours, and those of other stages are left out",
    ("engine/experiment/sequence.py", "for _ in range(60):", "60 -> 61"): "60 halvings reach the last bit",
    (
        "engine/experiment/sequence.py",
        "if 0.0 < middle < 1.0 and rate_log_e(counts, middle, a, b) < ask:",
        "1.0 -> 2.0",
    ): "the middle of two rates is below 1, or the e-value is infinite there",
    (
        "engine/experiment/sequence.py",
        "if 0.0 < middle < 1.0 and rate_log_e(counts, middle, a, b) < ask:",
        "rate_log_e(counts, middle, a, b) < ask -> rate_log_e(counts, middle, a, b) <= ask",
    ): "the bisection ends at the same bit",
    (
        "engine/experiment/sequence.py",
        "high = 1.0 if counts.k == counts.n else edge(rate, 1.0)",
        "1.0 -> 2.0",
    ): "the e-value passes 1/alpha below 1, and the bisection ends there",
    (
        "engine/triggers/cache_rules.py",
        "window = attempts.windows.get(rule.for_s) or WindowTotals(0.0, 0, 0)",
        "0 -> 1",
    ): "only the lookups are read",
    (
        "engine/triggers/cache_rules.py",
        "window = attempts.windows.get(rule.for_s) or WindowTotals(0.0, 0, 0)",
        "0.0 -> 1.0",
    ): "only the lookups are read",
    (
        "engine/triggers/rules.py",
        "calls, span = (known.failures_in_row, known.failures_span_s) if known else (0, 0.0)",
        "0.0 -> 1.0",
    ): "no call has failed, so no span is read",
    (
        "engine/rollout/state.py",
        "login: int = -1  # the uid that the session logged in as, where it is another (`sudo -u`, `su`)",
        "1 -> 2",
    ): "every uid below 0 is none",
    (
        "engine/gate/conditions.py",
        "needed = _at_this_rate(lambda m: bounds.rate_lower(int(k / n * m), m, sure) > target, n)",
        "bounds.rate_lower(int(k / n * m), m, sure) > target -> bounds.rate_lower(int(k / n * m), m, sure) >= target",
    ): "no bound of whole counts is the target to the last bit",
    (
        "engine/gate/conditions.py",
        "needed = _at_this_rate(lambda m: bounds.rate_upper(round(k / n * m), m, sure) < target, n) if inside else None",
        "bounds.rate_upper(round(k / n * m), m, sure) < target -> bounds.rate_upper(round(k / n * m), m, sure) <= target",
    ): "no bound of whole counts is the target to the last bit",
}

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
REACH_S = 300
_TERMINAL = os.dup(2)  # pytest captures the other one
_PYTEST = ("-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:randomly", "--no-header")


class Mutant(NamedTuple):
    line: int
    text: str  # of that line
    change: str  # "a < b -> a <= b"
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its syntax tree."""
    original, written = ast.parse(source), source.splitlines()
    ignored = set(_ignored(original))
    for number, node in enumerate(ast.walk(original)):
        if node in ignored:
            continue
        tree = ast.parse(source)
        twin = next(other for place, other in enumerate(ast.walk(tree)) if place == number)
        before = ast.unparse(twin) if isinstance(twin, ast.expr) else ""
        if _mutated(tree, twin):
            line: int = node.lineno  # type: ignore[attr-defined]
            yield Mutant(line, written[line - 1].strip(), f"{before} -> {ast.unparse(twin)}"[:160], ast.unparse(tree))


def _ignored(tree: ast.AST) -> Iterator[ast.AST]:
    """What is not behaviour: options of a class (`frozen=True`) and annotations."""
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
    """Which lines of the module run, while it is on."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: set[int] = set()

    def _trace(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        if frame.f_code.co_filename != self.path:
            return None
        self.lines.add(frame.f_lineno)
        return self._trace

    def __enter__(self) -> Reach:
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]


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
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 1


def functions(scope: Mapping[str, object], module: str, prefix: str = "") -> Iterator[tuple[str, FunctionType]]:
    """Every function and method that the module defines, by its path."""
    for name, value in scope.items():
        bare = inspect.unwrap(value) if callable(value) else value
        parts = [bare.fget, bare.fset] if isinstance(bare, property) else [getattr(bare, "__func__", bare)]
        for part in parts:
            if isinstance(part, FunctionType) and part.__module__ == module:
                yield f"{prefix}{name}", part
        if isinstance(bare, type) and bare.__module__ == module:
            yield from functions(vars(bare), module, f"{prefix}{name}.")


def swap(module: ModuleType, source: str) -> None:
    """Give every function of an imported module its mutated code; whoever holds the function sees the mutant."""
    twin = ModuleType(module.__name__)
    twin.__file__ = module.__file__
    exec(compile(source, module.__file__ or "", "exec"), twin.__dict__)
    changed = dict(functions(vars(twin), module.__name__))
    for path, function in functions(vars(module), module.__name__):
        if path in changed:
            function.__code__ = changed[path].__code__
            function.__defaults__, function.__kwdefaults__ = changed[path].__defaults__, changed[path].__kwdefaults__


def progress(line: str) -> None:
    """In place of the last one; only on a terminal."""
    if os.isatty(_TERMINAL):
        os.write(_TERMINAL, f"\r\033[K{line}".encode())


class Trial:
    """A pytest plugin: instead of one run of the collected tests, a run for each mutant, in a fork."""

    def __init__(self, module: str, tried: Sequence[Mutant], until: float, answer: Path) -> None:
        self.module, self.tried, self.until, self.answer = module, tried, until, answer
        self._failed = False

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed or (report.skipped and hasattr(report, "wasxfail"))

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        by_line = self._reached(session)
        name = self.module.removesuffix(".py").replace("/", ".")
        target = sys.modules[name]
        spans = statements((ROOT / self.module).read_text(encoding="utf-8"))
        outcome: list[tuple[int, str]] = []
        for number, mutant in enumerate(self.tried):
            if time.monotonic() > self.until:
                break
            progress(f"mutant {number + 1} of {len(self.tried)}")
            lines = spans.get(mutant.line, ())
            if not lines:  # runs at import
                outcome.append((number, "at import"))
                continue
            near = list(dict.fromkeys(place for line in lines for place in by_line.get(line, ())))

            def work(mutant: Mutant = mutant, near: list[int] = near) -> int:
                swap(target, mutant.source)
                return int(any(self._fails(session, place) for place in near))

            outcome.append((number, "killed" if near and forked(work, MUTANT_S) else "alive"))
        self.answer.write_text(json.dumps(outcome))
        return True

    def _fails(self, session: pytest.Session, place: int) -> bool:
        self._failed = False
        item = session.items[place]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return self._failed

    def _reached(self, session: pytest.Session) -> dict[int, list[int]]:
        """The tests that run each line, the quickest first; without those that fail as the module is."""
        with tempfile.NamedTemporaryFile("r", suffix=".json") as answer:

            def work() -> int:
                took: list[tuple[float, int, list[int]]] = []
                for place in range(len(session.items)):
                    progress(f"tracing test {place + 1} of {len(session.items)}")
                    began = time.monotonic()
                    with Reach(str(ROOT / self.module)) as reach:
                        failed = self._fails(session, place)
                    if not failed:
                        took.append((time.monotonic() - began, place, sorted(reach.lines)))
                Path(answer.name).write_text(json.dumps(sorted(took)))
                return 0

            if forked(work, REACH_S):
                raise SystemExit(f"{self.module}: its tests did not run.")
            by_line: dict[int, list[int]] = {}
            for _, place, lines in json.loads(answer.read()):
                for line in lines:
                    by_line.setdefault(line, []).append(place)
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


def judged(module: str, tried: Sequence[Mutant], until: float) -> tuple[list[Mutant], int]:
    """The mutants that live, and how many were tried before the time was over."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as answer:

        def work() -> int:
            name = module.removesuffix(".py").replace("/", ".")
            importlib.import_module(name)
            plugin = Trial(module, tried, until, Path(answer.name))
            pytest.main([*_PYTEST, *CORES[module]], plugins=[plugin])
            return 0

        failed = forked(work, 1e6)
        progress("")
        if failed:
            raise SystemExit(f"{module}: its tests cannot be collected.")
        outcome = json.loads(answer.read())
    alive, done = [], 0
    for number, state in outcome:
        mutant = tried[number]
        if state == "at import":
            if time.monotonic() > until:
                break
            state = "killed" if killed_at_import(module, mutant) else "alive"
        if state == "alive":
            alive.append(mutant)
            print(f"    alive  {module}:{mutant.line}: {mutant.text}   {mutant.change}", flush=True)
        done += 1
    return alive, done


def killed_at_import(module: str, mutant: Mutant) -> bool:
    """Whether the near tests notice a constant; the module is reimported."""

    def work() -> int:
        sys.meta_path.insert(0, Replaced(module, mutant.source))
        return int(pytest.main(["-x", *_PYTEST, *CORES[module]]))

    return forked(work, MUTANT_S) != 0


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
        drawn = [m for m in mutants(source) if (module, m.text, m.change) not in EQUIVALENT]
        if options.most:
            drawn = random.Random(options.seed).sample(drawn, min(options.most, len(drawn)))
        print(f"{module:34} {len(drawn) - options.skip} mutants", flush=True)
        alive, tried = judged(module, drawn[options.skip :], until)
        if options.skip + tried < len(drawn):
            print(f"out of time: continue with --only {module} --skip {options.skip + tried} (of {len(drawn)})")
        all_killed, all_tried = all_killed + tried - len(alive), all_tried + tried
        print(f"{module:34} {tried - len(alive):4} of {tried:3}", flush=True)
    if all_tried:
        print(f"{'all':34} {all_killed:4} of {all_tried:3}   {all_killed / all_tried:.1%} (aim 95 %)")


if __name__ == "__main__":
    main()
