"""A store that keeps where a text is: the text comes from there while it is the same, and the reason if it is not."""

from __future__ import annotations

import gzip
import json
import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from console.cli import rollout
from console.upload import inputs, parts
from console.upload.referenced import NOT_KEPT, text_of
from engine.plan.load import default_plan_text
from engine.store import database, documents
from engine.store.documents import Document, DocumentWrite
from engine.store.folder import Folder
from engine.store.jobs import Job
from engine.text import digest, normal

ROWS = [{"id": f"d/{n}", "text": f"Broker {n} keeps an offset."} for n in range(5)]


@pytest.fixture
def conn(tmp_path: Path) -> sqlite3.Connection:
    folder = Folder(tmp_path / "store")
    folder.prepare()
    database.create(folder)
    return database.open_writer(folder, "NORMAL")


def stored(conn: sqlite3.Connection, *paths: str) -> list[Document]:
    """What a job stores of these files with `texts = "reference"`, read back."""
    job = Job(1, 0.0, "running", "a", "s", "/", "auto", "live")
    names = []
    for part in parts.parts(inputs.files(paths)):
        for made in parts.documents(job, part):
            made_digest = digest(normal(made.text))
            write = DocumentWrite(
                made.id,
                "",
                "",
                made_digest,
                0.0,
                "control",
                "frequency",
                ("k",),
                (),
                None,
                (),
                0,
                1,
                source=made.source,
            )
            documents.write(conn, [write])
            names.append(made.id)
    return [document for name in names if (document := documents.get(conn, name)) is not None]


def test_a_line_a_file_a_page_and_a_compressed_row_are_read_where_they_are(
    conn: sqlite3.Connection, tmp_path: Path
) -> None:
    lines = [json.dumps(row) + "\n" for row in ROWS]
    (tmp_path / "rows.jsonl").write_text("".join(lines[:3]))
    (tmp_path / "packed.jsonl.gz").write_bytes(gzip.compress("".join(lines[3:]).encode()))
    (tmp_path / "one.md").write_text("The scheduler assigns tasks.\n")
    (tmp_path / "page.html").write_text("<html><body><main><p>A page about brokers.</p></main></body></html>")
    kept = stored(conn, *(str(tmp_path / name) for name in ("rows.jsonl", "packed.jsonl.gz", "one.md", "page.html")))
    texts = [text_of(document) for document in kept]
    assert [text for text, _ in texts[:5]] == [row["text"] for row in ROWS]
    assert "assigns tasks" in texts[5][0]
    assert "A page about brokers" in texts[6][0]
    assert all(why == "" for _, why in texts)
    place = kept[1].source
    assert place is not None
    assert (tmp_path / "rows.jsonl").read_bytes()[place.start : place.end].decode() == lines[1]


def test_a_text_that_changed_or_is_missing_is_named_and_never_shown(conn: sqlite3.Connection, tmp_path: Path) -> None:
    path = tmp_path / "one.md"
    path.write_text("The scheduler assigns tasks.")
    (document,) = stored(conn, str(path))
    path.write_text("Something else entirely.")
    assert text_of(document) == ("", f"The text was at {path}, which has changed since.")
    path.unlink()
    text, why = text_of(document)
    assert text == ""
    assert why == f"The text is at {path}, which cannot be read: No such file or directory."
    assert text_of(replace(document, source=None)) == ("", NOT_KEPT)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    _, second, *_ = stored(conn, str(rows))
    rows.write_text("".join(json.dumps({"text": f"Another {row['text']}"}) + "\n" for row in ROWS))  # within a row
    assert text_of(second) == ("", f"The text was at {rows}, which has changed since.")


def test_another_extraction_replaces_the_place_and_a_deletion_removes_it(
    conn: sqlite3.Connection, tmp_path: Path
) -> None:
    path = tmp_path / "one.md"
    path.write_text("The scheduler assigns tasks.")
    (document,) = stored(conn, str(path))
    assert document.source is not None
    plain = DocumentWrite(document.id, "", "", "x", 0.0, "control", "frequency", ("k",), (), None, (), 0, 1)
    documents.write(conn, [plain])
    after = documents.get(conn, document.id)
    assert after is not None
    assert after.source is None, "a text that came over HTTP has no place"
    stored(conn, str(path))
    documents.delete(conn, document.id)
    assert conn.execute("SELECT count(*) FROM document_source").fetchone() == (0,)


def test_an_export_with_texts_gives_the_reason_where_there_is_none(conn: sqlite3.Connection, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS[:2])))
    gone = tmp_path / "gone.jsonl"
    gone.write_text(json.dumps(ROWS[2]))
    stored(conn, str(path), str(gone))
    conn.commit()
    gone.unlink()
    plan, output = tmp_path / "rollout.toml", tmp_path / "export.json"
    plan.write_text(default_plan_text())
    where = ["--store", str(tmp_path / "store"), "--plan", str(plan)]
    words = ["export", "--method", "frequency", "--text", "--json", "--output", str(output)]
    answer = CliRunner().invoke(rollout, [*where, *words])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)["without_text"] == 1
    assert "1 document without text: The text is at" in json.loads(answer.stdout)["sentence"]
    rows = {row["id"]: (row["text"], row["text_missing"]) for row in json.loads(output.read_text())}
    assert rows["d/0"] == (ROWS[0]["text"], "")
    assert rows["d/2"][0] == ""
    assert "No such file or directory" in rows["d/2"][1]
