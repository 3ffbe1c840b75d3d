"""A real Prometheus scrapes a real engine from another address: the dashboard's queries, the alert rules and exemplars."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.metrics.alerts import alert_rules
from engine.metrics.dashboard import dashboard
from tests.engine.service.rig import QUIET, TEXT, EngineRig
from tests.machine import crowd, free_port, patience

pytestmark = pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
CONFIG = """\
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: rollout
    static_configs: [{{targets: ['{target}']}}]
"""


def own_address() -> str:
    """This machine as others see it; loopback if it has no other address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(("192.0.2.1", 9))
        return str(sock.getsockname()[0])
    return "127.0.0.1"


class Prometheus:
    def __init__(self, folder: Path, target: str, rules: str) -> None:
        (folder / "rules.yml").write_text(rules)
        (folder / "prometheus.yml").write_text(CONFIG.format(target=target))
        self.url = f"http://127.0.0.1:{free_port()}"
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    "--config.file=prometheus.yml",
                    "--storage.tsdb.path=data",
                    f"--web.listen-address={self.url.removeprefix('http://')}",
                    "--enable-feature=exemplar-storage",
                ],
                cwd=folder,
                stdout=log,
                stderr=log,
            )

    def get(self, path: str, **fields: str) -> Any:
        with urllib.request.urlopen(
            f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(fields)}", timeout=5 * crowd()
        ) as answer:
            return json.loads(answer.read())["data"]

    def query(self, expr: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.get("query", query=expr)["result"]
        return result

    def until(self, expr: str, seconds: float = 30.0) -> list[dict[str, Any]]:
        for _ in patience(seconds):
            with contextlib.suppress(OSError):
                if results := self.query(expr):
                    return results
            time.sleep(0.2)
        raise AssertionError(f"{expr} has no result")


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineRig]:
    settings = {"http.host": "0.0.0.0", "http.metrics": "open"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROLLOUT_TOKEN", "a-token-of-the-test")
        with EngineRig(tmp_path_factory.mktemp("prometheus"), QUIET, settings) as made:
            made.engine()
            made.climb(4)
            yield made


@pytest.fixture(scope="module")
def target(rig: EngineRig) -> str:
    return f"{own_address()}:{urllib.parse.urlsplit(rig.view.engine.address).port}"


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, rig: EngineRig, target: str) -> Iterator[Prometheus]:
    rules = alert_rules(rig.plan.triggers, rig.plan.trigger_settings)
    made = Prometheus(tmp_path_factory.mktemp("server"), target, rules)
    try:
        made.until("up == 1")
        yield made
    finally:
        made.process.terminate()
        made.process.wait(20)


def test_the_scraper_reads_metrics_without_a_token_and_nothing_else(
    rig: EngineRig, target: str, prometheus: Prometheus
) -> None:
    assert prometheus.until("rollout_info")[0]["metric"]["service"] == rig.plan.service
    for path in ("/v1/status", "/v1/decisions", "/openapi.json"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://{target}{path}", timeout=5 * crowd())
        assert refused.value.code == 401


def test_every_query_of_the_dashboard_runs_and_has_figures(rig: EngineRig, prometheus: Prometheus) -> None:
    for number in range(60):
        rig.extract(f"prometheus/{number}", f"{TEXT} {number % 20}")
    prometheus.until('rollout_extraction_seconds_count{arm="treatment"} >= 5')
    made = dashboard(rig.plan, "http://x")
    empty = []
    for panel in made["panels"]:
        for asked in panel.get("targets", []):
            expr = re.sub(r"\$(?:service|environment|instance)", ".*", asked["expr"]).replace("$__rate_interval", "10s")
            if "fires_in" in expr:  # a trigger on its way to act is what a healthy rollout does not have
                prometheus.query(expr)
                continue
            try:
                prometheus.until(expr, 10)
            except AssertionError:
                empty.append(asked["expr"])
    assert empty == []
    changes = made["annotations"]["list"][1]["expr"].replace("$instance", ".*")
    prometheus.query(changes)


def test_prometheus_keeps_the_exemplars_of_requests(rig: EngineRig, target: str, prometheus: Prometheus) -> None:
    name = uuid.uuid4().hex
    request = urllib.request.Request(
        f"http://{target}/v1/extract",
        json.dumps({"id": "secret/salaries.md", "text": TEXT}).encode(),
        {"Authorization": "Bearer a-token-of-the-test", "Content-Type": "application/json", "X-Request-Id": name},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["x-request-id"] == name
    for _ in patience(20.0):
        results = prometheus.get(
            "query_exemplars",
            query="rollout_extraction_seconds_bucket",
            start=str(time.time() - 600),
            end=str(time.time() + 60),
        )
        if any(one["labels"].get("request_id") == name for series in results for one in series["exemplars"]):
            break
        time.sleep(0.3)
    else:
        raise AssertionError(results)
    assert "salaries" not in json.dumps(results)


def test_the_alert_rules_are_loaded_and_healthy(prometheus: Prometheus) -> None:
    prometheus.until('{__name__="ALERTS"} or vector(1)')
    (group,) = prometheus.get("rules")["groups"]
    assert len(group["rules"]) == 13
    assert {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}


def test_the_decisions_of_the_annotations_are_served(rig: EngineRig, target: str) -> None:
    url = f"http://{target}/v1/decisions?from={int((time.time() - 86_400) * 1000)}&to={int((time.time() + 9e7) * 1000)}&kind=promote"
    request = urllib.request.Request(url, headers={"Authorization": "Bearer a-token-of-the-test"})
    with urllib.request.urlopen(request, timeout=5 * crowd()) as answer:
        decisions = json.loads(answer.read())["decisions"]
    assert [one["stage"] for one in decisions] == [4, 3, 2, 1]
    assert all(one["at"].endswith("Z") and one["sentence"] for one in decisions)
