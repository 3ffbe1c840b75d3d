"""How many small faults in the core the tests notice.

    python -m tests.bench.bench_mutation [--seed 1] [--each 20] [--only control]

A mutant is the module with one comparison, connective, arithmetic sign, constant or `not` changed. For each module a sample is drawn by
seed, written into a copy of the tree, and the module's near tests are run (`-x`, one process). A mutant is killed when they fail.
EQUIVALENT lists mutants that no test can kill, with the reason; they are left out of the share. Aim: 95 % killed.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CORES: dict[str, tuple[str, ...]] = {
    "engine/rollout/control.py": ("tests/engine/rollout", "tests/engine/store/test_log.py"),
    "engine/rollout/actions.py": ("tests/engine/rollout", "tests/engine/triggers"),
    "engine/rollout/calendar.py": ("tests/engine/rollout",),
    "engine/triggers/evaluate.py": ("tests/engine/triggers",),
    "engine/triggers/rules.py": ("tests/engine/triggers",),
    "engine/routing/switch.py": ("tests/engine/routing", "tests/engine/service/test_lease.py"),
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
TEST_S = 180.0


class Mutant(NamedTuple):
    line: int
    change: str  # "a < b -> a <= b"
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    original = ast.parse(source)
    classes = (node for node in ast.walk(original) if isinstance(node, ast.ClassDef))
    declared = {part for made in classes for option in made.keywords for part in ast.walk(option)}  # `frozen=True`
    for number, node in enumerate(ast.walk(original)):
        tree = ast.parse(source)
        twin = next(found for place, found in enumerate(ast.walk(tree)) if place == number)
        if node in declared:
            continue
        before = ast.unparse(twin) if isinstance(twin, ast.expr) else ""
        if _mutated(tree, twin):
            yield Mutant(node.lineno, f"{before} -> {ast.unparse(twin)}"[:100], ast.unparse(tree))  # type: ignore[attr-defined]


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


def killed(tree: Path, module: str, mutant: Mutant) -> bool:
    """Whether the near tests notice it; one that hangs is noticed."""
    path = tree / module
    original = path.read_text(encoding="utf-8")
    path.write_text(mutant.source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *CORES[module]]
    try:
        done = subprocess.run(
            command, cwd=tree, capture_output=True, timeout=TEST_S, env={**os.environ, "PYTHONPATH": str(tree)}
        )
        return done.returncode != 0
    except subprocess.TimeoutExpired:
        return True
    finally:
        path.write_text(original, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", type=int, default=20, help="mutants a module")
    parser.add_argument("--only", default="", help="modules whose name contains this")
    options = parser.parse_args()
    print(f"{'module':34} {'killed':>10}   survivors")
    all_killed = all_tried = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(".venv", ".git", "__pycache__", ".*_cache"))
        for module in (name for name in CORES if options.only in name):
            every = list(mutants((ROOT / module).read_text(encoding="utf-8")))
            drawn = random.Random(options.seed).sample(every, min(options.each, len(every)))
            tried = [m for m in drawn if (module, m.change) not in EQUIVALENT]
            alive = [m for m in tried if not killed(tree, module, m)]
            all_killed, all_tried = all_killed + len(tried) - len(alive), all_tried + len(tried)
            print(f"{module:34} {len(tried) - len(alive):4} of {len(tried):3}", flush=True)
            for mutant in alive:
                print(f"{'':48} line {mutant.line}: {mutant.change}", flush=True)
    if all_tried:
        print(f"{'all':34} {all_killed:4} of {all_tried:3}   {all_killed / all_tried:.1%} (aim 95 %)")


if __name__ == "__main__":
    main()
