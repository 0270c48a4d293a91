"""What the daemon counts of itself since its start, for `GET /metrics`; docs/operations.md describes each.

The values of labels are bounded by the configuration: no label is a repository, a person or an id.
"""

from collections.abc import Iterable
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics

from shared.models import Status, Usage, Verdict

LONG = (1, 5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 21_600)  # seconds of jobs
SHORT = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)  # seconds of steps and gates
WAITS = (0.01, 0.1, 1, 10, 60, 300, 1800, 3600, 21_600)
COMMITS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 2.5)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

disable_created_metrics()  # type: ignore[no-untyped-call]  # the process has the time of its start
REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

DELIVERIES = Counter(
    "stitcher_deliveries",
    "Deliveries answered, and events that were asked for.",
    ["source", "verdict"],
    registry=REGISTRY,
)
REFUSALS = Counter("stitcher_refusals", "Requests that were refused.", ["code"], registry=REGISTRY)
JOBS_ENDED = Counter("stitcher_jobs_ended", "Attempts of jobs that ended.", ["type", "outcome"], registry=REGISTRY)
JOB_DURATION = Histogram(
    "stitcher_job_duration_seconds",
    "Time from the start of a job to its end.",
    ["type", "outcome"],
    buckets=LONG,
    registry=REGISTRY,
)
QUEUE_WAIT = Histogram(
    "stitcher_job_queue_wait_seconds", "Time that a job waited in the queue.", buckets=WAITS, registry=REGISTRY
)
STEP_DURATION = Histogram(
    "stitcher_step_duration_seconds", "Time of a step.", ["type", "outcome"], buckets=SHORT, registry=REGISTRY
)
GATE_DURATION = Histogram(
    "stitcher_gate_duration_seconds", "Time of a gate.", ["gate", "outcome"], buckets=SHORT, registry=REGISTRY
)
TRIES = Counter("stitcher_tries", "Starts of executors, first and later ones.", ["try"], registry=REGISTRY)
TOKENS = Counter("stitcher_tokens", "Tokens that executors reported.", ["executor", "direction"], registry=REGISTRY)
COST = Counter("stitcher_cost_dollars", "Dollars that executors reported.", ["executor"], registry=REGISTRY)
BATCH_SIZE = Histogram(
    "stitcher_store_batch_size", "Functions that share a transaction.", buckets=BATCHES, registry=REGISTRY
)
COMMIT_DURATION = Histogram(
    "stitcher_store_commit_seconds",
    "Time of a transaction of the writer, with its commit to disk.",
    buckets=COMMITS,
    registry=REGISTRY,
)
RETENTION_DELETED = Counter(
    "stitcher_retention_deleted", "Rows that retention has deleted.", ["kind"], registry=REGISTRY
)
RETENTION_RUN = Gauge(
    "stitcher_retention_last_run_timestamp_seconds", "When retention last finished, 0 before.", registry=REGISTRY
)


def start_at_zero(sources: Iterable[str], executors: Iterable[str]) -> None:
    """Let the counters whose labels are known begin with 0: what happens first would otherwise be no increase."""
    for source in sources:
        for verdict in Verdict:
            DELIVERIES.labels(source, verdict.value)
    for executor in executors:
        COST.labels(executor)
        for direction in ("input", "output"):
            TOKENS.labels(executor, direction)
    for number in ("first", "later"):
        TRIES.labels(number)
    for kind in ("events", "bodies", "answers", "pieces", "hits", "jobs", "deliveries"):
        RETENTION_DELETED.labels(kind)


def count_delivery(source: str, verdict: Verdict) -> None:
    """Count an answered delivery."""
    _deliveries(source, verdict).inc()


@cache  # to find the child of a counter takes longer than to increment it
def _deliveries(source: str, verdict: Verdict) -> Counter:
    return DELIVERIES.labels(source, verdict.value)


def count_end(type_: str, status: Status, duration: int | None, queue_wait: int | None) -> None:
    """Count the end of an attempt of a job, and its times in milliseconds where it ran."""
    labels = (type_, status.lower())
    JOBS_ENDED.labels(*labels).inc()
    if duration is not None:
        JOB_DURATION.labels(*labels).observe(duration / 1000)
    if queue_wait is not None:
        QUEUE_WAIT.observe(queue_wait / 1000)


def count_step(type_: str, outcome: str, duration: int, gate: str | None) -> None:
    """Count the end of a step after so many milliseconds; `gate` is its name if it is a gate."""
    STEP_DURATION.labels(type_.lower(), outcome.lower()).observe(duration / 1000)
    if gate is not None:
        GATE_DURATION.labels(gate, outcome.lower()).observe(duration / 1000)


def count_usage(executor: str, used: Usage) -> None:
    """Count the usage that an executor reported."""
    TOKENS.labels(executor, "input").inc(used.input_tokens)
    TOKENS.labels(executor, "output").inc(used.output_tokens)
    COST.labels(executor).inc(used.cost_usd)
