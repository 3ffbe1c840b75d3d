"""Traces and metrics by OTLP over HTTP, if an endpoint is set and the extra `rollout-console[otel]` is installed.

The metrics are those of /metrics, converted: one place computes them. A collector that is slow or gone costs documents
nothing: spans are sent by a thread of the SDK, metrics by a worker thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from engine import VERSION, tracing
from engine.extraction.llm import ErrorKind
from engine.metrics import exposition
from engine.plan.settings import Otel
from engine.service.engine import Engine
from engine.service.measured import measured
from engine.store import log
from engine.tracing import Span, Value

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics.export import MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from prometheus_client import Metric

SIGNALS = ("traces", "metrics")
SCOPE = "rollout-console"
GRACE_S = 0.5  # for the exporter's own limit to come first
EXPORT_S = 3.0  # the longest that one export may take, so that the engine's end does not wait for a collector
MISSING = (
    "OpenTelemetry is configured but not installed: run `pip install 'rollout-console[otel]'` in the engine's "
    "environment. The engine runs without it."
)
journal = logging.getLogger("rollout.engine")


def addresses(otel: Otel, environ: Mapping[str, str]) -> dict[str, str]:
    """Where "traces" and "metrics" go; one that goes nowhere is absent. Many a receiver takes only one of them, so each
    has its own variables, as in every OpenTelemetry SDK."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return {}
    both = (otel.endpoint or environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")).rstrip("/")
    made = {}
    for signal in SIGNALS:
        own = environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT", "")
        if (own or both) and environ.get(f"OTEL_{signal.upper()}_EXPORTER", "").lower() != "none":
            made[signal] = own or f"{both}/v1/{signal}"
    return made


def start(engine: Engine, environ: Mapping[str, str]) -> Export | None:
    """Export from now on. None when it is off, in a rehearsal, or not installed (which becomes a sentence for
    people)."""
    urls = addresses(engine.plan.otel, environ)
    if not urls or engine.rehearsal:
        return None
    try:
        export = Export(engine, urls)
    except ImportError:
        engine.event(MISSING)
        return None
    if "metrics" in urls:
        engine.background(export.send_metrics())
    for signal, url in urls.items():
        journal.info("OpenTelemetry: %s go to %s", signal, url)
    return export


class Export:
    """ImportError when the SDK is not installed."""

    def __init__(self, engine: Engine, urls: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.resources import Resource

        self._engine = engine
        plan = engine.plan
        named = {
            "service.name": plan.service,
            "deployment.environment.name": plan.environment,
            "service.version": VERSION,
        }
        self._resource = Resource.create(named)
        self._since = log.first_at(engine.conn) or engine.clock.now()
        self._metrics: OTLPMetricExporter | None = None
        self._traces: TracerProvider | None = None
        if "metrics" in urls:
            self._metrics = OTLPMetricExporter(urls["metrics"], timeout=EXPORT_S)
        if "traces" in urls:
            self._traces = _provider(self._resource, urls["traces"])
            tracing.use(_Tracer(self._traces).start)

    async def send_metrics(self) -> None:
        while True:
            await asyncio.sleep(self._engine.plan.otel.every_s)
            try:
                await self._send()
            except TimeoutError:
                journal.warning("OpenTelemetry: the collector took no metrics within %g s", EXPORT_S)

    async def _send(self) -> None:
        exporter = self._metrics
        if exporter is None:
            return
        families = exposition.families(measured(self._engine), tuple(ErrorKind))
        data = converted(families, self._resource, self._since, self._engine.clock.now())
        await _in_thread("otlp metrics", lambda: exporter.export(data))

    async def stop(self) -> None:
        """Send what is left, within the time limit of an export."""
        tracing.use(None)
        last: list[Coroutine[Any, Any, None]] = [self._send()]
        if self._traces is not None:
            last.append(_in_thread("otlp end", self._traces.shutdown))
        await asyncio.gather(*last, return_exceptions=True)


async def _in_thread(name: str, work: Callable[[], object]) -> None:
    """Do it off the loop, and wait as long as an export may take. TimeoutError; also while the last one of this name
    still runs. The exporter's own limit is for each read, so a collector that answers a byte at a time holds a thread
    for as long as it likes; a process that ends waits for no daemon thread."""
    if any(thread.name == name for thread in threading.enumerate()):
        raise TimeoutError
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def run() -> None:
        with contextlib.suppress(Exception):  # the exporter logs why it failed
            work()
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=run, name=name, daemon=True).start()
    await asyncio.wait_for(done.wait(), EXPORT_S + GRACE_S)


# -- traces ------------------------------------------------------------------------------------------------------------


def _provider(resource: Resource, url: str) -> TracerProvider:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(url, timeout=EXPORT_S)))
    return provider


