"""Gold keywords are marked with single keys, and nothing that a person marked is lost."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from textual.pilot import Pilot

from console.marking.app import Marking
from console.widgets.sheet import Sheet
from engine.quality.gold import read_gold
from engine.quality.marking import Marked, added, gold_lines, started, toggled
from tests.console.screen_walk import until
from tests.terminal import ROLLOUT, Terminal

pytestmark = pytest.mark.anyio

DRAFT = b"".join(
    json.dumps({"id": name, "keywords": words}).encode() + b"\n"
    for name, words in (("a.md", ["worker pool", "the system", "retry"]), ("b.md", ["queue"]))
)
TEXTS = {"a.md": "A worker pool retries.\n" * 40, "b.md": "A bounded queue."}


def text(app: Marking) -> str:
    return app.screen.query_one(Sheet).canvas.text()


async def shows(pilot: Pilot[int], *words: str) -> None:
    app = pilot.app
    assert isinstance(app, Marking)
    await until(pilot, lambda: bool(app.screen.query(Sheet)) and all(word in text(app) for word in words))


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_keywords_are_kept_added_and_saved_at_each_key(size: tuple[int, int]) -> None:
    saved: list[str] = []
    app = Marking(started(DRAFT, "draft", b"", "gold"), TEXTS, lambda d: (saved.append(gold_lines(d)), "")[1])
    async with app.run_test(size=size) as pilot:
        await shows(pilot, "1 of 2")
        await pilot.press("space", "j", "j", "space", "a", *"pool size", "enter")
        await shows(pilot, "3 keywords kept; keep 5 to 15 · no such phrase in the text; space drops it")
        await pilot.press("a", *"pools retry", "enter")
        await shows(pilot, "4 keywords kept; keep 5 to 15\n")  # compared by stems
        await pilot.press("space")
        assert json.loads(saved[-1]) == {"id": "a.md", "keywords": ["worker pool", "retry", "pool size"], "done": False}
        await pilot.press("enter")
        await shows(pilot, "2 of 2", "1 done")
    gold = started(DRAFT, "draft", saved[-1].encode(), "gold")
    assert gold[0] == Marked(
        "a.md", ("worker pool", "the system", "retry", "pool size"), ("worker pool", "retry", "pool size"), True
    )
    assert [row.id for row in read_gold(saved[-1].encode(), "gold").rows] == ["a.md"]


async def test_the_down_key_moves_down_a_column() -> None:
    document = Marked("a.md", ("worker pool", "the system", "retry", "pool size"), (), False)
    app = Marking((document,), TEXTS, lambda _: "")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("j", "space")
        await shows(pilot, "✔")
        (first,) = [line for line in text(app).splitlines() if "· worker pool" in line]
        (second,) = [line for line in text(app).splitlines() if "✔" in line]
        assert "retry" in first
        assert second.index("the system") == first.index("worker pool")


async def test_a_file_that_takes_no_writes_is_reported_on_the_screen() -> None:
    app = Marking(started(DRAFT, "draft", b"", "gold"), TEXTS, lambda d: "NOT SAVED: the disk is full.")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space")
        await shows(pilot, "NOT SAVED: the disk is full.")


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_a_question_mark_shows_the_keys_and_how_to_choose_and_changes_nothing(size: tuple[int, int]) -> None:
    saved: list[str] = []
    app = Marking(started(DRAFT, "draft", b"", "gold"), TEXTS, lambda d: (saved.append(gold_lines(d)), "")[1])
    async with app.run_test(size=size) as pilot:
        await shows(pilot, "? help  q leave\n")
        await pilot.press("question_mark")
        await shows(pilot, "keep it, or not", "undo the last change", "Quality: measure keywords")
        await pilot.press("space", "enter", "pagedown")
        await shows(pilot, "two people mark the same five documents")
        await pilot.press("escape")
        await shows(pilot, "1 of 2", "0 keywords kept")
        assert saved == []


async def test_changes_are_undone_one_by_one_also_in_a_document_that_was_left() -> None:
    saved: list[str] = []
    app = Marking(started(DRAFT, "draft", b"", "gold"), TEXTS, lambda d: (saved.append(gold_lines(d)), "")[1])
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("space", "enter", "space")
        await shows(pilot, "2 of 2", "1 keyword kept")
        await pilot.press("u")
        await shows(pilot, "2 of 2", "0 keywords kept", "1 done")
        await pilot.press("u")
        await shows(pilot, "1 of 2", "1 keyword kept", "0 done")
        await pilot.press("u", "u")
        await shows(pilot, "1 of 2", "0 keywords kept")
        assert saved[-1] == ""


def test_a_gold_file_of_another_hand_keeps_its_own_fields_and_separators_within_a_line() -> None:
    line = '{"id": "b.md", "keywords": ["queue\u2028depth"], "annotator": "bo", "note": {"sure": false}}'
    documents = started(DRAFT, "draft", b"\xef\xbb\xbf" + line.encode() + b"\r\n", "gold")

    assert gold_lines(documents) == line + "\n"


def test_a_gold_file_in_another_encoding_is_refused_with_its_line() -> None:
    with pytest.raises(ValueError, match="gold, line 1: not UTF-8"):
        started(DRAFT, "draft", '{"id": "b.md", "keywords": ["caf\u00e9"]}'.encode("latin-1"), "gold")


def test_a_phrase_that_is_proposed_already_is_kept_and_not_doubled() -> None:
    document = added(Marked("a", ("Worker pool",)), "  worker   POOL ")
    assert document == Marked("a", ("Worker pool",), ("Worker pool",))
    assert toggled(document, "Worker pool").kept == ()
    assert added(document, " ") == document


def test_a_gold_file_with_documents_missing_in_the_draft_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gold has documents that are not in draft, such as 'c\.md'"):
        started(DRAFT, "draft", b'{"id": "c.md", "keywords": ["x"]}', "gold")


def test_ctrl_z_gives_the_shell_its_terminal_and_fg_brings_the_marking_back(tmp_path: Path) -> None:
    (tmp_path / "draft.jsonl").write_bytes(DRAFT)
    (tmp_path / "docs").mkdir()
    verb = [*ROLLOUT, "analyze", "mark-gold", "--draft", "draft.jsonl", "--gold", "gold.jsonl", "docs"]
    with Terminal(["/bin/bash", "--norc", "-i"], cwd=tmp_path, environ={"PS1": "shell> "}) as terminal:
        terminal.until("shell>")
        terminal.send(f"{shlex.join(verb)}\r")
        terminal.until("1 of 2", "worker pool")
        terminal.send("\x1a")
        terminal.until("Stopped", "shell>")
        terminal.send("fg\r")
        terminal.until("1 of 2", "0 done")
        terminal.send(" ")
        terminal.until("1 keyword kept")
        terminal.send("q")
        terminal.until("0 of 2 documents are done")
        terminal.send("exit\r")
        assert terminal.ended(30)


def test_on_a_terminal_it_resumes_where_it_was_left(tmp_path: Path) -> None:
    (tmp_path / "draft.jsonl").write_bytes(DRAFT)
    (tmp_path / "docs").mkdir()
    for name, body in TEXTS.items():
        (tmp_path / "docs" / name).write_text(body)
    verb = [*ROLLOUT, "analyze", "mark-gold", "--draft", "draft.jsonl", "--gold", "gold.jsonl", "docs"]
    with Terminal(verb, cwd=tmp_path) as terminal:
        terminal.until("1 of 2", "worker pool")
        terminal.send(" ")
        terminal.until("1 keyword kept")
        terminal.send("\r")
        terminal.until("2 of 2", "1 done")
        terminal.send("q")
        assert terminal.shows("1 of 2 documents are done in gold.jsonl.")
    assert json.loads((tmp_path / "gold.jsonl").read_text()) == {"id": "a.md", "keywords": ["worker pool"]}
    with Terminal(verb, cwd=tmp_path) as terminal:
        terminal.until("2 of 2", "1 done")
        terminal.send("\r")
        terminal.until("2 done")
        terminal.send("q")
        assert terminal.shows("Measure with `rollout analyze quality --gold gold.jsonl`.")
