"""Each figure of a gate at the value where it turns: how many more samples, how long, what is counted as missing."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from engine import bounds
from engine.gate import conditions
from engine.gate.conditions import GateFacts, GateReport
from engine.gate.stability import Stability
from engine.plan.load import default_plan_text, parse_plan
from engine.plan.model import Condition
from engine.triggers.measurement import Error, NoData, Ok, Sample, Stale, rate
from engine.view.model import ConditionView, ItemView

PLAN = parse_plan(default_plan_text())
CANARY = PLAN.stages[2]
GOOD: dict[str, Sample] = {
    "error_rate": rate(0, 400),
    "latency_mean": Ok(900.0, 400, None, 1e5),
    "cache_hit_rate": rate(200, 400),
    "quality_score": rate(20, 20),
}


def condition(metric: str, op: str, value: float, **changes: Any) -> Condition:
    return Condition("c", "the condition", metric, op, value, **changes)  # type: ignore[arg-type]


ERRORS = condition("error_rate", "<", 0.01)
HITS = condition("cache_hit_rate", ">", 0.2)
LATENCY = condition("latency_mean", "<", 2000.0)


def judged(of: Condition, sample: Sample, per_min: float = 0.0, **facts: Any) -> ConditionView:
    return conditions.judge(of, GateFacts({of.metric: sample}, per_min, **facts))


def assessed(**changes: Any) -> GateReport:
    given: dict[str, Any] = {
        "stage": CANARY, "facts": GateFacts(GOOD, 1.0), "items": (), "baked_s": CANARY.bake_s, "approvals": 0, "blocked": (),
    }  # fmt: skip
    return conditions.assess(**given | changes)


@pytest.mark.parametrize("op", ["<=", ">="])
@pytest.mark.parametrize("off", [0.0, 1e-9])
def test_a_latency_at_its_target_is_not_met_and_no_number_of_calls_is_named(op: str, off: float) -> None:
    at_target = judged(
        condition("latency_mean", op, 900.0), Ok(900.0 + (-off if op == "<=" else off), 400, None, 1e5), 1.0
    )
    assert (at_target.met, at_target.eta_s) == (False, None)
    assert "more fresh calls" not in at_target.missing


def test_a_second_is_written_as_one() -> None:
    assert (conditions.amount(1000.0, "ms"), conditions.amount(999.0, "ms")) == ("1.00 s", "999 ms")


# -- which bound, of which side ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "k", "n", "expected"),
    [
        ("<", 3, 100, bounds.rate_upper(3, 100)),
        ("<=", 3, 100, bounds.rate_upper(3, 100)),
        (">", 3, 100, bounds.rate_lower(3, 100)),
        (">=", 3, 100, bounds.rate_lower(3, 100)),
        ("<", 0, 100, bounds.rate_upper(0, 100)),
        (">", 100, 100, bounds.rate_lower(100, 100)),
    ],
)
def test_a_rate_is_bounded_on_the_side_that_has_to_hold(op: str, k: int, n: int, expected: float) -> None:
    of = condition("error_rate", op, 0.5)
    assert conditions.bound_of(of, rate(k, n)) == (expected, "Clopper-Pearson")
    assert (
        conditions.figure(of, rate(k, n), expected, GateFacts())
        .split(": ")[1]
        .startswith("at most" if op in ("<", "<=") else "at least")
    )


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        ("<", bounds.mean_upper(900.0, 1e5, 2)), ("<=", bounds.mean_upper(900.0, 1e5, 2)),
        (">", bounds.mean_lower(900.0, 1e5, 2)), (">=", bounds.mean_lower(900.0, 1e5, 2)),
    ],
)  # fmt: skip
def test_a_mean_is_bounded_from_two_samples_on(op: str, expected: float) -> None:
    of = condition("latency_mean", op, 2000.0)
    assert conditions.bound_of(of, Ok(900.0, 2, None, 1e5)) == (expected, "t")
    assert conditions.bound_of(of, Ok(900.0, 1, None, 1e5)) == (None, "")


@pytest.mark.parametrize(("confidence", "bounded"), [(0.5, False), (0.500001, True)])
def test_up_to_one_half_the_figure_itself_is_judged(confidence: float, bounded: bool) -> None:
    bound, name = conditions.bound_of(condition("error_rate", "<", 0.5, confidence=confidence), rate(3, 100))
    assert (bound is not None) is bounded
    assert bool(name) is bounded


def test_a_count_that_does_not_fit_its_n_has_no_bound() -> None:
    assert conditions.bound_of(ERRORS, Ok(0.5, 4, 5)) == (None, "")
    assert conditions.bound_of(ERRORS, Ok(0.5, 4, -1)) == (None, "")


# -- how many more ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sample", "per_min", "missing", "eta"),
    [
        (rate(0, 298), 0.0, "; 1 more documents", None),
        (rate(0, 298), 2.0, "; 1 more documents, about 30s", 30.0),
        (rate(0, 179), 1.0, "; 120 more documents, about 2h", 7200.0),
        (rate(1, 400), 0.0, "; 73 more clean documents (73 at the current error rate)", None),
        (rate(1, 400), 1.0, "; 73 more clean documents, about 1h 13m (73 at the current error rate)", 4380.0),
        (rate(5, 200), 0.0, " more clean documents, and errors must stop", None),
        (rate(5, 200), 1.0, " more clean documents, and errors must stop", None),
    ],
)
def test_an_error_rate_shows_how_many_more_documents(
    sample: Sample, per_min: float, missing: str, eta: float | None
) -> None:
    view = judged(ERRORS, sample, per_min)
    assert view.met is False
    assert view.missing.endswith(missing)
    assert view.eta_s == eta


def test_only_a_figure_whose_bound_misses_the_target_is_unproven() -> None:
    assert [judged(ERRORS, rate(*of)).unproven for of in ((0, 400), (0, 5), (1, 400), (5, 200))] == [
        False,
        True,
        True,
        False,
    ]


def test_the_documents_that_are_reported_as_missing_are_enough_and_one_less_is_not() -> None:
    for k, n in ((0, 100), (1, 400), (2, 500)):
        more = int(judged(ERRORS, rate(k, n)).missing.split("; ")[1].split()[0])
        assert judged(ERRORS, rate(k, n + more)).met
        assert not judged(ERRORS, rate(k, n + more - 1)).met


@pytest.mark.parametrize(
    ("sample", "missing"),
    [
        (rate(25, 100), " more lookups"),
        (rate(10, 100), ", not > 20 %"),
        (rate(20, 100), ", not > 20 %"),
        (Ok(0.0, 0, 0), "n = 0 of 20; 20 to go"),
    ],
)
def test_a_hit_rate_shows_how_many_more_look_ups_or_that_it_is_too_low(sample: Ok, missing: str) -> None:
    view = judged(HITS, sample)
    assert not view.met
    assert missing in view.missing


def test_the_look_ups_that_are_reported_as_missing_are_enough_at_the_same_rate() -> None:
    view = judged(HITS, rate(25, 100), 10.0)
    more = int(view.missing.split("; ")[1].split()[0])
    assert view.eta_s == pytest.approx(more * 6.0)
    assert judged(HITS, rate(int(0.25 * (100 + more)), 100 + more)).met
    assert not judged(HITS, rate(int(0.25 * (99 + more)), 99 + more)).met


def test_a_grounded_rate_is_counted_in_documents_of_its_own() -> None:
    assert " more" in judged(condition("grounded_rate", ">=", 0.8), rate(85, 100)).missing
    assert "lookups" not in judged(condition("grounded_rate", ">=", 0.8), rate(85, 100)).missing


def test_a_mean_shows_how_many_more_fresh_calls() -> None:
    sample = Ok(1900.0, 30, None, 1e6)
    view = judged(LATENCY, sample, 2.0)
    wide = bounds.t_quantile(0.95, 29) * 1e3
    more = int(-(-((wide / 100.0) ** 2) // 1)) - 30
    assert f"; {more} more fresh calls" in view.missing
    assert view.eta_s == pytest.approx(more * 30.0)


@pytest.mark.parametrize(
    ("sample", "missing"),
    [
        (Ok(2100.0, 30, None, 1e6), ", not < 2.00 s"),
        (Ok(2000.0, 30, None, 1e6), ", not < 2.00 s"),
        (Ok(1999.0, 2, None, 9.0), "more fresh calls"),
    ],
)
def test_a_mean_that_is_too_high_needs_no_count(sample: Ok, missing: str) -> None:
    assert missing in judged(LATENCY, sample).missing


def test_a_single_call_that_is_missing_is_one() -> None:
    sd = 100.0 * 30.5**0.5 / bounds.t_quantile(0.95, 29)
    assert "; 1 more fresh calls" in judged(LATENCY, Ok(1900.0, 30, None, sd * sd)).missing


@pytest.mark.parametrize(
    ("of", "sample", "missing"),
    [
        (ERRORS, Ok(0.05, 100), ", not < 1 %"),  # without a count
        (condition("satisfaction", ">", 0.8, confidence=0.5), rate(20, 40), ", not > 80 %"),  # people's, not documents
        (condition("error_rate", "<", 1.0), rate(20, 20), ", not < 100 %"),
        (condition("ab_verdict", ">=", 1.0), Ok(0.0, 1), ": no"),
    ],
)
def test_what_more_documents_cannot_fix_only_names_the_target(of: Condition, sample: Ok, missing: str) -> None:
    view = judged(of, sample)
    assert view.missing.endswith(missing)
    assert "more" not in view.missing


def test_a_share_that_people_judge_shows_how_many_more_it_takes() -> None:
    of = condition("quality_score", ">", 0.8)
    view = judged(of, rate(19, 20))
    more = int(view.missing.rpartition("; ")[2].split()[0])
    assert view.missing.endswith(f"; {more} more at this share")
    assert view.eta_s is None
    assert bounds.rate_lower(int(0.95 * (20 + more)), 20 + more, 0.95) > 0.8
    assert bounds.rate_lower(int(0.95 * (19 + more)), 19 + more, 0.95) <= 0.8


def test_without_a_forecast_only_the_figure_is_shown() -> None:
    view = judged(ERRORS, rate(0, 100), 1.0, forecast=False)
    assert "more documents" not in view.missing
    assert view.eta_s is None


# -- too few samples ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "min_n", "expected"),
    [
        ("satisfaction", 0, 20),
        ("satisfaction", 5, 5),
        ("latency_mean", 0, 20),
        ("complaints", 0, 0),
        ("complaints", 3, 3),
    ],
)
def test_a_sampled_metric_needs_twenty_samples_unless_the_plan_sets_another_minimum(
    metric: str, min_n: int, expected: int
) -> None:
    assert conditions.least(condition(metric, "<", 1.0, min_n=min_n)) == expected


@pytest.mark.parametrize(("n", "met"), [(19, None), (20, True), (21, True)])
def test_a_hit_counts_from_twenty_samples_on(n: int, met: bool | None) -> None:
    of = condition("satisfaction", ">", 0.8, confidence=0.5)
    view = judged(of, rate(n, n))
    assert view.met is met
    assert view.missing == ("" if met else f"the condition: n = {n} of 20; 1 to go")


@pytest.mark.parametrize(("n", "met"), [(29, None), (30, False)])
def test_a_miss_counts_from_the_plans_own_minimum_on(n: int, met: bool | None) -> None:
    assert judged(condition("satisfaction", ">", 0.8, confidence=0.5, min_n=30), rate(1, n)).met is met


@pytest.mark.parametrize(("metric", "eta"), [("error_rate", 600.0), ("satisfaction", None)])
def test_only_what_documents_bring_has_an_eta(metric: str, eta: float | None) -> None:
    assert judged(condition(metric, "<", 0.9, min_n=30), rate(0, 20), 1.0).eta_s == eta


# -- nothing measured ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "sample", "missing"),
    [
        (ERRORS, NoData(), "the condition: nothing measured yet; it takes 299 clean documents"),
        (ERRORS, Stale(5.0), "the condition: the latest figure is old; it takes 299 clean documents"),
        (ERRORS, Error(""), "the condition: it could not be measured; it takes 299 clean documents"),
        (ERRORS, Error("the store is locked"), "the condition: the store is locked; it takes 299 clean documents"),
        (replace(ERRORS, required=False), NoData(), ""),
        (replace(ERRORS, confidence=0.5), NoData(), "the condition: nothing measured yet"),
        (replace(ERRORS, value=0.0), NoData(), "the condition: nothing measured yet"),
        (replace(ERRORS, value=1.0), NoData(), "the condition: nothing measured yet"),
        (HITS, NoData(), "the condition: nothing measured yet"),
    ],
)
def test_what_is_not_measured_is_never_met(of: Condition, sample: Sample, missing: str) -> None:
    view = judged(of, sample)
    assert (view.met, view.value, view.n, view.bound, view.eta_s) == (None, None, 0, None, None)
    assert view.missing == missing


def test_an_optional_condition_with_too_few_samples_is_not_waited_for() -> None:
    of = condition("satisfaction", ">", 0.8, confidence=0.5, required=False)
    assert judged(of, rate(10, 10)).missing == ""
    assert judged(of, rate(1, 30)).missing != ""


# -- figures ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("of", "sample", "bound", "expected"),
    [
        (ERRORS, rate(0, 180), 0.0165, "0/180 errors: at most 1.65 %"),
        (HITS, rate(90, 180), 0.4, "90/180 hits: at least 40 %"),
        (condition("satisfaction", ">", 0.8), rate(33, 40), None, "33/40 are 4 or 5: 82.5 %, no bound"),
        (LATENCY, Ok(1234.0, 40, None, 1.0), 1300.0, "1.23 s (n 40): at most 1.30 s"),
        (LATENCY, Ok(1234.0, 40), None, "1.23 s (n 40), no bound"),
        (LATENCY, Ok(1234.0, 0), None, "1.23 s"),
        (LATENCY, Ok(123_456.0, 0), None, "123.46 s"),
        (condition("complaints", "<", 5.0), Ok(0.0, 0), None, "none"),
        (condition("complaints", "<", 5.0), Ok(3.0, 0), None, "3"),
        (condition("ab_verdict", ">=", 1.0), Ok(1.0, 0), None, "yes"),
        (condition("ab_verdict", ">=", 1.0), Ok(0.0, 0), None, "no"),
        (condition("search_improvement", ">", 0.1), Ok(0.12, 30), None,
         "+12 % (n 30 queries on the same documents), no bound"),
    ],
)  # fmt: skip
def test_a_figure_has_its_n_and_its_bound(of: Condition, sample: Ok, bound: float | None, expected: str) -> None:
    assert conditions.figure(of, sample, bound, GateFacts()) == expected


def test_a_figure_in_words_replaces_the_number() -> None:
    facts = GateFacts(sentences={"error_rate": "as agreed"})
    assert conditions.figure(ERRORS, rate(0, 1), 0.5, facts) == "as agreed"


# -- the whole gate --------------------------------------------------------------------------------------------------------


def item(name: str, state: str = "open", **changes: Any) -> ItemView:
    fields: dict[str, Any] = {
        "id": name, "text": f"item {name}", "kind": "manual", "state": state, "by": "", "at": None, "note": "", "evidence": "",
        "required": True,
    }  # fmt: skip
    return ItemView(**fields | changes)


def test_once_stable_there_is_no_gate() -> None:
    report = assessed(stage=None, blocked=("held",))
    assert (report.conditions, report.missing, report.blocked, report.met, report.total) == ((), (), ("held",), 0, 0)
    assert not report.open


def test_a_whole_gate_counts_conditions_and_bake() -> None:
    report = assessed()
    assert report.open
    assert (report.met, report.total) == (len(CANARY.success) + 1, len(CANARY.success) + 1)


@pytest.mark.parametrize(("baked_s", "left"), [(0.0, True), (-0.001, False), (1.0, True)])
def test_the_bake_ends_at_its_last_second(baked_s: float, left: bool) -> None:
    report = assessed(baked_s=CANARY.bake_s - baked_s)
    assert report.open is (baked_s <= 0.0)
    assert any("bake" in text for text in report.missing) is (baked_s > 0.0)
    assert report.others == report.missing


def test_clean_days_replace_the_bake_where_they_are_counted() -> None:
    stability = Stability(0.0, CANARY.bake_s - 3600, "a rollback")
    report = assessed(facts=GateFacts(GOOD, 1.0, stability))
    assert report.missing == (f"stable within targets: 1h left of 2d, {stability.sentence}",)
    assert conditions.bake_done(CANARY, GateFacts(stability=stability), 5.0) == 5.0
    assert conditions.bake_done(CANARY, GateFacts(stability=stability), 1e9) == stability.clean_s
    assert conditions.bake_done(CANARY, GateFacts(), 1e9) == 1e9


@pytest.mark.parametrize(
    ("needed", "given", "missing"),
    [
        (0, 0, ""),
        (1, 0, ""),
        (2, 0, "approvals: 0 of 2, 2 to go"),
        (2, 1, "approvals: 1 of 2, 1 to go"),
        (2, 2, ""),
        (2, 3, ""),
    ],
)
def test_one_approval_is_the_promotion_itself(needed: int, given: int, missing: str) -> None:
    report = assessed(stage=replace(CANARY, approvals=needed), approvals=given)
    assert report.missing == ((missing,) if missing else ())
    assert report.total == len(CANARY.success) + 1 + (needed > 1)
    assert report.met == report.total - bool(missing)


def test_what_else_is_missing_counts_as_one_thing_each() -> None:
    report = assessed(other_needs=("a backtest", "a plan"))
    assert report.others == report.missing == ("a backtest", "a plan")
    assert report.total == len(CANARY.success) + 3
    assert report.met == len(CANARY.success) + 1


@pytest.mark.parametrize(
    ("states", "missing"),
    [
        (("done", "done"), ""),
        (("done", "open"), "1 of 2 checklist items open: item 1"),
        (("open", "failed"), "2 of 2 checklist items open: item 0 (and 1 more)"),
        (("open", "open", "open"), "3 of 3 checklist items open: item 0 (and 2 more)"),
    ],
)
def test_open_items_are_one_thing_that_is_missing(states: tuple[str, ...], missing: str) -> None:
    items = tuple(item(str(n), state) for n, state in enumerate(states))
    report = assessed(items=items)
    assert report.missing == ((missing,) if missing else ())
    assert report.total == len(CANARY.success) + 2
    assert report.met == report.total - bool(missing)
    assert report.others == ()


def test_an_item_that_is_not_required_is_not_waited_for_and_a_lapsed_one_explains_why() -> None:
    assert assessed(items=(item("a", required=False),)).open
    lapsed = item("a", lapsed=True, note="a rollback came after it")
    assert assessed(items=(lapsed,)).missing == ("1 of 1 checklist items open: item a, a rollback came after it",)


def test_the_count_of_what_is_met_never_falls_below_none() -> None:
    nothing = GateFacts({})
    report = conditions.assess(CANARY, nothing, (), 0.0, 0, (), ("x",) * 3)
    assert report.met == max(0, report.total - len(report.missing))
    assert not report.open
