"""The promises, on a real engine process with a simulated LLM service: real signals, files, sockets and databases."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.client.client import EngineClient
from engine.rollout.state import Actor
from engine.server.spawning import spawn, wait_until_up
from engine.store import log
from engine.store.intents import Intent
from tests.engine.service.rig import QUIET, TEXT, EngineRig, kill_mid_write
from tests.machine import crowd, patience


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    with EngineRig(tmp_path_factory.mktemp("processes")) as made:
        yield made


@pytest.fixture
def rig(shared: EngineRig) -> EngineRig:
    """With an engine that runs, whatever the test before did to it."""
    shared.running()
    return shared


@pytest.fixture
def dead(shared: EngineRig) -> EngineRig:
    """With an engine that was killed."""
    shared.running().kill()
    assert shared.until(lambda: not shared.folder.is_locked())
    return shared


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    """For tests that need no documents."""
    with EngineRig(tmp_path_factory.mktemp("quiet"), QUIET) as made:
        yield made


def test_an_engine_that_is_slow_to_start_is_not_called_dead(tmp_path: Path) -> None:
    with EngineRig(tmp_path, speed=None) as rig:
        process = rig.engine(wait=False)
        process.send_signal(signal.SIGSTOP)
        sentence = wait_until_up(rig.folder, process, 0.3)
        assert sentence.startswith(f"The engine (process {process.pid}) runs but has not answered for 0.3 s")


def test_two_consoles_that_start_an_engine_at_once_leave_one_which_stop_ends(tmp_path: Path) -> None:
    """The second used to stay, unseen, as a standby, and to take over when someone stopped the first."""
    with EngineRig(tmp_path, speed=None) as rig:
        rig.folder.prepare()
        both = [spawn(rig.plan_path, rig.folder) for _ in range(2)]
        rig.processes += both
        for process in both:
            assert wait_until_up(rig.folder, process, 30.0 * crowd()) == ""
        assert rig.until(lambda: [process.poll() for process in both].count(0) == 1)
        done = rig.cli("stop")
        assert done.returncode == 0, done.stderr
        assert rig.until(lambda: all(process.poll() is not None for process in both))


def test_the_percentage_comes_into_force_and_documents_go_to_the_llm(rig: EngineRig) -> None:
    rig.climb(4)
    assert rig.folder.is_armed()
    assert rig.until(lambda: rig.view.effective_bp == rig.view.percent_bp == 5000)
    assert rig.until(lambda: rig.view.methods["llm"] > 0)


def test_the_plan_s_own_metrics_lines_work(rig: EngineRig) -> None:
    def measured() -> dict[str, Any]:
        with urllib.request.urlopen(f"{rig.view.engine.address}/metrics") as answer:
            return json.load(answer)["keyword_extraction"]  # type: ignore[no-any-return]

    rig.climb(4)
    assert rig.until(lambda: rig.view.error_rate.n > 3)
    results = measured()
    for _ in patience(30):
        if results["error_rate"] is not None:  # none for as long as a busy machine lets no document through
            break
        results = measured()
    assert 0 <= results["error_rate"] <= 1
    assert results["avg_extraction_time_ms"] > 0
    assert results["cache_hit_rate"] is None or 0 <= results["cache_hit_rate"] <= 1
    assert results["method_breakdown"]["llm"] > 0
    request = urllib.request.Request(
        f"{rig.view.engine.address}/metrics", headers={"Accept": "text/plain;version=0.0.4"}
    )
    with urllib.request.urlopen(request) as answer:
        assert b"keyword_extraction_error_rate" in answer.read()


def test_a_calendar_faster_than_triggers_can_follow_is_announced(quiet: EngineRig) -> None:
    quiet.running()
    try:
        assert quiet.client.command("speed", value=480).sentence == "Time runs 480 times faster."
        reply = quiet.client.command("speed", value=481)
        assert reply.sentence == "Time runs 481 times faster. Above 480, triggers count it more slowly."
    finally:
        quiet.client.command("speed", value=QUIET)


def test_tcp_has_no_control_routes_and_no_one_can_impersonate_a_user(rig: EngineRig) -> None:
    address = rig.view.engine.address
    for kind in ("promote", "rollback", "stop"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{address}/v1/control/{kind}", b"{}"))
        assert refused.value.code in (404, 405)
    by_name = {"kind": "complaint", "text": "from afar", "id": "afar-1"}
    who = {"X-Forwarded-For": "uid:0", "X-Rollout-Actor": json.dumps(["root", "", ""])}
    request = urllib.request.Request(
        f"{address}/v1/feedback", json.dumps(by_name).encode(), {**who, "Content-Type": "application/json"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 403


def test_a_promotion_with_a_stale_epoch_is_refused(rig: EngineRig) -> None:
    rig.climb(2)
    epoch = rig.reader.state().epoch
    reply = rig.client.command("promote", epoch=epoch - 1, override=True, reason="an old screen")
    assert not reply.ok
    assert "changed after you looked" in reply.sentence


def test_ratings_count_in_the_gate_as_they_come(quiet: EngineRig) -> None:
    rig = quiet
    rig.running()
    rig.climb(3)

    def rated() -> int:
        return next((c.n for c in rig.view.gate.conditions if "satisfaction" in c.text.lower()), 0)

    for batch in (1, 2):
        rows = [{"kind": "rating", "value": 5, "document": f"d{n}", "id": f"{batch}-{n}"} for n in range(60)]
        assert rig.client.command("feedback_import", rows=rows).ok
        assert rig.until(lambda least=60 * batch: rated() >= least), rated()  # type: ignore[misc]


def test_after_r_no_call_is_sent_though_eight_workers_are_busy(rig: EngineRig) -> None:
    rig.climb(5)
    going = threading.Event()
    going.set()

    def work(number: int) -> None:
        count = 0
        while going.is_set():
            count += 1
            rig.client.request(
                "POST", "/v1/extract", {"id": f"busy-{number}-{count}", "text": f"{TEXT} {number} {count}"}
            )

    workers = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    assert rig.until(lambda: rig.view.engine.in_flight >= 4)
    result = rig.client.rollback("drill with eight workers")
    assert result.ok, result.sentence
    assert rig.until(
        lambda: rig.client.command("proof", of=result.request_id).data["proof"]["effective_ms"] is not None
    )
    proof = rig.client.command("proof", of=result.request_id).data["proof"]
    time.sleep(0.3)
    later = rig.client.command("proof", of=result.request_id).data["proof"]
    going.clear()
    for worker in workers:
        worker.join()
    assert proof["cancelled"] > 0
    assert proof["effective_ms"] < 1000 * crowd()  # how long it takes is measured by bench_rollback, not here
    assert later["last_call"] == proof["last_call"]  # nothing was sent afterwards
    assert later["documents_since"] > 0
    assert later["llm_since"] == 0
    assert not rig.folder.is_armed()
    assert rig.until(lambda: rig.reader.state().percent_bp == 0)  # recorded, too


def test_a_manual_rollback_can_be_undone_and_re_arms(rig: EngineRig) -> None:
    rig.climb(3)  # at least: after a rollback the way up returns to the stage that it left
    before = rig.reader.state()
    assert before.percent_bp >= 2500
    rolled_back = rig.client.rollback("by mistake")
    assert rolled_back.ok
    rig.proof(rolled_back.request_id, recorded=True)
    assert rig.reader.state().percent_bp == 0
    reply = rig.client.command("undo_rollback", epoch=rig.reader.state().epoch)
    assert reply.ok, reply.sentence
    after = rig.reader.state()
    assert (after.stage, after.percent_bp) == (before.stage, before.percent_bp)
    assert rig.folder.is_armed()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file to another user")
def test_an_intent_is_by_the_owner_of_its_file_and_shows_nothing_that_acts(quiet: EngineRig) -> None:
    rig = quiet
    engine = rig.running()
    rig.climb(2)
    engine.send_signal(signal.SIGSTOP)
    actor: dict[str, object] = {"name": "mallory\x1b[2J", "uid": 0}
    left = rig.folder.leave_intent(Intent("planted", time.time(), actor, "because\nof this"))
    os.chown(left, 65534, -1)
    engine.send_signal(signal.SIGCONT)
    assert rig.until(lambda: rig.reader.state().percent_bp == 0 and not rig.folder.has_intents(), 20)
    query = "SELECT body FROM decision WHERE kind = 'rollback' ORDER BY rev DESC LIMIT 1"
    (body,) = rig.reader.read(lambda conn: conn.execute(query).fetchone())
    parsed = json.loads(body)
    assert parsed["actor"]["uid"] == 65534
    assert parsed["request_id"] == "planted"
    assert "\x1b" not in parsed["actor"]["name"] + parsed["reason"]
    assert "\n" not in parsed["reason"]


def test_removing_the_file_manually_is_a_rollback(rig: EngineRig) -> None:
    rig.climb(3)
    subprocess.run(["rm", str(rig.folder.armed)], check=True)
    assert rig.until(lambda: rig.reader.state().percent_bp == 0)
    assert "armed file was removed" in rig.reader.log(5, kind="rollback")[0].sentence


@pytest.mark.parametrize("reason", ["the engine is stuck", ""])
def test_a_rollback_while_the_engine_is_stopped_is_kept_and_applied_first(rig: EngineRig, reason: str) -> None:
    rig.climb(3)
    pid = rig.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        result = rig.client.rollback(reason)
        assert result.ok, result.sentence
        assert not rig.folder.is_armed()
        assert rig.folder.has_intents()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert rig.until(lambda: rig.reader.state().percent_bp == 0 and not rig.folder.has_intents())
    (row,) = rig.reader.log(1, kind="rollback")
    assert "(left while the engine did not answer)" in row.sentence
    assert row.sentence.endswith(reason)
    setback = rig.reader.state().setback
    assert setback is not None
    assert setback.explained is bool(reason)  # else the console asks for it


def test_restore_serves_frequency_keywords_at_once_and_can_be_undone(rig: EngineRig) -> None:
    rig.climb(4)
    assert rig.until(lambda: rig.client.command("restore", dry_run=True).data["documents"] > 5)
    assert rig.client.rollback("bad keywords").ok
    reply = rig.client.command("restore")
    assert reply.ok, reply.sentence
    assert reply.data["documents"] > 0
    assert rig.client.command("restore", dry_run=True).data["documents"] == 0
    assert rig.client.command("undo_restore").data["documents"] <= reply.data["documents"]


def test_a_trigger_rolls_back_automatically_and_locks_promotion(rig: EngineRig) -> None:
    rig.climb(4)
    assert rig.client.command("fault", name="error_rate", value=0.5).ok
    try:
        assert rig.until(lambda: rig.reader.state().percent_bp == 0, 60)
    finally:
        rig.client.command("fault", name="error_rate", value=0)
    state = rig.reader.state()
    assert state.locked
    refused = rig.client.command("promote", epoch=state.epoch, override=True, reason="against the lock")
    assert not refused.ok
    assert "locked" in refused.sentence
    assert rig.reader.evidence(state.last_rev)["trigger"]


def test_kill_9_mid_write_loses_no_acknowledged_extraction_and_no_decision(rig: EngineRig) -> None:
    """Twice here; fifty times by `python -m tests.bench.bench_kill`."""
    for _ in range(2):
        kill_mid_write(rig)
        rig.engine()
        assert rig.reader.read(log.verify).ok


def test_without_an_engine_the_rollback_is_committed_by_who_pressed(dead: EngineRig) -> None:
    actor = Actor("night", os.getuid())
    result = EngineClient(dead.folder, dead.plan, actor).rollback("no one is there")
    assert result.ok, result.sentence
    assert result.rev is not None
    assert "committed by this console" in result.ways
    assert dead.reader.log(1)[0].actor == "night"
    assert dead.reader.read(log.verify).ok


def test_the_command_line_states_that_the_engine_is_dead(dead: EngineRig) -> None:
    done = dead.cli("status")
    assert done.returncode == 1
    assert "not running" in done.stdout


def test_for_programs_nothing_is_well_or_in_force_without_an_engine(quiet: EngineRig) -> None:
    process = quiet.running()
    quiet.climb(2)  # or higher: another test's
    decided = quiet.percent_bp
    assert quiet.until(lambda: quiet.view.effective_bp == decided > 0)
    last = quiet.view
    process.kill()
    process.wait()
    shown = json.loads(quiet.cli("status", "--json").stdout)
    assert shown["engine_state"] == "dead"
    assert (shown["health"], shown["last_health"]) == ("alert", last.health)
    assert "not running" in shown["health_sentence"]
    assert (shown["recorded_bp"], shown["percent_bp"], shown["effective_bp"]) == (decided, decided, 0)
    quiet.running()
    shown = json.loads(quiet.cli("status", "--json").stdout)
    assert (shown["engine_state"], shown["last_health"]) == ("running", None)
    assert shown["health"] != "alert"


def test_a_rollback_to_a_stage_that_is_not_there_goes_to_zero_and_reports_it(quiet: EngineRig) -> None:
    rig = quiet
    rig.running()
    rig.climb(3)
    done = rig.cli("rollback", "--to", "9")
    assert rig.until(lambda: rig.percent_bp == 0)
    assert "there is no stage 9" in done.stdout
    assert "there is no stage 9" in rig.reader.log(5, kind="rollback")[0].sentence


@pytest.mark.parametrize(("to_stage", "why"), [("9", "there is no stage 9"), ("2", "stage 2 was requested")])
def test_a_rollback_to_a_stage_that_the_engine_does_not_answer_explains_why_it_is_zero(
    quiet: EngineRig, to_stage: str, why: str
) -> None:
    rig = quiet
    process = rig.running()
    rig.climb(3)
    os.kill(process.pid, signal.SIGSTOP)
    rolling = threading.Thread(target=lambda: done.append(rig.cli("rollback", "--to", to_stage)))
    done: list[subprocess.CompletedProcess[str]] = []
    rolling.start()
    assert rig.until(rig.folder.has_intents)
    os.kill(process.pid, signal.SIGCONT)
    rolling.join()
    assert rig.until(lambda: rig.percent_bp == 0)
    assert why in done[0].stdout


@pytest.mark.parametrize(("to_stage", "why"), [("9", "there is no stage 9"), ("2", "stage 2 was requested")])
def test_a_rollback_to_a_stage_without_an_engine_explains_why_it_is_zero(
    quiet: EngineRig, to_stage: str, why: str
) -> None:
    rig = quiet
    process = rig.running()
    rig.climb(3)
    process.kill()
    process.wait()
    done = rig.cli("rollback", "--to", to_stage)
    assert rig.percent_bp == 0
    assert why in done.stdout
    assert why in rig.reader.log(5, kind="rollback")[0].sentence
