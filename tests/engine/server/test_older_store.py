"""A store that version 0.1.0 wrote (tests/data: six documents, a complaint, two promotions, a proven rollback) opens in this one."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

from tests.engine.service.stage import Stage

STORE = Path(__file__).parents[2] / "data" / "store-0.1.0.db.gz"


def test_a_store_of_an_older_version_keeps_its_log_documents_and_figures(tmp_path: Path) -> None:
    with Stage(tmp_path, speed=None, settings={"llm.url": "http://127.0.0.1:9"}) as stage:
        stage.folder.prepare()
        stage.folder.database.write_bytes(gzip.decompress(STORE.read_bytes()))
        os.chmod(stage.folder.database, 0o600)
        stage.engine()
        assert (stage.view.stage, stage.percent_bp) == (1, 0)
        assert stage.kinds()[:6] == ["start", "promote", "promote", "complaint", "rollback", "proof"]
        verified = stage.cli("log", "--verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr
        shown = json.loads(stage.cli("documents", "show", "docs/d1.md", "--json").stdout)
        assert shown["title"] == "Worker pool 1"
        assert "docs/d3.md" in stage.cli("query", "circuit breaker").stdout
        analysed = stage.cli("metrics", "analyze", "--days", "7")
        assert analysed.returncode == 0, analysed.stdout + analysed.stderr
        assert stage.cli("load", "--method", "frequency", str(_a_document(tmp_path))).returncode == 0
        assert stage.client.rollback("the older store too").ok


def _a_document(root: Path) -> Path:
    path = root / "new.md"
    path.write_text("# New\n\nA bounded queue applies back-pressure to the producers of a connection pool.\n")
    return path
