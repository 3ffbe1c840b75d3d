"""The command line where no engine runs, before one, and in scripts: manual, dry runs, waiting, tables."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from console.cli import rollout
from console.output import as_json_list, write_chunks
from console.tables import as_csv, as_lines
from console.verbs.gate import parse_goal
from engine.store.holders import holders
from engine.view.model import Health
from tests.console import samples
from tests.engine.service.rig import COMMAND, QUIET, EngineRig
from tests.machine import crowd
from tests.terminal import ROLLOUT, Terminal


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    """A store that `load` made, with no engine running."""
    root = tmp_path_factory.mktemp("place")
    with EngineRig(root, speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as made:
        (root / "docs").mkdir()
        for name in ("backoff", "queues"):
            text = f"# About {name}\n\nThe worker pool retries failed requests with {name} and jitter.\n"
            (root / "docs" / f"{name}.md").write_text(text * 3)
        yield made


def test_load_starts_an_engine_for_its_duration_and_reports_it(rig: EngineRig) -> None:
    done = rig.cli("load", str(rig.root / "docs"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["frequency"] == 2
    assert "starting one for this load; it stops with it" in done.stderr
    assert holders(rig.folder)[0] == []
    assert not rig.folder.is_locked()


def test_load_starts_no_engine_where_nothing_is_to_be_sent(rig: EngineRig) -> None:
    rig.cli("load", "--resume", str(rig.root / "docs"))
    (rig.root / "hollow").mkdir()
    (rig.root / "hollow" / "a.md").write_text("")
    for words, code, seen in (
        (("nope/",), 1, "No such file"),
        (("nope/*.md",), 1, "No such file"),
        ((str(rig.root / "hollow"),), 0, "1 empty"),
        (("--resume", str(rig.root / "docs")), 0, "2 unchanged"),
    ):
        done = rig.cli("load", *words)
        assert (done.returncode, seen in done.stdout + done.stderr) == (code, True), done
        assert "starting one" not in done.stderr
    job = rig.cli("load", "--on", "local:2", "nope/", "neither.md")
    assert (job.returncode, job.stderr) == (1, "Nothing to load: no such file as nope/, neither.md.\n")


def test_a_promotion_without_an_engine_is_judged_by_its_last_look(rig: EngineRig) -> None:
    rig.cli("load", "--resume", str(rig.root / "docs"))
    before = rig.reader.state().rev
    would = rig.cli("promote", "--dry-run")
    assert would.returncode == 1
    assert would.stderr.startswith("Would be refused: a promotion needs an engine. The engine is not running")
    assert "Gate SHUT: stage 0 Pre-Rollout Preparation to stage 1" in would.stderr
    assert "  [ ] " in would.stderr
    answer = json.loads(rig.cli("promote", "--dry-run", "--json").stdout)
    assert (answer["code"], answer["stage"], answer["gate"]["open"]) == ("no_engine", 1, False)
    assert rig.reader.state().rev == before
    shut = rig.cli("gate")
    assert re.search("not running.* What follows is as of 20", shut.stdout.splitlines()[0]), "its times are of then"
    assert not rig.folder.is_locked()


def test_reading_needs_no_engine(rig: EngineRig) -> None:
    rig.cli("load", "--resume", str(rig.root / "docs"))
    for words in (
        ("query", "worker"),
        ("export", "--method", "frequency"),
        ("documents", "show", "backoff.md"),
        ("log",),
    ):
        done = rig.cli(*words)
        assert (done.returncode, done.stderr) == (0, ""), words
    assert "both methods' keywords" in rig.cli("analyze", "search-quality").stderr  # of the data, not of the engine
    assert not rig.folder.is_locked()


def test_an_engine_that_load_started_ends_when_load_is_killed(rig: EngineRig) -> None:
    rows = [{"id": f"kill/{n}", "text": f"Paper ledgers list row {n} of the harbour tolls. " * 20} for n in range(5000)]
    (rig.root / "many.jsonl").write_text("\n".join(map(json.dumps, rows)))
    command = [
        sys.executable,
        "-c",
        "from console.cli import main; main()",
        "--plan",
        str(rig.plan_path),
        "--store",
        str(rig.folder.path),
    ]
    loading = subprocess.Popen(
        [*command, "load", "--verbose", str(rig.root / "many.jsonl")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert loading.stdout is not None
    loading.stdout.readline()
    loading.kill()
    loading.wait()
    assert rig.until(lambda: not rig.folder.is_locked(), 30.0)


# -- dry runs --------------------------------------------------------------------------------------------------------------


def test_a_dry_run_of_load_names_what_would_be_sent_and_makes_no_store(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None) as rig:
        (tmp_path / "a.md").write_text("The worker pool retries.")
        (tmp_path / "b.bin").write_bytes(b"\0\1")
        done = rig.cli("load", "--dry-run", "--json", "--root", str(tmp_path), str(tmp_path / "a.md"))
        assert json.loads(done.stdout)["documents"] == ["a.md"]
        assert rig.cli("load", "--dry-run", str(tmp_path / "b.bin")).returncode == 1
        assert not rig.folder.path.exists()


def test_dry_runs_show_what_would_happen_and_change_nothing(tmp_path: Path) -> None:
    with EngineRig(tmp_path, QUIET) as rig:
        engine = rig.engine()
        assert rig.cli("promote", "--to", "1", "--override", "--reason", "for a dry run").returncode == 0
        assert rig.cli("promote", "--to", "2", "--override", "--reason", "for a dry run").returncode == 0
        before = rig.reader.state()
        promote = rig.cli("promote", "--to", "3", "--dry-run", "--override", "--reason", "only a dry run", "--json")
        assert json.loads(promote.stdout)["stage"] == 3
        assert "gate is not open" in rig.cli("promote", "--to", "3", "--dry-run").stderr
        assert "not stage 4" in rig.cli("promote", "--to", "4", "--dry-run").stderr
        down = rig.cli("rollback", "--dry-run", "--json")
        assert json.loads(down.stdout)["percent_from"] == 1000
        assert json.loads(down.stdout)["percent_to"] == 0
        for number, why in ((3, "stage 3 is not below stage 2"), (9, "there is no stage 9; the stages are 0 to 5")):
            would = rig.cli("rollback", "--to", str(number), "--dry-run")  # as the rollback: to 0 %, and why
            assert (would.returncode, f"to 0 %, because {why}." in would.stdout) == (0, True), would
        assert rig.folder.armed.exists()
        after = rig.reader.state()
        assert (after.rev, after.percent_bp) == (before.rev, before.percent_bp)

        assert rig.cli("rollback", "--quiet").stdout == ""
        assert "Would go from" in rig.cli("rollback", "--undo", "--dry-run").stdout
        assert rig.reader.state().percent_bp == 0

        engine.terminate()
        engine.wait(20)
        assert rig.reader.state().undo is not None
        undo = rig.cli("rollback", "--undo", "--dry-run")
        assert undo.returncode == 1
        assert "needs an engine" in undo.stderr
        assert "to stage 2 Canary Rollout, 10 %, until" in undo.stderr
        answer = json.loads(rig.cli("rollback", "--undo", "--dry-run", "--json").stdout)
        assert (answer["code"], answer["stage"], answer["percent_bp"]) == ("no_engine", 2, 1000)
        stale = rig.cli("rollback", "--undo", "--dry-run", "--epoch", "1", "--json")
        assert json.loads(stale.stdout)["code"] == "moved"


def test_undoing_a_restore_has_a_dry_run(rig: EngineRig) -> None:
    rig.cli("load", "--resume", str(rig.root / "docs"))
    rev = rig.reader.state().rev
    assert "no restore is in force" in rig.cli("restore", "--undo", "--dry-run").stderr
    assert rig.reader.state().rev == rev


def test_a_verb_that_needs_an_engine_says_that_none_answers(rig: EngineRig) -> None:
    rig.cli("load", "--resume", str(rig.root / "docs"))
    refused = rig.cli("hold", "--reason", "x")
    assert refused.returncode == 1
    assert refused.stderr == f"No engine answers in {rig.folder.path}. Start one with `rollout` or `rollout serve`.\n"


def test_what_a_restore_would_change_is_read_without_an_engine(tmp_path: Path) -> None:
    with EngineRig(tmp_path, QUIET) as rig:
        process = rig.engine()
        assert "no bad window" in rig.cli("restore", "--dry-run", "--bad-window").stderr
        rig.climb(5)
        assert rig.extract("docs/queue.md")["method"] == "llm"
        assert rig.cli("rollback").returncode == 0
        process.terminate()
        assert process.wait(30) == 0
        for words in ((), ("--bad-window",), ("--stage", "5")):
            shown = json.loads(rig.cli("restore", "--dry-run", "--json", *words).stdout)
            assert "docs/queue.md" in [one["id"] for one in shown["sample"]]
        assert json.loads(rig.cli("restore", "--dry-run", "--json", "--stage", "1").stdout)["documents"] == 0
        assert not rig.folder.is_locked()


# -- --quiet ---------------------------------------------------------------------------------------------------------------

ASKED_FOR = (
    "log", "query worker", "triggers list", "triggers why error_critical", "due", "notify preview", "notify queue", "run", "env",
    "plan diff", "metrics snapshot", "logs analyze", "jobs", "sign", "restore --dry-run", "rollback --dry-run",
)  # fmt: skip


def test_quiet_keeps_what_was_asked_for_and_leaves_states_to_the_exit_code(rig: EngineRig) -> None:
    rig.cli("load", "--resume", "--quiet", str(rig.root / "docs"))
    where = ["--plan", str(rig.plan_path), "--store", str(rig.folder.path)]
    printed = {
        words: CliRunner().invoke(rollout, [*where, *words.split(), "--quiet"], catch_exceptions=False)
        for words in (*ASKED_FOR, "status", "gate", "wait --for stage=0 --timeout 0s")
    }
    assert [words for words, done in printed.items() if done.stdout.strip()] == list(ASKED_FOR)
    assert [words for words, done in printed.items() if done.exit_code] == [
        "status",
        "gate",
        "wait --for stage=0 --timeout 0s",
    ]


# -- gate and wait ---------------------------------------------------------------------------------------------------------


def test_gate_reports_open_or_shut_by_its_exit_code_and_wait_sees_it_change(tmp_path: Path) -> None:
    with EngineRig(tmp_path, QUIET) as rig:
        rig.engine()
        shut = rig.cli("gate", "--json")
        assert (shut.returncode, json.loads(shut.stdout)["open"]) == (1, False)
        assert "[ ] All Phase 3 code merged" in rig.cli("gate").stdout
        late = rig.cli("wait", "--for", "gate-open", "--timeout", "1s")
        assert (late.returncode, late.stdout) == (1, "")
        assert "not within 1s" in late.stderr

        def go_up() -> None:
            time.sleep(1.0)
            rig.cli("promote", "--to", "1", "--override", "--reason", "while one waits")

        going = threading.Thread(target=go_up)
        going.start()
        done = rig.cli("wait", "--for", "stage=1", "--timeout", "40s", "--json")
        going.join()
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["stage"] == 1
    late = rig.cli("gate")  # what no engine judges is not open
    assert late.returncode == 1
    assert "engine is not running" in late.stdout + late.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [("wait", "--for", "stable"), ("status", "--watch")])
def test_a_verb_that_a_signal_ends_has_the_exit_code_of_that_signal(
    rig: EngineRig, words: tuple[str, ...], number: signal.Signals
) -> None:
    """130 and 143 in a shell; by the signal itself, or a script that runs verbs in a loop would go on."""
    command = [*COMMAND, "--store", str(rig.folder.path), "--plan", str(rig.plan_path), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as verb:
        assert verb.stdout is not None
        assert verb.stdout.readline()
        verb.send_signal(number)
        rest, _ = verb.communicate(timeout=60 * crowd())
        assert verb.returncode == -number, rest
        assert "Traceback" not in rest


@pytest.mark.parametrize("words", [("init", "--output", "new.toml"), ("documents", "delete", "docs/queues.md")])
def test_a_question_ended_with_ctrl_c_ends_as_every_verb_does(rig: EngineRig, words: tuple[str, ...]) -> None:
    """130 in a shell, and nothing is done."""
    with Terminal([*ROLLOUT, "--plan", str(rig.plan_path), *words], cwd=rig.root) as asked:
        asked.until(": ")
        asked.send("\x03")
        assert asked.ended(30.0)
        assert asked.status is not None
        assert os.waitstatus_to_exitcode(asked.status) == -signal.SIGINT, asked.text
        assert "Not" in asked.text
        assert "Aborted" not in asked.text
    assert not (rig.root / "new.toml").exists()


@pytest.mark.parametrize("health", ["rolled_back", "alert", "held"])
def test_a_wait_for_a_rollback_ends_whatever_is_more_urgent_to_read(health: Health) -> None:
    goal = parse_goal("rolled-back")
    assert goal.met(replace(samples.ROLLED, health=health))
    assert not goal.met(replace(samples.NORMAL, health=health))


@pytest.mark.parametrize("text", ["stage", "stage=", "stage=x", "stage<2", "", "gate"])
def test_what_cannot_be_waited_for_is_a_usage_error(text: str) -> None:
    with pytest.raises(ValueError, match="stage=N"):
        parse_goal(text)


# -- the manual, options and a place without a plan ------------------------------------------------------------------------


def test_the_manual_page_names_every_verb_and_formats_without_a_warning(rig: EngineRig, tmp_path: Path) -> None:
    from console.cli import VERBS

    page = rig.cli("man").stdout
    for verb in VERBS:
        assert f".SS rollout {verb}".replace("-", "\\-") in page
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8"], input=page, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "rollout triggers backtest" in re.sub("\b.", "", done.stdout)  # bold is a letter over itself


@pytest.mark.parametrize(
    "words",
    [
        ("--store", "S", "status"),
        ("status", "--store", "S"),
        ("triggers", "--store", "S", "list"),
        ("triggers", "list", "--store", "S"),
    ],
)
def test_global_options_work_on_either_side_of_the_verb(rig: EngineRig, tmp_path: Path, words: tuple[str, ...]) -> None:
    named = str(tmp_path / "named")
    done = rig.cli(*(named if word == "S" else word for word in words))
    assert done.returncode == 1
    assert f"There is no store in {named}." in done.stderr


def test_backtest_takes_another_plan_by_either_name(rig: EngineRig) -> None:
    for name in ("--with", "--plan"):
        assert "no such file" in rig.cli("triggers", "backtest", name, "absent.toml").stderr


def test_init_without_answers_writes_nothing_and_names_the_way(tmp_path: Path) -> None:
    file = tmp_path / "made.toml"
    given = ["init", "--service", "search", "--output", str(file)]
    done = CliRunner().invoke(rollout, given, input="staging\n")
    assert done.exit_code == 1
    assert "--yes" in done.output
    assert "Aborted" not in done.output
    assert not file.exists()


def test_init_takes_what_it_would_ask_as_options(rig: EngineRig, tmp_path: Path) -> None:
    from engine.plan.load import load_plan

    file = tmp_path / "made.toml"
    given = ("--service", "tagger", "--llm-url", "http://llm:1", "--model", "m:1b", "--environment", "staging")
    done = rig.cli("init", "--yes", *given, "--output", str(file), "--quiet")
    assert (done.returncode, done.stdout) == (0, "")
    plan = load_plan(file)
    assert (plan.service, plan.environment, plan.llm.model) == ("tagger", "staging", "m:1b")
    assert (
        "Nothing was written"
        in rig.cli("init", "--yes", "--llm-url", "nowhere", "--output", str(tmp_path / "x")).stderr
    )


def test_standard_streams_may_be_closed(rig: EngineRig) -> None:
    """As by a daemon that starts `rollout rollback`."""
    where = ["--store", str(rig.folder.path), "--plan", str(rig.plan_path)]
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *COMMAND, *where]
    before = rig.epoch
    assert subprocess.run([*closed, "rollback", "--reason", "closed"], check=False).returncode == 0
    assert rig.epoch > before
    assert subprocess.run([*closed, "note", "lesson"], check=False).returncode == 1, "no text"


# -- tables ----------------------------------------------------------------------------------------------------------------


def test_rows_are_read_back_as_they_were_and_no_cell_is_a_formula() -> None:
    rows = [{"id": "a\nb", "keywords": ["x", "y, z"], "text": ""}, {"id": "=1+1", "keywords": [], "text": '"quoted"'}]
    assert [json.loads(line) for line in as_lines(rows)] == rows
    assert json.loads("".join(as_json_list(rows))) == rows
    assert json.loads("".join(as_json_list([]))) == []
    table = list(csv.DictReader("".join(as_csv(rows)).splitlines(keepends=True)))
    assert table[0] == {"id": "a\nb", "keywords": "x; y, z", "text": ""}
    assert table[1]["id"] == "'=1+1"
    for hostile in ("=x", "+x", "-x", "@x", "\tx", "＝x", "＋x", "－x", "＠x"):
        assert next(csv.reader(["".join(as_csv([{"a": hostile}])).splitlines()[1]]))[0].startswith("'")


def test_a_row_is_written_before_the_next_one_is_made(tmp_path: Path) -> None:
    """An export of any number of documents fits into memory."""
    for form in (as_json_list, as_lines, as_csv):
        made = []
        rows = ({"id": made.append(n) or n} for n in range(1000))
        for place, _ in enumerate(form(rows)):
            assert len(made) <= place + 1

    def breaks() -> Iterator[str]:
        yield "x" * 100_000
        assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
        raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        write_chunks(tmp_path / "kept.csv", breaks())
    assert list(tmp_path.iterdir()) == []


def test_export_writes_tables(rig: EngineRig) -> None:
    rig.cli("load", "--resume", str(rig.root / "docs"))
    rows = json.loads(rig.cli("export", "--method", "frequency").stdout)
    lines = rig.cli("export", "--method", "frequency", "--format", "jsonl").stdout.splitlines()
    table = list(csv.DictReader(rig.cli("export", "--method", "frequency", "--format", "csv").stdout.splitlines()))
    assert [json.loads(line) for line in lines] == rows
    assert [row["id"] for row in table] == [row["id"] for row in rows]


def test_garbage_is_looked_for_while_a_verb_works_and_not_as_it_starts_and_ends() -> None:
    code = (
        "import atexit, gc\n"
        "from console import cli\n"
        "from console.verbs import shell\n"
        "load, show = cli.importlib.import_module, shell.say_text\n"
        "cli.importlib.import_module = lambda name: print(gc.isenabled()) or load(name)\n"
        "shell.say_text = lambda *_, **__: print(gc.isenabled())\n"
        "cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "completion", "bash"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\nTrue\n"
