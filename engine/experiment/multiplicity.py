"""Several metrics, several chances to be fooled: Holm's correction (1979), valid however the metrics depend on each
other."""

from __future__ import annotations

from collections.abc import Mapping


def holm(p_values: Mapping[str, float | None]) -> dict[str, float | None]:
    """Adjusted p-values: reject where one is at most alpha, and any false rejection has probability at most alpha.

    The family is what was declared: an unknown p stays None and still counts in the family.
    """
    family = len(p_values)
    ranked = sorted((p, name) for name, p in p_values.items() if p is not None)
    adjusted: dict[str, float | None] = dict.fromkeys(p_values)
    largest = 0.0
    for rank, (p, name) in enumerate(ranked):
        largest = max(largest, min(1.0, (family - rank) * p))
        adjusted[name] = largest
    return adjusted
