"""/metrics: what the plan's curl and jq read, what a scraper reads, and that both agree."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import parser as text_parser
from prometheus_client.openmetrics import parser as openmetrics_parser

from engine.extraction.llm.failure import ErrorKind
from engine.measures.backlog import Backlog
from engine.measures.bucket import Bucket
from engine.metrics.alerts import alert_rules
from engine.metrics.exposition import LIMITS, render, wants_text
from engine.metrics.snapshot import MetricsSnapshot, TriggerReading
from engine.plan.load import parse_plan
from tests.engine.metrics.samples import T0, cached, failed, plain, record, skipped

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
OLDER_PROMETHEUS = "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

BUSY = Bucket.of(
    [
        record(ms=500.0),
        record(ms=1999.0),
        failed("timeout", ms=8000.0),
        failed("http", ms=3.0),
        cached(),
        cached(),
        skipped(),
        plain(ms=2.0),
        plain(ms=4.0),
        record(shadow=True, arm="control"),
    ]
)
PLAN = parse_plan((Path(__file__).parents[3] / "rollout.toml").read_text(encoding="utf-8"))


def reading(bucket: Bucket = BUSY, percent_bp: int = 1000) -> MetricsSnapshot:
    return MetricsSnapshot(T0, percent_bp, 1000, 2, 300.0, bucket, bucket, bucket)


def samples(body: bytes) -> dict[str, float]:
    by_name = {}
    for family in text_parser.text_string_to_metric_families(body.decode()):
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            by_name[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return by_name


def text(of: MetricsSnapshot) -> bytes:
    return render(of, "text/plain", tuple(ErrorKind))[0]


# -- who gets what -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "is_text"),
    [
        ("*/*", False),
        ("", False),
        ("application/json", False),
        (BROWSER, False),
        (PROMETHEUS, True),
        (OLDER_PROMETHEUS, True),
        ("text/plain", True),
        ("application/openmetrics-text", True),
        ("application/json, text/plain;q=0.5", False),
        ("text/plain;q=0", False),
        ("text/plain;q=often", False),
    ],
)
def test_json_unless_a_scraper_asks(accept: str, is_text: bool) -> None:
    assert wants_text(accept) is is_text
    assert (render(reading(), accept, ())[1] == "application/json") is not is_text


# -- JSON --------------------------------------------------------------------------------------------------------------------


def test_the_plan_s_jq_paths_are_there() -> None:
    body, kind = render(reading(), "*/*", ())
    answer = json.loads(body)
    assert kind == "application/json"
    assert answer["current_rollout_percentage"] == 10
    of = answer["keyword_extraction"]
    assert of["error_rate"] == 2 / 4
    assert of["avg_extraction_time_ms"] == pytest.approx((500 + 1999 + 8000) / 3, abs=0.001)
    assert of["cache_hit_rate"] == 2 / 6
    assert of["method_breakdown"] == {"llm": 2, "frequency": 3, "cached": 2, "fallback": 2}
    assert of["total_extractions"] == of["n"] == sum(of["method_breakdown"].values())


def test_unknown_is_null_and_no_count_is_missing() -> None:
    of = json.loads(render(reading(Bucket()), "*/*", ())[0])["keyword_extraction"]
    names = ("error_rate", "avg_extraction_time_ms", "p95_extraction_time_ms", "cache_hit_rate", "avg_keywords")
    assert [of[name] for name in names] == [None] * 5
    assert set(of["method_breakdown"].values()) == {0}


@pytest.mark.parametrize(("basis_points", "shown"), [(0, 0), (1000, 10), (1250, 12.5), (10000, 100)])
def test_the_percentage_is_a_plain_number(basis_points: int, shown: float) -> None:
    body = render(reading(percent_bp=basis_points), "*/*", ())[0]
    assert f'"current_rollout_percentage":{shown},'.encode() in body


# -- text --------------------------------------------------------------------------------------------------------------------


def test_the_text_reads_back_as_what_was_measured() -> None:
    result = samples(text(reading()))
    assert result["current_rollout_percentage"] == 10
    assert result["keyword_extraction_error_rate"] == 0.5
    assert result["keyword_extraction_avg_time_ms"] == pytest.approx(BUSY.mean_ms)
    assert result["keyword_extraction_cache_hit_rate"] == pytest.approx(1 / 3)
    assert result["keyword_extraction_method_breakdown{method=fallback}"] == 2
    assert result["keyword_extraction_total{method=cached}"] == 2
    assert result["keyword_extraction_errors_total{kind=timeout}"] == 1
    assert result["keyword_extraction_attempts_total"] == 4
    assert result["keyword_extraction_duration_seconds_count{method=llm}"] == 3
    assert result["keyword_extraction_duration_seconds_sum{method=llm}"] == pytest.approx(10.499)
    assert result["keyword_extraction_duration_seconds_bucket{le=2.0,method=llm}"] == 2
    assert result["keyword_extraction_duration_seconds_bucket{le=0.005,method=frequency}"] == 2


def test_the_queue_in_front_of_the_llm_shows_in_both_formats() -> None:
    queued = replace(reading(), backlog=Backlog(interactive=37, bulk=12, limit=1000))
    result = samples(text(queued))
    assert result["keyword_extraction_waiting{lane=interactive}"] == 37
    assert result["keyword_extraction_waiting{lane=bulk}"] == 12
    assert result["keyword_extraction_waiting_limit"] == 1000
    waiting = json.loads(render(queued, "application/json", ())[0])["keyword_extraction"]["waiting"]
    assert waiting == {"interactive": 37, "bulk": 12, "limit": 1000}


def test_openmetrics_reads_back_strictly_and_agrees() -> None:
    body, kind = render(reading(), PROMETHEUS, tuple(ErrorKind))
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    families = list(openmetrics_parser.text_string_to_metric_families(body.decode()))
    strict = {f"{s.name}{sorted(s.labels.items())}": s.value for family in families for s in family.samples}
    loose = {}
    for family in text_parser.text_string_to_metric_families(text(reading()).decode()):
        loose |= {f"{s.name}{sorted(s.labels.items())}": s.value for s in family.samples}
    assert strict == loose


def test_what_is_not_known_is_absent_and_nothing_is_nan() -> None:
    body = text(reading(Bucket()))
    result = samples(body)
    assert "keyword_extraction_error_rate" not in result
    assert b"# TYPE keyword_extraction_error_rate gauge" in body
    assert not any(math.isnan(value) for value in result.values())


def test_every_kind_of_error_is_counted_from_zero_on() -> None:
    result = samples(text(reading()))
    assert {kind for kind in ErrorKind if f"keyword_extraction_errors_total{{kind={kind}}}" in result} == set(ErrorKind)


def test_a_histogram_never_falls_and_ends_at_its_count() -> None:
    result = samples(text(reading()))
    for method in ("llm", "frequency"):
        name = "keyword_extraction_duration_seconds"
        counts = [result[f"{name}_bucket{{le={limit},method={method}}}"] for limit in (*LIMITS, "+Inf")]
        assert counts == sorted(counts)
        assert counts[-1] == result[f"{name}_count{{method={method}}}"]


def test_a_hostile_label_stays_a_label() -> None:
    kind = 'x"} 1\nevil_total 1\\'
    result = samples(text(reading(Bucket.of([failed(kind)]))))
    assert "evil_total" not in result
    assert result[f"keyword_extraction_errors_total{{kind={kind}}}"] == 1


# promlint's rules (github.com/prometheus/client_golang/prometheus/testutil/promlint). Of its rule on abbreviated units the plan's
# own name keyword_extraction_avg_time_ms is excepted: it cannot be another.
UNITS = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
NOT_BASE = {"milliseconds", "minutes", "hours", "days", "bits", "kilobytes", "percent", "percents"}


@pytest.mark.parametrize("bucket", [BUSY, Bucket()], ids=["busy", "empty"])
def test_the_text_passes_the_lint(bucket: Bucket) -> None:
    body = text(reading(bucket)).decode()
    helped = dict(re.findall(r"^# HELP (\S+) (.+)$", body, re.M))
    typed = dict(re.findall(r"^# TYPE (\S+) (.+)$", body, re.M))
    assert helped.keys() == typed.keys()
    assert len(helped) == body.count("# HELP ")
    for name, kind in typed.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name), name
        assert (kind == "counter") == name.endswith("_total"), name
        assert not name.endswith(("_bucket", "_count", "_sum")), name
        words = set(name.split("_"))
        assert not words & {"gauge", "counter", "histogram", "summary"}, name
        assert not words & NOT_BASE, name
        assert not words & UNITS or name == "keyword_extraction_avg_time_ms", name
    for family in text_parser.text_string_to_metric_families(body):
        for sample in family.samples:
            assert all(re.fullmatch(r"[a-z_]+", label) for label in sample.labels)
            assert ("le" in sample.labels) == sample.name.endswith("_bucket")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_agrees(tmp_path: Path) -> None:
    checked = subprocess.run(["promtool", "check", "metrics"], input=text(reading()), capture_output=True, check=False)
    complaints = (checked.stdout + checked.stderr).strip()
    assert complaints == b"keyword_extraction_avg_time_ms metric names should not contain abbreviated units"
    rules = tmp_path / "rules.yml"
    rules.write_text(alert_rules(PLAN.triggers, PLAN.trigger_settings))
    checked = subprocess.run(["promtool", "check", "rules", str(rules)], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stdout


# -- alert rules -------------------------------------------------------------------------------------------------------------


def test_every_trigger_of_the_plan_is_an_alert_on_metrics_that_exist() -> None:
    rules = alert_rules(PLAN.triggers, PLAN.trigger_settings)
    assert re.findall(r"trigger: (\w+)", rules) == [trigger.id for trigger in PLAN.triggers]
    assert len(PLAN.triggers) == 9
    assert re.findall(r"\[300s\]\)\) (\S+ \S+)$", rules, re.M) == ["> 0.05", ">= 20"]
    exported = samples(text(with_triggers()))
    used = set(re.findall(r"\b(?:keyword_extraction|current_rollout|decided_rollout|rollout_\w+)\w+", rules)) - {
        "keyword_extraction_rollout"
    }
    assert {"rollout_trigger_firing", "rollout_trigger_value", "keyword_extraction_llm_available"} <= used
    for name in used:
        assert any(sample.split("{")[0] == name for sample in exported), name


def test_alerts_show_rates_in_percent_and_keep_engines_apart() -> None:
    rules = alert_rules(PLAN.triggers, PLAN.trigger_settings)
    assert "humanize }}" not in rules  # it prints a rate of 0.1 as "100m"
    assert rules.count("Now {{ $value | humanizePercentage }}, threshold") == 3
    assert rules.count("Now {{ $value | humanizeDuration }}, threshold") == 2
    assert set(re.findall(r"\b(?:sum|max|min)\b (.{27})", rules)) == {"by (job, instance, service)"}


def with_triggers() -> MetricsSnapshot:
    result = tuple(TriggerReading(trigger.id, 1.0, False) for trigger in PLAN.triggers)
    return replace(reading(), triggers=result, llm_available=True)


SCENES = """
evaluation_interval: 1m
rule_files: [rules.yml]
tests:
  - interval: 1m
    input_series:
      - {series: 'keyword_extraction_errors_total{kind="timeout",instance="a",job="r"}', values: '0+10x20'}
      - {series: 'keyword_extraction_attempts_total{instance="a",job="r"}', values: '0+100x20'}
      - {series: 'keyword_extraction_errors_total{kind="timeout",instance="b",job="r"}', values: '0+0x20'}
      - {series: 'keyword_extraction_attempts_total{instance="b",job="r"}', values: '0+100000x20'}
      - {series: 'keyword_extraction_llm_available{instance="b",job="r"}', values: '0x20'}
      - {series: 'rollout_trigger_value{trigger="complaints",instance="b",job="r"}', values: '6x20'}
      - {series: 'rollout_trigger_firing{trigger="error_creep",instance="b",job="r"}', values: '1x20'}
      - {series: 'current_rollout_percentage{instance="a",job="r"}', values: '10x20'}
      - {series: 'current_rollout_percentage{instance="b",job="r"}', values: '10x5'}
      - {series: 'current_rollout_percentage{instance="c",job="r"}', values: '0x20'}
      - {series: 'keyword_extraction_llm_available{instance="c",job="r"}', values: '0x20'}
      - {series: 'rollout_trigger_value{trigger="complaints_many",instance="c",job="r"}', values: '11x20'}
      - {series: 'rollout_refusing_documents{instance="a",job="r"}', values: '0x20'}
      - {series: 'rollout_refusing_documents{instance="c",job="r"}', values: '1x20'}
    alert_rule_test:
      - eval_time: 15m
        alertname: RolloutErrorCritical
        exp_alerts:
          - exp_labels: {severity: critical, trigger: error_critical, action: to_zero, instance: a, job: r}
            exp_annotations:
              summary: Error rate > 5% for more than 5 minutes
              description: Now 10%, threshold 5 %, at a. `rollout triggers why error_critical` explains it.
      - eval_time: 15m
        alertname: RolloutLlmUnavailable
        exp_alerts:
          - exp_labels: {severity: critical, trigger: llm_unavailable, action: to_zero, instance: b, job: r}
            exp_annotations:
              summary: LLM service becomes unavailable
              description: No server of the LLM service answers probes at b. `rollout triggers why llm_unavailable` explains it.
      - eval_time: 15m
        alertname: RolloutComplaints
        exp_alerts:
          - exp_labels: {severity: medium, trigger: complaints, action: pause, instance: b, job: r}
            exp_annotations:
              summary: More than 5 user complaints about search quality
              description: Now 6, threshold 5, at b. `rollout triggers why complaints` explains it.
      - eval_time: 15m
        alertname: RolloutComplaintsMany
        exp_alerts: []
      - eval_time: 15m
        alertname: RolloutRefusesDocuments
        exp_alerts:
          - exp_labels: {severity: critical, instance: c, job: r}
            exp_annotations:
              summary: Every document gets 503 from the rollout engine at c.
              description: 'Its store takes no document: a full, failing or stuck disk. `rollout status` gives the cause.'
      - eval_time: 15m
        alertname: RolloutEngineSilent
        exp_alerts:
          - exp_labels: {severity: critical, instance: b, job: r}
            exp_annotations:
              summary: No rollout engine answers at b.
              description: Without an engine no document is extracted and no trigger is evaluated. Run `rollout status` on its machine.
"""


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_sees_the_alerts_fire_for_the_engine_that_is_meant(tmp_path: Path) -> None:
    """Engine a has errors, b lost its LLM service and then ended, c is at 0 % with nothing to lower."""
    (tmp_path / "rules.yml").write_text(alert_rules(PLAN.triggers, PLAN.trigger_settings))
    (tmp_path / "tests.yml").write_text(SCENES)
    checked = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_trigger_s_text_cannot_break_out_of_the_rules_file() -> None:

    nasty = replace(PLAN.triggers[0], text="it's {{ 'x' }}\"")
    assert "summary: 'it''s (( ''x'' ))\"'" in alert_rules([nasty], PLAN.trigger_settings)
