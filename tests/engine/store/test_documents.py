"""Finding and exporting stored documents."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.store import database, documents, export, migrations
from engine.store.documents import DocumentWrite
from engine.store.folder import Folder
from engine.store.search import search


def written(id: str, title: str, frequency: str, llm: str | None = None, at: float = 1.0) -> DocumentWrite:
    by_llm = tuple(llm.split(", ")) if llm is not None else None
    return DocumentWrite(
        id, title, f"text of {id}", f"digest of {id}", at, "treatment" if llm else "control", "llm" if llm else "frequency",
        tuple(frequency.split(", ")), (), by_llm, (), 2, 1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    folder = Folder(tmp_path_factory.mktemp("store"))
    database.create(folder)
    connection = database.open_writer(folder, "NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    documents.write(
        connection,
        [
            written("both", "Retry budgets", "circuit breakers, retry storms", at=1),
            written("title", "Circuit theory", "electric networks", at=2),
            written("one", "Storms", "weather stations", at=3),
            written("llm", "Clouds", "retry policies", llm="backoff jitter", at=4),
        ],
    )
    connection.execute("COMMIT")
    yield connection
    connection.close()


def ids(result: list[documents.Document]) -> list[str]:
    return [document.id for document in result]


def test_documents_with_every_word_come_before_those_with_some(conn: sqlite3.Connection) -> None:
    assert ids(search(conn, "circuit retry")) == ["both", "title"]
    assert ids(search(conn, "storm retries circuits"))[0] == "both"


def test_a_word_of_the_title_counts_for_more_than_one_of_the_keywords(conn: sqlite3.Connection) -> None:
    assert ids(search(conn, "circuit")) == ["title", "both"]


def test_only_keywords_that_are_served_are_found(conn: sqlite3.Connection) -> None:
    assert ids(search(conn, "jitter")) == ["llm"]
    assert "llm" not in ids(search(conn, "policies"))


def test_a_query_finds_words_by_their_beginning(conn: sqlite3.Connection) -> None:
    assert ids(search(conn, "weath")) == ["one"]


def test_a_query_without_a_word_finds_nothing(conn: sqlite3.Connection) -> None:
    assert search(conn, ' "*" ') == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(),
        st.sampled_from(['"', "a OR", "NEAR(a b", "title:x", "^a", "-a", "a*", "{", "C++", "'; DROP TABLE document"]),
    )
)
def test_any_text_is_a_query(conn: sqlite3.Connection, query: str) -> None:
    assert len(search(conn, query, limit=2)) <= 2


def exported(conn: sqlite3.Connection, method: str, limit: int, seed: int | None = None) -> list[documents.Document]:
    rows = export.chosen(conn, method, limit, seed)
    return [document for some in export.pages(rows) for document in export.page(conn, some, method)]


def test_an_export_has_the_latest_first_and_fills_up_with_frequency_keywords_beside_the_llm_s(
    conn: sqlite3.Connection,
) -> None:
    assert ids(exported(conn, "frequency", 2)) == ["one", "title"]
    assert ids(exported(conn, "frequency", 9)) == ["one", "title", "both", "llm"]
    assert ids(exported(conn, "llm", 9)) == ["llm"]


def test_a_random_export_draws_the_same_for_the_same_seed_and_another_for_another(conn: sqlite3.Connection) -> None:
    drawn = [ids(exported(conn, "frequency", 2, seed)) for seed in range(20)]

    assert drawn == [ids(exported(conn, "frequency", 2, seed)) for seed in range(20)]
    assert len(set(map(tuple, drawn))) > 1
    assert all(len(set(names)) == 2 for names in drawn)


def test_a_page_of_an_export_leaves_out_what_was_deleted_or_restored_since(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    database.create(folder)
    conn = database.open_writer(folder, "NORMAL")
    documents.write(conn, [written(f"d{n}", "title", "a b", llm="c d", at=n) for n in range(4)])
    rows = export.chosen(conn, "llm", 9)
    assert documents.delete(conn, "d3")
    conn.execute("UPDATE document SET method = 'frequency' WHERE id = 'd1'")

    assert ids(export.page(conn, rows, "llm")) == ["d2", "d0"]
    assert [(d.id, d.text) for d in export.page(conn, rows, "frequency", text=True)] == [
        ("d2", "text of d2"),
        ("d1", "text of d1"),
        ("d0", "text of d0"),
    ]
    conn.close()


def test_digests_are_of_all_documents_or_of_those_that_serve_a_method(conn: sqlite3.Connection) -> None:
    assert set(documents.digests(conn)) == {"both", "title", "one", "llm"}
    assert documents.digests(conn, "llm") == {"llm": "digest of llm"}
    assert documents.digests(conn, None, ["one", "none"]) == {"one": "digest of one"}
    assert documents.digests(conn, "llm", ["one"]) == {}


def test_full_texts_expire_a_few_at_a_time_and_keywords_stay(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "store")
    database.create(folder)
    conn = database.open_writer(folder, "NORMAL")
    for number in range(10):
        write = DocumentWrite(
            f"d{number}", "t", "a text", "x", 100.0 * number, "control", "frequency", ("word",), (), None, (), 2, 1
        )
        documents.write(conn, [write])
    assert documents.expire_texts(conn, 500.0, limit=3) == 3
    assert documents.expire_texts(conn, 500.0, limit=3) == 2
    assert documents.expire_texts(conn, 500.0, limit=3) == 0
    kept = {name: documents.get(conn, name) for name in ("d0", "d4", "d5")}
    assert [d and (d.text, d.keywords) for d in kept.values()] == [
        ("", ("word",)),
        ("", ("word",)),
        ("a text", ("word",)),
    ]
    conn.close()


def test_a_batch_stores_what_its_documents_store_one_by_one() -> None:
    draw = random.Random(1)
    for _ in range(20):
        stores = [sqlite3.connect(":memory:", isolation_level=None) for _ in range(2)]
        for store in stores:
            migrations.migrate(store)
        for batch in range(4):
            made = [_drawn(draw, batch) for _ in range(draw.randint(1, 9))]
            documents.write(stores[0], made)
            for document in made:
                documents.write(stores[1], [document])
        for table in ("document", "document_text", "document_fts"):
            whole, single = (store.execute(f"SELECT rowid, * FROM {table} ORDER BY 1").fetchall() for store in stores)
            assert whole == single != []


def test_a_document_without_its_text_has_none_of_an_earlier_version_either() -> None:
    store = sqlite3.connect(":memory:", isolation_level=None)
    migrations.migrate(store)
    made = written("a", "Title", "keywords")
    for text in ("", "the first", ""):
        documents.write(store, [replace(made, text=text)])
        (kept,) = store.execute("SELECT count(*) FROM document_text").fetchone()
        document = documents.get(store, "a")
        assert document is not None
        assert (document.text, kept, document.keywords) == (text, int(bool(text)), ("keywords",))


def _drawn(draw: random.Random, batch: int) -> DocumentWrite:
    """One of a few documents, in one of two versions."""
    made = written(f"d{draw.randint(0, 6)}", draw.choice("ab"), draw.choice("xy"), draw.choice([None, "l", "m"]), batch)
    shadow = made.llm is not None and draw.random() < 0.3
    return replace(made, digest=draw.choice("vw"), text=draw.choice("st"), shadow=shadow)


def test_a_list_in_another_order_begins_with_the_first_of_all_documents(conn: sqlite3.Connection) -> None:
    every = documents.recent(conn, limit=1000)
    by_title = sorted(every, key=lambda d: ((d.title or d.id).lower(), d.id))
    assert [d.id for d in documents.recent(conn, limit=2, order="title")] == [d.id for d in by_title[:2]]
    longest = max(len(d.llm or d.shadow or ()) for d in every)
    assert len(documents.recent(conn, limit=1, order="llm_keywords")[0].llm or ()) == longest > 0
    assert [d.method for d in documents.recent(conn, limit=1000, order="method")] == sorted(d.method for d in every)
    matching = {d.id for d in search(conn, "retry", 100)}
    titles = [(d.title or d.id).lower() for d in search(conn, "retry", 100, "title")]
    assert titles == sorted(titles)
    assert {d.id for d in search(conn, "retry", 100, "title")} == matching
    assert {d.method for d in search(conn, "backoff", 100, "title", "llm")} == {"llm"}
