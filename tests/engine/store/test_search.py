"""What a search of the store finds: any script, names of languages, identifiers, file names, words with an error in them."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from engine.store import documents, migrations
from engine.store.documents import DocumentOrder, DocumentWrite
from engine.store.search import did_you_mean, search
from engine.store.terms import one_error_apart, one_error_from

STORED = {
    "zh.md": ("数据结构", ("计算机", "数据结构")), "ja.md": ("データ構造の基礎", ("配列", "木構造")), "hi.md": ("काम की सूची", ("गेटवे",)), "hi2.md": ("कम मेमोरी", ("मेमोरी",)),
    "git-rebase.txt": ("Reapply commits", ("--onto", "upstream branch", "max_tokens")), "c.md": ("Pointers in C", ("memory",)), "cpp.md": ("Templates in C++", ("generics",)),
    "cs.md": ("Delegates in C#", ("events",)), "pool.md": ("Connection pools", ("connection pool", "circuit breaker")), "k8s.md": ("Deploying", ("kubernetes cluster",)),
    "ko.md": ("연결 풀", ("게이트웨이",)), "th.md": ("เซิร์ฟเวอร์ตรวจสอบกฎ", ()), "ru.md": ("Пул соединений", ("соединение",)), "docs/static-files.md": ("Serving assets", ("assets",)),
}  # fmt: skip


def written(id: str, title: str, keywords: tuple[str, ...]) -> DocumentWrite:
    return DocumentWrite(id, title, title, id, 1.0, "control", "frequency", keywords, (), None, (), 1, 1)


@pytest.fixture
def conn() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrations.migrate(connection)
    documents.write(connection, [written(id, *what) for id, what in STORED.items()])
    yield connection
    connection.close()


def ids(conn: sqlite3.Connection, query: str) -> list[str]:
    return [document.id for document in search(conn, query)]


@pytest.mark.parametrize(
    ("query", "result"),
    [
        ("结构", ["zh.md"]), ("数据结构", ["zh.md"]), ("データ構造", ["ja.md"]), ("木構造", ["ja.md"]), ("काम", ["hi.md"]), ("कम", ["hi2.md"]), ("ตรวจสอบ", ["th.md"]), ("연결", ["ko.md"]),
        ("соединение", ["ru.md"]), ("--onto", ["git-rebase.txt"]), ("max_tokens", ["git-rebase.txt"]), ("C", ["c.md"]), ("C++", ["cpp.md"]), ("c#", ["cs.md"]), ("pool", ["pool.md"]),
        ("pools", ["pool.md"]), ("circuit breakers", ["pool.md"]), ("git-rebase.txt", ["git-rebase.txt"]), ("static files", ["docs/static-files.md"]), ("k8s", ["k8s.md"]), ("", []), ("?!", []),
    ],
)  # fmt: skip
def test_a_word_finds_its_document_first_and_no_other_that_only_looks_like_it(
    conn: sqlite3.Connection, query: str, result: list[str]
) -> None:
    assert ids(conn, query) == result


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("conection pool", "connection pool"), ("kuberntes", "kubernetes"), ("circiut breaker", "circuit breaker"), ("upstraem", "upstream"),
        ("connection", ""), ("zzzzzzzzz", ""), ("C++", ""), ("结构", ""),
    ],
)  # fmt: skip
def test_one_typing_error_is_forgiven_and_named(conn: sqlite3.Connection, query: str, meant: str) -> None:
    assert did_you_mean(conn, query) == meant
    if meant:
        assert ids(conn, query)[:1] == ids(conn, meant)[:1] != []


def test_one_error_is_a_letter_more_less_or_other_or_two_exchanged() -> None:
    assert all(one_error_apart("cache", other) for other in ("cahe", "caache", "cachr", "cahce", "ache", "caches"))
    assert not any(one_error_apart("cache", other) for other in ("cache", "cahse", "c", "cacheds", "hcaec"))


def test_an_index_of_before_is_built_again_with_every_document(conn: sqlite3.Connection) -> None:
    conn.executescript(
        "DROP TABLE document_vocabulary; DROP TABLE document_fts;"
        "CREATE VIRTUAL TABLE document_fts USING fts5(title, frequency, llm, tokenize='porter unicode61');"
        "DELETE FROM _sqlite_migrations WHERE name = 'index_of_every_script';"
    )

    migrations.migrate(conn)

    assert ids(conn, "结构") == ["zh.md"]
    assert ids(conn, "circuit breakers") == ["pool.md"]


@pytest.mark.parametrize("word", ["cache", "пул", "a", "grüße"])
def test_the_spellings_one_error_from_a_word_are_those_that_are_one_error_apart(word: str) -> None:
    near = one_error_from(word)
    assert all(one_error_apart(word, other) for other in near)
    for at, letter in itertools.product(range(len(word)), "eлü"):
        others = (word[:at] + letter + word[at:], word[:at] + letter + word[at + 1 :], word[:at] + word[at + 1 :])
        same_script = letter == "e" or any(ord(letter) // 128 == ord(own) // 128 for own in word)
        assert all(other in near for other in others if other != word and (same_script or letter not in other))


def test_a_search_for_a_misspelt_word_does_not_read_all_words_of_the_index(conn: sqlite3.Connection) -> None:
    asked: list[str] = []
    conn.set_trace_callback(asked.append)
    assert did_you_mean(conn, "kuberntes") == "kubernetes"
    of_words = [sql for sql in asked if "FROM document_vocabulary" in sql]
    assert of_words
    assert all("WHERE term = '" in sql for sql in of_words)


RANKED = """
    SELECT d.id FROM (
        SELECT rowid AS r, bm25(document_fts, 4.0, 2.0, 1.0, 0.0) AS rank, 'frequency' AS served
          FROM document_fts WHERE document_fts MATCH '{title name frequency} : (kafka)'
        UNION ALL
        SELECT rowid, bm25(document_fts, 4.0, 2.0, 0.0, 1.0), 'llm'
          FROM document_fts WHERE document_fts MATCH '{title name llm} : (kafka)'
    ) m JOIN document d ON d.rowid = m.r AND d.method = m.served WHERE d.method = coalesce(?, d.method)
    ORDER BY m.rank, d.rowid DESC LIMIT 10
