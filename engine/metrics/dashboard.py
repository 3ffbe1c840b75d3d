"""A Grafana dashboard of the plan: its panels, its trends, the triggers, and the decisions as annotations.

Plain dictionaries in the schema of Grafana's dashboards
(https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/); tests read them into
Grafana's own types. Pure: a plan in, JSON out. Figures come from Prometheus, the decisions from the engine's JSON API
through the Infinity data source.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from engine.plan.model import Panel, Plan

PROMETHEUS = {"type": "prometheus", "uid": "${prometheus}"}
INFINITY = {"type": "yesoreyeram-infinity-datasource", "uid": "${infinity}"}
HERE = 'instance=~"$instance"'
LABELLED = f'service=~"$service",environment=~"$environment",{HERE}'
WEEK, WEEK_NAMED = "7d", "7 days"
SCHEMA = 36  # the oldest schema with everything used here: Grafana 9 and later
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
_UNITS = {"percentage": "percent", "rate": "percentunit", "ratio": "percentunit", "ms": "ms", "seconds": "s"}
_KINDS = {"gauge": "gauge", "time_series": "timeseries", "pie_chart": "piechart"}


def dashboard(plan: Plan, engine_url: str) -> dict[str, Any]:
    """`engine_url`: where Grafana reaches the engine for the decisions."""
    panels = _Grid()
    panels.row("Now")
    for panel in plan.dashboard:
        panels.add(_of_plan(panel), width=_width(len(plan.dashboard)))
    panels.row("Trends")
    for curve in _trends():
        panels.add(curve, width=12)
    panels.row("Triggers")
    panels.add(_states(), width=12)
    panels.add(_countdowns(), width=12)
    return {
        "title": f"Rollout: {plan.name}",
        "uid": "rollout-console",
        "description": "Written by `rollout metrics dashboard` from rollout.toml.",
        "tags": ["rollout", plan.service],
        "timezone": "utc",
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "schemaVersion": SCHEMA,
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables(plan, engine_url)},
        "annotations": {"list": _annotations()},
        "panels": panels.made,
    }


class _Grid:
    """Places panels from left to right on Grafana's 24 columns."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self._x = self._y = 0
        self._height = 0

    def row(self, title: str) -> None:
        self._break()
        self._put({"type": "row", "title": title, "collapsed": False, "panels": []}, 24, 1)
        self._break()

    def add(self, panel: dict[str, Any], width: int, height: int = 8) -> None:
        if self._x + width > 24:
            self._break()
        self._put(panel, width, height)

    def _put(self, panel: dict[str, Any], width: int, height: int) -> None:
        where = {"x": self._x, "y": self._y, "w": width, "h": height}
        self.made.append({**panel, "id": len(self.made) + 1, "gridPos": where})
        self._x += width
        self._height = max(self._height, height)

    def _break(self) -> None:
        self._y += self._height
        self._x = self._height = 0


def _width(count: int) -> int:
    return 24 // count if 1 <= count <= 3 else 8


# -- the plan's panels -------------------------------------------------------------------------------------------------


def _of_plan(panel: Panel) -> dict[str, Any]:
    kind = _KINDS[panel.type]
    unit = "percent" if panel.metric == "current_rollout_percentage" else _unit(panel.metric)
    legend = "{{method}}" if kind == "piechart" else "{{instance}}"
    made = _panel(kind, panel.panel, [_query(f"{panel.metric}{{{HERE}}}", legend, instant=kind != "timeseries")], unit)
    defaults = made["fieldConfig"]["defaults"]
    if panel.thresholds:
        defaults |= {"min": min(panel.thresholds), "max": max(panel.thresholds)}
        defaults["thresholds"] = _steps(panel.thresholds[:-1] or panel.thresholds, (GREEN, BLUE, BLUE, BLUE))
    if panel.alert_threshold is not None:
        _line(defaults, ((None, GREEN), (float(panel.alert_threshold), RED)))
    elif panel.target is not None:
        _line(defaults, ((None, RED), (float(panel.target), GREEN)))
    return made


def _unit(metric: str) -> str:
    """A metric's unit, from the last word of its Prometheus name."""
    return _UNITS.get(metric.rpartition("_")[2], "short")


def _line(defaults: dict[str, Any], steps: Sequence[tuple[float | None, str]]) -> None:
    """Draw a threshold into a curve."""
    defaults["thresholds"] = {
        "mode": "absolute",
        "steps": [{"value": value, "color": colour} for value, colour in steps],
    }
    defaults["custom"] = {**defaults.get("custom", {}), "thresholdsStyle": {"mode": "line"}}


def _steps(values: Iterable[float], colours: Sequence[str]) -> dict[str, Any]:
    steps = [{"value": None if i == 0 else value, "color": colours[min(i, 3)]} for i, value in enumerate(values)]
    return {"mode": "absolute", "steps": steps}


# -- trends ------------------------------------------------------------------------------------------------------------


