"""Words that come with a template of documents, not with the subject of one: headings of decisions, proposals and
runbooks, and names of a table's columns."""

from __future__ import annotations

from engine.parsing.lists import lists

_HEADINGS, _COLUMNS = (frozenset(lists("template")[kind]) for kind in ("headings", "columns"))


def is_template(heading: str) -> bool:
    return len(heading) <= 50 and heading.lower().strip(" .:!?*#").replace("’", "'") in _HEADINGS


def names_columns(row: str) -> bool:
    """Whether half of a table's header are names that columns of any subject have."""
    cells = row.lower().split(" | ")
    return 2 * sum(cell.strip("*` ") in _COLUMNS for cell in cells) >= len(cells)
