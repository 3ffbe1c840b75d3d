"""What a search of the store finds: any script, names of languages, identifiers, file names, words with an error in them."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator

import pytest

from engine.store import documents, migrations
from engine.store.documents import DocumentWrite
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
