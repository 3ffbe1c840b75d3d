"""Each rule at the exact number where its answer changes, on figures written down rather than simulated."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from engine.plan.model import Mode, Trigger
from engine.triggers.cusum import CREEP, Level, detectors, early_threshold, proof_threshold, target_threshold
from engine.triggers.evidence import Evidence, Probes
from engine.triggers.finding import Finding, composed
from engine.triggers.measurement import Error, NoData, Ok, Stale
from engine.triggers.rules import find
from engine.triggers.windows import RecentAttempts, WindowTotals
from tests.engine.triggers.attempt_timeline import PLAN, seen

SETTINGS = PLAN.trigger_settings  # at least 20 documents
RULES = {rule.id: rule for rule in PLAN.triggers}
CRITICAL, HIGH, SLOW, CACHE, CREEPS = (
    RULES[name] for name in ("error_critical", "error_high", "latency_high", "cache_low", "error_creep")
)
EARLY, FEW, PROOF = detectors(CRITICAL).early, detectors(CRITICAL).few, detectors(HIGH).proof
PER_MIN = 60.0


def of(rule: Trigger, mode: Mode = "guarded", **changes: Any) -> Finding:
    return find(replace(rule, mode=mode), SETTINGS, Evidence(seen(**changes)))


def window(rule: Trigger, n: int, k: int, **more: Any) -> dict[float, WindowTotals]:
    return {rule.for_s: WindowTotals(rule.for_s, n, k, **more)}


def level(value: float, n: int = 100, k: int = 20) -> Level:
    return Level(value, n, k, 65.0)


# -- thresholds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("above", "below", "inclusive", "value", "breach"),
    [
        (0.5, None, False, 0.5, False), (0.5, None, True, 0.5, True), (0.5, None, False, 0.6, True), (0.5, None, True, 0.4, False),
        (None, 0.5, False, 0.5, False), (None, 0.5, True, 0.5, True), (None, 0.5, False, 0.4, True), (None, 0.5, True, 0.6, False),
        (None, None, True, 0.5, False),
    ],
)  # fmt: skip
def test_a_threshold_is_strict_unless_inclusive(
    above: float | None, below: float | None, inclusive: bool, value: float, breach: bool
) -> None:
    rule = replace(CRITICAL, metric="grounded_rate", above=above, below=below, inclusive=inclusive)
    finding = find(rule, SETTINGS, Evidence(samples={"grounded_rate": Ok(value, 100, 50)}))
    assert finding.breach is breach
    assert finding.threshold == (above if above is not None else below)


def test_what_is_not_measured_explains_why() -> None:
    assert composed(find(CRITICAL, SETTINGS, Evidence(NoData())).why) == "no data"
    assert composed(find(CRITICAL, SETTINGS, Evidence(Stale(95.0))).why) == "the latest figure is 1m 35s old"
    assert composed(find(CRITICAL, SETTINGS, Evidence(Error(""))).why) == "it cannot be measured"
    assert composed(find(CRITICAL, SETTINGS, Evidence(Error("locked"))).why) == "locked"
    nothing = find(CRITICAL, SETTINGS, Evidence(NoData()))
    assert (nothing.threshold, nothing.n) == (CRITICAL.above, 0)


# -- error rate --------------------------------------------------------------------------------------------------------


def test_literal_judges_a_single_document_and_guarded_twenty() -> None:
    one = window(CRITICAL, 1, 1)
    assert of(CRITICAL, "literal", windows=one).breach is True
    assert of(CRITICAL, "literal", windows=window(CRITICAL, 0, 0)).breach is None
    below = replace(CRITICAL, above=None, below=0.5)
    assert of(below, windows=window(CRITICAL, 19, 0)).breach is None
    assert of(below, windows=window(CRITICAL, 20, 0)).rule == "literal"


@pytest.mark.parametrize(
    ("n", "last", "failures", "rule", "breach"),
    [
        (20, 100, 20, "literal", True),
        (19, 100, 20, "fallback-100", True),
        (19, 20, 3, "fallback-100", True),
        (19, 20, 2, "fallback-100", False),  # two failures prove nothing
        (19, 19, 19, "", None),
    ],
)
def test_the_window_needs_twenty_documents_else_the_last_hundred_do(
    n: int, last: int, failures: int, rule: str, breach: bool | None
) -> None:
    finding = of(
        CRITICAL, windows=window(CRITICAL, n, n), last=WindowTotals(65.0, last, failures), levels={FEW: level(99.0)}
    )
    assert (finding.rule, finding.breach) == (rule, breach)
    where = "5m" if rule == "literal" else f"the last {last} documents, in 1m 5s"
    assert not rule or composed(finding.text).endswith(where)


@pytest.mark.parametrize(
    ("per_min", "why"),
    [
        (0.0, "n = 5 of 20"),
        (0.5, "n = 5 of 20, about 30m to go at 0.5 LLM documents/min"),
        (30.0, "n = 5 of 20, about 30s to go at 30.0 LLM documents/min"),
    ],
)
def test_too_few_documents_give_the_time_it_takes(per_min: float, why: str) -> None:
    few = WindowTotals(300.0, 5, 1)
    finding = of(CRITICAL, windows={CRITICAL.for_s: few}, last=few, per_min=per_min)
    assert composed(finding.why) == why
    assert (finding.n, finding.threshold) == (5, CRITICAL.above)


@pytest.mark.parametrize(
    ("n", "k", "resets"),
    [
        (100, 20, "301 clean documents, or failures leave the window"),
        (100, 5, "1 clean document, or failures leave the window"),
        (99, 5, "2 clean documents, or failures leave the window"),
        (100, 4, ""),
    ],
)
def test_how_many_clean_documents_end_a_breach(n: int, k: int, resets: str) -> None:
    assert composed(of(CRITICAL, windows=window(CRITICAL, n, k)).resets) == resets


def test_a_threshold_of_zero_is_reset_by_no_number_of_documents() -> None:
    for k in (5, 100):
        assert composed(of(replace(CRITICAL, above=0.0), windows=window(CRITICAL, 100, k)).resets) == ""


@pytest.mark.parametrize(("over", "convinced"), [(0.0, False), (0.01, True)])
def test_a_window_convinces_only_with_its_cusum(over: float, convinced: bool) -> None:
    proof = proof_threshold(PER_MIN)
    assert of(HIGH, windows=window(HIGH, 100, 20), levels={PROOF: level(proof + over)}).convinced is convinced
    few = min(6.2, target_threshold(PER_MIN))
    assert of(CRITICAL, windows=window(CRITICAL, 100, 20), levels={FEW: level(few + over)}).convinced is convinced
    assert of(CRITICAL, "early", windows=window(CRITICAL, 100, 20), levels={FEW: level(few + over)}).convinced


def test_an_absent_cusum_and_a_fallback_need_no_second_opinion() -> None:
    assert of(CRITICAL, windows=window(CRITICAL, 100, 20)).convinced
    assert of(CRITICAL, windows=window(CRITICAL, 19, 5), levels={FEW: level(0.0)}).convinced
    healthy = of(HIGH, windows=window(HIGH, 100, 2), levels={PROOF: level(0.0)})
    assert (healthy.breach, healthy.convinced, composed(healthy.why)) == (False, True, "")


@pytest.mark.parametrize("mode", ["guarded", "early"])
def test_the_early_detectors_act_above_their_thresholds(mode: Mode) -> None:
    ease = 1.0 if mode == "early" else 0.0
    early, few, proof = early_threshold(PER_MIN) - ease, target_threshold(PER_MIN) - ease, proof_threshold(PER_MIN)
    full, thin = window(CRITICAL, 100, 2), window(CRITICAL, 19, 0)

    def acts(rule: Trigger, windows: dict[float, WindowTotals], levels: dict[Any, Level]) -> str:
        finding = of(rule, mode, windows=windows, levels=levels)
        return finding.early_rule if finding.early else ""

    assert acts(CRITICAL, full, {EARLY: level(early)}) == ""
    assert acts(CRITICAL, full, {EARLY: level(early + 0.01)}) == "cusum"
    assert acts(CRITICAL, thin, {FEW: level(few)}) == ""
    assert acts(CRITICAL, thin, {FEW: level(few + 0.01)}) == "cusum-few"
    twenty = window(CRITICAL, 20, 0)
    assert acts(CRITICAL, twenty, {FEW: level(few + 0.01)}) == ("cusum-few" if mode == "early" else "")
    assert acts(CRITICAL, thin, {FEW: level(few + 0.01, 100, 5)}) == ""  # 5 % is not above 5 %
    assert acts(CRITICAL, full, {FEW: level(few + 0.01)}) == ("cusum-few" if mode == "early" else "")
    high = window(HIGH, 100, 2)
    assert acts(HIGH, high, {PROOF: level(proof)}) == ""
    assert acts(HIGH, high, {PROOF: level(proof + 0.01)}) == ("cusum" if mode == "early" else "")
    assert acts(HIGH, high, {PROOF: level(proof + 0.01, 100, 2)}) == ""


def test_an_early_detector_gives_its_figures_and_its_duration() -> None:
    finding = of(CRITICAL, levels={EARLY: level(12.34)})
    assert composed(finding.early_text) == f"20 of 100 in 1m 5s, CUSUM 12.3 over {early_threshold(PER_MIN):.1f}"
    assert finding.early_for_s == 120.0
    assert of(CRITICAL, "early").early_for_s == 60.0


@pytest.mark.parametrize(
    ("clean_s", "clean", "fresh"), [(60.0, 99, True), (60.1, 4, True), (60.1, 5, False), (999.0, 99, False)]
)
def test_a_fault_is_fresh_for_a_minute_or_five_documents(clean_s: float, clean: int, fresh: bool) -> None:
    assert of(CRITICAL, clean_s=clean_s, clean_in_row=clean).early_fresh is fresh
    creep = of(CREEPS, clean_s=clean_s, clean_in_row=clean, levels={CREEP: level(99.0)})
    assert creep.wait_s == (0.0 if fresh else 60.0)


@pytest.mark.parametrize(
    ("burst", "n", "k", "ago", "healed"),
    [
        (4, 19, 4, 60.1, True),
        (3, 19, 4, 60.1, False),  # no outage
        (4, 18, 4, 60.1, False),  # too few others
        (4, 19, 4, 60.0, False),  # too recent
        (4, 19, 4, 300.0, True),
        (4, 19, 4, 300.1, False),  # not in the window
        (5, 40, 4, 61.0, True),
        (5, 41, 6, 61.0, True),  # 1 of 36 others
        (5, 40, 7, 61.0, False),  # 2 of 35 others are above 5 % too
    ],
)
def test_an_outage_that_has_ended_waits_for_another(burst: int, n: int, k: int, ago: float, healed: bool) -> None:
    finding = of(
        CRITICAL, last=WindowTotals(300.0, n, k), burst=burst, burst_ago_s=ago, windows={}, levels={EARLY: level(99.0)}
    )
    assert ("waits for another" in composed(finding.why)) is healed
    assert finding.early_fresh is not healed
    assert finding.convinced is not healed


def test_the_larger_of_window_and_last_documents_decides_whether_it_healed() -> None:
    both = {"burst": 4, "burst_ago_s": 120.0, "levels": {EARLY: level(99.0)}}
    wide = of(CRITICAL, windows=window(CRITICAL, 100, 4), last=WindowTotals(100.0, 99, 99), **both)
    assert "waits for another" in composed(wide.why)
    same = of(CRITICAL, windows=window(CRITICAL, 100, 4), last=WindowTotals(100.0, 100, 99), **both)
    assert "waits for another" in composed(same.why)
    last = of(CRITICAL, windows=window(CRITICAL, 98, 4), last=WindowTotals(100.0, 99, 99), **both)
    assert "waits for another" not in composed(last.why)


def test_creep_is_judged_from_the_first_document_by_its_cusum() -> None:
    least = target_threshold(PER_MIN)
    assert of(CREEPS, levels={CREEP: level(least)}).breach is False
    above = of(CREEPS, levels={CREEP: level(least + 0.01)})
    assert above.breach is True
    assert (above.value, above.threshold, above.n, above.k) == (least + 0.01, least, 100, 20)
    assert composed(above.text) == f"CUSUM {least + 0.01:.1f} of {least:.1f}, 20 of 100 in 1m 5s"
    assert composed(of(CREEPS, levels={CREEP: level(0.0, 0, 0)}).text) == f"CUSUM 0.0 of {least:.1f}"
    assert composed(of(CREEPS, levels={CREEP: level(9.0, 1, 1)}).text).endswith("1 of 1 in 1m 5s")
    assert of(CREEPS, n=1, levels={CREEP: level(0.0)}).breach is False
    assert of(CREEPS, n=0, levels={CREEP: level(0.0)}).breach is None
    assert of(CREEPS).breach is None


# -- latency and cache -------------------------------------------------------------------------------------------------


def calls(n: int, mean: float, deviation: float = 0.0, span_s: float = 65.0) -> WindowTotals:
    squares = n * mean * mean + max(0, n - 1) * deviation * deviation
    return WindowTotals(span_s, n, 0, fresh=n, ms=n * mean, ms_squares=squares)


@pytest.mark.parametrize(
    ("mode", "n", "last", "rule", "breach"),
    [
        ("guarded", 20, 50, "literal", True),
        ("guarded", 19, 50, "fallback-50", True),
        ("guarded", 19, 20, "fallback-50", True),
        ("guarded", 19, 19, "", None),
        ("literal", 1, 50, "literal", True),
        ("literal", 0, 50, "", None),
    ],
)
def test_latency_needs_twenty_fresh_calls(mode: Mode, n: int, last: int, rule: str, breach: bool | None) -> None:
    finding = of(SLOW, mode, windows={SLOW.for_s: calls(n, 3500.0)}, slow=calls(last, 3500.0))
    assert (finding.rule, finding.breach) == (rule, breach)
    if rule:
        where = f"n = {n} in 1m 5s" if rule == "literal" else f"the last {last} fresh calls, in 1m 5s"
        assert composed(finding.text) == where
        assert composed(finding.resets) == "the mean is 3.00 s or less"
    else:
        assert "fresh calls/min" in composed(finding.why)


@pytest.mark.parametrize(("deviation", "early"), [(0.0, True), (874.0, True), (877.0, False)])
def test_the_mean_is_surely_above_by_two_standard_errors(deviation: float, early: bool) -> None:
    slow = calls(25, 3350.0, deviation)  # two standard errors are 0.4 of the deviation
    finding = of(SLOW, windows={SLOW.for_s: calls(20, 2000.0)}, slow=slow)
    assert finding.breach is False
    assert (finding.early, finding.early_rule, finding.early_for_s) == (early, "mean-2se", SLOW.for_s * 0.2)
    assert of(SLOW, "early", slow=slow).early_for_s == pytest.approx(SLOW.for_s * 0.1)
    surely = (3350.0 - 0.4 * deviation) / 1000
    assert composed(finding.early_text) == f"mean 3.35 s less 2 SE is {surely:.2f} s, last 25 fresh calls"


def test_the_early_mean_is_of_twenty_calls_in_guarded_modes_above_a_threshold() -> None:
    full = {SLOW.for_s: calls(20, 2000.0)}
    assert of(SLOW, windows=full, slow=calls(20, 3500.0)).early is True
    assert of(SLOW, windows=full, slow=calls(19, 3500.0)).early is None
    assert of(SLOW, "literal", windows=full, slow=calls(20, 3500.0)).early is None
    assert of(replace(SLOW, above=None, below=100.0), windows=full, slow=calls(20, 3500.0)).early is None
    assert of(SLOW, windows=full, slow=calls(20, 3000.0)).early is False
    assert of(SLOW, windows=full, slow=calls(20, 3000.05)).early is True  # alike, so their mean is certain
    single = replace(SETTINGS, min_n=1)
    finding = find(SLOW, single, Evidence(seen(slow=calls(1, 3000.5))))
    assert finding.early is True  # one call has no deviation
    two = WindowTotals(65.0, 2, 0, fresh=2, ms=7000.0, ms_squares=2 * 3500.0**2 + 2000.0**2)
    assert find(SLOW, replace(SETTINGS, min_n=2), Evidence(seen(slow=two))).early is False


@pytest.mark.parametrize(
    ("mode", "lookups", "hits", "breach"),
    [("guarded", 20, 1, True), ("guarded", 20, 2, False), ("guarded", 19, 0, None), ("literal", 1, 0, True), ("literal", 0, 0, None)],
)  # fmt: skip
def test_the_cache_needs_twenty_lookups(mode: Mode, lookups: int, hits: int, breach: bool | None) -> None:
    finding = of(CACHE, mode, windows=window(CACHE, 0, 0, lookups=lookups, hits=hits))
    assert finding.breach is breach
    if breach is None:
        assert "lookups/min" in composed(finding.why)
    else:
        assert composed(finding.text) == f"{hits} of {lookups} in 6h"
        assert composed(finding.resets) == "the rate is 10 % or more"
        assert (finding.value, finding.n, finding.k) == (hits / lookups, lookups, hits)
    assert of(CACHE).breach is None


def test_what_resets_a_rule_with_a_threshold_of_zero_is_zero() -> None:
    mean = of(replace(SLOW, above=0.0), windows={SLOW.for_s: calls(20, 2000.0)})
    assert composed(mean.resets) == "the mean is 0 ms or less"
    rate = of(replace(CACHE, below=0.0), windows=window(CACHE, 0, 0, lookups=20, hits=1))
    assert composed(rate.resets) == "the rate is 0 % or more"


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_calls_that_no_one_could_judge_are_not_reported_as_successful() -> None:
    """An engine that was late itself discards failures; the last judged call may be long ago."""
    recent = RecentAttempts(PLAN.triggers, SETTINGS, 0.0)
    recent.add(1.0, True, 200.0)
    recent.discard(2.0, answered=False)
    recent.discard(3.0, answered=False)
    late = "2 failed calls not judged, as the engine was late"
    unsure = find(RULES["llm_unavailable"], SETTINGS, Evidence(recent.at(4.0), Probes(0, 0)))
    assert (unsure.breach, composed(unsure.why)) == (None, late)
    probed = find(RULES["llm_unavailable"], SETTINGS, Evidence(recent.at(4.0), Probes(0, 2)))
    assert (probed.breach, composed(probed.text)) == (False, f"probes succeed; {late}")
    recent.add(5.0, True, 200.0)
    assert composed(find(RULES["llm_unavailable"], SETTINGS, Evidence(recent.at(6.0))).text) == "calls succeed"


@pytest.mark.parametrize(
    ("failures", "span", "probes", "rule", "breach", "text"),
    [
        (5, 15.0, 0, "calls", True, "5 failed calls in a row over 15s"),
        (5, 14.9, 0, "calls", False, "5 failed calls in a row over 14s"),
        (4, 99.0, 0, "calls", False, "4 failed calls in a row over 1m 39s"),
        (0, 0.0, 0, "calls", False, "calls succeed"),
        (
            0,
            0.0,
            SETTINGS.unavailable_probes - 1,
            "calls",
            False,
            f"{SETTINGS.unavailable_probes - 1} failed probes in a row",
        ),
        (0, 0.0, SETTINGS.unavailable_probes, "probes", True, f"{SETTINGS.unavailable_probes} failed probes in a row"),
    ],
)
def test_a_service_is_unavailable_by_calls_or_by_probes(
    failures: int, span: float, probes: int, rule: str, breach: bool, text: str
) -> None:
    evidence = Evidence(seen(failures_in_row=failures, failures_span_s=span), Probes(probes, 2))
    finding = find(RULES["llm_unavailable"], SETTINGS, evidence)
    assert (finding.rule, finding.breach) == (rule, breach)
    assert composed(finding.text).startswith(text)
    assert finding.value == (0.0 if breach else 1.0)
    assert finding.n == (100 if not breach else failures or probes)
    assert finding.k == (failures or probes or None)


def test_without_calls_the_probes_are_what_is_known() -> None:
    rule = RULES["llm_unavailable"]
    assert find(rule, SETTINGS, Evidence()).breach is None
    quiet = Evidence(seen(n=0), Probes(0, 1))
    assert (find(rule, SETTINGS, quiet).breach, find(rule, SETTINGS, quiet).n) == (False, 1)
    assert composed(find(rule, SETTINGS, quiet).text) == "probes succeed"
    assert composed(find(rule, SETTINGS, Evidence(probes=Probes(1, 2))).text) == "1 failed probe"
    assert find(rule, SETTINGS, Evidence(seen(n=1), Probes(0, 0))).breach is False


@pytest.mark.parametrize(
    ("sample", "mode", "breach", "text"),
    [
        (Ok(0.5, 20, 10), "guarded", True, "10 of 20"),
        (Ok(0.5, 19, 10), "guarded", None, ""),
        (Ok(0.5, 1, 1), "literal", True, "1 of 1"),
        (Ok(0.5, 0), "guarded", True, "n = 0"),
        (Ok(math.nan, 50), "guarded", None, ""),
    ],
)
def test_a_figure_with_its_own_window_needs_twenty_samples_if_it_has_any(
    sample: Ok, mode: Mode, breach: bool | None, text: str
) -> None:
    rule = replace(CRITICAL, metric="grounded_rate", above=None, below=0.9, mode=mode)
    finding = find(rule, SETTINGS, Evidence(samples={"grounded_rate": sample}))
    assert finding.breach is breach
    assert composed(finding.text) == text
    assert not text or composed(finding.resets) == "it is 90 % or more"


def test_a_count_needs_no_samples_and_is_of_the_stage() -> None:
    rule = replace(RULES["complaints"], above=5)
    finding = find(rule, SETTINGS, Evidence(samples={"complaints": Ok(6.0, 6)}))
    assert (finding.breach, composed(finding.text), composed(finding.resets)) == (
        True,
        "in this stage",
        "it is 5 or less",
    )
    none = find(replace(rule, above=0), SETTINGS, Evidence(samples={"complaints": Ok(6.0, 6)}))
    assert composed(none.resets) == "it is 0 or less"


def test_a_rate_names_the_failures_that_were_never_sent() -> None:
    """Documents that an open breaker turns away count, and make an LLM that fails one call in three look dead."""
    shown = of(CRITICAL, windows=window(CRITICAL, 38, 36, unsent=24))
    assert composed(shown.text) == "36 of 38 in 5m, 24 never sent"
    assert composed(of(CRITICAL, windows=window(CRITICAL, 38, 12)).text) == "12 of 38 in 5m"
