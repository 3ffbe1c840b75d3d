"""The Grafana dashboard, read into Grafana's own types, and its queries against what /metrics really has."""

from __future__ import annotations

import enum
import json
import re
import types
import typing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as schema
from msgspec.structs import replace
from prometheus_client.openmetrics import parser

from console.cli import rollout
from engine.extraction.llm.failure import ErrorKind
from engine.metrics.dashboard import dashboard
from engine.metrics.exposition import render
from engine.plan.load import parse_plan
from tests.engine.metrics.test_labelled import PLAN, taken

URL = "http://rollout.internal:8080"
MADE = dashboard(PLAN, URL)


def panels(made: dict[str, Any] = MADE) -> list[dict[str, Any]]:
    return [panel for panel in made["panels"] if panel["type"] != "row"]


# -- the schema --------------------------------------------------------------------------------------------------------


def unfit(value: object, wanted: Any, where: str) -> list[str]:
    """Where a value read by the SDK is not of the type that the SDK's schema gives it."""
    origin, args = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any or wanted is object or isinstance(wanted, typing.TypeVar):
        return []
    if origin in (typing.Union, types.UnionType):
        return min((unfit(value, one, where) for one in args), key=len)
    if origin is typing.Literal:
        return [] if value in args else [f"{where}: {value!r} is none of {args}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{where}: {value!r} is not a list"]
        return [line for i, one in enumerate(value) for line in unfit(one, args[0], f"{where}[{i}]")]
    if origin is dict:
        return [] if isinstance(value, dict) else [f"{where}: {value!r} is not an object"]
    if wanted is type(None):
        return [] if value is None else [f"{where}: {value!r} is not null"]
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return [] if value in {one.value for one in wanted} or isinstance(value, wanted) else [f"{where}: {value!r}"]
    if isinstance(wanted, type) and wanted.__module__.startswith("grafana_foundation_sdk"):
        if getattr(wanted, "_is_protocol", False) or wanted.__name__ == "Dataquery":
            return (
                [] if type(value).__module__.startswith("grafana_foundation_sdk") else [f"{where}: unknown {value!r}"]
            )
        if not isinstance(value, wanted):
            return [f"{where}: {value!r} is not a {wanted.__name__}"]
        hints = typing.get_type_hints(wanted)
        return [line for name, of in hints.items() for line in unfit(getattr(value, name), of, f"{where}.{name}")]
    if wanted is float:
        wanted = (int, float)
    return [] if isinstance(value, wanted) else [f"{where}: {value!r} is not {wanted}"]


def lost(given: Any, back: Any, where: str = "") -> list[str]:
    """What of `given` Grafana's types did not keep: keys they do not know, values they changed."""
    if isinstance(given, dict) and isinstance(back, dict):
        return [
            line
            for key, value in given.items()
            for line in ([f"{where}.{key}"] if key not in back else lost(value, back[key], f"{where}.{key}"))
        ]
    if isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        return [line for i, (a, b) in enumerate(zip(given, back, strict=True)) for line in lost(a, b, f"{where}[{i}]")]
    return [] if given == back else [where]


def read(made: dict[str, Any]) -> tuple[Any, Any]:
    """(as Grafana's types, as JSON again)."""
    register_default_plugins()
    typed = schema.Dashboard.from_json(made)
    return typed, json.loads(JSONEncoder().encode(typed))


def test_grafana_s_types_read_every_key_and_value_of_it() -> None:
    made = json.loads(json.dumps(MADE))
    typed, back = read(made)
    assert unfit(typed, schema.Dashboard, "dashboard") == []
    # The schema has no place for another data source's annotation query; Grafana itself passes it on.
    query = made["annotations"]["list"][0].pop("target")
    assert {"url", "root_selector", "columns"} <= query.keys()
    assert lost(made, back) == []


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        (lambda d: d.update(refresh=30), "refresh"),
        (lambda d: d["panels"][1]["gridPos"].update(w="8"), "grid_pos"),
        (lambda d: d["panels"][1]["fieldConfig"]["defaults"]["thresholds"].update(mode="relative"), "mode"),
        (lambda d: d["templating"]["list"][0].update(type="constants"), "type"),
    ],
)
def test_the_type_check_finds_values_of_another_type(damage: Any, where: str) -> None:
    made = json.loads(json.dumps(MADE))
    damage(made)
    typed, _ = read(made)
    assert where in " ".join(unfit(typed, schema.Dashboard, "dashboard"))


def test_the_check_sees_a_key_that_grafana_does_not_know() -> None:
    made = json.loads(json.dumps(MADE))
    made["panels"][1]["legends"] = True
    assert lost(made["panels"], read(made)[1]["panels"]) == ["[1].legends"]


# -- what it shows -----------------------------------------------------------------------------------------------------


def test_it_has_the_plan_s_panels_and_trends() -> None:
    titles = [panel["title"] for panel in panels()]
    assert titles[:5] == ["Rollout Status", "Error Rate", "Processing Time", "Cache Hit Rate", "Method Distribution"]
    assert [title.partition(",")[0] for title in titles[5:10]] == list(PLAN.trends)
    assert [panel["type"] for panel in panels()[:5]] == ["gauge", *["timeseries"] * 3, "piechart"]
    steps = [panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"] for panel in panels()[1:4]]
    assert steps == [0.01, 2000, 0.2]
    assert panels()[0]["fieldConfig"]["defaults"]["max"] == 100


def test_every_query_asks_for_series_that_metrics_has() -> None:
    body, _ = render(taken(), "application/openmetrics-text", tuple(ErrorKind))
    there: dict[str, set[str]] = {}
    for family in parser.text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            there.setdefault(sample.name, set()).update(sample.labels)
    asked = 0
    for panel in panels():
        for target in panel["targets"]:
            for name, selector in re.findall(r"([a-z_]+)\{([^}]*)\}", target["expr"]):
                asked += 1
                assert set(re.findall(r"(\w+)=~", selector)) - {"instance"} <= there[name], target["expr"]
            for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                assert label == "instance" or label in set().union(*there.values())
    assert asked >= 17


def test_panels_do_not_overlap() -> None:
    taken_cells: set[tuple[int, int]] = set()
    for panel in MADE["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken_cells
        taken_cells |= cells
    assert len({panel["id"] for panel in MADE["panels"]}) == len(MADE["panels"])


def test_the_decisions_come_from_the_engine() -> None:
    query = MADE["annotations"]["list"][0]["target"]
    assert query["url"].startswith("${engine}/v1/decisions?from=${__from}")
    assert [v["current"]["value"] for v in MADE["templating"]["list"] if v["name"] == "engine"] == [URL]


def test_a_plan_with_other_panels_gets_those() -> None:
    made = dashboard(replace(PLAN, dashboard=PLAN.dashboard[:1]), URL)
    assert [panel["title"] for panel in panels(made)][:2] == ["Rollout Status", "Total documents enriched"]
    assert read(made)[0].title == made["title"]


def test_the_verb_writes_it(tmp_path: Path) -> None:
    plan, target = tmp_path / "rollout.toml", tmp_path / "f.json"
    plan.write_text((Path(__file__).parents[3] / "rollout.toml").read_text())
    done = CliRunner().invoke(rollout, ["--plan", str(plan), "metrics", "dashboard", "--output", str(target)])
    assert done.exit_code == 0, done.output
    assert json.loads(target.read_text()) == json.loads(
        json.dumps(dashboard(parse_plan(plan.read_text()), "http://127.0.0.1:8080"))
    )
