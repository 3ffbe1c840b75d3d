"""Answers to a mistyped stage, a plan that is gone or unreadable, an optional condition; times in JSON. No process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import click
import pytest
from msgspec.structs import replace

from console.context import CliContext
from console.output import Failed
from console.screens.drill import servers
from console.verbs.control import StageNumber
from console.verbs.gate import gate_lines
from console.verbs.rollback import _neighbour, _settled
from console.verbs.status import _is_behind, lines
from console.verbs.triggers import _listed
from console.widgets import gauges as gauge_row
from console.widgets.canvas import Canvas
from engine.client.client import EngineClient, Reply
from engine.measures.backlog import Backlog
from engine.measures.bucket import Bucket
from engine.plan.load import PlanError, plan_text
from engine.plan.pins import Change
from engine.rollout.state import State
from engine.store.folder import Folder
from engine.triggers.evidence import Evidence, Probes
from engine.triggers.rules import find
from engine.triggers.wording import _figures
from engine.view.gauge import gauges, since_change
from engine.view.iso_times import with_iso_times
from engine.view.model import ConditionView, ServerView, TriggerView
from engine.view.servers import backlog_words, server_sentence
from tests.console import samples
from tests.console.samples import NORMAL
from tests.engine.triggers.attempt_timeline import PLAN, seen


@pytest.mark.parametrize("typed", ["Canary", "-1", "1o", "2.5", ""])
def test_a_mistyped_stage_states_that_nothing_was_rolled_back(typed: str) -> None:
    with pytest.raises(click.BadParameter) as error:
        StageNumber("Nothing was rolled back.").convert(typed, None, None)
    assert error.value.message == f"{typed!r} is not a stage's number (0, 1, 2, ...). Nothing was rolled back."


def test_a_stages_number_is_a_whole_number() -> None:
    assert StageNumber("").convert("3", None, None) == 3


def test_a_store_whose_plan_is_gone_is_found_from_its_folder_and_below(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ROLLOUT_PLAN", "ROLLOUT_STORE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("engine.plan.locate.SYSTEM", tmp_path / "none")
    below = tmp_path / "docs" / "a"
    below.mkdir(parents=True)
    store = tmp_path / ".rollout"
    store.mkdir()
    monkeypatch.chdir(below)
    with pytest.raises(Failed, match=r"No rollout\.toml in this folder"):  # an empty folder is not a store
        _ = CliContext().plan_path
    assert CliContext().lacks_plan
    (store / "store.db").write_bytes(b"")
    assert not CliContext().lacks_plan
    stores = CliContext().candidate_stores
    assert stores.first == store
    assert stores.doubt.startswith(f"{tmp_path / 'rollout.toml'} cannot be read ({os.strerror(2)})")


def test_a_plan_in_latin_1_is_answered_with_its_line(tmp_path: Path) -> None:
    plan = tmp_path / "rollout.toml"
    plan.write_bytes(b'name = "x"\n# caf\xe9\n[broken')
    with pytest.raises(PlanError, match=r"rollout\.toml:2: byte 0xe9 is not UTF-8; save the file as UTF-8"):
        plan_text(plan)
    plan.write_bytes(b"[broken")
    assert plan_text(plan) == "[broken"


def _condition(met: bool | None, missing: str) -> ConditionView:
    return ConditionView("c", "User satisfaction > 80%", met, None, 0, None, "", "nothing measured yet", missing, None)


@pytest.mark.parametrize(
    ("met", "missing", "line"),
    [
        (None, "", "  [-] User satisfaction > 80%: nothing measured yet; does not shut the gate"),
        (None, "User satisfaction > 80%: no", "  [ ] User satisfaction > 80%: no"),
        (False, "User satisfaction > 80%: no", "  [ ] User satisfaction > 80%: no"),
        (True, "", "  [x] User satisfaction > 80%: nothing measured yet"),
    ],
)
def test_each_condition_of_a_gate_is_named(met: bool | None, missing: str, line: str) -> None:
    gate = replace(samples.GATE, conditions=(_condition(met, missing),), items=(), others=())
    assert line in gate_lines(gate)


def test_events_have_iso_times() -> None:
    assert with_iso_times({"events": ((1.8e9, "a breaker opened"),)}) == {
        "events": [["2027-01-15T08:00:00.000Z", "a breaker opened"]]
    }


@pytest.mark.parametrize(
    ("state", "sentence", "line"),
    [
        ("failed", "The command ended with 3.", "The neighbouring service may still use the LLM. The command ended with 3."),
        ("waiting", "`x`: being applied", "The neighbouring service may still use the LLM: `x`: being applied. `rollout status` shows how it ends."),
        ("done", "`x`: done", "Neighbouring service: `x`: done."),
    ],
)  # fmt: skip
def test_a_rollback_never_claims_more_of_the_neighbouring_service(state: str, sentence: str, line: str) -> None:
    assert _neighbour(state, sentence) == line


def test_a_rollback_waits_for_the_neighbouring_service() -> None:
    class Client:
        def __init__(self) -> None:
            self.states = iter(("waiting", "failed"))

        def command(self, kind: str, **_: object) -> Reply:
            return Reply(True, "", {"proof": {"applied": next(self.states)}})

    assert _settled(cast(EngineClient, Client()), "id", {"applied": "waiting"}) == {"applied": "failed"}


def test_a_failing_server_is_named_with_the_reason() -> None:
    server = ServerView("ollama-1", "http://a", True, "failing (4 in a row)", 0, 2, None, 4, "no such model")
    assert server_sentence(server) == "ollama-1 failing (4 in a row), no such model, 0 of 2 calls in flight."


@pytest.mark.parametrize(
    ("backlog", "words", "state"),
    [
        (Backlog(0, 0, 1000), "", None),
        (Backlog(99, 4, 1000), "queued for the LLM: 99 of 1,000 interactive, 4 of 1,000 bulk", None),
        (Backlog(100, 0, 1000), "queued for the LLM: 100 of 1,000 interactive", ""),
        (Backlog(3, 1000, 1000), "queued for the LLM: 3 of 1,000 interactive, 1,000 of 1,000 bulk", "full"),
    ],
)
def test_the_queue_in_front_of_the_llm_is_reported_from_a_tenth_of_its_limit_on(
    backlog: Backlog, words: str, state: str | None
) -> None:
    assert backlog_words(backlog) == words
    view = replace(NORMAL, engine=replace(NORMAL.engine, backlog=backlog))
    queue = [line for line in lines(view, "running") if line.topic == "queue"]
    assert [line.state for line in queue] == ([] if state is None else [state])
    assert [line.sentence.lower() for line in queue] == ([] if state is None else [f"{words}.".lower()])
    assert servers.note([], words) == ", ".join(filter(None, ("0", words)))


def test_a_changed_list_reads_as_in_the_plan() -> None:
    assert Change("llm.urls", None, ["http://a", "http://b"]).sentence == "llm.urls added: [http://a, http://b]"


def test_figures_that_begin_with_the_last_change_are_labelled() -> None:
    state = State(changed_at=1000.0)
    assert since_change(state, 1060.0) == "since the last change"
    assert since_change(state, 1300.0) == ""
    recent, later = (gauges(Bucket(), {}, 300.0, since_change(state, now)) for now in (1060.0, 1400.0))
    assert recent[0].sentence == "error rate: no LLM documents since the last change"
    assert later[0].sentence == "error rate: no LLM documents in the last 5m"


def test_answers_whose_time_was_discarded_are_not_called_missing() -> None:
    """A late engine counts the document and not its latency: there were answers, none of which counts."""
    error, latency, cache = gauges(Bucket(attempts=6, lookups=6), {}, 300.0)
    assert latency.sentence == "latency: no fresh LLM call counted in the last 5m"
    c = Canvas(80, 24)
    gauge_row.gauges(c, 0, replace(NORMAL, error_rate=error, latency=latency, cache=cache))
    assert "no answer counted" in c.text()
    assert "no LLM answers" not in c.text()


def test_the_trigger_that_fired_is_marked_among_the_locked() -> None:
    one = TriggerView(
        "a", "t", "to_zero", "critical", "locked", None, None, 0, None, 0.0, 0.0, "", "locked: b fired", "", None
    )
    assert _listed(one, another_fired=True) == ["- a                -> to_zero         locked, see the one marked *"]
    assert _listed(replace(one, fired=True), another_fired=True)[0].startswith("* a  ")
    assert _listed(one)[0].endswith("locked: b fired")


def test_a_trigger_with_nothing_to_lower_never_fires_now() -> None:
    one = TriggerView("a", "t", "to_zero", "critical", "breach", None, None, 0, None, 60.0, 60.0, "", "seen", "", 0.0)
    assert _listed(one)[1].strip().startswith("fires now")
    assert _listed(one, nothing_to_lower=True)[1].strip().startswith("at 0 % already, nothing to lower")


@pytest.mark.parametrize(
    ("calls", "probes", "sentence"),
    [
        (7, 0, "LLM service not yet judged unavailable (7 failed calls in a row over 5s)"),
        (0, 2, "LLM service not yet judged unavailable (2 failed probes in a row)"),
        (0, 0, "LLM service answers (calls succeed)"),
    ],
)
def test_a_service_whose_calls_fail_is_not_reported_to_answer(calls: int, probes: int, sentence: str) -> None:
    rule = next(t for t in PLAN.triggers if t.metric == "llm_available")
    evidence = Evidence(
        attempts=seen(n=9, failures_in_row=calls, failures_span_s=5.0), probes=Probes(n=1, failed_in_row=probes)
    )
    assert _figures(rule, find(rule, PLAN.trigger_settings, evidence), "") == sentence


def test_a_status_right_after_a_promotion_waits_for_the_view_with_it() -> None:
    view = samples.NORMAL
    assert _is_behind(view, State(epoch=view.epoch + 1))
    assert not _is_behind(view, State(epoch=view.epoch))
    assert not _is_behind(None, State(epoch=9))


def test_without_a_store_a_rollback_says_only_that(tmp_path: Path) -> None:
    """What it tried on files that are not there would only frighten."""
    result = EngineClient(Folder(tmp_path / "none"), lambda: None).rollback(
        "search is broken", done=("armed file was not there",)
    )
    assert not result.ok
    assert "There is no store" in result.sentence
    assert result.ways == ()