class _Tracer:
    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer(SCOPE, VERSION)

    @contextlib.contextmanager
    def start(self, name: str, attributes: Mapping[str, Value], headers: Mapping[str, str] | None) -> Iterator[Span]:
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = None if headers is None else TraceContextTextMapPropagator().extract(headers)
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=SpanKind.INTERNAL if headers is None else SpanKind.SERVER,
            attributes=_named(attributes),
            record_exception=False,  # its message may quote a document
            set_status_on_exception=False,
        ) as span:
            made = _Live(span)
            try:
                yield made
            except BaseException as error:
                made.fail(type(error).__name__)
                raise


class _Live:
    def __init__(self, span: Any) -> None:
        self._span = span
        self.trace_id = f"{span.get_span_context().trace_id:032x}"

    def note(self, **attributes: Value) -> None:
        self._span.set_attributes(_named(attributes))

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))


def _named(attributes: Mapping[str, Value]) -> dict[str, Value]:
    return {f"rollout.{name}": value for name, value in attributes.items()}


# -- metrics -----------------------------------------------------------------------------------------------------------


def converted(families: Iterable[Metric], resource: Resource, since: float, now: float) -> MetricsData:
    """The families of /metrics as OTLP has them. Counters are cumulative since `since`, when the store began."""
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    metrics = [made for family in families if (made := _metric(family, _nano(since), _nano(now))) is not None]
    scope = ScopeMetrics(InstrumentationScope(SCOPE, VERSION), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(family: Metric, since: int, now: int) -> Any:
    from opentelemetry.sdk.metrics import export

    if not family.samples:
        return None
    data: Any
    name = family.name
    if family.type == "histogram":
        data = export.Histogram(_histograms(family, since, now), export.AggregationTemporality.CUMULATIVE)
    else:
        points = [export.NumberDataPoint(dict(s.labels), since, now, float(s.value)) for s in family.samples]
        if family.type == "counter":  # its receiver adds "_total"
            data = export.Sum(points, export.AggregationTemporality.CUMULATIVE, True)
        else:
            data = export.Gauge(points)
            name = family.samples[0].name  # which has "_info" where the family's has not
    return export.Metric(name, family.documentation, family.unit or "", data)


def _histograms(family: Metric, since: int, now: int) -> list[Any]:
    """Convert a histogram: Prometheus counts cumulatively over the buckets, OTLP in each bucket."""
    from opentelemetry.sdk.metrics.export import HistogramDataPoint

    of: dict[tuple[tuple[str, str], ...], dict[str, Any]] = {}
    for sample in family.samples:
        labels = {name: value for name, value in sample.labels.items() if name != "le"}
        one = of.setdefault(tuple(labels.items()), {"buckets": [], "sum": 0.0})
        if sample.name.endswith("_bucket"):
            one["buckets"].append((float(sample.labels["le"]), int(sample.value)))
        elif sample.name.endswith("_sum"):
            one["sum"] = sample.value
    points = []
    for labelled, one in of.items():
        limits, sums = zip(*one["buckets"], strict=True)
        counts = [total - before for total, before in zip(sums, (0, *sums), strict=False)]
        points.append(
            HistogramDataPoint(
                attributes=dict(labelled),
                start_time_unix_nano=since,
                time_unix_nano=now,
                count=sums[-1],
                sum=one["sum"],
                bucket_counts=counts,
                explicit_bounds=list(limits[:-1]),
                min=0.0,
                max=0.0,
            )
        )
    return points


def _nano(seconds: float) -> int:
    return int(seconds * 1e9)
