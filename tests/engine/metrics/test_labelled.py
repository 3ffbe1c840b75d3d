"""The labelled series of /metrics: what documents did by stage and arm, what the triggers see, and exemplars."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client.openmetrics import parser
from prometheus_client.samples import Sample

from engine.extraction.llm.failure import ErrorKind
from engine.measures.bucket import Arms
from engine.measures.origin import Origin
from engine.measures.record import Extraction
from engine.metrics.exemplars import LIMITS, Exemplars
from engine.metrics.exposition import render
from engine.metrics.snapshot import About, MetricsSnapshot, TriggerReading
from engine.plan.load import parse_plan
from engine.triggers.wording import VERDICTS
from tests.engine.metrics.samples import T0, cached, failed, plain, record, skipped

PLAN = parse_plan((Path(__file__).parents[3] / "rollout.toml").read_text(encoding="utf-8"))
WHERE = {"service": "search", "environment": "staging"}
UUID = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
TREATED = [record(ms=500.0), record(ms=1999.0), failed("timeout", ms=8000.0), cached(), skipped()]
OTHERS = [plain(ms=2.0), plain(ms=4.0), record(shadow=True, arm="control", ms=700.0)]


def arms(records: list[Extraction]) -> Arms:
    made = Arms()
    for one in records:
        made.add(one)
    return made


def taken(exemplars: Exemplars | None = None) -> MetricsSnapshot:
    """Stage 1 had plain documents, stage 2 has all of them."""
    by_stage = ((1, arms([plain(stage=1)])), (2, arms([*TREATED, *OTHERS])))
    ever = Arms.merged(arms for _, arms in by_stage).of(None)
    triggers = tuple(
        TriggerReading(t.id, 0.06, False, "breach", t.severity, t.action, 0.05, 40, 60.0, 300.0, 240.0)
        for t in PLAN.triggers
    )
    about = About("search", "staging", "1.2.3", 'Canary "10"\n', "watch", False)
    made = MetricsSnapshot(T0, 500, 1000, 2, 300.0, ever, ever, ever, by_stage=by_stage, of=about)
    return replace(made, triggers=triggers, exemplars=exemplars)


def samples(of: MetricsSnapshot) -> list[Sample]:
    body, _ = render(of, "application/openmetrics-text", tuple(ErrorKind))
    families = parser.text_string_to_metric_families(body.decode())
    return [sample for family in families for sample in family.samples]


def value(result: list[Sample], name: str, **labels: str) -> float:
    wanted = {**WHERE, **labels}
    (one,) = [sample.value for sample in result if sample.name == name and sample.labels == wanted]
    return one


def test_documents_and_attempts_are_counted_by_stage_arm_and_method() -> None:
    result = samples(taken())
    here = {"stage": "2", "arm": "treatment"}
    assert value(result, "rollout_documents_total", **here, method="llm") == 2
    assert value(result, "rollout_documents_total", **here, method="cached") == 1
    assert value(result, "rollout_documents_total", stage="1", arm="control", method="frequency") == 1
    assert value(result, "rollout_attempts_total", **here) == 3
    assert value(result, "rollout_errors_total", **here, kind="timeout") == 1
    assert value(result, "rollout_errors_total", **here, kind="http") == 0
    assert value(result, "rollout_attempts_total", stage="2", arm="shadow") == 1
    assert value(result, "rollout_errors_total", stage="2", arm="control", kind="frequency") == 0
    assert value(result, "rollout_cache_lookups_total", **here) == 4
    assert value(result, "rollout_extraction_seconds_count", **here) == 3
    assert value(result, "rollout_extraction_seconds_sum", **here) == pytest.approx(10.499)
    assert value(result, "rollout_extraction_seconds_bucket", **here, le="2.0") == 2
    assert value(result, "rollout_extraction_seconds_count", stage="2", arm="shadow") == 1
    assert value(result, "rollout_ratio", stage="2", state="effective") == 0.05
    assert value(result, "rollout_ratio", stage="2", state="decided") == 0.1
    assert value(result, "rollout_gate_open", stage="2") == 0
    assert value(result, "rollout_info", version="1.2.3", stage="2", stage_name='Canary "10"\n', health="watch") == 1


def test_the_labelled_series_add_up_to_the_unlabelled_ones() -> None:
    result = samples(taken())

    def total(name: str, **labels: str) -> float:
        return sum(s.value for s in result if s.name == name and labels.items() <= s.labels.items())

    for method in ("llm", "cached", "frequency", "fallback"):
        assert total("rollout_documents_total", method=method) == total("keyword_extraction_total", method=method)
    assert total("rollout_attempts_total", arm="treatment") == total("keyword_extraction_attempts_total")
    for kind in ErrorKind:
        assert total("rollout_errors_total", arm="treatment", kind=kind) == total(
            "keyword_extraction_errors_total", kind=kind
        )
    for arm, method in (("treatment", "llm"), ("control", "frequency")):
        labelled = total("rollout_extraction_seconds_bucket", arm=arm, le="1.0")
        assert labelled == total("keyword_extraction_duration_seconds_bucket", method=method, le="1.0")


def test_every_trigger_has_its_state_threshold_and_countdown() -> None:
    result = samples(taken())
    for trigger in PLAN.triggers:
        of = {"trigger": trigger.id}
        states = {
            s.labels["state"]: s.value
            for s in result
            if s.name == "rollout_trigger_state" and of.items() <= s.labels.items()
        }
        assert states == {verdict: float(verdict == "breach") for verdict in VERDICTS}
        assert value(result, "rollout_trigger_threshold", **of) == 0.05
        assert value(result, "rollout_trigger_fires_in_seconds", **of) == 240
        assert value(result, "rollout_trigger_held_seconds", **of) == 60
        assert value(result, "rollout_trigger_for_seconds", **of) == 300
        assert value(result, "rollout_trigger_samples", **of) == 40


def test_an_exemplar_leads_to_the_request_and_lies_in_its_bucket() -> None:
    exemplars = Exemplars()
    for one in [*TREATED, *OTHERS]:
        exemplars.see(one, Origin(UUID))
    result = samples(taken(exemplars))
    seen = {(s.labels["arm"], s.labels.get("le")): s for s in result if s.exemplar is not None and "le" in s.labels}
    assert {arm for arm, _ in seen} == {"treatment", "control", "shadow"}
    limits = ["0", *map(str, LIMITS), "+Inf"]
    for (_, le), sample in seen.items():
        assert sample.exemplar is not None
        assert sample.exemplar.labels == {"request_id": UUID, "epoch": "3"}
        assert float(limits[limits.index(str(le)) - 1]) < sample.exemplar.value <= float(str(le))
    (error,) = [s for s in result if s.name == "rollout_errors_total" and s.exemplar is not None]
    assert (error.labels["kind"], error.labels["stage"]) == ("timeout", "2")


@pytest.mark.parametrize("name", ["docs/salaries.md", "customer-4711", "a" * 65, "x" * 20, ""])
def test_a_request_id_that_may_reveal_something_is_not_an_exemplar(name: str) -> None:
    exemplars = Exemplars()
    exemplars.see(failed(document_id="docs/salaries.md"), Origin(name))
    assert not [s for s in samples(taken(exemplars)) if s.exemplar is not None]


def test_labels_of_an_exemplar_fit_into_what_openmetrics_allows() -> None:
    exemplars = Exemplars()
    exemplars.see(record(epoch=123_456), Origin("f" * 64, "e" * 32))
    (one,) = {tuple(s.exemplar.labels.items()) for s in samples(taken(exemplars)) if s.exemplar is not None}
    assert sum(len(name) + len(text) for name, text in one) <= 128


def test_the_page_on_monitoring_lists_every_labelled_series() -> None:
    result = samples(taken())
    exported = {
        re.sub(r"(?<=seconds)_(bucket|sum|count)$", "", s.name) for s in result if s.name.startswith("rollout_")
    }
    page = (Path(__file__).parents[3] / "console" / "help" / "monitoring.md").read_text(encoding="utf-8")
    listed: set[str] = set()
    for row in re.findall(r"^\| (`rollout_.*?) \|", page, re.M):
        first, *others = re.findall(r"`(\w+)`", row)
        subject = "_".join(first.split("_")[:2])  # `rollout_trigger_value`, `_firing`
        listed |= {first, *(subject + other if other.startswith("_") else other for other in others)}
    assert listed == exported
