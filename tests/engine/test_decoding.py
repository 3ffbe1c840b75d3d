"""Types are described one at a time, whatever thread is the first to decode one, and quickly where a start waits for it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from typing import get_args

import pytest
from msgspec import Struct

from engine.plan.model import Plan
from engine.rollout.state import Decision, State
from engine.view.model import View
from tests import sources

HELPER = "engine/decoding.py"
PUBLIC = "engine/client/public/"  # imports nothing of ours; its decoders are built when it is imported

RACE = """
import sys, threading
from msgspec import defstruct
from engine.decoding import convert, decode, json_decoder

sys.setswitchinterval(1e-6)
for number in range(150):
    inner = defstruct("Inner", [(f"field_{place}", dict[str, int] | None, None) for place in range(20)])
    outer = defstruct("Outer", [("one", inner), ("more", tuple[inner, ...], ())])
    ready = threading.Barrier(3)
    plain = {"one": {"field_1": {"a": 1}}, "more": [{}]}
    body = b'{"one": {"field_1": {"a": 1}}, "more": [{}]}'
    ways = (lambda: decode(body, outer), lambda: convert(plain, outer), lambda: json_decoder(outer).decode(body))
    def first(way):
        ready.wait()
        way()
    threads = [threading.Thread(target=first, args=[way]) for way in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
"""


def test_threads_that_decode_a_new_type_at_once_do_not_crash() -> None:
    assert subprocess.run([sys.executable, "-c", RACE], cwd=sources.ROOT, check=False).returncode == 0


def structs_in(kind: object) -> set[type[Struct]]:
    """The structs that a decoder of this type describes, found through their annotations."""
    if not (isinstance(kind, type) and issubclass(kind, Struct)):
        return set().union(*map(structs_in, get_args(kind)))
    return {kind}.union(
        *(structs_in(inner) for base in kind.__mro__ for inner in vars(base).get("__annotations__", {}).values())
    )


@pytest.mark.parametrize("kind", [Plan, View, State, Decision])
def test_what_every_start_decodes_has_types_for_annotations(kind: type[Struct]) -> None:
    """A module with `from __future__ import annotations` has text for them: msgspec compiles and evaluates each, which was
    a tenth of the time to the console's first frame."""
    found = structs_in(kind)
    as_text = {
        f"{part.__module__}.{part.__name__}.{name}"
        for part in found
        for name, hint in vars(part).get("__annotations__", {}).items()
        if isinstance(hint, str)
    }
    assert not as_text
    assert len(found) > 3, "the test must see the structs inside"


def test_every_typed_decoder_comes_from_the_helper() -> None:
    direct = [
        f"{name}:{line}"
        for name, tree in sources.trees().items()
        if name != HELPER
        for line in typed(tree, sources.nodes(name), name.startswith(PUBLIC))
    ]
    assert not direct, f"use {HELPER}: {direct}"


def test_the_check_finds_decoders_outside_the_helper() -> None:
    source = "import msgspec\nmsgspec.json.Decoder(View)\ndef read(body):\n"
    for call in ("msgspec.json.decode(body, type=View)", "msgspec.convert(body, View)", "msgspec.json.Decoder(View)"):
        assert list(typed_in(f"{source}    {call}\n")) == [2, 4]
        assert list(typed_in(f"{source}    {call}\n", public=True)) == [4]
    assert not list(typed_in("msgspec.json.decode(body)"))
    assert list(typed_in("from msgspec import convert"))


def typed_in(source: str, public: bool = False) -> Iterator[int]:
    tree = ast.parse(source)
    return typed(tree, ast.walk(tree), public)


def typed(tree: ast.Module, nodes: Iterable[ast.AST], public: bool) -> Iterator[int]:
    """The lines of calls that describe a type; `public`: but for decoders built at import."""
    at_import = {id(node.value) for node in tree.body if isinstance(node, ast.Assign | ast.Expr)} if public else set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module in ("msgspec", "msgspec.json", "msgspec.msgpack"):
            if any(name.name in ("convert", "decode", "Decoder") for name in node.names):
                yield node.lineno
        elif isinstance(node, ast.Call) and id(node) not in at_import:
            called = ast.unparse(node.func)
            if called.startswith("msgspec.") and (
                called.endswith((".Decoder", ".convert"))
                or (called.endswith(".decode") and (len(node.args) > 1 or node.keywords))
            ):
                yield node.lineno
