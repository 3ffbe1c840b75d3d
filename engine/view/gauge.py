"""The gauges of the view: each metric with its n, its window and its target, as a number and as a sentence. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from engine import bounds
from engine.measures.bucket import Bucket
from engine.plan.durations import format_duration
from engine.plan.model import Plan
from engine.plan.units import measure, target
from engine.rollout.state import State
from engine.text import rate_beside, rate_percent
from engine.triggers.windows import WindowTotals
from engine.view.model import Gauge

WINDOW_S = 300.0


class Kind(NamedTuple):
    """How a gauge's metric is compared, and worded."""

    op: str
    name: str  # in the gauge's sentence
    short: str  # in a headline
    figure: Callable[[float, float | None], str]  # a value, beside its target


KINDS = {
    "error_rate": Kind("<", "error rate", "errors", lambda value, target: rate_beside(value, 1, target)),
    "latency_mean": Kind("<", "mean latency", "latency", lambda ms, _: measure("latency_mean", ms)),
    "cache_hit_rate": Kind(">", "cache hits", "cache hits", lambda value, target: rate_beside(value, 0, target)),
}


def gauges(
    b: Bucket, wanted: Mapping[str, float], window_s: float, since_change: str = "", filling: bool = False
) -> tuple[Gauge, Gauge, Gauge]:
    """Error rate, latency and cache hits next to the stage's targets. `filling`: see `is_filling`."""

    def gauge(metric: str, value: float | None, n: int, k: int | None) -> Gauge:
        op, limit = KINDS[metric].op, wanted.get(metric)
        ok = None if value is None or limit is None else bounds.within(value, op, limit, n, k)
        return Gauge(metric=metric, value=value, n=n, k=k, window_s=window_s, target=limit, op=op, ok=ok, sentence="")

    errors = gauge("error_rate", b.error_rate, b.attempts, b.errors)
    bound = bounds.rate_upper(b.errors, b.attempts) if b.attempts else None
    errors = replace(errors, bound=bound, control=b.plain_error_rate)
    # the histogram may be of other calls than the mean, see `as_judged`, and with few calls it would show
    p95 = b.histogram.quantile(0.95) if b.fresh >= bounds.FEWEST or b.histogram.n == b.fresh else None
    latency = replace(gauge("latency_mean", b.mean_ms, b.fresh, None), p95=p95 if b.fresh else None)
    cache = gauge("cache_hit_rate", b.hit_rate, b.lookups, b.hits)
    if filling and cache.ok is False:
        cache = replace(cache, ok=None)
    # a late engine measures no latency, though documents are answered
    counted = "counted " if b.attempts > b.errors else ""
    covered = since_change or f"in the last {format_duration(window_s)}"
    return (
        _worded(errors, f"error rate: no LLM documents {covered}"),
        _worded(latency, f"latency: no fresh LLM call {counted}{covered}"),
        _worded(cache, f"cache: no lookups {covered}"),
    )


def _worded(g: Gauge, unmeasured: str) -> Gauge:
    """With its sentence: "error rate 2.0 % (5 of 250 in 5 min, bound 4.2 %), target < 1 %"."""
    if g.value is None:
        return replace(g, sentence=unmeasured)
    kind = KINDS[g.metric]
    p95 = f", p95 {measure('latency_p95', g.p95)}" if g.p95 is not None else ""
    bound = f", bound {rate_percent(g.bound, 1)}" if g.bound is not None else ""
    evidence = f"{_samples(g)} in {format_duration(g.window_s)}{bound}"
    return replace(g, sentence=f"{kind.name} {kind.figure(g.value, g.target)}{p95} ({evidence}){_target(g)}")


def beside_target(g: Gauge) -> str:
    """ "errors 2.0 %, target < 1 % (5 of 250)"."""
    assert g.value is not None
    kind = KINDS[g.metric]
    return f"{kind.short} {kind.figure(g.value, g.target)}{_target(g)} ({_samples(g)})"


def _samples(g: Gauge) -> str:
    return f"{g.k} of {g.n}" if g.k is not None else f"n {g.n}"


def _target(g: Gauge) -> str:
    return "" if g.target is None else f", target {g.op} {target(g.metric, g.target)}"


def since_change(state: State, now: float) -> str:
    """What the figures of now cover, in words, if that is less than the window: they begin with the last change of
    percentage. Else ""."""
    return "since the last change" if 0 <= now - state.changed_at < WINDOW_S else ""


def is_filling(plan: Plan, state: State, now: float) -> bool:
    """Whether the cache still gets the time that its trigger gives it: a document that the last change of percentage
    brought to the LLM misses once, whatever is wrong."""
    patience_s = max((t.for_s for t in plan.triggers if t.metric == "cache_hit_rate"), default=0.0)
    return 0 <= now - state.changed_at < patience_s


def as_judged(stored: Bucket, judged: WindowTotals | None) -> Bucket:
    """The window's figures as the triggers counted them, so that a gauge never differs from the trigger beside it. The
    store's buckets of ten seconds begin up to ten seconds later, and hold measurements that triggers discard."""
    if judged is None:
        return stored
    n, k, fresh, ms = judged.n, judged.k, judged.fresh, judged.ms
    return replace(stored, attempts=n, errors=k, fresh=fresh, ms_sum=ms, lookups=judged.lookups, hits=judged.hits)


def shadow_gauges(
    b: Bucket, wanted: Mapping[str, float], window_s: float, judged: WindowTotals | None
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