def _trends() -> list[dict[str, Any]]:
    """The five of the rollout plan, from the counters, so that a restart of the engine leaves no dent."""
    by = "sum by (arm)"
    errors = f"{by} (increase(rollout_errors_total{{{LABELLED}}}[1h]))"
    attempts = f"{by} (increase(rollout_attempts_total{{{LABELLED}}}[1h]))"
    parts = ("sum", "count", "bucket")
    time = [f"{by} (increase(rollout_extraction_seconds_{part}{{{LABELLED}}}[1h]))" for part in parts]
    p95 = f"histogram_quantile(0.95, {time[2].replace('(arm)', '(arm, le)')})"
    latency = [_query(f"{time[0]} / {time[1]}", "mean, {{arm}}"), _query(p95, "p95, {{arm}}", exemplar=True)]
    failures = _query(f"{errors} / {attempts}", "{{arm}}", exemplar=True)
    hits, lookups = (f"sum (increase(rollout_cache_{part}_total{{{LABELLED}}}[1h]))" for part in ("hits", "lookups"))
    documents = f"sum by (method) (rollout_documents_total{{{LABELLED}}})"
    rate = f"sum by (method) (rate(rollout_documents_total{{{LABELLED}}}[$__rate_interval])) * 60"
    total = _query(f"sum (rollout_documents_total{{{LABELLED}}})", "all")
    usage = _curve("LLM vs frequency usage over time, per minute", [_query(rate, "{{method}}")], "short")
    usage["fieldConfig"]["defaults"]["custom"] = {"stacking": {"mode": "normal", "group": "A"}, "fillOpacity": 30}
    return [
        _curve("Total documents enriched", [total, _query(documents, "{{method}}")], "short"),
        usage,
        _curve(f"Error rate trend ({WEEK_NAMED})", [failures], "percentunit", WEEK),
        _curve(f"Performance trend ({WEEK_NAMED})", latency, "s", WEEK),
        _curve("Cache efficiency trend", [_query(f"{hits} / {lookups}", "hit rate")], "percentunit", WEEK),
    ]


def _curve(title: str, queries: list[dict[str, Any]], unit: str, back: str = "") -> dict[str, Any]:
    return _panel("timeseries", title, queries, unit, back)


# -- triggers ----------------------------------------------------------------------------------------------------------


def _states() -> dict[str, Any]:
    firing = f"rollout_trigger_firing{{{HERE}}}"
    made = _panel("state-timeline", "Triggers firing", [_query(firing, "{{trigger}}")], "short")
    made["fieldConfig"]["defaults"]["thresholds"] = _steps((0, 1), (GREEN, RED))
    return made


def _countdowns() -> dict[str, Any]:
    left = f"rollout_trigger_fires_in_seconds{{{LABELLED}}}"
    made = _curve("Time until a trigger acts", [_query(left, "{{trigger}}")], "s")
    made["fieldConfig"]["defaults"]["min"] = 0
    return made


# -- parts -------------------------------------------------------------------------------------------------------------


def _panel(kind: str, title: str, queries: list[dict[str, Any]], unit: str, back: str = "") -> dict[str, Any]:
    named = [{**query, "refId": chr(ord("A") + i)} for i, query in enumerate(queries)]
    panel: dict[str, Any] = {
        "type": kind,
        "title": title,
        "datasource": PROMETHEUS,
        "targets": named,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "options": {},
    }
    return {**panel, "timeFrom": back} if back else panel


def _query(expr: str, legend: str, instant: bool = False, exemplar: bool = False) -> dict[str, Any]:
    query = {"expr": expr, "legendFormat": legend, "instant": instant, "range": not instant, "refId": "A"}
    return {"datasource": PROMETHEUS, **query, **({"exemplar": True} if exemplar else {})}


def _variables(plan: Plan, engine_url: str) -> list[dict[str, Any]]:
    def of_data(name: str, label: str, query: str) -> dict[str, Any]:
        return {"type": "datasource", "name": name, "label": label, "query": query}

    def of_label(name: str, label: str, query: str, value: str) -> dict[str, Any]:
        return {
            "type": "query",
            "name": name,
            "label": label,
            "datasource": PROMETHEUS,
            "query": query,
            "refresh": 2,
            "multi": True,
            "includeAll": True,
            "allValue": ".*",
            "current": {"selected": True, "text": [value], "value": [value]},
        }

    of = 'rollout_info{service=~"$service"'
    url = {"type": "textbox", "name": "engine", "label": "Engine", "query": engine_url}
    return [
        of_data("prometheus", "Prometheus", "prometheus"),
        of_data("infinity", "Infinity", "yesoreyeram-infinity-datasource"),
        of_label("service", "Service", "label_values(rollout_info, service)", plan.service),
        of_label("environment", "Environment", f"label_values({of}}}, environment)", plan.environment),
        {
            **of_label("instance", "Engine", f'label_values({of},environment=~"$environment"}}, instance)', "$__all"),
            "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        },
        {**url, "current": {"selected": True, "text": engine_url, "value": engine_url}},
    ]


def _annotations() -> list[dict[str, Any]]:
    """The log of decisions; and, for a Grafana without the Infinity data source, changes of the percentage as
    Prometheus saw them.
    """
    columns = [
        {"selector": "at", "text": "time", "type": "timestamp"},
        {"selector": "kind", "text": "title", "type": "string"},
        {"selector": "sentence", "text": "text", "type": "string"},
        {"selector": "actor", "text": "tags", "type": "string"},
    ]
    return [
        {
            "name": "Decisions",
            "enable": True,
            "iconColor": BLUE,
            "datasource": INFINITY,
            "target": {
                "refId": "Decisions",
                "type": "json",
                "source": "url",
                "parser": "backend",
                "format": "dataframe",
                "url": "${engine}/v1/decisions?from=${__from}&to=${__to}&limit=1000",
                "url_options": {"method": "GET", "data": ""},
                "root_selector": "decisions",
                "columns": columns,
            },
        },
        {
            "name": "Changes of percentage",
            "enable": True,
            "iconColor": YELLOW,
            "datasource": PROMETHEUS,
            "expr": f"changes(current_rollout_percentage{{{HERE}}}[2m]) > 0",
        },
    ]
