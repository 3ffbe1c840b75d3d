"""Shared by all tests: one async backend, and no trace of the developer's own settings."""

import gc
import os
import signal
import sys
from pathlib import Path

import hypothesis
import pytest
from _pytest import unraisableexception

from tests import machine, stores, warm

TESTS = Path(__file__).parent

gc.disable()  # until the tests are collected: a seventh of that time, and next to nothing of what is made then goes

# the same examples everywhere and every time; a search for new ones is `--hypothesis-profile=search`
hypothesis.settings.register_profile("same", derandomize=True, deadline=None, database=None)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile("same")

# containers often set this; each of the many processes below would then compile the whole engine again
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None) is not None:
    sys.dont_write_bytecode = False

# a shell ignores SIGINT for what it starts with `&`, and every process below inherits that: tests that press Ctrl-C must not
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# nor a language of the developer's own, which decides how a process encodes what it prints
for name in [name for name in os.environ if name.startswith("LC_")]:
    del os.environ[name]
os.environ["LANG"] = "C.UTF-8"
os.umask(0o022)  # nor a umask, which decides what the modes are that a test gives
warm.install()
machine.be_patient()
stores.install()


# The slowest files, slowest first: one that began last would keep the other workers waiting.
LONGEST = (
    "engine/worker/test_jobs.py", "console/terminal/test_ending.py", "console/test_screen_rules.py",
    "console/test_load.py", "test_end_to_end.py", "engine/gameday/test_game_days.py", "console/test_ssh_group.py",
    "engine/server/test_raise_preconditions.py", "simulate/test_simulation.py", "engine/extraction/test_frequency.py",
    "engine/trial/test_whole_trial.py", "engine/server/test_openapi_fuzzed.py",
    "engine/report/test_clock_was_wrong.py", "engine/messages/test_automatic_messages.py",
    "engine/extraction/test_llm_faults.py", "engine/service/test_clocks.py", "engine/parsing/test_formats.py",
    "engine/routing/test_pipeline.py", "engine/extraction/test_frequency_odd_texts.py", "engine/service/test_lease.py",
    "engine/extraction/test_llm_accepted_answers.py", "console/setup/test_setup.py", "engine/service/test_secrets.py",
    "engine/service/test_rollback_always.py", "engine/extraction/test_llm_pool.py",
    "engine/metrics/test_prometheus.py", "engine/messages/test_delivery.py",
    "engine/extraction/test_llm_concurrency.py", "console/test_typing.py", "test_plan_walk.py",
    "engine/server/test_processes.py", "console/test_snapshots.py", "console/test_work.py",
    "console/test_which_store.py", "engine/service/test_people.py", "engine/server/test_page.py",
    "engine/server/test_replaced_store_files.py", "console/test_ssh.py", "engine/server/test_flood.py",
    "engine/gateway/test_gateway.py", "console/test_command_line.py", "engine/server/test_stepped_clock.py",
    "console/terminal/test_type_ahead.py", "console/test_verbs.py", "console/test_untrusted.py",
    "engine/rehearsal/test_llm_server.py", "engine/experiment/test_unknown_is_none.py", "console/test_plan_edits.py",
    "console/terminal/test_terminal.py", "engine/server/test_http_access.py", "engine/rehearsal/test_reopened.py",
    "deploy/test_nginx.py", "engine/server/test_untrusted_store_files.py", "engine/report/test_report.py",
    "engine/client/test_rollout_console.py", "console/test_review_and_ab.py", "engine/server/test_forged_log.py",
    "engine/rehearsal/test_corpus.py", "engine/quality/test_search.py", "engine/plan/test_init.py",
    "engine/trial/test_ledger.py", "engine/extraction/test_llm_answer.py", "console/test_completion.py",
    "engine/store/test_group_commit.py", "engine/service/test_no_traffic.py", "engine/triggers/test_timers.py",
    "console/test_inbox.py", "engine/service/test_pinning.py", "console/test_rollback_key.py", "test_warm.py",
    "engine/service/test_blind.py", "console/test_lumps.py", "engine/experiment/test_numbers_agree.py",
    "engine/store/test_hidden_holders.py", "console/test_palette.py", "engine/triggers/test_backtest.py",
)  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    # what a test left behind is collected once at the end: the other four times find nothing and take seconds, after which
    # pytest-xdist interrupts a worker
    key = getattr(unraisableexception, "gc_collect_iterations_key", None)  # not public
    if key is not None:
        config.stash[key] = 1


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if not hasattr(config, "workerinput") and config.getoption("numprocesses", None):
        gc.enable()  # the workers collect
        warm.fork_workers([str(arg) for arg in config.invocation_params.args])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {TESTS / name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    """Thousands of tests are there to stay: the collector need not walk through them each time, nor after each 700 objects."""
    gc.freeze()  # also the little of it that is garbage, which takes half a second to find
    gc.set_threshold(7000, 20, 20)
    gc.enable()


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROLLOUT_PERCENTAGE", "AB_TEST", "METRICS"):
        monkeypatch.delenv(f"XZE_KEYWORD_EXTRACTION_{name}", raising=False)
