"""The command line on a real store: each verb's sentence, JSON and exit code. One engine for all."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.output import sentence_of
from engine.client.client import unanswered
from engine.plan.init import set_value
from engine.plan.load import default_plan_text
from engine.server.spawning import spawn, wait_until_up
from engine.store.folder import Folder
from tests.machine import crowd

COMMAND = [sys.executable, "-c", "from console.cli import main; main()"]


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str, code: int = 0) -> str:
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            [*COMMAND, *words], capture_output=True, text=True, cwd=self.folder, env=environ, timeout=60
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert "Unexpected error" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    root = tmp_path_factory.mktemp("place")
    text = set_value(default_plan_text(), "http.port", 0)
    text = set_value(text, "llm.url", "http://127.0.0.1:9")  # nothing listens there
    (root / "rollout.toml").write_text(text)
    docs = root / "docs"
    docs.mkdir()
    for name in ("backoff", "queues", "caches"):
        (docs / f"{name}.md").write_text(
            f"# About {name}\n\nThe worker pool retries failed requests with {name} and jitter.\n" * 3
        )
    folder = Folder(root / ".rollout")
    process = spawn(root / "rollout.toml", folder)
    assert wait_until_up(folder, process, 20.0 * crowd()) == ""
    yield Shell(root)
    process.terminate()
    process.wait(15)


def test_load_shows_how_many_by_which_method_and_names_what_it_skipped(shell: Shell) -> None:
    assert "3 by frequency" in shell("load", "docs/")
    (shell.folder / "broken.bin").write_bytes(b"\0\1")
    assert "not a text file" in shell("load", "broken.bin", code=1)
    assert "unchanged" in shell("load", "--resume", "docs/")


def test_load_by_the_llm_is_refused_in_preparation(shell: Shell) -> None:
    assert "Stage 0 Preparation makes no LLM call" in shell("load", "--method", "llm", "docs/backoff.md", code=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_load_stopped_half_way_reports_it_and_resume_takes_only_the_rest(shell: Shell, number: signal.Signals) -> None:
    rows = [
        {"id": f"{number.name}/{n}", "text": f"Paper ledgers list row {n} of the harbour tolls. " * 20}
        for n in range(400)
    ]
    (shell.folder / "half.jsonl").write_text("\n".join(map(json.dumps, rows)))
    loading = subprocess.Popen(
        [*COMMAND, "load", "--verbose", "half.jsonl"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=shell.folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert loading.stdout is not None
    loading.stdout.readline()
    loading.send_signal(number)
    out, err = loading.communicate(timeout=30)
    assert loading.returncode == -number
    assert "to continue, run the same command with --resume" in err
    stored = int(out.splitlines()[-1].split()[0])

    answer = json.loads(shell("load", "--resume", "--json", "half.jsonl"))

    assert answer["unchanged"] >= stored > 0
    assert (answer["unchanged"] + answer["frequency"], answer["failed"]) == (400, 0)
    assert json.loads(shell("load", "--resume", "--json", "half.jsonl"))["unchanged"] == 400


def test_load_states_once_that_no_engine_can_be_started_and_not_for_each_file(shell: Shell) -> None:
    plan = set_value((shell.folder / "rollout.toml").read_text(), "http.host", "0.0.0.0")  # which takes a token
    (shell.folder / "open.toml").write_text(plan)
    output = shell("--store", "elsewhere", "load", "--plan", "open.toml", "docs/", "half.jsonl", code=1)

    assert output.count("ROLLOUT_TOKEN") == 1
    assert output.count("\n") == 2  # that one is started, and why it was not


def test_documents_reach_query_and_export_as_text_only(shell: Shell) -> None:
    hostile = "\x1b]0;owned\x07=cmd|' /C calc'!A0 [bold]markup[/] zebra crossing; the zebra crossing is safe."
    rows = [{"id": name, "title": "=1+1\x1b[31m", "text": hostile} for name in ("=h", "h\x1b[2J")]
    (shell.folder / "hostile.jsonl").write_text("\n".join(map(json.dumps, rows)))
    refused = shell("load", "hostile.jsonl", code=1)
    assert "U+001B" in refused
    assert "\x1b" not in refused

    assert "zebra crossing" in shell("query", "zebra")
    assert "\x1b" not in shell("query", "zebra") + shell("export", "--method", "frequency", "--limit", "1", "--text")


def test_an_export_is_written_whole_or_not_at_all(shell: Shell) -> None:
    shell("load", "docs/")
    (shell.folder / "kept.json").write_text("before")
    assert "could not be written" in shell("export", "--method", "frequency", "--output", "kept.json/f.json", code=1)
    assert "could not be written" in shell("export", "--method", "frequency", "--output", "docs", code=1)
    assert "No document serves LLM" in shell("export", "--method", "llm", "--output", "kept.json", code=1)
    assert (shell.folder / "kept.json").read_text() == "before"
    shell("export", "--method", "frequency", "--random", "--seed", "3", "--limit", "2", "--output", "kept.json")
    assert len(json.loads((shell.folder / "kept.json").read_text())) == 2
    assert not list(shell.folder.glob(".*.part"))


@pytest.mark.parametrize(
    "words",
    [
        ("export", "--method", "frequency", "--output"),
        ("report", "--output"),
        ("backup",),
        ("metrics", "alerts", "--output"),
    ],
)
def test_a_file_is_written_into_folders_that_were_missing(shell: Shell, words: tuple[str, ...]) -> None:
    shell("load", "docs/")
    target = Path("made", words[0], "for", "it")
    shell(*words, str(target))
    assert (shell.folder / target).stat().st_size


def test_query_finds_by_keyword_and_export_gives_what_the_plan_s_jq_reads(shell: Shell) -> None:
    shell("load", "docs/")
    assert "queues.md" in shell("query", "queues")
    shell("export", "--method", "frequency", "--limit", "2", "--output", "f.json")
    rows = json.loads((shell.folder / "f.json").read_text())
    assert all(row["file"] and row["keywords"] for row in rows)
    assert all(row["updated"].endswith("Z") for row in rows)  # times outside the store are ISO 8601
    shell("analyze", "compare-keywords", "--llm", "f.json", "--frequency", "f.json", "--output", "c.json")
    assert json.loads((shell.folder / "c.json").read_text())["overall"]["both"] == len(rows)


def test_status_prints_the_stage_as_text_and_as_json(shell: Shell) -> None:
    assert "Stage 0" in shell("status")
    answer = json.loads(shell("status", "--json"))
    assert (answer["stage"], answer["engine_state"]) == (0, "running")


def test_a_rollback_prints_its_proof(shell: Shell) -> None:
    answer = json.loads(shell("rollback", "--reason", "drill", "--json"))
    assert answer["proof"]["effective_ms"] is not None


def test_feedback_is_counted_once_an_id(shell: Shell) -> None:
    shell("feedback", "complaint", "wrong words", "--id", "T-1")
    assert "already" in shell("feedback", "complaint", "wrong words", "--id", "T-1")
    shell("feedback", "rating", "5", "--document", "docs/backoff.md")
    assert "docs/none.md is not in the store. " in shell("feedback", "complaint", "x", "--document", "docs/none.md")
    lines = [line["sentence"] for line in json.loads(shell("log", "--kind", "complaint", "--json"))]
    assert any("docs/none.md (not in the store)" in line for line in lines)
    (shell.folder / "many.csv").write_text(
        "kind,document,value,text,id\nclick,docs/caches.md,,,c1\nrating,docs/caches.md,9,,c2\n"
    )
    assert "1 skipped" in shell("feedback", "import", "many.csv", code=1)


def test_a_signature_is_listed_as_soon_as_it_was_given_or_taken_back(shell: Shell) -> None:
    for words, mark in (((), "[x]"), (("--revoke",), "[ ]")) * 3:  # the engine's view is up to a second old
        shell("sign", "code_deployed", *words)
        assert f"{mark} code_deployed" in shell("sign")


def test_what_cannot_be_compared_is_reported_in_a_sentence(shell: Shell) -> None:
    shell("load", "docs/")
    assert "documents that have both methods' keywords" in shell("analyze", "search-quality", code=1)
    (shell.folder / "bad.json").write_text('{"a": 1}')
    (shell.folder / "none.json").write_text("[]")
    shell("export", "--method", "frequency", "--limit", "2", "--output", "g.json")
    compare = ("analyze", "compare-keywords", "--frequency", "g.json", "--llm")
    assert "bad.json is not an export" in shell(*compare, "bad.json", code=1)
    assert "holds no documents" in shell(*compare, "none.json", code=1)
    assert "cannot be read" in shell(*compare, "missing.json", code=1)
    (shell.folder / "q.json").write_text('[{"query": 5}]')
    assert "not a file of queries" in shell("analyze", "search-quality", "--queries", "q.json", code=1)


def test_quality_against_a_gold_file_from_the_store_and_from_a_folder(shell: Shell) -> None:
    shell("load", "docs/")
    wrote = shell("analyze", "draft-gold", "--output", "draft.jsonl", "docs/")
    assert "documents to draft.jsonl" in wrote
    assert "without LLM proposals favours the frequency method" in wrote
    assert "exists" in shell("analyze", "draft-gold", "--output", "draft.jsonl", "docs/", code=1)
    stored = json.loads(shell("analyze", "quality", "--gold", "draft.jsonl", "--json"))
    computed = json.loads(
        shell("analyze", "quality", "--gold", "draft.jsonl", "--method", "frequency", "docs/", "--json")
    )
    by_store = {one["method"]: one for one in stored["methods"]}
    assert by_store["frequency"] == computed["methods"][0]
    assert by_store["frequency"]["at"]["15"]["precision"] == 1.0  # the draft is their own keywords
    assert by_store["llm"]["documents"] == 0
    assert stored["missing"]["llm"] == stored["gold_documents"]
    assert "without LLM keywords" in shell("analyze", "quality", "--gold", "draft.jsonl")
    (shell.folder / "other.jsonl").write_text('{"id": "elsewhere.md", "keywords": ["x"]}')
    assert "'elsewhere.md', is the id of a document in the store" in shell(
        "analyze", "quality", "--gold", "other.jsonl", code=1
    )
    partly = json.loads((shell.folder / "draft.jsonl").read_text().splitlines()[0])
    rows = [
        partly, {"id": "none.md", "keywords": []}, {"id": "begun.md", "keywords": ["x"], "done": False},
        *({"id": f"gone{n}.md", "keywords": ["x"]} for n in range(5)),
    ]  # fmt: skip
    (shell.folder / "partly.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = shell("analyze", "quality", "--gold", "partly.jsonl", "--method", "frequency", "docs/")
    assert (
        "5 documents of 6 without frequency keywords (gone0.md, gone1.md, gone2.md and 2 more): they aren't in" in text
    )
    assert "1 document without gold keywords (none.md)" in text
    assert "1 document not marked as done (begun.md)" in text
    (shell.folder / "bad.jsonl").write_text('{"id": 5}')
    assert 'line 1: a line needs "id" and "keywords"' in shell("analyze", "quality", "--gold", "bad.jsonl", code=1)


def test_feedback_of_a_file_counts_once_and_old_complaints_are_of_their_own_time(shell: Shell) -> None:
    rows = [
        '{"kind": "complaint", "text": "long ago", "at": "2020-01-01T00:00:00Z"}',
        '{"kind": "impression", "document": "docs/caches.md"}',
        '{"kind": "impression", "document": "docs/caches.md"}',
    ]
    (shell.folder / "f.jsonl").write_text("\n".join(rows))
    first = json.loads(shell("feedback", "import", "f.jsonl", "--json"))
    again = json.loads(shell("feedback", "import", "f.jsonl", "--json"))
    assert (first["new"], first["complaints"], again["new"]) == (3, 1, 0)
    (shell.folder / "wrong.csv").write_text("a,b\n1,2\n")
    assert 'no column "kind"' in shell("feedback", "import", "wrong.csv", code=1)


def test_the_plan_s_measuring_commands_run_as_written(shell: Shell) -> None:
    shell("metrics", "analyze", "--days", "7", "--output", "performance_report.json")
    shell("metrics", "snapshot", "--json")
    shell("logs", "analyze", "--level", "error", "--filter", "keyword_extraction")
    shell("ab-test", "export", "--output", "ab_test_assignments.json")
    shell("ab-test", "analyze", "--output", "ab_test_results.json")
    results = json.loads((shell.folder / "ab_test_results.json").read_text())
    assert isinstance(results["control"]["search_quality_scores"], list)
    assert isinstance(results["treatment"]["search_quality_scores"], list)


def test_log_verify_backup_and_triggers_answer_right_and_wrong_arguments(shell: Shell) -> None:
    assert "every hash follows" in shell("log", "--verify")
    shell("backup", "copy.db")
    assert "already exists" in shell("backup", "copy.db", code=1)
    assert "is not a head" in shell("log", "--verify", "--head", "zzz", code=2)
    assert "no decision has the hash" in shell("log", "--verify", "--head", "0" * 16, code=1)
    assert "error_critical" in shell("triggers", "list")
    shell("triggers", "why", "error_critical")
    assert "Triggers:" in shell("triggers", "why", "nonsense", code=1)


def test_mistakes_are_sentences_with_the_right_exit_code(shell: Shell) -> None:
    assert "Did you mean 'promote'" in shell("promot", code=2)
    assert "gate is not open" in shell("promote", "--to", "1", code=1)
    shell("rollback", "--reason", "a rehearsed mistake")
    assert "resumed" in shell("resume")  # in Preparation it lets checks call a model again
    assert "Nothing to resume" in shell("resume", code=1)
    refused = json.loads(shell("resume", "--json", code=1))
    assert refused["code"] == "nothing_to_resume"
    assert "needs a terminal" in shell(code=1)


@pytest.mark.parametrize("words", [("promote",), ("triggers", "list"), ("log",), ("due",), ("metrics", "snapshot")])
def test_a_program_that_asked_for_json_gets_it_when_there_is_no_store(shell: Shell, words: tuple[str, ...]) -> None:
    answer = json.loads(shell("--store", "no-such-store", *words, "--json", code=1))
    assert answer["ok"] is False
    assert "There is no store in no-such-store" in answer["sentence"]


def test_nothing_found_is_reported_of_what_was_asked_for(shell: Shell) -> None:
    assert "`rollout load --method llm PATH` makes some" in shell("export", "--method", "llm", code=1)
    analysed = shell("logs", "analyze", "--level", "all", "--days", "0.01")  # the plan's LLM server is not there
    assert "connection refused" in analysed


def test_env_prints_the_plan_s_three_lines(shell: Shell) -> None:
    assert "export XZE_KEYWORD_EXTRACTION_ROLLOUT_PERCENTAGE=0" in shell("env")


@pytest.mark.parametrize(
    ("words", "output"),
    [
        (("--plan", ""), "it is empty"),
        (("--store", ""), "it is empty"),
        (("--plan", "."), "is a directory"),
        (("--store", "rollout.toml"), "is a file"),
    ],
)
def test_an_unusable_path_is_a_usage_error_and_no_other_store_is_touched(
    shell: Shell, words: tuple[str, str], output: str
) -> None:
    assert output in shell(*words, "rollback", "--reason", "of which store?", code=2)


def test_an_error_of_the_system_is_reported_without_its_number() -> None:
    refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/srv/store/lock")
    assert sentence_of(refused).startswith("/srv/store/lock: Permission denied. Run this as")
    assert sentence_of(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) == "No space left on device."


def test_a_rollback_where_there_is_no_plan_explains_what_it_needs(tmp_path: Path) -> None:
    assert "--store DIR, or rm DIR/armed" in Shell(tmp_path)("rollback", code=1)


@pytest.mark.parametrize("words", [("status",), ("log", "--verify"), ("report",), ("query", "x")])
def test_a_damaged_store_reports_it_and_what_to_do(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "rollout.toml").write_text(default_plan_text())
    (tmp_path / ".rollout").mkdir(0o700)
    (tmp_path / ".rollout" / "store.db").write_text("no database, but a text that is long enough to be taken for one")
    output = Shell(tmp_path)(*words, code=1)
    assert "is damaged (file is not a database)" in output
    assert "restore the last `rollout backup`" in output


def test_another_user_s_engine_is_not_reported_as_down(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "store")
    refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    assert "no access" in unanswered(folder, refused)
    assert f"answers in {folder.path}. Start one with" in unanswered(
        folder, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    )
