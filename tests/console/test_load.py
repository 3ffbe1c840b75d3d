"""`rollout load` against a real engine: connections kept between documents, and the report when the LLM answers nothing."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import signal
import socket
import sqlite3
import subprocess
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.upload import uploader
from console.upload.sources import Source
from engine.client.client import EngineClient
from engine.store.folder import Folder
from tests.engine.service.rig import COMMAND, TEXT, EngineRig


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    """In stage 1, where a person may ask for the LLM, with no server at its address."""
    root = tmp_path_factory.mktemp("load")
    with EngineRig(root, None, {"llm.url": "http://127.0.0.1:9"}) as made:
        made.engine()
        made.climb(1)
        yield made


class Counted(Folder):
    """How many connections were opened to the engine."""

    opened = 0

    def connect(self, timeout_s: float) -> socket.socket:
        self.opened += 1
        return super().connect(timeout_s)


def test_a_load_explains_why_the_llm_gave_nothing_and_that_resume_asks_again(rig: EngineRig) -> None:
    rows = [{"id": f"why/{n}", "text": f"{TEXT} {n}"} for n in range(30)]
    (rig.root / "why.jsonl").write_text("\n".join(map(json.dumps, [*rows, {"id": "why/short", "text": "Too short."}])))

    done = rig.cli("load", "--method", "llm", "--verbose", "why.jsonl")

    assert (done.returncode, "30 as fallback" in done.stdout) == (0, True), done.stdout + done.stderr
    assert "connection refused" in done.stderr
    assert (
        sum(line.startswith("fallback, ") for line in done.stderr.splitlines()) <= 3
    )  # alike but for figures: one line
    assert "retry the documents that fell back, run the same command with --resume" in done.stderr
    assert "why/short: frequency (too short for the LLM)" in done.stdout
    again = json.loads(rig.cli("load", "--method", "llm", "--resume", "--json", "why.jsonl").stdout)
    assert again["unchanged"] == 0
    assert sum(again["fallbacks"].values()) == again["fallback"] == 30


def test_documents_share_open_connections_and_a_restarted_engine_gets_new_ones(rig: EngineRig) -> None:
    folder = Counted(rig.folder.path)
    client = EngineClient(folder, rig.plan)

    def extract(worker: int) -> None:
        for n in range(20):
            assert client.extract({"id": f"kept/{worker}/{n}", "text": TEXT})[0] == 200

    workers = [threading.Thread(target=extract, args=(worker,)) for worker in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert folder.opened <= 4

    os.kill(rig.pid, signal.SIGKILL)
    assert rig.until(lambda: not rig.folder.is_locked())
    with pytest.raises(OSError, match=r"No such file|refused"):
        client.extract({"id": "kept/first", "text": TEXT})
    rig.engine()
    before = folder.opened
    assert client.extract({"id": "kept/again", "text": TEXT})[0] == 200
    assert folder.opened == before + 1
    client.close()


def test_a_load_waits_for_a_restarting_engine_even_for_a_document_that_has_waited_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploader, "PATIENCE_S", 1.0)  # room for a busy machine
    folder = Folder(tmp_path)
    folder.prepare()
    body = b'{"method": "llm"}'
    listening = folder.listen()

    def engines() -> None:
        with listening.accept()[0] as first:
            first.recv(1 << 16)
            time.sleep(1.2)
        with listening.accept()[0] as second:
            asked = b""
            while not asked.endswith(b"}"):  # headers and body arrive separately
                asked += second.recv(1 << 16)
            second.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    running = threading.Thread(target=engines, daemon=True)
    running.start()
    assert uploader.extract(EngineClient(folder), Source("a", text=TEXT), "llm") == {"method": "llm"}
    running.join(5)
    listening.close()


def test_documents_by_frequency_share_a_request_and_each_ends_as_it_would_alone(rig: EngineRig) -> None:
    client = EngineClient(rig.folder, rig.plan)
    sources = [Source(f"together/{n}", title=f"Pool {n}", text=f"{TEXT} {n}") for n in range(30)]
    sources[7] = Source("bad\x1bid", text=TEXT)

    ends = uploader.extract_together(client, sources, "frequency")

    alone = uploader.extract_together(client, [sources[3]], "frequency")
    assert isinstance(alone[0], dict)
    together = ends[3]
    assert isinstance(together, dict)
    assert {**together, "ms": 0} == {**together, **alone[0], "ms": 0}
    assert "invisible character" in str(ends.pop(7))
    assert [end["id"] for end in ends if isinstance(end, dict)] == [f"together/{n}" for n in range(30) if n != 7]
    for n in (0, 29):
        assert client.request("GET", f"/v1/documents/together/{n}")[1]["title"] == f"Pool {n}"
    client.close()


def test_a_document_from_a_pipe_does_not_wait_for_the_next(rig: EngineRig) -> None:
    command = [*COMMAND, *rig._where, "load", "--method", "frequency", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True, cwd=rig.root) as load:
        assert load.stdin is not None
        load.stdin.write(json.dumps({"id": "pipe/first", "text": TEXT}) + "\n")
        load.stdin.flush()
        client = EngineClient(rig.folder, rig.plan)
        assert rig.until(lambda: client.request("GET", "/v1/documents/pipe/first")[0] == 200, 20)


def test_a_load_by_frequency_outlives_its_engine(rig: EngineRig) -> None:
    rows = [{"id": f"outlives/{n}", "text": f"{TEXT} {n}"} for n in range(1200)]
    (rig.root / "outlives.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = [*COMMAND, *rig._where, "load", "--method", "frequency", "--json", "outlives.jsonl"]

    def stored() -> int:
        where = "id LIKE 'outlives/%'"
        with contextlib.closing(sqlite3.connect(rig.folder.database)) as conn:
            return int(conn.execute(f"SELECT count(*) FROM document WHERE {where}").fetchone()[0])

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=rig.root) as load:
        assert rig.until(lambda: stored() > 100)
        os.kill(rig.pid, signal.SIGKILL)
        assert rig.until(lambda: not rig.folder.is_locked())
        assert load.poll() is None, "it was killed while the load ran"
        rig.engine()
        assert load.stdout is not None
        done = json.loads(load.stdout.read())

    assert (done["frequency"], done["failed"], stored()) == (1200, 0, 1200)


def test_a_document_of_as_many_characters_as_are_taken_is_taken_in_any_script(rig: EngineRig) -> None:
    (rig.root / "long.txt").write_text("数据库连接池 " * 1_250_000)  # 22.5 MB; escaped as in JSON by habit, 46 MB

    done = rig.cli("load", "--method", "frequency", "long.txt")

    assert "1 by frequency" in done.stdout, done.stderr


def on_a_terminal(rig: EngineRig, *words: str) -> str:
    """What the verb writes to a terminal 100 columns wide, sign for sign."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 100))
    command = [*COMMAND, "--store", str(rig.folder.path), "--plan", str(rig.plan_path), *words]
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, cwd=rig.root)
    os.close(slave)
    output = b""
    with contextlib.suppress(OSError):  # as reading ends when the other side has closed
        while part := os.read(master, 65536):
            output += part
    os.close(master)
    assert process.wait(20) == 0, output
    return output.decode()


