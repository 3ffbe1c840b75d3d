"""The plan, walked from its first checkbox to "Celebrate success with team": every command line that it has, against a live engine.

`tests/data/rollout-plan.md` is a copy of the plan; where the original lies beside this checkout the two must be the same.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from console.plan_commands import command_environment
from engine.client.client import EngineClient
from engine.server.rehearse import Rehearsal
from engine.store.reader import Reader
from engine.view.model import View
from tests.machine import patience

COPY = Path(__file__).parent / "data" / "rollout-plan.md"
ORIGINAL = Path(__file__).parents[2] / "shared" / "rollout-plan.md"

# what is not this product's to run, and why
LEFT_OUT = {
    "make deploy-staging": "deploys the service that is rolled out",
    "cargo test --all-features": "tests the service that is rolled out",
    "sudo systemctl restart xze-server": "restarts the service that is rolled out; [apply] command does it on each change",
}
NEEDED = [tool for tool in ("curl", "jq") if shutil.which(tool) is None]

pytestmark = pytest.mark.skipif(bool(NEEDED), reason=f"the plan's lines need {', '.join(NEEDED)}: apt-get install them")


@dataclass(frozen=True)
class Line:
    """A command line (or the script) of the plan."""

    stage: int
    text: str
    python: bool = False

    @property
    def name(self) -> str:
        return f"{self.stage} {' '.join(self.text.split())[:60]}"


def lines_of(plan: str) -> list[Line]:
    """Each command of each fenced block below a stage's heading; a line that ends in a backslash continues."""
    matches: list[Line] = []
    for number, section in re.findall(r"^### Stage (\d):.*?\n(.*?)(?=^### Stage|^## )", plan, re.S | re.M):
        for kind, block in re.findall(r"^```(bash|python)\n(.*?)^```", section, re.S | re.M):
            if kind == "python":
                matches.append(Line(int(number), block, True))
                continue
            whole = block.replace("\\\n", " ")
            matches += [
                Line(int(number), text.strip()) for text in whole.splitlines() if text.strip() and text[0] != "#"
            ]
    return matches


