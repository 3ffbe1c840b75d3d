"""The gauges of the view: each metric with its n, its window and its target, as a number and as a sentence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from engine import bounds
from engine.measures.bucket import Bucket
from engine.plan.durations import format_duration
from engine.plan.model import Plan
from engine.rollout.state import State
from engine.text import rate_beside, rate_percent
from engine.triggers.windows import WindowTotals
from engine.triggers.words import measure
from engine.view.model import Gauge

WINDOW_S = 300.0


def error_gauge(
    treatment: Bucket, target: float | None, bound: float | None, window_s: float, since_change: str = ""
) -> Gauge:
    n, k = treatment.attempts, treatment.errors
    rate = k / n if n else None
    ok = None if rate is None or target is None else bounds.within(rate, "<", target, n)
    if rate is None:
        sentence = f"error rate: no LLM documents {since_change or _last(window_s)}"
    else:
        limit = f", bound {rate_percent(bound, 1)}" if bound is not None else ""
        figures = f"{k} of {n} in {format_duration(window_s)}{limit}"
        sentence = f"error rate {rate_beside(rate, 1, target)} ({figures}){target_words(target, '<', percent_unit)}"
    return Gauge(
        metric="error_rate",
        value=rate,
        n=n,
        k=k,
        window_s=window_s,
        target=target,
        op="<",
        ok=ok,
        sentence=sentence,
        bound=bound,
        control=treatment.plain_error_rate,
    )


def latency_gauge(treatment: Bucket, target: float | None, window_s: float, since_change: str = "") -> Gauge:
    n = treatment.fresh
    mean = treatment.ms_sum / n if n else None
    # of other calls than the mean, see `as_judged`, and it would show
    few = n < bounds.FEWEST and treatment.histogram.n != n
    p95 = treatment.histogram.quantile(0.95) if n and not few else None
    ok = None if mean is None or target is None else bounds.within(mean, "<", target, n)
    if mean is None:
        # a late engine measures no latency, though documents are answered
        counted = "counted " if treatment.attempts > treatment.errors else ""
        sentence = f"latency: no fresh LLM call {counted}{since_change or _last(window_s)}"
    else:
        tail = f", p95 {measure('latency_p95', p95)}" if p95 is not None else ""
        figures = f"n {n} in {format_duration(window_s)}"
        sentence = (
            f"mean latency {measure('latency_mean', mean)}{tail} ({figures}){target_words(target, '<', seconds_unit)}"
        )
    return Gauge(
        metric="latency_mean",
        value=mean,
        n=n,
        k=None,
        window_s=window_s,
        target=target,
        op="<",
        ok=ok,
        sentence=sentence,
        p95=p95,
    )


def cache_gauge(
    treatment: Bucket, target: float | None, window_s: float, since_change: str = "", filling: bool = False
) -> Gauge:
    n, k = treatment.lookups, treatment.hits
    rate = k / n if n else None
    ok = None if rate is None or target is None else bounds.within(rate, ">", target, n, k)
    if filling and ok is False:
        ok = None
    if rate is None:
        sentence = f"cache: no lookups {since_change or _last(window_s)}"
    else:
        figures = f"{k} of {n} in {format_duration(window_s)}"
        sentence = f"cache hits {rate_beside(rate, 0, target)} ({figures}){target_words(target, '>', percent_unit)}"
    return Gauge(
        metric="cache_hit_rate",
        value=rate,
        n=n,
        k=k,
        window_s=window_s,
        target=target,
        op=">",
        ok=ok,
        sentence=sentence,
    )


def _last(window_s: float) -> str:
    return f"in the last {format_duration(window_s)}"


def since_change(state: State, now: float) -> str:
    """What the figures of now cover, in words, if that is less than the window: they begin with the last change of
    percentage. Else ""."""
    return "since the last change" if 0 <= now - state.changed_at < WINDOW_S else ""


def is_filling(plan: Plan, state: State, now: float) -> bool:
    """Whether the cache still gets the time that its trigger gives it: a document that the last change of percentage
    brought to the LLM misses once, whatever is wrong."""
    patience_s = max((t.for_s for t in plan.triggers if t.metric == "cache_hit_rate"), default=0.0)
    return 0 <= now - state.changed_at < patience_s


def gauges(
    b: Bucket, wanted: Mapping[str, float], window_s: float, since_change: str = "", filling: bool = False
) -> tuple[Gauge, Gauge, Gauge]:
    """Error rate, latency and cache hits next to the stage's targets. `filling`: see `is_filling`."""
    bound = bounds.rate_upper(b.errors, b.attempts) if b.attempts else None
    return (
        error_gauge(b, wanted.get("error_rate"), bound, window_s, since_change),
        latency_gauge(b, wanted.get("latency_mean"), window_s, since_change),
        cache_gauge(b, wanted.get("cache_hit_rate"), window_s, since_change, filling),
    )


def as_judged(stored: Bucket, judged: WindowTotals | None) -> Bucket:
    """The window's figures as the triggers counted them, so that a gauge never differs from the trigger beside it. The
    store's buckets of ten seconds begin up to ten seconds later, and hold measurements that triggers discard."""
    if judged is None:
        return stored
    n, k, fresh, ms = judged.n, judged.k, judged.fresh, judged.ms
    return replace(stored, attempts=n, errors=k, fresh=fresh, ms_sum=ms, lookups=judged.lookups, hits=judged.hits)


def shadow_gauges(
    b: Bucket, wanted: Mapping[str, float], window_s: float, judged: WindowTotals | None = None
) -> tuple[Gauge, Gauge]:
    """Error rate and latency of LLM answers that were stored and not served. `judged`: see `as_judged`."""
    error, latency, _ = gauges(as_judged(b.in_shadow(), judged), wanted, window_s)
    shadow = (replace(g, arm="shadow", control=None, sentence=f"shadow: {g.sentence}") for g in (error, latency))
    return next(shadow), next(shadow)


def targets(plan: Plan, state: State) -> dict[str, float]:
    """The stage's own conditions, else those of the first stage that has any."""
    by_metric: dict[str, float] = {}
    here = plan.stages[min(state.stage, plan.last_stage)]
    for stage in (here, *plan.stages):
        for condition in stage.success:
            by_metric.setdefault(condition.metric, condition.value)
    return by_metric


def percent_unit(value: float) -> str:
    return f"{value * 100:g} %"


def seconds_unit(value: float) -> str:
    return f"{value / 1000:g} s"


def target_words(target: float | None, op: str, unit: Callable[[float], str]) -> str:
    return "" if target is None else f", target {op} {unit(target)}"


def beside_target(gauge: Gauge) -> str:
    """ "errors 2.0 %, target < 1 % (5 of 250)"."""
    assert gauge.value is not None
    match gauge.metric:
        case "error_rate":
            figures, of = f"errors {rate_beside(gauge.value, 1, gauge.target)}", f"{gauge.k} of {gauge.n}"
        case "latency_mean":
            figures, of = f"latency {measure('latency_mean', gauge.value)}", f"n {gauge.n}"
        case _:
            figures, of = f"cache hits {rate_beside(gauge.value, 0, gauge.target)}", f"{gauge.k} of {gauge.n}"
    unit = seconds_unit if gauge.metric == "latency_mean" else percent_unit
    return f"{figures}{target_words(gauge.target, gauge.op, unit)} ({of})"
