"""The database schema, as a list of small steps. A landed step is never edited: add another.

`engine.store.migrations` runs them.
"""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.measures.bucket import Arms, Bucket
from engine.store import documents

if TYPE_CHECKING:
    from sqlite_utils import Database

Change = Callable[["Database"], None]


class SchemaStep(NamedTuple):
    name: str
    change: Change


steps: list[SchemaStep] = []


def _step(change: Change) -> Change:
    """The next step, named after its function."""
    steps.append(SchemaStep(change.__name__, change))
    return change


def _sql(name: str, script: str) -> None:
    """The next step, in SQL alone."""
    steps.append(SchemaStep(name, lambda db: _run(db, script)))


def _run(db: Database, script: str) -> None:
    """Each statement separately: executescript would commit the transaction that makes the step atomic."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.conn.execute(statement)
            statement = ""


# The state, one row, and the append-only log that it can be rebuilt from.
_sql(
    "control_and_log",
    """
    CREATE TABLE control (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        epoch INTEGER NOT NULL, rev INTEGER NOT NULL,
            percent_bp INTEGER NOT NULL CHECK (percent_bp BETWEEN 0 AND 10000),
        state TEXT NOT NULL
    ) STRICT;
    CREATE TABLE decision (
        rev INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL, reason TEXT NOT NULL,
        stage INTEGER NOT NULL, percent_from INTEGER NOT NULL, percent_to INTEGER NOT NULL, epoch INTEGER NOT NULL,
        body TEXT NOT NULL, request_id TEXT NOT NULL UNIQUE, prev TEXT NOT NULL, hash TEXT NOT NULL
    ) STRICT;
    CREATE TRIGGER decision_is_append_only_u BEFORE UPDATE ON decision
        BEGIN SELECT RAISE(ABORT, 'the decision log is append-only'); END;
    CREATE TRIGGER decision_is_append_only_d BEFORE DELETE ON decision
        BEGIN SELECT RAISE(ABORT, 'the decision log is append-only'); END;
    CREATE TABLE proof (rev INTEGER PRIMARY KEY REFERENCES decision(rev), at REAL NOT NULL,
        body TEXT NOT NULL) STRICT;
    CREATE TABLE lease (id INTEGER PRIMARY KEY CHECK (id = 1), token INTEGER NOT NULL, pid INTEGER NOT NULL,
        started REAL NOT NULL, heartbeat REAL NOT NULL, evaluated REAL NOT NULL, clean INTEGER NOT NULL) STRICT;
    CREATE TABLE live (id INTEGER PRIMARY KEY CHECK (id = 1), at REAL NOT NULL, body BLOB NOT NULL) STRICT;
    CREATE TABLE presence (console TEXT PRIMARY KEY, name TEXT NOT NULL, terminal TEXT NOT NULL,
        screen TEXT NOT NULL,
        since REAL NOT NULL, seen REAL NOT NULL) STRICT;
    """,
)


# Documents, every extraction raw, the roll-ups, and the LLM cache. A document stores the keywords of both methods and
# `method` selects which are served, so a restore changes one column and neither the texts nor the search index.
_sql(
    "extractions",
    """
    CREATE TABLE extraction (
        id INTEGER PRIMARY KEY, at REAL NOT NULL, document_id TEXT NOT NULL, arm TEXT NOT NULL,
            method TEXT NOT NULL,
        stage INTEGER NOT NULL, epoch INTEGER NOT NULL, attempted INTEGER NOT NULL, cached INTEGER NOT NULL,
        lookup INTEGER NOT NULL, fallback INTEGER NOT NULL, skipped INTEGER NOT NULL, shadow INTEGER NOT NULL,
        error TEXT, message TEXT, ms REAL NOT NULL, queue_ms REAL NOT NULL, keywords INTEGER NOT NULL,
        proposed INTEGER NOT NULL, ungrounded INTEGER NOT NULL, server TEXT
    ) STRICT;
    CREATE INDEX extraction_at ON extraction(at);
    CREATE INDEX extraction_attempt ON extraction(at) WHERE attempted OR cached;
    CREATE INDEX extraction_error ON extraction(at) WHERE error IS NOT NULL;
    CREATE TABLE rollup (
        level INTEGER NOT NULL, t INTEGER NOT NULL, arm TEXT NOT NULL, method TEXT NOT NULL, stage INTEGER NOT NULL,
        epoch INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (level, t, arm, method, stage, epoch)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE document (
        id TEXT PRIMARY KEY, title TEXT NOT NULL, digest TEXT NOT NULL, updated REAL NOT NULL,
        arm TEXT NOT NULL, method TEXT NOT NULL, frequency TEXT NOT NULL, llm TEXT, shadow TEXT,
        llm_at REAL, llm_stage INTEGER, llm_epoch INTEGER, restore_id INTEGER
    ) STRICT;
    CREATE INDEX document_llm ON document(llm_at) WHERE llm IS NOT NULL;
    CREATE INDEX document_restored ON document(restore_id) WHERE restore_id IS NOT NULL;
    CREATE TABLE document_text (document_id TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;
    CREATE TABLE restore (id INTEGER PRIMARY KEY, at REAL NOT NULL, rev INTEGER NOT NULL, since REAL, until REAL,
        documents INTEGER NOT NULL, undone REAL) STRICT;
    CREATE VIRTUAL TABLE document_fts USING fts5(title, frequency, llm, tokenize='porter unicode61');
    CREATE TABLE llm_cache (key TEXT PRIMARY KEY, body TEXT NOT NULL, bytes INTEGER NOT NULL,
        used REAL NOT NULL) STRICT;
    CREATE INDEX llm_cache_used ON llm_cache(used);
    """,
)


# User input and its results (checklists, feedback, reviews, messages, reminders, lessons), and trigger evidence.
_sql(
    "people",
    """
    CREATE TABLE checked (stage INTEGER NOT NULL, item TEXT NOT NULL, state TEXT NOT NULL, actor TEXT NOT NULL,
        at REAL NOT NULL, note TEXT NOT NULL, evidence TEXT NOT NULL, PRIMARY KEY (stage, item)) STRICT;
    CREATE TABLE trigger_state (id INTEGER PRIMARY KEY CHECK (id = 1), at REAL NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE TABLE trigger_evidence (at REAL NOT NULL, trigger TEXT NOT NULL, verdict TEXT NOT NULL,
        body TEXT NOT NULL) STRICT;
    CREATE INDEX trigger_evidence_at ON trigger_evidence(trigger, at);
    CREATE TABLE probe (at REAL NOT NULL, server TEXT NOT NULL, ok INTEGER NOT NULL, ms REAL,
        message TEXT NOT NULL) STRICT;
    CREATE INDEX probe_at ON probe(at);
    CREATE TABLE feedback (id TEXT PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, document_id TEXT, arm TEXT,
        stage INTEGER NOT NULL,
        value REAL, text TEXT NOT NULL, source TEXT NOT NULL) STRICT;
    CREATE INDEX feedback_at ON feedback(kind, at);
    CREATE TABLE review_sample (id INTEGER PRIMARY KEY, at REAL NOT NULL, stage INTEGER NOT NULL,
        seed INTEGER NOT NULL, size INTEGER NOT NULL,
        blind INTEGER NOT NULL, documents TEXT NOT NULL, actor TEXT NOT NULL) STRICT;
    CREATE TABLE review (sample INTEGER NOT NULL, document_id TEXT NOT NULL, reviewer TEXT NOT NULL,
        at REAL NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (sample, document_id, reviewer)) STRICT;
    CREATE TABLE measure (at REAL NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL) STRICT;
    CREATE INDEX measure_kind ON measure(kind, at);
    CREATE TABLE outbox (id INTEGER PRIMARY KEY, at REAL NOT NULL, message TEXT NOT NULL, subject TEXT NOT NULL,
        body TEXT NOT NULL,
        state TEXT NOT NULL, tries INTEGER NOT NULL, next_try REAL NOT NULL, error TEXT NOT NULL,
            request_id TEXT NOT NULL UNIQUE) STRICT;
    CREATE TABLE reminder (id TEXT NOT NULL, stage INTEGER NOT NULL, due REAL NOT NULL, done REAL, actor TEXT,
        PRIMARY KEY (id, stage, due)) STRICT;
    CREATE TABLE note (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, actor TEXT NOT NULL,
        text TEXT NOT NULL) STRICT;
    CREATE TABLE run (id INTEGER PRIMARY KEY, at REAL NOT NULL, stage INTEGER NOT NULL, command TEXT NOT NULL,
        actor TEXT NOT NULL, exit INTEGER,
        ms REAL NOT NULL, output TEXT NOT NULL) STRICT;
    """,
)


# REPLACE bypasses delete triggers, so a new row must come after the last. Proofs become rows of the log.
_sql(
    "the_log_only_grows",
    """
    CREATE TRIGGER decision_is_append_only_i BEFORE INSERT ON decision
        WHEN NEW.rev <> (SELECT coalesce(max(rev), 0) + 1 FROM decision)
        BEGIN SELECT RAISE(ABORT, 'the decision log is append-only: a row comes after the last'); END;
    CREATE INDEX decision_epoch ON decision(epoch);
    CREATE INDEX decision_kind ON decision(kind, rev);
    CREATE INDEX document_served ON document(llm_at, llm_stage) WHERE method = 'llm' AND llm IS NOT NULL;
    DROP TABLE proof;
    """,
)


# Which addresses have received a message, so that a retry skips them; and its audience.
_sql(
    "outbox_by_address",
    """
    ALTER TABLE outbox ADD COLUMN delivered TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE outbox ADD COLUMN audience TEXT NOT NULL DEFAULT 'team';
    """,
)


# The A/B test's documents and sums; what a reviewer saw, as they saw it; indexes for the latest documents.
_sql(
    "trials_and_reviews",
    """
    CREATE TABLE trial (id INTEGER PRIMARY KEY, started REAL NOT NULL, stage INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        percent_bp INTEGER NOT NULL, salt TEXT NOT NULL, declaration TEXT NOT NULL, report TEXT,
            scored_until REAL NOT NULL,
        ended REAL, why TEXT NOT NULL) STRICT;
    CREATE TABLE trial_arm (trial INTEGER NOT NULL, arm TEXT NOT NULL, bucket BLOB NOT NULL, measures TEXT NOT NULL,
        PRIMARY KEY (trial, arm)) STRICT;
    CREATE TABLE trial_document (trial INTEGER NOT NULL, document_id TEXT NOT NULL, arm TEXT NOT NULL,
        at REAL NOT NULL,
        search REAL, relevance REAL, shown INTEGER NOT NULL DEFAULT 0, clicked INTEGER NOT NULL DEFAULT 0,
        rated INTEGER NOT NULL DEFAULT 0, liked INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (trial,
            document_id)) STRICT, WITHOUT ROWID;
    CREATE INDEX trial_document_at ON trial_document(trial, at);
    CREATE INDEX trial_document_scored ON trial_document(trial, document_id, arm, search) WHERE search IS NOT NULL;
    CREATE TABLE review_document (sample INTEGER NOT NULL, place INTEGER NOT NULL, document_id TEXT NOT NULL,
        title TEXT NOT NULL,
        llm TEXT NOT NULL, frequency TEXT NOT NULL, first TEXT NOT NULL, PRIMARY KEY (sample, place)) STRICT;
    CREATE INDEX document_updated ON document(updated);
    CREATE INDEX document_by_method ON document(method, updated);
    CREATE INDEX document_paired ON document(updated) WHERE llm IS NOT NULL OR shadow IS NOT NULL;
    CREATE INDEX feedback_of ON feedback(document_id, kind, source);
    """,
)


@_step
def one_bucket_for_both_arms(db: Database) -> None:
    """A roll-up row holds both arms and all methods of its time, and there are 10 min and 6 h levels: the cost of a
    curve does not grow with the kinds of document in a minute."""
    db.conn.execute("ALTER TABLE rollup RENAME TO rollup_by_arm")
    _run(
        db,
        """
        CREATE TABLE rollup (
            level INTEGER NOT NULL, t INTEGER NOT NULL, stage INTEGER NOT NULL, epoch INTEGER NOT NULL,
                body BLOB NOT NULL,
            PRIMARY KEY (level, t, stage, epoch)
        ) STRICT, WITHOUT ROWID;
        """,
    )
    for level, source in ((0, 0), (10, 10), (60, 60), (600, 60), (3600, 3600), (21600, 3600)):
        rows = db.conn.execute(
            "SELECT t / ? * ? AS whole, stage, epoch, arm, body FROM rollup_by_arm WHERE level = ? ORDER BY "
            "whole, stage, epoch",
            (level or 1, level, source),
        )
        for (t, stage, epoch), parts in itertools.groupby(rows, key=lambda row: row[:3]):
            db.conn.execute("INSERT INTO rollup VALUES (?,?,?,?,?)", (level, t, stage, epoch, _both(parts)))
    db.conn.execute("DROP TABLE rollup_by_arm")


# The plan files that engines ran under; the decision that a signature belongs to, so that a later rollback lapses it;
# how far retention has deleted.
_sql(
    "plans_and_lapses",
    """
    CREATE TABLE plan_file (digest TEXT PRIMARY KEY, at REAL NOT NULL, source TEXT NOT NULL,
        text TEXT NOT NULL) STRICT;
    ALTER TABLE checked ADD COLUMN rev INTEGER NOT NULL DEFAULT 0;
    UPDATE checked SET rev = coalesce((SELECT max(rev) FROM decision WHERE kind IN ('sign', 'check', 'revoke') AND
        decision.at = checked.at), 0);
    CREATE TABLE retention (id INTEGER PRIMARY KEY CHECK (id = 1), reached REAL NOT NULL) STRICT;
    """,
)


# Only the engine knows who is present: this table was never written.
_sql("no_presence", "DROP TABLE presence;")


# Which LLM answers had fewer keywords than the plan asks for.
_sql("short_answers", "ALTER TABLE extraction ADD COLUMN short INTEGER NOT NULL DEFAULT 0;")


def _both(parts: Iterable[tuple[object, ...]]) -> bytes:
    made = Arms()
    for *_, arm, body in parts:
        with contextlib.suppress(msgspec.DecodeError):  # as the fold does with a damaged bucket
            (made.control if arm == "control" else made.treatment).merge(Bucket.decode(body))  # type: ignore[arg-type]
    return made.encode()


@_step
def index_of_every_script(db: Database) -> None:
    """Rebuild the search index: with terms for every script, and with the documents' names."""
    _run(
        db,
        """
        DROP TABLE document_fts;
        CREATE VIRTUAL TABLE document_fts USING fts5(title, name, frequency, llm, tokenize='porter unicode61');
        CREATE VIRTUAL TABLE document_vocabulary USING fts5vocab(document_fts, 'row');
        """,
    )
    documents.index_again(db.conn)


# The first words of an answer that could not be used, and how many calls a document took: for the way from a figure
# to its documents.
_sql(
    "words_and_tries",
    """
    ALTER TABLE extraction ADD COLUMN answer TEXT;
    ALTER TABLE extraction ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
    """,
)


# Whether a person signed an item although its machine check failed: a field, which was the note's first words.
_sql(
    "signed_manually",
    """
    ALTER TABLE checked ADD COLUMN manually INTEGER NOT NULL DEFAULT 0;
    UPDATE checked SET manually = 1, note = substr(note, length('by hand: ') + 1)
        WHERE note LIKE 'by hand: %' AND evidence != '';
    """,
)


# Loads that workers outside the engine carry out: where they began, their parts, and what of an open part is written.
_sql(
    "jobs",
    """
    CREATE TABLE job (id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, state TEXT NOT NULL,
        actor TEXT NOT NULL, sources TEXT NOT NULL, root TEXT NOT NULL, method TEXT NOT NULL, kind TEXT NOT NULL,
        ended REAL) STRICT;
    CREATE TABLE job_part (job INTEGER NOT NULL, part INTEGER NOT NULL, body TEXT NOT NULL,
        done INTEGER NOT NULL DEFAULT 0, llm INTEGER NOT NULL DEFAULT 0, frequency INTEGER NOT NULL DEFAULT 0,
        cached INTEGER NOT NULL DEFAULT 0, fallback INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
        empty INTEGER NOT NULL DEFAULT 0, troubles TEXT NOT NULL DEFAULT '{}',
        PRIMARY KEY (job, part)) STRICT, WITHOUT ROWID;
    CREATE INDEX job_part_open ON job_part(job, part) WHERE NOT done;
    CREATE TABLE job_key (job INTEGER NOT NULL, part INTEGER NOT NULL, key TEXT NOT NULL,
        PRIMARY KEY (job, part, key)) STRICT, WITHOUT ROWID;
    ALTER TABLE extraction ADD COLUMN backfill INTEGER NOT NULL DEFAULT 0;
    """,
)


# SQLite 3.40 looked up each row for the condition of the partial index: seconds for a million documents.
_sql(
    "served_documents_are_counted_in_the_index",
    """
    DROP INDEX document_served;
    CREATE INDEX document_served ON document(method, llm_at, llm_stage) WHERE llm_at IS NOT NULL;
    """,
)


# Batches of gateways that are stored, so that one that is resent is known.
_sql(
    "gateways",
    """
    CREATE TABLE gateway_batch (worker TEXT NOT NULL, number INTEGER NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (worker, number)) STRICT, WITHOUT ROWID;
    """,
)


# Where a back-fill's keywords go instead of the store; "" for the store.
_sql("job_output", "ALTER TABLE job ADD COLUMN output TEXT NOT NULL DEFAULT '';")


# Where a document's text is, for stores that keep no texts but where they came from.
_sql(
    "document_source",
    """
    CREATE TABLE document_source (document_id TEXT PRIMARY KEY, uri TEXT NOT NULL, start INTEGER NOT NULL,
        end INTEGER NOT NULL, line INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    """,
)


# Answers to documents sent with an Idempotency-Key.
_sql(
    "replay",
    """
    CREATE TABLE replay (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, at REAL NOT NULL, digest BLOB NOT NULL,
        document_id TEXT NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
    CREATE INDEX replay_at ON replay(at);
    """,
)
