"""Tests fill a store with the functions by which the product fills it: a row that only a test writes proves nothing."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
WRITES = re.compile(r"\b(?:INSERT(?: OR \w+)?|REPLACE) INTO (\w+)|\bINSERT INTO \{", re.IGNORECASE)
# What tests write on purpose: tampering, and stores as older versions left them.
ALLOWED = {
    "engine/store/test_log.py": {"decision"},  # tampering
    "engine/store/test_ownership.py": {"_sqlite_migrations"},  # a newer version's store
    "engine/server/test_older_store.py": {"_sqlite_migrations"},  # a newer version's
    "engine/service/test_start.py": {"document", "trigger_evidence", "trial_document"},  # dated in the future
    "engine/store/test_write_trouble.py": {"t"},  # a store of no product, to be refused by a real limit
    "engine/store/test_writer.py": {"note"},  # jobs of its own for the writer to carry out
    "engine/store/test_rollup.py": {"rollup"},  # as an older version wrote it
    "engine/gate/test_checklist.py": {"checked"},  # as an older version wrote it
    "engine/metrics/test_requests.py": {"extraction"},  # likewise
}


def test_no_test_writes_rows_that_the_product_should_write() -> None:
    wrong = []
    for path in sorted(TESTS.rglob("*.py")):
        name = str(path.relative_to(TESTS))
        if path == Path(__file__):
            continue
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            results = WRITES.search(text)
            if results and results[1] not in ALLOWED.get(name, set()):
                wrong.append(f"{name}:{line} writes into {results[1]}; call the product's own function")
    assert not wrong, "\n".join(wrong)