LINES = lines_of(COPY.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


class Walk:
    """A rehearsal, a folder to work in, and what came of each line."""

    def __init__(self, rehearsal: Rehearsal, here: Path) -> None:
        self.rehearsal, self.here = rehearsal, here
        self.client = EngineClient(rehearsal.folder, rehearsal.plan)
        self.reader = Reader(rehearsal.folder)
        self.results: dict[Line, Result] = {}
        self.exported: dict[int, Result] = {}  # by stage
        self.gates: list[str] = []
        self.environ = command_environment(rehearsal.plan, rehearsal.folder.path)
        for name in ("test_documents", "internal_docs"):
            (here / name).mkdir()
            for number in range(3):
                text = (
                    f"# Queue {number}\n\nThe worker pool retries failed tasks with exponential backoff and jitter.\n"
                    * 4
                )
                (here / name / f"sample_{number}.md").write_text(text)

    @property
    def view(self) -> View:
        matches = self.reader.engine_record().view
        assert matches is not None
        return matches

    def until(self, holds: Callable[[], bool], seconds: float = 60.0) -> None:
        for _ in patience(seconds):
            if holds():
                return
            time.sleep(0.05)
        raise AssertionError("it did not come to that in time")

    def shell(self, text: str) -> Result:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            capture_output=True,
            text=True,
            cwd=self.here,
            env=self.environ,
            timeout=120,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def run(self, line: Line) -> None:
        if line.python:
            self.results[line] = self.shell(f"{sys.executable} - <<'PLAN'\n{line.text}\nPLAN")
            return
        text = re.sub(r"^xze ", "rollout ", line.text)
        if text.startswith("export "):  # one verb prints all that a stage exports
            if line.stage not in self.exported:
                self.exported[line.stage] = self.shell("rollout env")
            self.results[line] = self.exported[line.stage]
            return
        text = re.sub(r"http://[a-z.]+:8080/", f"{self.view.engine.address}/", text)
        self.results[line] = self.shell(text)

    def stage(self, number: int) -> None:
        """Everything that the plan has for a stage; then its checklist and the step up."""
        if number >= 2:
            self.until(lambda: self.view.methods.get("llm", 0) >= 5)
        for line in LINES:
            if line.stage == number and line.text not in LEFT_OUT:
                self.run(line)
        self.sign()
        self.up()

    def sign(self) -> None:
        for item in self.view.gate.items:
            reply = self.client.command("sign", timeout_s=60, item=item.id, note="walked through with the team")
            assert reply.ok, reply.sentence
        stage, count = self.view.stage, len(self.view.gate.items)
        self.until(lambda: self.view.stage != stage or sum(i.state == "done" for i in self.view.gate.items) == count)

    def up(self) -> None:
        was = self.reader.state()
        reply = self.client.command(
            "promote", timeout_s=60, epoch=was.epoch, override_reason="a walk does not wait for days", seen="the walk"
        )
        assert reply.ok, reply.sentence
        self.gates.append(reply.sentence)
        self.until(lambda: self.view.stage == was.stage + 1)


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    here = tmp_path_factory.mktemp("walk")
    # as many documents a second: enough for each stage, and no more work than that
    with Rehearsal(speed=10) as rehearsal:
        assert rehearsal.start() == ""
        made = Walk(rehearsal, here)
        made.until(lambda: made.reader.engine_record().view is not None)
        for stage in range(6):
            made.stage(stage)
        made.shell("rollout note well 'It took effect before the pager rang.'")
        made.shell("rollout note lesson 'Approve in the morning.'")
        made.sign()
        yield made
        made.reader.close()


def test_the_copy_is_the_plan() -> None:
    if not ORIGINAL.exists():
        pytest.skip(f"the original is not beside this checkout ({ORIGINAL})")
    assert COPY.read_text() == ORIGINAL.read_text()


def test_the_lines_are_all_found() -> None:
    plan = COPY.read_text()
    assert sum(line.text.startswith("xze ") for line in LINES) == len(re.findall(r"^xze ", plan, re.M)) == 11
    assert sum(line.text.startswith("curl ") for line in LINES) == len(re.findall(r"^curl ", plan, re.M)) == 7
    assert sum(line.text.startswith("export ") for line in LINES) == len(re.findall(r"^export ", plan, re.M)) == 15
    assert sum(line.python for line in LINES) == 1
    assert {text for text in LEFT_OUT} == {
        line.text for line in LINES if line.text.startswith(("make", "cargo", "sudo"))
    }


@pytest.mark.parametrize(
    "line", [line for line in LINES if not line.python and line.text not in LEFT_OUT], ids=lambda line: line.name
)
def test_each_command_line_of_the_plan_works(walk: Walk, line: Line) -> None:
    result = walk.results[line]
    assert result.code == 0, result.out + result.err
    assert "Traceback" not in result.err
    if line.text.startswith("export "):
        assert line.text in result.out.splitlines()
    elif "jq '.[]" in line.text:
        assert all(entry["file"] and entry["keywords"] for entry in stream(result.out))
    elif "| jq '.keyword_extraction." in line.text and ">>" not in line.text:
        assert isinstance(json.loads(result.out), int | float | dict | None)


def stream(text: str) -> list[dict[str, object]]:
    """The values that jq printed one after the other."""
    decoder, matches = json.JSONDecoder(), []
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        matches.append(value)
        text = text[end:]
    assert matches
    return matches


def test_the_files_that_the_plan_names_have_the_keys_it_reads(walk: Walk) -> None:
    def read(name: str) -> dict[str, object]:
        return json.loads((walk.here / name).read_text())  # type: ignore[no-any-return]

    results = read("ab_test_results.json")
    for arm in ("control", "treatment"):
        assert isinstance(results[arm], dict)
        assert isinstance(results[arm]["search_quality_scores"], list)  # filled once an hour, so maybe empty yet
    assert read("ab_test_assignments.json")
    assert read("comparison_report.json")["overall"]
    assert read("performance_report.json")
    assert "error_rate" in (walk.here / "metrics_log.txt").read_text()


def test_the_plan_s_script_reads_the_results(walk: Walk) -> None:
    """To the letter; where p < 0.05 it then calls .mean() on a list, which no JSON could answer."""
    (result,) = (walk.results[line] for line in LINES if line.python)
    assert result.out.startswith("T-statistic: ")
    assert result.code == 0 or "'list' object has no attribute 'mean'" in result.err


def test_each_stage_was_passed_by_a_person_with_what_was_missing_written_down(walk: Walk) -> None:
    assert len(walk.gates) == 6
    assert all("overriding" in sentence for sentence in walk.gates)
    assert "declared stable" in walk.gates[-1]


def test_the_triggers_stay_armed_once_stable(walk: Walk) -> None:
    assert walk.view.stable
    assert walk.view.armed
    assert walk.view.effective_bp == 10_000
    assert {t.id for t in walk.view.triggers} >= {"error_critical", "llm_unavailable"}
    assert not [t for t in walk.view.triggers if t.verdict == "disabled"]


def test_the_last_item_is_done_and_the_report_has_everything(walk: Walk) -> None:
    assert [(item.text, item.state) for item in walk.view.gate.items][-1] == ("Celebrate success with team", "done")
    done = walk.shell("rollout report --output report.html && rollout report")
    assert done.code == 0, done.err
    assert "Declared stable" in done.out
    assert "Approve in the morning." in done.out
    assert "[x] Celebrate success with team" in done.out
    assert done.out.count("OVERRIDE") >= 6
    assert "Declared stable" in (walk.here / "report.html").read_text(encoding="utf-8")
