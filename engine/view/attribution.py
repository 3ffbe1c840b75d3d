"""Which part is at fault: the LLM arm against the frequency arm, and each against the day before. Pure.

A rollback cures what only the LLM arm does, not what both arms do. Intervals are Newcombe's (95 %).
"""

from __future__ import annotations

from engine import bounds
from engine.measures.bucket import Bucket
from engine.text import rate_percent

SLOWER = 1.5  # if the frequency arm is slower by this factor, the machine is slow, not the LLM
FEWEST = 20


def of_errors(now: Bucket, before: Bucket) -> str:
    """ "LLM arm only: +4.1 points [2.9, 5.5]" or "both arms rose: not the rollout"; "" if there is nothing to compare.

    `now` is the window of the alert, `before` the day before it; each holds both arms.
    """
    if not now.attempts:
        return ""
    if not now.plain_n:
        return _against_before(now, before)
    low, high = bounds.difference(now.errors, now.attempts, now.plain_errors, now.plain_n)
    points = _points(now.errors / now.attempts - now.plain_errors / now.plain_n, low, high)
    if _rose(now.plain_errors, now.plain_n, before.plain_errors, before.plain_n):
        if low > 0:
            return f"both arms rose, the LLM arm more: {points}"
        return f"both arms rose: not the rollout ({_share(now)} LLM, {_plain_share(now)} frequency)"
    if low > 0:
        return f"LLM arm only: {points}"
    if now.plain_errors and now.errors:
        return f"both arms fail alike: not the rollout ({_share(now)} LLM, {_plain_share(now)} frequency)"
    if min(now.attempts, now.plain_n) < FEWEST:
        return f"too few documents to compare the arms: {points}"
    return f"no difference shown between the arms: {points}"


def _against_before(now: Bucket, before: Bucket) -> str:
    """Compare with the day before: without a frequency arm (at 100 %) nothing else remains."""
    if before.attempts < FEWEST:
        return "no frequency arm to compare with"
    if now.attempts < FEWEST:
        return "no frequency arm; too few documents to compare with the day before"
    low, high = bounds.difference(now.errors, now.attempts, before.errors, before.attempts)
    change = now.errors / now.attempts - before.errors / before.attempts
    return f"no frequency arm; against the day before: {_points(change, low, high)}"


def of_times(now: Bucket, before: Bucket) -> str:
    """Attribution of latency. Needs no interval: the two arms differ by orders of magnitude."""
    part = queue_or_service(now, before)
    if not now.fresh or now.plain_mean_ms is None:
        return part
    was = before.plain_mean_ms
    if was and now.plain_n >= FEWEST and now.plain_mean_ms > SLOWER * was:
        return (
            f"both arms slower: frequency {now.plain_mean_ms:.1f} ms, was {was:.1f} ms: the machine, not the LLM alone"
        )
    return part or f"LLM arm only: frequency takes {now.plain_mean_ms:.1f} ms" + (" as before" if was else "")


def queue_or_service(now: Bucket, before: Bucket) -> str:
    """Where the latency comes from: "our queue, not the LLM service: queue 18.30 s, LLM service 0.70 s"; "" if
    unknown.
    """
    total, service = now.mean_ms, now.service_mean_ms
    if total is None or service is None or not now.service_n:
        return ""
    queue = max(0.0, total - service)
    was = before.service_mean_ms
    slower = was is not None and service > SLOWER * was
    figures = f"queue {queue / 1000:.2f} s, LLM service {service / 1000:.2f} s" + (
        f" (was {was / 1000:.2f} s)" if was is not None else ""
    )
    if queue > service:
        return f"our queue and the LLM service: {figures}" if slower else f"our queue, not the LLM service: {figures}"
    return f"the LLM service, not our queue: {figures}"


def _rose(k: int, n: int, k_before: int, n_before: int) -> bool:
    """Significantly more than before; without enough before, significantly more than one in a hundred."""
    if not k or not n:
        return False
    if n_before < FEWEST:
        return bounds.rate_lower(k, n) > 0.01
    return bounds.difference(k, n, k_before, n_before)[0] > 0


def _points(change: float, low: float, high: float) -> str:
    return f"{change * 100:+.1f} points [{low * 100:.1f}, {high * 100:.1f}]"


def _share(b: Bucket) -> str:
    return rate_percent(b.errors / b.attempts, 1)


def _plain_share(b: Bucket) -> str:
    return rate_percent(b.plain_errors / b.plain_n, 1)
