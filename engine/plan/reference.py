"""The configuration reference for the runbooks, as Markdown, generated from the typed plan so that it cannot drift."""

from __future__ import annotations

from engine.plan.durations import format_duration
from engine.plan.model import Plan
from engine.plan.shape import Key, Shape, keys
from engine.plan.vocabulary import METRICS, PLACEHOLDERS, Part

_KEYS = ("Key", "Type", "Default", "Allowed", "Meaning")
_HEAD = """\
# Configuration reference: rollout.toml

`rollout check` lists everything wrong with the file, with line numbers. `rollout init` writes a commented one.
Durations are strings such as `"5m"`, `"2d"`, `"1h30m"`; percentages are numbers from 0 to 100 with at most two \
decimals;
thresholds are `"5 %"` or `0.05` for a rate, `"3 s"`, `"3000 ms"` or `3000` for a time, a plain number for a count. \
Never put
secrets in the file: give the name of the environment variable or file that holds them.
"""

_KINDS = {
    "text": "text", "id": "id", "choice": "choice", "yes_no": "true, false", "whole": "whole number",
    "number": "number", "duration": "duration", "percent": "percentage", "threshold": "threshold",
}  # fmt: skip
_UNITS = {
    "rate": "rate, 0 to 1",
    "change": "relative change",
    "ms": "milliseconds",
    "count": "count",
    "flag": "0 or 1",
    "ratio": "ratio",
}

Row = tuple[str, ...]


def reference() -> str:
    """Every table and key of rollout.toml with type, default, allowed values and meaning."""
    headers: dict[type[Part], list[str]] = {}
    for header, model in _tables(Plan, ""):
        headers.setdefault(model, []).append(f"`{header}`")
    placeholders: list[Row] = [(f"`{{{name}}}`", meaning) for name, meaning in PLACEHOLDERS.items()]
    return "\n".join(
        (
            _HEAD,
            _section("The top of the file", "", _KEYS, _rows(Plan)),
            *(
                _section(", ".join(written), model.__doc__ or "", _KEYS, _rows(model))
                for model, written in headers.items()
            ),
            _section("Metrics", "", ("Metric", "Unit", "Meaning"), _metrics()),
            _section("Placeholders in messages", "", ("Placeholder", "Filled in with"), placeholders),
        )
    )


def _tables(model: type[Part], prefix: str) -> list[tuple[str, type[Part]]]:
    """Each table below `model` with its header as written in the file, depth first."""
    tables: list[tuple[str, type[Part]]] = []
    for key in keys(model).values():
        inner, name = key.shape.of or key.shape, f"{prefix}{key.name}"
        if inner.table is not None:
            tables.append((f"[[{name}]]" if key.shape.of else f"[{name}]", inner.table))
            tables.extend(_tables(inner.table, f"{name}."))
    return tables


def _section(title: str, about: str, head: Row, rows: list[Row]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    body = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    paragraph = " ".join(about.split())
    return f"## {title}\n\n" + (f"{paragraph}\n\n" if paragraph else "") + f"{body}\n"


def _rows(model: type[Part]) -> list[Row]:
    return [
        (f"`{key.name}`", _type(key.shape), _default(key), _allowed(key), key.meaning) for key in keys(model).values()
    ]


def _metrics() -> list[Row]:
    return [(f"`{name}`", _UNITS[word.unit], word.meaning) for name, word in METRICS.items()]


def _type(shape: Shape) -> str:
    if shape.table is not None:
        return "table"
    if shape.of is not None:
        return "tables" if shape.of.table else f"list of {_type(shape.of)}"
    return _KINDS[shape.kind]


def _default(key: Key) -> str:
    if key.required:
        return "required"
    if key.default is None or key.default == ():
        return "none"
    return "its defaults" if key.shape.table else f"`{_written(key.shape, key.default)}`"


def _written(shape: Shape, value: object) -> str:
    """A default as written in the file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if shape.kind == "duration":
            return f'"{format_duration(value).replace(" ", "")}"'
        return f"{value / 100:g}" if shape.kind == "percent" else f"{value:.15g}"
    return f'"{value}"'


def _allowed(key: Key) -> str:
    inner, rule = key.shape.of or key.shape, key.shape.rule
    if set(inner.choices) >= set(METRICS):
        return "a metric, see below"
    if inner.choices:
        return ", ".join(f'`"{choice}"`' for choice in inner.choices)
    if inner.kind == "percent":
        return "0 to 100"
    limits = [
        f"{word} {format_duration(limit) if inner.kind == 'duration' else format(limit, 'g')}"
        for word, limit in (("from", rule.least), ("to", rule.most))
        if limit is not None
    ]
    sample = inner.sample()
    if sample and (key.required or key.default is None or sample != _written(inner, key.default)):
        limits.append(f"such as `{sample}`")
    return " ".join(limits)


if __name__ == "__main__":  # python -m engine.plan.reference > console/help/configuration.md
    print(reference(), end="")
