"""Shared by all tests: one async backend, and no trace of the developer's own settings."""

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROLLOUT_PERCENTAGE", "AB_TEST", "METRICS"):
        monkeypatch.delenv(f"XZE_KEYWORD_EXTRACTION_{name}", raising=False)
