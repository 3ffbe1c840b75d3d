"""What someone puts into the database's schema never acts on what the engine writes, and is reported."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.measures.record import Extraction
from engine.store import database, lease, log, notes, own_schema
from engine.store.folder import Folder, StoreError
from engine.store.writer import Writer
from engine.text import clean_line

ABORT = "BEGIN SELECT RAISE(ABORT, 'no'); END"
PLANTED = {
    "CREATE TRIGGER x AFTER INSERT ON decision BEGIN UPDATE control SET percent_bp = 10000; END": "trigger x was added",
    "CREATE TRIGGER x AFTER INSERT ON document BEGIN DELETE FROM document; END": "trigger x was added",
    "CREATE TRIGGER x BEFORE UPDATE ON control BEGIN SELECT RAISE(IGNORE); END": "trigger x was added",
    "CREATE VIEW x AS SELECT 1": "view x was added",
    "CREATE VIEW x AS SELECT * FROM no_such_table": "view x was added",
    "CREATE UNIQUE INDEX x ON note(kind)": "index x was added",
    f'CREATE TRIGGER "a""b \x1b[2J" BEFORE INSERT ON lease {ABORT}': 'trigger a"b ·[2J was added',
    "DROP TRIGGER decision_is_append_only_u": "trigger decision_is_append_only_u was removed or changed",
    "DROP INDEX extraction_at": "index extraction_at was removed or changed",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = Folder(tmp_path_factory.mktemp("template") / "store")
    database.create(folder)
    with contextlib.closing(sqlite3.connect(folder.database)) as conn:
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder.database.read_bytes()


@pytest.fixture
def folder(tmp_path: Path, template: bytes) -> Folder:
    made = Folder(tmp_path / "store")
    made.prepare()
    made.database.write_bytes(template)
    return made


def change(folder: Folder, *statements: str) -> None:
    with contextlib.closing(sqlite3.connect(folder.database, timeout=10.0, isolation_level=None)) as conn:
        for statement in statements:
            conn.execute(statement)


def schema_of(folder: Folder) -> set[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(folder.database)) as conn:
        return set(conn.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall())


@pytest.mark.parametrize(("statement", "phrase"), PLANTED.items(), ids=range(len(PLANTED)))
def test_a_start_restores_the_schema(folder: Folder, statement: str, phrase: str) -> None:
    own = schema_of(folder)
    change(folder, statement)
    assert not log.verify(database.open_reader(folder)).ok
    altered = database.create(folder).altered
    assert altered.startswith(phrase), altered
    assert clean_line(altered, 1000) == altered
    assert schema_of(folder) == own
    assert database.create(folder).altered == ""
    assert log.verify(database.open_reader(folder)).ok


@pytest.fixture
def writer(folder: Folder) -> Iterator[Writer]:
    conn = database.open_writer(folder, "FULL")
    token = lease.take(conn, 1, 0.0, 0.0).token
    conn.close()
    made = Writer(folder, token)
    made.start()
    yield made
    made.stop()


def test_nothing_planted_acts_on_a_running_writer(folder: Folder, writer: Writer) -> None:
    own = schema_of(folder)
    statements = [
        f"CREATE TRIGGER x BEFORE INSERT ON note {ABORT}",
        "CREATE TRIGGER x AFTER INSERT ON note BEGIN UPDATE note SET text = 'forged'; END",
        "CREATE TRIGGER x AFTER INSERT ON note BEGIN DELETE FROM note; END",
    ]
    for number, statement in enumerate(statements, 1):
        change(folder, statement)
        writer.write(lambda conn: notes.add(conn, 1.0, "lesson", "a", "kept")).result(60)
        assert writer.opened.altered.popleft().startswith("trigger x was added")
        assert schema_of(folder) == own
        texts = writer.write(lambda conn: conn.execute("SELECT text FROM note").fetchall()).result(60)
        assert texts == [("kept",)] * number
    assert not writer.opened.altered


def test_what_sqlite_and_a_person_may_add_is_left(folder: Folder) -> None:
    change(folder, "ANALYZE", "CREATE TABLE mine (x)", "VACUUM")
    assert database.create(folder).altered == ""
    with contextlib.closing(database.open_reader(folder)) as conn:
        assert own_schema.difference(conn) is None


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE note", "ALTER TABLE document ADD COLUMN mine TEXT", "ALTER TABLE control RENAME COLUMN rev TO r"],
)
def test_changed_tables_are_refused_with_a_sentence(folder: Folder, statement: str) -> None:
    change(folder, statement)
    with pytest.raises(StoreError, match=r"was changed by another program \(.*table \w+ was removed or changed"):
        database.create(folder)


def test_changed_tables_end_the_writing_of_a_running_engine(folder: Folder, writer: Writer) -> None:
    change(folder, "ALTER TABLE document ADD COLUMN mine TEXT")
    with pytest.raises(OSError, match="table document was removed or changed"):
        writer.write(lambda conn: None).result(60)
    assert "was changed by another program" in writer.opened.files.differs()


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["PRAGMA user_version = 99"], "user_version = 99, which this version does not know"),
        (["PRAGMA application_id = 252006673"], "a database of another program"),
        (["PRAGMA writable_schema = ON", "UPDATE sqlite_master SET sql = 'rubbish' WHERE name = 'note'"], "is damaged"),
    ],
)
def test_marks_and_damage_are_refused_with_a_sentence(folder: Folder, statements: list[str], words: str) -> None:
    change(folder, *statements)
    with pytest.raises(StoreError, match=words):
        database.create(folder)


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "store")
    folder.prepare()
    change(folder, "CREATE TABLE theirs (x)", "CREATE VIEW v AS SELECT * FROM theirs")
    before = schema_of(folder)
    with pytest.raises(StoreError, match="a database of another program, not a store"):
        database.create(folder)
    assert schema_of(folder) == before


def test_a_damaged_page_is_refused_with_a_sentence(folder: Folder) -> None:
    with contextlib.closing(sqlite3.connect(folder.database)) as conn:
        (page,) = conn.execute("SELECT rootpage FROM sqlite_master WHERE name = 'extraction'").fetchone()
        (size,) = conn.execute("PRAGMA page_size").fetchone()
    with folder.database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)
    conn = database.open_writer(folder, "FULL")
    writer = Writer(folder, lease.take(conn, 1, 0.0, 0.0).token)
    conn.close()
    writer.start()
    try:
        with pytest.raises(OSError, match=r"is damaged .*Rollback still works"):
            writer.append(Extraction(1.0, "d", "control", "frequency", 2, 5)).result(60)
        assert "is damaged" in writer.problem
    finally:
        writer.stop()
