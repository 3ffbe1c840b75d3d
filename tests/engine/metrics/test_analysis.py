"""Reports over days and errors by shape: sums agree, chance makes no trend, groups are those a person would make."""

from __future__ import annotations

import json
import random
import sqlite3

import pytest

from engine.measures.record import Extraction
from engine.metrics import exposition
from engine.metrics import snapshot as reading
from engine.metrics.analysis import performance_report, snapshot
from engine.metrics.errors import error_analysis, shape
from engine.service import probes
from engine.store import live
from engine.store.rollup import insert_and_fold, retain
from tests.engine.metrics.samples import DAY, HOUR, T0, cached, failed, fallen_back, plain, record

NOON = T0 - T0 % DAY + DAY / 2


def week(before: float, after: float, ms: float = 0.0) -> list[Extraction]:
    """Seven days up to NOON, 200 LLM documents a day, error rate `before` and, for the second half, `after`; `ms` slower then."""
    rng, rows = random.Random(3), []
    for n in range(1400):
        at = NOON - 7 * DAY + (n + 0.5) * 432
        late = n >= 700
        if rng.random() < (after if late else before):
            rows.append(failed("http", at))
        else:
            rows.append(record(at, ms=rng.lognormvariate(7, 0.5) + (ms if late else 0.0)))
        rows += [plain(at), cached(at)]
    return rows


# -- metrics analyze ---------------------------------------------------------------------------------------------------------


def test_the_days_add_up_to_the_whole(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, week(0.02, 0.02))
    result = performance_report(conn, NOON, 7)
    days = result["by_day"]
    assert [day["partial"] for day in days] == [True, *[False] * 6, True]
    for name in ("documents", "llm_attempts", "llm_errors", "cache_hits", "fallbacks", "timed_calls"):
        assert sum(day[name] for day in days) == result["total"][name], name
    assert result["total"]["documents"] == result["documents_ever"] == 4200
    assert result["total"]["errors_by_kind"] == {"http": result["total"]["llm_errors"]}
    assert result["total"]["llm_share"] + result["total"]["frequency_share"] == 1
    json.dumps(result, allow_nan=False)


def test_the_report_survives_retention_but_for_the_ragged_first_hour(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, week(0.02, 0.02))
    before = performance_report(conn, NOON, 7)
    while retain(conn, NOON, DAY, DAY / 10, DAY):
        pass
    assert performance_report(conn, NOON, 7) == before


def test_days_before_the_store_began_are_not_in_the_report(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(NOON - DAY)])
    assert [day["date"] for day in performance_report(conn, NOON, 365)["by_day"]] == ["2027-01-14", "2027-01-15"]
    assert performance_report(conn, NOON - 30 * DAY, 7)["total"]["documents"] == 0


def test_an_empty_store_has_a_report_that_claims_nothing(conn: sqlite3.Connection) -> None:
    result = performance_report(conn, NOON, 7)
    assert result["by_day"] == []
    assert result["total"]["error_rate"] is None
    assert {entry["direction"] for entry in result["trend"].values()} == {"unknown"}


@pytest.mark.parametrize(
    ("before", "after", "direction"), [(0.01, 0.06, "rising"), (0.06, 0.01, "falling"), (0.02, 0.02, "steady")]
)
def test_the_error_rate_s_trend_is_reported_in_a_word(
    conn: sqlite3.Connection, before: float, after: float, direction: str
) -> None:
    insert_and_fold(conn, week(before, after))
    trend = performance_report(conn, NOON, 7)["trend"]
    assert trend["error_rate"]["direction"] == direction
    assert trend["error_rate"]["sentence"].startswith(f"error rate: {direction}, ")
    assert "of 700 in the first half" in trend["error_rate"]["sentence"]
    assert trend["avg_extraction_time_ms"]["direction"] == "steady"
    assert trend["documents"]["direction"] == "steady"


def test_a_slower_service_is_a_rising_latency(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, week(0.01, 0.01, ms=400.0))
    assert performance_report(conn, NOON, 7)["trend"]["avg_extraction_time_ms"]["direction"] == "rising"


def test_a_trend_of_a_handful_is_undecided(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(NOON - 6 * DAY), failed("http", NOON - DAY)])
    result = performance_report(conn, NOON, 7)["trend"]["error_rate"]
    assert result["direction"] == "unknown"
    assert "not enough data" in result["sentence"]


# -- metrics snapshot --------------------------------------------------------------------------------------------------------


def test_a_snapshot_has_the_shape_of_metrics_and_needs_no_engine(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [record(NOON), failed("http", NOON), plain(NOON)])
    result = snapshot(conn, NOON, 0, "not running")
    assert result["engine"] == "not running"
    assert result["current_rollout_percentage"] == 0
    assert result["keyword_extraction"]["error_rate"] == 0.5
    taken = reading.take(conn, NOON, percent_bp=0, decided_bp=0, stage=0, epoch=0)
    assert result.keys() - {"engine"} == exposition.plain(taken).keys()


def test_the_percentage_in_force_is_the_engine_s_word(conn: sqlite3.Connection) -> None:
    live.write(conn, NOON - 600, b'{"percent_bp":2500,"effective_bp":2500,"other":[]}')  # a view that became stale
    result = snapshot(conn, NOON, 1000, "running")
    assert (result["current_rollout_percentage"], result["engine"]) == (10, "running")


def test_a_reading_s_window_ends_at_the_change_of_percentage(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [failed("http", NOON - 60, epoch=3), record(NOON, epoch=4), record(NOON - HOUR, epoch=4)])
    result = reading.take(conn, NOON, percent_bp=0, decided_bp=0, stage=2, epoch=4)
    assert (result.window.attempts, result.since_change.attempts, result.ever.attempts) == (1, 2, 3)
    assert result.window.error_rate == 0.0