def test_on_a_terminal_the_progress_is_one_line_drawn_over_itself(rig: EngineRig) -> None:
    rows = [{"id": f"bar/{n}", "text": f"{TEXT} {n}"} for n in range(3000)]
    (rig.root / "bar.jsonl").write_text("\n".join(map(json.dumps, rows)))

    output = on_a_terminal(rig, "load", "--method", "frequency", "bar.jsonl")

    assert "\r\x1b[Kload [#" in output
    assert "documents, " in output
    assert "·" not in output
    assert output.count("\n") == 1


def test_on_a_terminal_a_comparison_shows_how_far_it_is(rig: EngineRig) -> None:
    rows = [{"id": f"{n}", "keywords": [f"queue {n}", "worker"], "text": f"{TEXT} {n} " * 40} for n in range(300)]
    (rig.root / "rows.json").write_text(json.dumps(rows))

    output = on_a_terminal(
        rig, "analyze", "compare-keywords", "--llm", "rows.json", "--frequency", "rows.json", "--output", "both.json"
    )

    assert "\r\x1b[Kcompare [#" in output
    assert "in 300 documents" in output


def test_on_a_terminal_a_query_emphasises_what_matched_and_nothing_of_a_document_acts(rig: EngineRig) -> None:
    (rig.root / "bold.jsonl").write_text(json.dumps({"id": "bold", "title": "\x1b[31mred", "text": TEXT}))
    assert rig.cli("load", "bold.jsonl").returncode == 0

    output = on_a_terminal(rig, "query", "worker pool red")

    assert "\x1b[1mworker pool\x1b[0m" in output
    assert not {"\x1b[2J", "\x1b[31m"} & set(re.findall(r"\x1b\[\w+", output))


