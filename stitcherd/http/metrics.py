"""Metrics in the text format of Prometheus: what was counted since the start, and what is the case at the moment."""

from collections.abc import Iterator, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.ids import now_ms
from stitcherd.http.state import STATE, AppState
from stitcherd.metrics import REGISTRY
from stitcherd.store.gauges import StoreGauges, read_gauges


async def show_metrics(request: web.Request) -> web.Response:
    """Return the metrics of the daemon, of all workspaces together."""
    state = request.app[STATE]
    async with state.store.reading() as db:
        gauges = await read_gauges(db)
    body = generate_latest(_Snapshot(state, gauges, now_ms()))
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


class _Snapshot(Collector):
    """All metrics at a time, in ms since 1970."""

    def __init__(self, state: AppState, gauges: StoreGauges, now: int) -> None:
        self._state = state
        self._gauges = gauges
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its values."""
        yield from REGISTRY.collect()
        state, gauges = self._state, self._gauges
        executors = {each.name: each.ok for each in state.health.states()}
        checks = map(state.pollers.check, state.reporter.checks())
        held = {check.name.removeprefix("forge:"): not check.ok for check in checks}
        lags = state.feed.lags()
        yield _gauges("build_info", "The version of the daemon; always 1.", "version", {state.meta.version: 1})
        yield _gauges("jobs", "Jobs that have not ended.", "status", gauges.jobs)
        yield _gauge(
            "queue_oldest_age_seconds", "How long a job waits in the queue.", self._age(gauges.oldest_queued_at)
        )
        yield _gauge("paused", "Whether an operator lets no job start.", gauges.paused)
        yield _gauges("executor_up", "Whether an executor works.", "executor", executors)
        yield _gauges("source_held", "Whether the forge of a source cannot be used now.", "source", held)
        yield _gauges("outbox_answers", "Answers that are not at their forge yet.", "state", gauges.answers)
        yield _gauge("outbox_oldest_age_seconds", "How long an answer waits.", self._age(gauges.oldest_answer_at))
        yield _gauge("store_available", "Whether the last write was stored.", state.store.outage is None)
        yield _gauge("stream_clients", "Clients of the event stream.", len(lags))
        yield _gauge("stream_lag_events", "Events that the slowest client has yet to get.", max(lags, default=0))

    def _age(self, since: int | None) -> float:
        """Return the seconds since a time, 0 for none."""
        return 0.0 if since is None else max(0, self._now - since) / 1000


def _gauge(name: str, help_: str, value: float) -> Metric:
    return GaugeMetricFamily(f"stitcher_{name}", help_, float(value))


def _gauges(name: str, help_: str, label: str, values: Mapping[str, float]) -> Metric:
    """Return a gauge with a value for each value of a label."""
    family = GaugeMetricFamily(f"stitcher_{name}", help_, labels=[label])
    for each, value in values.items():
        family.add_metric([each], float(value))
    return family
