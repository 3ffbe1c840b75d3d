"""What a program reads has times as ISO 8601, and only times."""

from __future__ import annotations

import pytest
from msgspec import Struct, structs

from engine.triggers.history import StoredReading, TriggerHistory
from engine.triggers.wording import Reading
from engine.view import model
from engine.view.iso_times import MOMENTS, with_iso_times

MEASURES = {
    "bound", "control", "documents_per_min", "llm_per_min", "measuring", "p95", "speed", "target", "threshold", "value",
    "window",
}  # fmt: skip
SHOWN = [
    *(kind for kind in vars(model).values() if isinstance(kind, type) and kind.__module__ == model.__name__),
    Reading,
    StoredReading,
    TriggerHistory,
]


@pytest.mark.parametrize("shown", [kind for kind in SHOWN if issubclass(kind, Struct)])
def test_every_number_is_a_duration_a_measure_or_a_moment(shown: type[Struct]) -> None:
    numbers = {field.name for field in structs.fields(shown) if field.type in (float, float | None)}
    unknown = {name for name in numbers - MEASURES - MOMENTS if not name.endswith(("_s", "_ms"))}
    assert not unknown, "a moment belongs into iso_times.MOMENTS"


def test_a_moment_is_iso_and_a_duration_under_the_same_name_stays_a_number() -> None:
    assert with_iso_times({"since": 1_796_010_000.25, "value": 3e9}) == {
        "since": "2026-11-30T03:40:00.250Z",
        "value": 3e9,
    }
    assert with_iso_times({"since": 90.0}) == {"since": 90.0}


def test_before_the_first_change_its_time_is_null_and_not_a_number() -> None:
    assert with_iso_times({"entered_at": 0.0, "changed_at": 0.0}) == {"entered_at": None, "changed_at": None}