def test_a_document_is_shown_and_deleted_and_the_log_states_by_whom(rig: EngineRig, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "secret-plan.md").write_text("# A secret plan\n\n" + TEXT)
    assert rig.cli("load", "--method", "frequency", str(tmp_path / "docs")).returncode == 0
    shown = json.loads(rig.cli("documents", "show", "secret-plan.md", "--text", "--json").stdout)
    assert (shown["title"], shown["method"], shown["text_kept"]) == ("A secret plan", "frequency", True)
    assert shown["updated"].endswith("Z")
    assert TEXT.strip() in shown["text"]
    assert rig.cli("documents", "delete", "secret-plan.md", input="n\n").returncode == 1
    deleted = rig.cli("documents", "delete", "secret-plan.md", "--yes")
    assert (deleted.returncode, "deleted the document secret-plan.md" in deleted.stdout) == (0, True)
    assert "There is no document 'secret-plan.md'" in rig.cli("documents", "show", "secret-plan.md").stderr
    assert rig.cli("documents", "delete", "secret-plan.md", "--yes").returncode == 1
    assert "No document has" in rig.cli("query", "secret plan").stdout
    assert "deleted the document secret-plan.md" in rig.cli("log", "--kind", "delete").stdout
    for table, column in (("document", "id"), ("document_text", "document_id")):
        left = rig.reader.read(
            lambda conn, table=table, column=column: conn.execute(  # type: ignore[misc]
                f"SELECT count(*) FROM {table} WHERE {column} = 'secret-plan.md'"
            ).fetchone()
        )
        assert left == (0,)
    assert rig.cli("log", "--verify").returncode == 0


def test_a_file_outside_the_root_is_refused_before_anything_is_loaded(rig: EngineRig, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.md").write_text(TEXT)
    ended = rig.cli("load", "--root", str(tmp_path / "in"), str(tmp_path / "out.md"))
    assert ended.returncode == 1
    assert "is not under the root" in ended.stderr


def test_a_dry_run_refuses_what_the_engine_would_and_both_name_ids_given_twice(rig: EngineRig) -> None:
    rows = [{"id": id, "text": TEXT} for id in ("twice/a", "x" * 600, "twice/b\n", "twice/a")]
    (rig.root / "twice.jsonl").write_text("\n".join(map(json.dumps, rows)))

    dry = rig.cli("load", "--dry-run", "--method", "frequency", "twice.jsonl")
    done = rig.cli("load", "--method", "frequency", "twice.jsonl")

    remarks = [line for line in done.stderr.splitlines() if "twice" in line or "xxx" in line]
    assert re.search("Would send 2 documents, .*; 0 unchanged, 2 cannot be loaded", dry.stdout), dry.stdout
    assert "2 failed" in done.stdout, done.stdout
    assert sum("is one line of visible text" in line for line in remarks) == 2
    assert "ids given more than once, of which the store keeps one document: twice/a" in remarks
    assert [line for line in dry.stderr.splitlines() if "twice" in line or "xxx" in line] == remarks