"""


@pytest.mark.parametrize("lengths", [97, 1])  # of the documents: alike, all match equally
@pytest.mark.parametrize("method", [None, "frequency", "llm"])
def test_of_a_word_in_many_documents_the_best_are_found_and_few_are_read(
    conn: sqlite3.Connection, method: str | None, lengths: int
) -> None:
    rows = []
    for number in range(400):
        keywords = ("kafka", *(f"word{number}x{i}" for i in range(number % lengths)))
        row = written(f"k/{number:03}", "kafka" if number % 10 == 0 else f"Title {number}", keywords)
        by_llm = replace(row, method="llm", arm="treatment", llm=keywords[::-1]) if number % 3 == 0 else row
        rows.append(by_llm)
    documents.write(conn, rows)
    wanted = [id for (id,) in conn.execute(RANKED, (method,))]
    read: list[str] = []
    conn.set_trace_callback(lambda sql: read.append(sql) if "FROM document " in sql else None)
    assert [document.id for document in search(conn, "kafka", 10, method=method)] == wanted
    conn.set_trace_callback(None)
    assert len(wanted) == 10
    assert len(read) < 150


@pytest.mark.parametrize("order", ["", "title"])
def test_a_word_that_most_documents_have_does_not_add_them_all_to_those_with_a_rare_one(
    conn: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, order: DocumentOrder
) -> None:
    monkeypatch.setattr("engine.store.search.COMMON", 20)
    documents.write(conn, [written(f"docs/{n:03}.md", "Storing", ("broker",)) for n in range(30)])
    documents.write(conn, [written("docs/rare.md", "Compacting", ("broker",))])

    def found(query: str) -> list[str]:
        return [document.id for document in search(conn, query, 50, order)]

    assert found("docs/rare.md") == ["docs/rare.md"]
    assert set(found("broker pools")) == {"pool.md"}
    assert len(found("broker")) == 31
    assert len(found("broker qwxyz")) == 31, "a word that is in no document takes no other's place"
    assert len(found("broker docs")) == 31, "of common words alone the rarer one counts: static-files.md has docs"
