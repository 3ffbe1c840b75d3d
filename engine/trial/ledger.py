"""The A/B test's rows in the store: its declaration, its documents, and the counts of each arm.

A test belongs to one epoch: it starts when its stage reaches its percentage and ends when the percentage changes,
because figures from two splits must not be added up (Simpson's paradox). A document takes part once, by its first
extraction since the test started, in the arm that routing drew; extractions with a forced method don't take part. Only
sums are kept per arm, so an analysis costs the same for a million documents as for a thousand.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from engine.decoding import json_decoder
from engine.experiment.declaration import ArmStats, Declaration
from engine.experiment.moments import Counts, Measure, Moments, Ratio
from engine.experiment.report import TrialReport
from engine.measures.bucket import Bucket
from engine.measures.record import Arm, Extraction
from engine.routing import buckets

ARMS: tuple[Arm, Arm] = ("control", "treatment")
LIKED = 4.0  # of 5: this rating or higher means a satisfied user

_declaration = json_decoder(Declaration)
_report = json_decoder(TrialReport)
_measures = json_decoder(dict[str, Measure])
_COLUMNS = "id, started, stage, epoch, percent_bp, salt, declaration, report, scored_until, ended, why"


class Trial(Struct, frozen=True):
    """One A/B test. `report`: the last one kept. Documents that joined before `scored_until` are scored or skipped."""

    id: int
    started: float
    stage: int
    epoch: int
    percent_bp: int
    salt: str
    declaration: Declaration
    report: TrialReport | None
    scored_until: float
    ended: float | None
    why: str


def running(conn: sqlite3.Connection) -> Trial | None:
    """The test that has not ended; None if there is none."""
    return _one(conn, "WHERE ended IS NULL")


def last(conn: sqlite3.Connection) -> Trial | None:
    """The running test, else the last one."""
    return _one(conn, "")


def _one(conn: sqlite3.Connection, where: str) -> Trial | None:
    row = conn.execute(f"SELECT {_COLUMNS} FROM trial {where} ORDER BY id DESC LIMIT 1").fetchone()
    if row is None:
        return None
    with contextlib.suppress(msgspec.MsgspecError):  # from another version: ignored
        return _trial(row)
    return None


def _trial(row: tuple[Any, ...]) -> Trial:
    number, started, stage, epoch, percent_bp, salt, declaration, report, scored_until, ended, why = row
    declared, last = _declaration.decode(declaration), None if report is None else _report.decode(report)
    return Trial(
        id=number,
        started=started,
        stage=stage,
        epoch=epoch,
        percent_bp=percent_bp,
        salt=salt,
        declaration=declared,
        report=last,
        scored_until=scored_until,
        ended=ended,
        why=why,
    )


# -- written by the engine, each inside the caller's transaction -------------------------------------------------------


def begin(
    conn: sqlite3.Connection, declaration: Declaration, stage: int, epoch: int, percent_bp: int, salt: str
) -> None:
    """Declare a test, with empty arms."""
    at, body = declaration.started, _json(declaration)
    cursor = conn.execute(
        "INSERT INTO trial (started, stage, epoch, percent_bp, salt, declaration, scored_until, why) VALUES "
        "(?,?,?,?,?,?,?,'')",
        (at, stage, epoch, percent_bp, salt, body, at),
    )
    for arm in ARMS:
        conn.execute("INSERT INTO trial_arm VALUES (?,?,?,'{}')", (cursor.lastrowid, arm, Bucket().encode()))


def end(conn: sqlite3.Connection, trial: int, at: float, why: str) -> None:
    """End a test; one that has ended keeps its reason."""
    conn.execute("UPDATE trial SET ended = ?, why = ? WHERE id = ? AND ended IS NULL", (at, why, trial))


def clock_was_set(trial: Trial, now: float, step_s: float) -> Trial:
    """The same test by a clock that was set: it has run as long as before. Pure."""
    started = trial.started + step_s
    return replace(
        trial,
        started=started,
        declaration=replace(trial.declaration, started=started),
        scored_until=min(trial.scored_until, now),
    )


def keep_times(conn: sqlite3.Connection, trial: Trial) -> None:
    """Store the times of a test after `clock_was_set`."""
    conn.execute(
        "UPDATE trial SET started = ?, declaration = ?, scored_until = ? WHERE id = ? AND ended IS NULL",
        (trial.started, _json(trial.declaration), trial.scored_until, trial.id),
    )


def rejoin(conn: sqlite3.Connection, trial: int, epoch: int) -> None:
    """The rollback was undone: documents of this epoch take part again; those of the gap do not."""
    conn.execute("UPDATE trial SET epoch = ? WHERE id = ? AND ended IS NULL", (epoch, trial))


def keep(conn: sqlite3.Connection, trial: int, report: TrialReport) -> None:
    """The report holds the looks and tests that were read, so it is stored before it is shown."""
    conn.execute("UPDATE trial SET report = ? WHERE id = ?", (_json(report), trial))


def fold(conn: sqlite3.Connection, records: Sequence[Extraction]) -> None:
    """Count the documents that join the running test."""
    row = conn.execute("SELECT id, epoch, percent_bp, salt FROM trial WHERE ended IS NULL").fetchone()
    if row is None:
        return
    trial, epoch, percent_bp, salt = row
    joined: dict[str, list[Extraction]] = {}
    for r in records:
        if r.epoch != epoch or r.shadow or r.arm != buckets.arm(salt, r.document_id, percent_bp):
            continue
        new = conn.execute(
            "INSERT OR IGNORE INTO trial_document (trial, document_id, arm, at) VALUES (?,?,?,?)",
            (trial, r.document_id, r.arm, r.at),
        ).rowcount
        if new == 1:
            joined.setdefault(r.arm, []).append(r)
    for arm, new_ones in joined.items():
        bucket = _bucket(conn, trial, arm)
        for record in new_ones:
            bucket.add(record)
        conn.execute("UPDATE trial_arm SET bucket = ? WHERE trial = ? AND arm = ?", (bucket.encode(), trial, arm))


def _bucket(conn: sqlite3.Connection, trial: int, arm: str) -> Bucket:
    row = conn.execute("SELECT bucket FROM trial_arm WHERE trial = ? AND arm = ?", (trial, arm)).fetchone()
    return Bucket.decode(row[0]) if row else Bucket()


class Scored(Struct, frozen=True):
    """A document's search score (mean reciprocal rank, 0..1) and the share of its keywords found in its title or
    headings."""

    document: str
    search: float | None
    relevance: float | None


def scored(conn: sqlite3.Connection, trial: int, scores: Iterable[Scored], until: float) -> None:
    """Add the scores of documents that have none yet; a document is scored once."""
    sums: dict[str, dict[str, list[float]]] = {arm: {} for arm in ARMS}
    for one in scores:
        row = conn.execute(
            "UPDATE trial_document SET search = ?, relevance = ? WHERE trial = ? AND document_id = ? AND "
            "search IS NULL AND relevance IS NULL RETURNING arm",
            (one.search, one.relevance, trial, one.document),
        ).fetchone()
        if row is not None:
            for name, value in (("search_quality", one.search), ("relevance", one.relevance)):
                if value is not None:
                    sums[row[0]].setdefault(name, []).append(value)
    for arm, values in sums.items():
        _add(conn, trial, arm, {name: Moments.of(sample) for name, sample in values.items()})
    conn.execute("UPDATE trial SET scored_until = max(scored_until, ?) WHERE id = ?", (until, trial))


def people(conn: sqlite3.Connection, kind: str, document: str, value: float | None, at: float) -> None:
    """Count an impression, a click or a rating of a document in the test, given since the test started.

    A click without an impression isn't counted.
    """
    running_one = conn.execute("SELECT id FROM trial WHERE ended IS NULL AND started <= ?", (at,)).fetchone()
    if running_one is None:
        return
    trial = running_one[0]
    row = conn.execute(
        "SELECT arm, shown, clicked, rated, liked FROM trial_document WHERE trial = ? AND document_id = ?",
        (trial, document),
    ).fetchone()
    if row is None:
        return
    arm, shown, clicked, rated, liked = row
    before = Ratio.one(clicked, shown), Ratio.one(liked, rated)
    if kind == "impression":
        shown += 1
    elif kind == "click" and clicked < shown:
        clicked += 1
    elif kind == "rating" and value is not None:
        rated, liked = rated + 1, liked + (value >= LIKED)
    else:
        return
    conn.execute(
        "UPDATE trial_document SET shown = ?, clicked = ?, rated = ?, liked = ? WHERE trial = ? AND document_id = ?",
        (shown, clicked, rated, liked, trial, document),
    )
    after = Ratio.one(clicked, shown), Ratio.one(liked, rated)
    change = {
        name: new - old
        for name, old, new in zip(("click_through", "satisfaction"), before, after, strict=True)
        if new != old
    }
    _add(conn, trial, arm, change)


def _add(conn: sqlite3.Connection, trial: int, arm: str, more: Mapping[str, Measure]) -> None:
    if not more:
        return
    row = conn.execute("SELECT measures FROM trial_arm WHERE trial = ? AND arm = ?", (trial, arm)).fetchone()
    kept = _measures.decode(row[0])
    for name, measure in more.items():
        kept[name] = kept[name] + measure if name in kept else measure  # type: ignore[operator]
    body = _json(kept)
    conn.execute("UPDATE trial_arm SET measures = ? WHERE trial = ? AND arm = ?", (body, trial, arm))


# -- read --------------------------------------------------------------------------------------------------------------


def stats(conn: sqlite3.Connection, trial: int) -> tuple[ArmStats, ArmStats]:
    """Control and treatment, under the names of the declaration; what was not measured is absent. Two rows are read."""
    by_arm = {arm: ArmStats(0, {}) for arm in ARMS}
    for arm, blob, measures in conn.execute(
        "SELECT arm, bucket, measures FROM trial_arm WHERE trial = ?", (trial,)
    ).fetchall():
        bucket = Bucket.decode(blob)
        by_arm[arm] = ArmStats(bucket.n, {**extraction_measures(arm, bucket), **_measures.decode(measures)})
    return by_arm["control"], by_arm["treatment"]


def extraction_measures(arm: Arm, bucket: Bucket) -> dict[str, Measure]:
    """Latency counts fresh calls on the LLM arm and all extractions on the frequency arm. LLM-arm documents that fell
    back to frequency stay in the LLM arm: each arm is as routing drew it.
    """
    if arm == "treatment":
        ms = Moments(bucket.fresh, bucket.ms_sum, bucket.ms_sq)
        rates = {
            "error_rate": Counts(bucket.attempts, bucket.errors),
            "cache_hit_rate": Counts(bucket.lookups, bucket.hits),
        }
    else:
        ms = Moments(bucket.plain_n - bucket.plain_errors, bucket.plain_ms_sum, bucket.plain_ms_sq)
        rates = {"error_rate": Counts(bucket.plain_n, bucket.plain_errors)}
    keywords = Moments(bucket.n, float(bucket.keywords), float(bucket.keywords_sq))
    measures: dict[str, Measure] = {"processing_ms": ms, **rates, "keywords": keywords}
    return {name: measure for name, measure in measures.items() if measure.n}


def joined(conn: sqlite3.Connection, trial: int, after: float, until: float) -> list[str]:
    """Ids of the documents that joined in (after, until]."""
    rows = conn.execute(
        "SELECT document_id FROM trial_document WHERE trial = ? AND at > ? AND at <= ?", (trial, after, until)
    )
    return [row[0] for row in rows.fetchall()]


def assignments(conn: sqlite3.Connection, trial: int) -> Iterator[tuple[str, str]]:
    """(document, arm) of every document that takes part, by document."""
    yield from conn.execute(
        "SELECT document_id, arm FROM trial_document WHERE trial = ? ORDER BY document_id", (trial,)
    )


def search_scores(conn: sqlite3.Connection, trial: int) -> dict[str, list[float]]:
    """Each scored document's search score, by arm, in the order of their ids."""
    by_arm: dict[str, list[float]] = {arm: [] for arm in ARMS}
    query = "SELECT arm, search FROM trial_document WHERE trial = ? AND search IS NOT NULL ORDER BY document_id"
    for arm, score in conn.execute(query, (trial,)):
        by_arm[arm].append(score)
    return by_arm


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
