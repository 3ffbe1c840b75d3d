"""The verbs about people on a real store: a plan from init, commands, messages, monitoring, notes and the report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.plan.init import set_value
from engine.plan.load import default_plan_text
from tests.engine.service.rig import QUIET, EngineRig

COMMAND = [sys.executable, "-c", "from console.cli import main; main()"]
ANSWERS = [
    "shop-search",
    "staging",
    "http://10.0.0.5:11434",
    "",
    "",
    "18099",
    "Ada",
    "+44 20 1",
    "ada@example.org",
    *[""] * 6,
]


class Shell:
    def __init__(self, folder: Path, *options: str) -> None:
        self.folder, self.options = folder, options

    def __call__(self, *words: str, code: int = 0, typed: str = "") -> str:
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(
            [*COMMAND, *self.options, *words],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=environ,
            timeout=120,
            input=typed,
        )
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A rehearsal's engine in stage 2, on a plan whose first command is a harmless one."""
    root = tmp_path_factory.mktemp("people")
    with EngineRig(
        root, QUIET, {"stages[2].validation[0].run": "echo restarted; exit 0", "triggers[6].above": 7}
    ) as rig:
        rig.engine()
        rig.climb(2)
        assert rig.until(lambda: rig.view.stage == 2)
        yield Shell(root, "--plan", str(rig.plan_path), "--store", str(rig.folder.path))


def test_init_writes_what_check_accepts_asking_or_not(tmp_path: Path) -> None:
    here = Shell(tmp_path)
    here("init", typed="\n".join(ANSWERS) + "\n")
    text = (tmp_path / "rollout.toml").read_text()
    assert 'service = "shop-search"' in text
    assert 'name = "Ada"' in text
    assert "http://localhost:18099/metrics" in text
    assert "no mistake" in here("check", "--offline")
    assert "DevOps Engineer, Product Owner" in here("check", "--offline")
    assert "already exists" in here("init", "--yes", code=1)
    here("init", "--yes", "--force")
    assert (tmp_path / "rollout.toml").read_text() == default_plan_text()
    assert (tmp_path / "rollout.toml.bak").read_text() == text


def test_init_writes_nothing_when_an_answer_does_not_fit(tmp_path: Path) -> None:
    output = Shell(tmp_path)("init", typed="\n".join(["a", "b", "not a url", *[""] * 20]) + "\n", code=1)
    assert "llm.url" in output
    assert not list(tmp_path.iterdir())


def test_a_machine_s_edit_keeps_what_a_person_wrote() -> None:
    mine = (
        default_plan_text().replace('bake = "2d"', 'bake  =  "2d"   # ours, since the outage', 1)
        + "\n# the end, manually\n"
    )
    edited = set_value(mine, "stages[3].bake", "4d")
    assert [a for a, b in zip(mine.splitlines(), edited.splitlines(), strict=True) if a != b] == ['bake = "3d"']


def test_run_lists_the_stage_s_commands_and_keeps_the_output_of_one(shell: Shell) -> None:
    listed = json.loads(shell("run", "--json"))
    assert [one["text"] for one in listed][:2] == ["Restart service", "Error rate (target: < 1%)"]
    assert "Not run" in shell("run", "1", typed="n\n", code=1)
    assert "Not run" in shell("run", "1", code=1)  # no one answers
    assert "restarted" in shell("run", "1", "--yes")
    assert "ran “Restart service”: succeeded" in shell("log", "--kind", "run")
    assert "There is no command 99" in shell("run", "99", code=1)


def test_run_reads_this_engine_s_metrics_whatever_its_port(shell: Shell) -> None:
    output = shell("run", "2", "--yes", "--json")
    done = json.loads(output[: output.rindex("}") + 1])
    assert (done["exit"], done["kept"]) == (0, True)
    assert "curl -s http://127.0.0.1:" in output
    assert "localhost:8080" not in output


def test_due_lists_monitoring_and_ticks_it_off(shell: Shell) -> None:
    assert "first_day" in shell("due")
    assert "did: Error rate, processing time" in shell("due", "first_day")
    assert "first_day, then_daily" in shell("due", "nonsense", code=1)


def test_a_complaint_explains_what_this_plan_does_about_complaints(shell: Shell) -> None:
    output = shell("feedback", "complaint", "cannot find it")
    assert output.startswith("Complaints in this stage: ")
    assert "no known document" in output
    assert output.endswith(". Above 7 they pause the rollout, above 10 they roll it back.\n")


def test_messages_are_previewed_with_real_numbers_and_their_delivery_is_reported(shell: Shell) -> None:
    assert "stage 2 Canary Rollout, 10 %" in shell("notify", "preview", "daily_summary")
    shell("notify", "send", "users_canary")
    assert "kept     users_canary" in shell("notify", "queue")
    assert "nowhere to send" in shell("notify", "test", code=1)
    early = shell("notify", "preview", "users_full")
    assert early.endswith("It is meant for stage 5; the rollout is in stage 2.\n")
    assert "We've launched" in early
    assert "nothing decided yet" in shell("notify", "preview", "rollback")  # a promotion is none
    # of three documents it may be met or not: either way the condition is named
    assert re.search(r"(met|open): Average processing time < 2000ms", shell("notify", "preview", "weekly_meeting"))
    assert "no such message" in shell("notify", "send", "nonsense", code=1)


def test_notes_appear_in_both_forms_of_the_report(shell: Shell) -> None:
    assert shell("note", "lesson", "Approve <b>early</b>.").endswith("early</b>.\n")
    assert json.loads(shell("log", "--kind", "note", "--json"))[-1]["at"].endswith("Z")
    shell("note", "action", typed="two\nlines\n")
    assert "Approve \\<b\\>early\\</b\\>" in shell("report")
    assert "Still empty: What Went Well, What Could Be Improved" in shell("report", "--output", "r.html")
    page = (shell.folder / "r.html").read_text(encoding="utf-8")
    assert "Approve &lt;b&gt;early&lt;/b&gt;" in page
    assert "Wrote no/such/r.md" in shell("report", "--output", "no/such/r.md")
