"""Every figure that the engine exports, for /metrics and OpenTelemetry."""

from __future__ import annotations

from msgspec.structs import replace

from engine import VERSION
from engine.extraction.llm import ErrorKind
from engine.metrics import exposition, snapshot
from engine.metrics.snapshot import About, MetricsSnapshot
from engine.service.engine import Engine


def rendered(engine: Engine, accept: str) -> tuple[bytes, str]:
    """(body, content type) of GET /metrics: JSON, or Prometheus text when requested."""
    return exposition.render(measured(engine), accept, tuple(ErrorKind))


def measured(engine: Engine) -> MetricsSnapshot:
    """The figures of this moment."""
    plan, view, state, monitor = engine.plan, engine.view, engine.state, engine.monitor
    about = About(
        plan.service,
        plan.environment,
        VERSION,
        view.stage_name if view else "",
        view.health if view else "",
        view.gate.open if view and not view.stable else None,
    )
    stored = snapshot.take(
        engine.conn,
        engine.clock.now(),
        percent_bp=engine.switch.read().percent_bp,
        decided_bp=state.percent_bp,
        stage=state.stage,
        epoch=state.epoch,
    )
    return replace(
        stored,
        blind_s=monitor.watch.timers.blind_s,
        refusing=bool(engine.writer.refusing),
        triggers=tuple(
            snapshot.of_trigger(judged.rule, reading, judged.rule.id in monitor.verdict.firing)
            for judged, reading in zip(monitor.verdict.judged, monitor.verdict.readings, strict=True)
        ),
        bulk_refused=engine.pipeline.bulk_refused,
        backlog=engine.pipeline.backlog,
        llm_available=monitor.probing.answers,
        of=about,
        exemplars=monitor.observations.exemplars,
    )
