"""Shared by all tests: one async backend, and no trace of the developer's own settings."""

import os
import signal
import sys

import hypothesis
import pytest

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