# -- logs analyze ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("no answer from 10.0.0.1:11434 in 8.0 s", "no answer from 10.0.0.27:11434 in 12 s", "no answer from <host> in <n> s"),
        ("http://ollama-1:11434/api/chat: 503", "https://gpu.example.org/api/chat: 502", "<url>: <n>"),
        ("ollama-1:11434 refused", "gpu-7.svc.local:8080 refused", "<host> refused"),
        ("[::1]:11434 refused", "[fe80::1:2]:80 refused", "<host> refused"),
        ('model "llama3.2:3b" not found', 'model "qwen2" not found', "model <text> not found"),
        ("it's at line 12", "it's at line 7", "it's at line <n>"),
        ("request 1f0c9a77-aaaa-4bbb-8ccc-0123456789ab", "request 0123456789abcdef", "request <id>"),
        ("cannot read /var/lib/x/a.md", "cannot read ./b/c.md", "cannot read <path>"),
        ("busy since 2026-11-24T14:03:00Z", "busy since 2026-11-25 09:00:01.5", "busy since <time>"),
        ("document doc-17: 2 of 10,000 tokens", "document doc-9: 31 of 8,192 tokens", "document doc-<n>: <n> of <n> tokens"),
    ],
)  # fmt: skip
def test_messages_that_differ_only_in_what_varies_have_one_shape(one: str, other: str, same: str) -> None:
    assert shape(one) == shape(other) == same


def test_words_are_never_taken_for_something_that_varies() -> None:
    message = (
        "the answer is not the JSON that was asked for: faced, decade, e.g. a list and/or deadbeat; httpx.ConnectError"
    )
    assert shape(message) == message


def test_errors_are_grouped_by_kind_and_shape_with_first_last_and_examples(conn: sqlite3.Connection) -> None:
    def refused(n: int) -> Extraction:
        return failed("transport", T0 + n, message=f"10.0.0.{n}:11434 refused the connection", document_id=f"doc-{n}")

    odd = failed("invalid", T0 + 3.5, message="not JSON", server="ollama-2")
    insert_and_fold(conn, [*(refused(n) for n in range(1, 8)), odd, record(), plain()])
    result = error_analysis(conn, T0, T0 + 60)
    first, second = result["groups"]
    assert (first["kind"], first["shape"], first["count"]) == ("transport", "<host> refused the connection", 7)
    assert (first["first_seen"], first["last_seen"]) == (T0 + 1, T0 + 7)
    assert [e["document"] for e in first["examples"]] == ["doc-7", "doc-6", "doc-5"]
    assert (second["kind"], second["count"], second["servers"]) == ("invalid", 1, {"ollama-2": 1})
    assert (result["total"], result["llm_attempts"], result["error_rate"]) == (8, 9, 8 / 9)
    assert sum(group["share"] for group in result["groups"]) == 1
    json.dumps(result, allow_nan=False)


def test_an_example_is_the_latest_of_its_kind(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [failed("http", T0 + n, message="HTTP 500", document_id=f"doc-{n}") for n in range(5)])
    (group,) = error_analysis(conn, T0, T0 + 60)["groups"]
    assert [example["document"] for example in group["examples"]] == ["doc-4"]


def test_errors_outside_the_days_asked_for_are_not_in_it(conn: sqlite3.Connection) -> None:
    insert_and_fold(
        conn, [failed("http", T0 - 1), failed("http", T0), failed("http", T0 + 60), failed("http", T0 + 61)]
    )
    assert error_analysis(conn, T0, T0 + 60)["total"] == 2


def test_the_plan_s_filter_is_everything_and_any_other_is_a_part_of_the_text(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [failed("timeout", message="8 s are over"), failed("http", message="HTTP 500 from OLLAMA-2")])
    totals = [
        error_analysis(conn, T0, T0 + 1, "error", given)["total"]
        for given in ("keyword_extraction", "", "timeout", "ollama-2", "500", "llm_service")
    ]
    assert totals == [2, 2, 1, 1, 1, 0]


def test_warnings_are_documents_that_fell_back_without_an_error(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [failed("http"), fallen_back(), fallen_back(), record()])
    assert error_analysis(conn, T0, T0 + 1, "error")["total"] == 1
    warnings = error_analysis(conn, T0, T0 + 1, "warning")["groups"]
    assert [(g["kind"], g["shape"], g["count"]) for g in warnings] == [("fallback", "ended by a rollback", 2)]
    assert error_analysis(conn, T0, T0 + 1, "all")["total"] == 3


def test_failed_probes_are_errors_of_the_service(conn: sqlite3.Connection) -> None:
    seen = [(T0, "ollama-1", ok, None, "refused after 3 ms") for ok in (False, False, True)]
    probes.writes(seen)(conn)
    (group,) = error_analysis(conn, T0, T0 + 1)["groups"]
    assert (group["component"], group["kind"], group["count"], group["servers"]) == (
        "llm_service",
        "probe",
        2,
        {"ollama-1": 2},
    )


def test_a_failed_shadow_call_differs_from_one_that_a_client_waited_for(conn: sqlite3.Connection) -> None:
    insert_and_fold(conn, [failed("http", message="x"), failed("http", message="x", shadow=True, arm="control")])
    (group,) = error_analysis(conn, T0, T0 + 1)["groups"]
    assert (group["count"], group["shadow"]) == (2, 1)


def test_without_errors_there_are_no_groups(conn: sqlite3.Connection) -> None:
    result = error_analysis(conn, T0, T0 + 1)
    assert (result["total"], result["groups"], result["error_rate"]) == (0, [], None)
