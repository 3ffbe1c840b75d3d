"""The default plan is the whole rollout plan document, verbatim wherever people read it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan.load import default_plan_text, load_plan, parse_plan
from engine.plan.model import Action, Plan, Severity
from engine.plan.shape import keys
from engine.plan.vocabulary import PLACEHOLDERS, Part

ROOT = Path(__file__).parents[3]
PLAN = parse_plan(default_plan_text())

# Copied from the plan document.
STAGES = [
    ("Pre-Rollout Preparation", 0, False, "1-2 days", 1, "Ensure all prerequisites are met before starting rollout."),
    ("Internal Testing", 0, False, "1-2 days", 1, "Manual testing with controlled documents to verify functionality."),
    ("Canary Rollout", 10, False, "2-3 days", 2, "Enable for 10% of documents to detect issues with minimal impact."),
    ("Limited Rollout", 25, False, "3-5 days", 3, "Expand to 25% to gather more performance data and user feedback."),
    (
        "Majority Rollout with A/B Test",
        50,
        True,
        "5-7 days",
        7,
        "Run formal A/B test to statistically validate LLM extraction improves outcomes.",
    ),
    ("Full Rollout", 100, False, "Ongoing", 7, "Enable LLM extraction for all documents, declare production stable."),
]
GATES = [
    "All prerequisites met, monitoring functional, team ready.",
    "Manual testing successful, no errors, team confident in stability.",
    "Error rate < 1%, performance acceptable, no quality issues, team confident.",
    "All metrics within target, user feedback positive, search quality improved by 10%+.",
    "A/B test shows statistically significant improvement (p < 0.05), no significant negative impacts.",
    "Stable for 7 days, all metrics within targets, declare production stable.",
]
PREPARATION = """\
- [ ] All Phase 3 code merged and deployed to staging
- [ ] All tests passing (unit, integration, benchmarks)
- [ ] Monitoring dashboards configured and accessible
- [ ] Rollback procedures documented and tested
- [ ] Team trained on monitoring and rollback
- [ ] Stakeholders informed of rollout schedule
- [ ] LLM service (Ollama) healthy and scaled appropriately
- [ ] Database backups created
- [ ] Alerts configured for error thresholds
"""
INTERNAL = """\
1. Deploy to production with feature disabled
2. Manually test with internal documents
3. Verify monitoring and metrics collection
4. Test rollback procedure in production (dry run)
5. Review logs for any unexpected behavior
- Zero errors during manual testing
- Metrics correctly reported
- Keywords generated successfully
- Monitoring dashboards showing data
- Rollback procedure works as expected
"""
POST_ROLLOUT = """\
- [ ] Document lessons learned
- [ ] Update runbooks and procedures
- [ ] Schedule prompt optimization review
- [ ] Plan Phase 4 optimizations
- [ ] Celebrate success with team
"""
COMMANDS = {
    0: [
        "make deploy-staging",
        "cargo test --all-features",
        "curl http://staging.xze:8080/metrics | grep keyword_extraction",
        "xze load --verbose test_documents/",
    ],
    1: [
        "xze load --method llm internal_docs/sample_*.md",
        'xze query "test keyword extraction"',
        "curl http://localhost:8080/metrics | jq '.keyword_extraction'",
    ],
    2: [
        "sudo systemctl restart xze-server",
        "curl -s http://localhost:8080/metrics | jq '.keyword_extraction.error_rate'",
        "curl -s http://localhost:8080/metrics | jq '.keyword_extraction.avg_extraction_time_ms'",
        "curl -s http://localhost:8080/metrics | jq '.keyword_extraction.cache_hit_rate'",
        "curl -s http://localhost:8080/metrics | jq '.keyword_extraction.method_breakdown'",
        "xze export --method llm --limit 20 --output canary_sample.json",
        "cat canary_sample.json | jq '.[] | {file: .file, keywords: .keywords}'",
    ],
    3: [
        "sudo systemctl restart xze-server",
        "date >> metrics_log.txt",
        "curl -s http://localhost:8080/metrics | jq '.keyword_extraction' >> metrics_log.txt",
        "xze metrics analyze --days 7 --output performance_report.json",
        "xze logs analyze --level error --filter keyword_extraction",
        "xze export --method llm --limit 50 --output limited_sample.json",
        "xze export --method frequency --limit 50 --output frequency_sample.json",
        "xze analyze compare-keywords \\\n  --llm limited_sample.json \\\n"
        "  --frequency frequency_sample.json \\\n  --output comparison_report.json",
    ],
    4: [
        "sudo systemctl restart xze-server",
        "xze ab-test export --output ab_test_assignments.json",
        "xze ab-test analyze --output ab_test_results.json",
    ],
    5: ["sudo systemctl restart xze-server"],
}
MATRIX = """\
| Error rate > 5% | Critical | Immediate rollback to 0% | < 5 min |
| Error rate 3-5% | High | Rollback to previous stage | < 15 min |
| Avg time > 3s | High | Rollback to previous stage | < 15 min |
| Avg time 2-3s | Medium | Investigate, reduce by 50% | < 1 hour |
| Cache hit < 10% | Medium | Investigate, continue monitoring | < 1 day |
| User complaints > 5 | Medium | Quality review, pause rollout | < 1 day |
"""
ROLLBACK_TRIGGERS = """\
- Error rate > 5% for more than 5 minutes
- Average processing time > 3 seconds for more than 10 minutes
- More than 10 user complaints about search quality
- LLM service becomes unavailable
"""
USER_MESSAGES = {
    2: "We're testing improved keyword extraction on a small subset of documents",
    4: "We're evaluating new keyword extraction technology. You may notice improved search results.",
    5: "We've launched improved keyword extraction. Search results should be more relevant.",
}
LOOK_FOR = [
    "Relevance to document content",
    "No hallucinated keywords",
    "Appropriate keyword count (10-15)",
    "Better quality than frequency-based",
]
FEEDBACK = ["Search result quality surveys", "Support ticket analysis", "Direct user interviews (sample of 5-10 users)"]
TRENDS = [
    "Total documents enriched",
    "LLM vs frequency usage over time",
    "Error rate trend (7 days)",
    "Performance trend (7 days)",
    "Cache efficiency trend",
]
DOCUMENTS = [
    "docs/reference/keyword_extraction_configuration.md",
    "docs/how_to/rollback_llm_keyword_extraction.md",
    "docs/how_to/troubleshoot_keyword_extraction.md",
    "docs/explanations/phase3_production_rollout_implementation.md",
]


def bullets(text: str) -> list[str]:
    return [re.sub(r"^(- \[ \] |- |\d\. )", "", line) for line in text.splitlines()]


def test_the_plan_at_the_top_is_the_one_in_the_package() -> None:
    assert (ROOT / "rollout.toml").read_bytes() == (ROOT / "engine/plan/default.toml").read_bytes()
    assert load_plan(ROOT / "rollout.toml").digest == PLAN.digest


@pytest.mark.parametrize("number", range(6))
def test_each_stage_is_as_in_the_document(number: int) -> None:
    stage = PLAN.stage(number)
    output = (stage.name, stage.percent_bp / 100, stage.ab_test, stage.duration_text, stage.bake_s / 86_400)
    assert (*output, stage.objective) == STAGES[number]
    assert stage.gate == GATES[number]


def test_every_preparation_item_is_there() -> None:
    assert [item.text for item in PLAN.stage(0).checklist] == bullets(PREPARATION)


def test_every_internal_action_and_success_metric_is_an_item() -> None:
    assert [item.text for item in PLAN.stage(1).checklist] == bullets(INTERNAL)


def test_every_post_rollout_task_is_there() -> None:
    assert [item.text for item in PLAN.post_rollout] == bullets(POST_ROLLOUT)


def test_the_engine_proves_what_it_can() -> None:
    kinds = {item.id: item.check.kind for item in PLAN.stage(0).checklist if item.check.kind != "manual"}
    assert kinds == {
        "dashboards": "http",
        "rollback_tested": "rollback_drill",
        "team_trained": "rehearsal",
        "stakeholders": "notify",
        "llm_healthy": "llm",
        "backups": "backup",
        "alerts": "triggers",
    }


SCRIPT = "rollout ab-test script --run ab_test_results.json"


@pytest.mark.parametrize("number", range(6))
def test_every_command_line_is_there_with_rollout_for_xze(number: int) -> None:
    stage = PLAN.stage(number)
    sampling = stage.sampling.commands if stage.sampling else ()
    results = [command.run for command in (*stage.validation, *stage.monitoring, *sampling)]
    script = [SCRIPT] if number == 4 else []  # for the plan's block of Python, whose last line fails on lists
    assert results == [*(re.sub(r"^xze ", "rollout ", command) for command in COMMANDS[number]), *script]


def test_every_matrix_row_is_there_and_its_trigger_has_its_severity_and_timeline() -> None:
    rows = [f"| {r.condition} | {r.severity.capitalize()} | {r.action} | {r.timeline} |" for r in PLAN.matrix]
    assert rows == MATRIX.splitlines()
    triggers = {trigger.id: trigger for trigger in PLAN.triggers}
    seconds = {"< 5 min": 300, "< 15 min": 900, "< 1 hour": 3600, "< 1 day": 86_400}
    for row in PLAN.matrix:
        assert triggers[row.trigger].severity is row.severity
        assert triggers[row.trigger].timeline_s == seconds[row.timeline]


def test_every_rollback_trigger_of_the_canary_rolls_back() -> None:
    rolls_back = {t.text for t in PLAN.triggers if t.action in (Action.to_zero, Action.previous_stage)}
    assert rolls_back >= set(bullets(ROLLBACK_TRIGGERS))


@pytest.mark.parametrize(
    ("name", "metric", "above", "below", "for_s", "inclusive", "action", "severity"),
    [
        ("error_critical", "error_rate", 0.05, None, 300, False, "to_zero", "critical"),
        ("error_high", "error_rate", 0.03, None, 600, True, "previous_stage", "high"),
        ("latency_high", "latency_mean", 3000, None, 600, False, "previous_stage", "high"),
        ("latency_medium", "latency_mean", 2000, None, 1800, True, "halve", "medium"),
        ("llm_unavailable", "llm_available", None, None, 60, False, "to_zero", "critical"),
        ("complaints_many", "complaints", 10, None, 0, False, "to_zero", "critical"),
        ("complaints", "complaints", 5, None, 0, False, "pause", "medium"),
        ("cache_low", "cache_hit_rate", None, 0.1, 21_600, False, "investigate", "medium"),
        ("error_creep", "error_creep", None, None, 0, False, "pause", "high"),
    ],
)
def test_each_trigger_has_its_defaults(
    name: str,
    metric: str,
    above: float | None,
    below: float | None,
    for_s: float,
    inclusive: bool,
    action: str,
    severity: str,
) -> None:
    (t,) = (trigger for trigger in PLAN.triggers if trigger.id == name)
    result = (t.metric, t.above, t.below, t.for_s, t.inclusive, t.action, t.severity)
    assert result == (metric, above, below, for_s, inclusive, Action(action), Severity(severity))


def test_gate_conditions_are_the_documents_numbers() -> None:
    result = {(stage.number, c.metric, c.op, c.value) for stage in PLAN.stages for c in stage.success}
    core = {("error_rate", "<", 0.01), ("latency_mean", "<", 2000.0), ("cache_hit_rate", ">", 0.2)}
    for number in (2, 3, 5):
        assert {(number, *c) for c in core} <= result
    assert {
        (3, "search_improvement", ">=", 0.1),
        (3, "satisfaction", ">", 0.8),
        (4, "ab_improvement", ">=", 0.15),
        (4, "error_rate", "<", 0.01),
        (4, "ab_verdict", ">=", 1.0),
        (5, "critical_incidents", "<=", 0.0),
    } <= result
    assert not any(number < 2 for number, *_ in result)


def test_reminders_every_four_hours_for_the_first_day_then_daily() -> None:
    first, then = PLAN.stage(2).reminders
    assert (first.every_s, first.from_s, first.until_s) == (4 * 3600, 0, 86_400)
    assert (then.every_s, then.from_s, then.until_s) == (86_400, 86_400, 0)


def test_samples_are_reviewed_as_documented() -> None:
    samples = {s.number: s.sampling.documents for s in PLAN.stages if s.sampling}
    assert samples == {2: 20, 3: 50, 5: 50}
    assert all(list(s.sampling.look_for) == LOOK_FOR for s in PLAN.stages if s.sampling)
    assert list(PLAN.stage(3).feedback) == FEEDBACK


def test_the_ab_test_is_declared() -> None:
    test = PLAN.stage(4).experiment
    assert test is not None
    assert (test.duration_s, test.alpha, test.uplift) == (7 * 86_400, 0.05, 0.15)
    assert (test.control, test.treatment) == ("Frequency-based extraction", "LLM-based extraction")
    assert len(test.performance) == 3
    assert len(test.quality) == 4


@pytest.mark.parametrize("number", USER_MESSAGES)
def test_user_messages_are_verbatim(number: int) -> None:
    (body,) = (m.body for m in PLAN.messages if m.audience == "users" and m.stages == (number,))
    assert body == USER_MESSAGES[number]


def test_each_occasion_of_the_communication_plan_has_a_message() -> None:
    occasions = {(message.audience, message.when) for message in PLAN.messages}
    assert occasions == {
        ("team", "daily"),
        ("team", "weekly"),
        ("team", "rollback"),
        ("team", "hold"),
        ("stakeholders", "before"),
        ("stakeholders", "gate"),
        ("stakeholders", "after"),
        ("users", "stage"),
    }
    assert all(m.stages == (2, 3, 4) for m in PLAN.messages if m.when == "daily")
    assert {m.id for m in PLAN.messages if m.automatic} >= {"rollback", "hold"}


def test_panels_have_the_documents_metric_names_and_targets() -> None:
    panels = [(p.panel, p.metric, p.type, p.target, p.alert_threshold, p.thresholds) for p in PLAN.dashboard]
    assert panels == [
        ("Rollout Status", "current_rollout_percentage", "gauge", None, None, (0, 25, 50, 100)),
        ("Error Rate", "keyword_extraction_error_rate", "time_series", None, 0.01, ()),
        ("Processing Time", "keyword_extraction_avg_time_ms", "time_series", None, 2000, ()),
        ("Cache Hit Rate", "keyword_extraction_cache_hit_rate", "time_series", 0.2, None, ()),
        ("Method Distribution", "keyword_extraction_method_breakdown", "pie_chart", None, None, ()),
    ]


def test_contacts_trends_and_references_are_there() -> None:
    assert [(c.role, c.name, c.phone, c.email) for c in PLAN.contacts] == [
        (role, "[Name]", "[Phone]", "[Email]") for role in ("Technical Lead", "DevOps Engineer", "Product Owner")
    ]
    assert list(PLAN.trends) == TRENDS
    assert [reference.split(": ")[1] for reference in PLAN.references] == DOCUMENTS


def models(model: type[Part] = Plan) -> Iterator[type[Part]]:
    yield model
    for key in keys(model).values():
        inner = key.shape.of or key.shape
        if inner.table:
            yield from models(inner.table)


def test_every_key_is_shown_or_explained_in_the_file() -> None:
    text = default_plan_text()
    for model in set(models()):
        for name in keys(model):
            name = "url" if name == "urls" else name
            assert re.search(rf"\b{name}\b", text), f"{model.__name__}.{name}"


def test_every_default_shown_behind_a_hash_is_the_default() -> None:
    """Uncommenting every setting changes nothing."""
    lines = default_plan_text().splitlines()
    shown = re.compile(r"# ([a-z_]+ = .*)")
    section, changed = "", []
    for line in lines:
        header = re.match(r"(# )?\s*\[+([a-z._]+)\]+", line)
        if header:
            section = "" if header[1] else header[2]
        hidden = shown.fullmatch(line)
        changed.append(hidden[1] if hidden and section else line)
    text = "\n".join(changed)
    assert text != "\n".join(lines)
    tomllib.loads(text)
    plan = parse_plan(text)
    for name in ("llm", "trigger_settings", "http", "store", "notify", "access", "apply", "calendar"):
        assert getattr(plan, name) == getattr(PLAN, name), name


def test_every_placeholder_is_named_in_the_file() -> None:
    text = default_plan_text()
    assert [name for name in PLACEHOLDERS if f"{{{name}}}" not in text] == []
