"""OpenTelemetry: a real engine sends a document's spans and its figures to a collector over HTTP."""

from __future__ import annotations

import contextlib
import gzip
import http.server
import json
import socket
import threading
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine import tracing
from engine.plan.settings import Otel
from engine.server import otlp
from tests.engine.rehearsal.process import Process
from tests.engine.service.rig import TEXT, EngineRig
from tests.machine import crowd, patience

pytest.importorskip("opentelemetry.sdk", reason="the extra rollout-console[otel] is not installed")
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra rollout-console[otel] is not installed")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

SECRET = "salaries-of-the-board.md"
BOTH = "OTEL_EXPORTER_OTLP_ENDPOINT"
PARENT = "4bf92f3577b34da6a3ce929d0e0e4736"


class Collector(http.server.ThreadingHTTPServer):
    """Takes what an OTLP exporter posts, and checks that it parses."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: dict[str, Any] = {}
        self.resources: list[dict[str, str]] = []
        self.raw = b""
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
                collector.take(self.path, body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def take(self, path: str, body: bytes) -> None:
        self.raw += body
        if path == "/v1/traces":
            for of in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append({one.key: one.value.string_value for one in of.resource.attributes})
                self.spans += [span for scope in of.scope_spans for span in scope.spans]
        else:
            assert path == "/v1/metrics"
            for of in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics = {metric.name: metric for scope in of.scope_metrics for metric in scope.metrics}

    def until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        for _ in patience(seconds):
            if holds():
                return
            time.sleep(0.1)
        raise AssertionError((len(self.spans), sorted(self.metrics)))


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[EngineRig]:
    with Process() as llm, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        settings = {"llm.url": llm.url, "otel.endpoint": collector.url, "otel.every": "1s"}
        with EngineRig(tmp_path_factory.mktemp("otlp"), speed=None, settings=settings) as made:
            made.engine()
            made.climb(5)
            yield made


def post(rig: EngineRig, number: int, **headers: str) -> dict[str, Any]:
    body = json.dumps({"id": f"{number}/{SECRET}", "text": f"{TEXT} Part {number}."}).encode()
    url = f"{rig.view.engine.address}/v1/extract"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=30) as answer:
        made: dict[str, Any] = json.loads(answer.read())
        return made


def facts(span: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_document_s_way_is_one_trace_within_the_caller_s(rig: EngineRig, collector: Collector) -> None:
    name = uuid.uuid4().hex
    made = post(rig, 1, traceparent=f"00-{PARENT}-00f067aa0ba902b7-01", **{"X-Request-Id": name})
    assert made["method"] == "llm"
    wanted = {
        "POST /v1/extract",
        "document",
        "frequency keywords",
        "cache lookup",
        "llm queue",
        "llm request",
        "store commit",
    }

    def mine() -> dict[str, Any]:
        return {span.name: span for span in collector.spans if span.trace_id.hex() == PARENT}

    collector.until(lambda: mine().keys() >= wanted)
    spans = mine()
    assert spans["POST /v1/extract"].parent_span_id.hex() == "00f067aa0ba902b7"
    assert spans["document"].parent_span_id == spans["POST /v1/extract"].span_id
    assert spans["llm queue"].parent_span_id == spans["document"].span_id
    assert facts(spans["POST /v1/extract"])["rollout.request_id"] == name
    of = facts(spans["document"])
    assert (of["rollout.arm"], of["rollout.method"], of["rollout.stage"], of["rollout.cached"]) == (
        "treatment",
        "llm",
        5,
        False,
    )
    took = spans["llm request"].end_time_unix_nano - spans["llm request"].start_time_unix_nano
    assert 5e6 < took <= spans["document"].end_time_unix_nano - spans["document"].start_time_unix_nano
    resource = collector.resources[0]
    assert (resource["service.name"], resource["deployment.environment.name"]) == (rig.plan.service, "test")


def test_exported_metrics_equal_the_metrics_page(rig: EngineRig, collector: Collector) -> None:
    post(rig, 2)

    def treated() -> int:
        family = collector.metrics.get("rollout_extraction_seconds")
        points = family.histogram.data_points if family else []
        return sum(point.count for point in points if facts(point).get("arm") == "treatment")

    collector.until(lambda: treated() >= 2)
    (point,) = collector.metrics["rollout_extraction_seconds"].histogram.data_points
    assert sum(point.bucket_counts) == point.count
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert collector.metrics["keyword_extraction_attempts"].sum.is_monotonic
    assert collector.metrics["current_rollout_percentage"].gauge.data_points[0].as_double == 100
    documents = collector.metrics["rollout_documents"].sum.data_points
    assert sum(int(one.as_double) for one in documents) >= 2
    assert 0 < documents[0].start_time_unix_nano < documents[0].time_unix_nano


def test_a_receiver_has_the_names_of_the_metrics_page(rig: EngineRig, collector: Collector) -> None:
    """As VictoriaMetrics and Prometheus name what they receive: a sum gets "_total", a histogram its three series."""
    collector.until(lambda: "rollout_extraction_seconds" in collector.metrics)
    received: set[str] = set()
    for name, metric in collector.metrics.items():
        endings = {"sum": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(metric.WhichOneof("data"), [""])
        received |= {name + ending for ending in endings}
    request = urllib.request.Request(f"{rig.view.engine.address}/metrics", headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        assert received == {sample.name for family in families for sample in family.samples}


def test_nothing_that_is_sent_names_a_document_or_quotes_it(rig: EngineRig, collector: Collector) -> None:
    post(rig, 3)
    collector.until(lambda: b"rollout.method" in collector.raw)
    assert SECRET.encode() not in collector.raw
    assert b"exponential backoff" not in collector.raw


class Dripping:
    """A collector that is gone at first, then answers a byte now and then: no read of the exporter's is ever late."""

    def __init__(self) -> None:
        self.sock = socket.socket()
        self.sock.bind(("127.0.0.1", 0))  # and refuses connections until `listen`
        self.url = f"http://127.0.0.1:{self.sock.getsockname()[1]}"
        self.paths: set[bytes] = set()

    def listen(self) -> None:
        self.sock.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._drip, args=(self.sock.accept()[0],), daemon=True).start()

    def _drip(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            self.paths.add(client.recv(65536).split()[1])
            client.sendall(b"HTTP/1.1 200 OK\r\nX: ")
            while True:
                client.sendall(b"x")
                time.sleep(0.5)


def test_a_collector_that_is_gone_or_never_ends_its_answer_costs_nothing(tmp_path: Any) -> None:
    collector = Dripping()
    with EngineRig(tmp_path, speed=None, settings={"otel.endpoint": collector.url, "otel.every": "1s"}) as rig:
        process = rig.engine()
        began = time.monotonic()
        for number in range(20):
            post(rig, number)
        assert time.monotonic() - began < 5 * crowd()
        time.sleep(1.5)  # an export of metrics has failed
        assert [problem for problem in rig.view.engine.problems if "the engine was late" not in problem] == []
        collector.listen()
        post(rig, 21)  # its spans; the others' were given up
        assert rig.until(lambda: collector.paths == {b"/v1/metrics", b"/v1/traces"})
        post(rig, 22)
        process.terminate()
        assert process.wait(60 * crowd()) == 0
    collector.sock.close()


@pytest.mark.parametrize(
    ("plan", "environ", "urls"),
    [
        ("", {}, {}),
        ("", {BOTH: "http://a:4318/"}, {"traces": "http://a:4318/v1/traces", "metrics": "http://a:4318/v1/metrics"}),
        ("http://b", {BOTH: "http://a:4318"}, {"traces": "http://b/v1/traces", "metrics": "http://b/v1/metrics"}),
        ("http://b", {"OTEL_SDK_DISABLED": "true"}, {}),
        ("http://b", {"OTEL_TRACES_EXPORTER": "none"}, {"metrics": "http://b/v1/metrics"}),
        ("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/api"}, {"traces": "http://c/api"}),
        (
            "http://b",
            {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://d/otlp"},
            {"traces": "http://b/v1/traces", "metrics": "http://d/otlp"},
        ),
    ],
)
def test_each_signal_goes_where_its_collector_is_named(
    plan: str, environ: dict[str, str], urls: dict[str, str]
) -> None:
    assert otlp.addresses(Otel(plan), environ) == urls


def test_without_a_tracer_a_span_is_nothing() -> None:
    with tracing.span("document", bulk=True) as span, tracing.request("POST /", {"traceparent": "x"}) as outer:
        span.note(keywords=3)
        span.fail("timeout")
    assert span is outer
    assert span.trace_id == ""
