"""The configuration reference covers everything in the typed plan."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from msgspec.structs import fields

from engine.plan import model, settings
from engine.plan.model import Plan
from engine.plan.reference import reference
from engine.plan.shape import keys
from engine.plan.vocabulary import METRICS, PLACEHOLDERS, Action, Part

TEXT = reference()
STRUCTS = [
    struct
    for module in (model, settings)
    for _, struct in inspect.getmembers(module, inspect.isclass)
    if issubclass(struct, Part) and struct is not Part
]


def section(struct: type[Part]) -> str:
    about = " ".join((struct.__doc__ or "").split())
    mark = "The top of the file\n" if struct is Plan else f"\n\n{about}\n\n"
    (result,) = (part for part in TEXT.split("\n## ") if mark in part)
    return result


def test_it_names_every_field_of_every_struct_with_its_meaning() -> None:
    assert len(set(STRUCTS)) >= 20
    for struct in set(STRUCTS):
        rows = section(struct)
        for field in fields(struct):
            if (struct, field.name) in ((Plan, "source"), (Plan, "digest"), (Plan, "text")):
                continue
            key = keys(struct)[field.encode_name]
            assert key.meaning, f"{struct.__name__}.{field.name} has no text"
            (row,) = (line for line in rows.splitlines() if line.startswith(f"| `{key.name}` |"))
            assert key.meaning in row


def test_it_gives_defaults_as_written_in_the_file() -> None:
    assert '| `timeout` | duration | `"30s"` |' in TEXT
    assert "| `shadow_percent` | percentage | `0` | 0 to 100 |" in TEXT
    assert "| `port` | whole number | `8080` | from 0 to 65535 |" in TEXT
    assert '| `cooldown` | duration | `"30m"` |' in TEXT
    assert "| `bake` | duration | required |" in TEXT


def test_it_lists_the_words() -> None:
    for word in (*METRICS, *Action, *(f"{{{name}}}" for name in PLACEHOLDERS)):
        assert f"`{word}`" in TEXT or f'`"{word}"`' in TEXT


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    width = 0
    for line in TEXT.splitlines():
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            width = width or cells
            assert cells == width, line
        else:
            width = 0


def test_the_page_on_the_web_is_the_reference_as_it_is_now() -> None:
    page = Path(__file__).parents[3] / "console" / "help" / "configuration.md"
    assert page.read_text() == TEXT, "run: python -m engine.plan.reference > console/help/configuration.md"


def test_a_key_that_no_code_reads_is_marked_as_documentation() -> None:
    root = Path(__file__).parents[3]
    code = "\n".join(path.read_text() for part in ("engine", "console") for path in (root / part).rglob("*.py"))
    names = set(re.findall(r"\.(\w+)\b", code))
    idle = {
        f"{struct.__name__}.{key.field}"
        for struct in set(STRUCTS)
        for key in keys(struct).values()
        if key.field not in names and not key.meaning.startswith("Documentation only: ")
    }
    assert not idle
