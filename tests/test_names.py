"""One class name, one thing: a reader who meets a name knows which class it is, and what each value of an object is."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from tests import sources

PUBLIC = "engine/client/public/"  # a package of its own for users, with their words
MOST_UNNAMED = 7


def product() -> Iterator[tuple[str, ast.AST]]:
    """Every node of the product's code, with its file."""
    return ((file, node) for file, node in sources.every_node() if not file.startswith(PUBLIC))


def test_no_public_class_name_is_used_twice() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for file, node in product():
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            places[node.name].append(f"{file}:{node.lineno}")
    twice = {name: where for name, where in places.items() if len(where) > 1}
    assert not twice, twice


def test_an_object_of_many_values_is_made_by_their_names() -> None:
    unnamed = [
        f"{file}:{node.lineno} {node.func.id}"
        for file, node in product()
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id[:1].isupper()
        and len(node.args) > MOST_UNNAMED
    ]
    assert not unnamed, unnamed


def test_every_package_says_what_it_is_for() -> None:
    silent = [
        file
        for file, tree in sources.trees().items()
        if file.endswith("/__init__.py") and ast.get_docstring(tree) is None
    ]
    assert not silent, silent
