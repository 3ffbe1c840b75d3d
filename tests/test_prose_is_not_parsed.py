"""No code reads a fact out of one of our sentences: the fact is a field or a code beside it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from tests import sources

METHODS = frozenset(
    [
        "startswith",
        "endswith",
        "partition",
        "rpartition",
        "removeprefix",
        "removesuffix",
        "split",
        "rsplit",
        "find",
        "index",
        "count",
    ]
)
# Other people's text, or a format that is not a sentence: file -> the literals it may look for, and why.
ALLOWED: dict[str, tuple[str, ...]] = {
    "engine/extraction/llm/answer.py": ("&quot;",),
    "engine/extraction/llm/json_values.py": ("Invalid \\", "Unterminated string"),  # JSON's errors have no codes
    "engine/extraction/llm/transport.py": ("Connection refused", "All connection attempts failed"),  # nor do httpx's
    "engine/plan/load.py": (
        "Cannot overwrite",
        "Cannot declare",
        "Invalid value",
        "Invalid statement",
        "Expected '=' after a key",
        "Expected newline or end of document",
        "Illegal character '\\n'",
        "Unterminated string",
    ),  # nor do tomllib's
    "engine/plan/init.py": ("x = ",),  # TOML as tomli_w writes it
    # a place in the plan that every rehearsal gets
    "engine/server/rehearse.py": ('    [[stages.monitoring]]\n    text = "Daily metrics snapshot: the date"',),
    "engine/service/apply.py": ("export ",),  # lines of a shell file
    "console/verbs/setup.py": ("export ",),
    "engine/client/public/rollout_console/asynchronous.py": ("unix:",),  # the scheme of an address
    "engine/server/http.py": ("uid:",),  # the name of a peer on the unix socket
    "console/app/keys.py": ("app.",),  # names of Textual actions
    "console/app/navigation.py": ("app.",),
    "console/screens/painting.py": ("app.",),
    "console/screens/palette.py": ("app.", "go(", "move("),
    "console/verbs/status.py": ("trigger ",),  # a topic, which the verb itself composes as a key
    "console/widgets/bars.py": ("No engine: ", "Engine "),  # shortens the sentence beside a label; decides nothing
}
FOREIGN = ("engine/parsing/",)  # documents of other people


def is_prose(text: str) -> bool:
    """Several words, or a word that begins or ends like a part of a sentence."""
    letters = any(character.isalpha() for character in text)
    return (
        len(text) > 2
        and letters
        and (" " in text.strip() or text != text.strip() or text[-1] in ".:,;?!(" or text.istitle())
    )


def sought(node: ast.AST) -> list[ast.AST]:
    """What an expression looks for in another text."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        return [part for argument in node.args for part in ast.walk(argument)]
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        return [node.left]
    return []


def constants(tree: ast.Module) -> dict[str, str]:
    """Texts that a module gives a name."""
    return {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def literals(parts: Iterable[ast.AST]) -> tuple[str, ...]:
    return tuple(part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


def names(parts: Iterable[ast.AST]) -> tuple[str, ...]:
    return tuple(
        part.id if isinstance(part, ast.Name) else part.attr
        for part in parts
        if isinstance(part, ast.Name | ast.Attribute)
    )


class Search(NamedTuple):
    """A place that looks for texts in another text."""

    line: int
    literals: tuple[str, ...]
    names: tuple[str, ...]


def searches(nodes: Iterable[ast.AST]) -> list[Search]:
    return [
        Search(node.lineno, literals(parts), names(parts))
        for node in nodes
        if isinstance(node, ast.Call | ast.Compare) and (parts := sought(node))
    ]


def prose(sought: Iterable[Search], known: Mapping[str, str]) -> list[tuple[int, str]]:
    return [
        (search.line, text)
        for search in sought
        for text in [*search.literals, *(known[name] for name in search.names if name in known)]
        if is_prose(text)
    ]


def looked_for(source: str, named: Mapping[str, str] = MappingProxyType({})) -> list[tuple[int, str]]:
    """`named`: constants of other modules that this one may have imported."""
    tree = ast.parse(source)
    return prose(searches(ast.walk(tree)), {**named, **constants(tree)})


def test_no_sentence_is_parsed() -> None:
    wrong = []
    files: dict[str, tuple[list[Search], dict[str, str]]] = {}
    for name, tree in sources.trees().items():
        files[name] = searches(sources.nodes(name)), constants(tree)
    named = {name: text for _, own in files.values() for name, text in own.items()}  # which others may import
    for name, (sought, own) in files.items():
        if name.startswith(FOREIGN):
            continue
        for line, text in prose(sought, named | own):
            if text not in ALLOWED.get(name, ()):
                wrong.append(f"{name}:{line} looks for {text!r}; put a field or a code beside the sentence")
    assert not wrong, "\n".join(wrong)


def test_the_search_finds_parsed_sentences() -> None:
    assert looked_for('ok = sentence.startswith("Delivered")')
    assert looked_for('who = locked.partition(" fired: ")[0]')
    assert looked_for('MARK = "set manually"\ndone = note.startswith(MARK)')
    assert looked_for("done = note.startswith(checklist.MARK)", {"MARK": "set manually"})
    assert looked_for('rest = [m for m in missing if "checklist item" not in m]')
    assert not looked_for('json = body.startswith("{") and name.endswith(".toml")')
