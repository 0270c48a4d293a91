"""Counts ended attempts of jobs, gates and usage, in the transaction that stores them; store/job_stats reads that.

Each is counted in four rows: those of its hour, and of its day by type, by repository and by executor. What was counted
stays: a job that fails, is retried and completes has ended twice.
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from shared.models import Status, Usage
from stitcherd import metrics
from stitcherd.budget import DAY_MS
from stitcherd.store import histograms
from stitcherd.store.after_commit import after_commit
from stitcherd.store.db import Db, Row
from stitcherd.store.queries import row_marks

HOUR_MS = 3_600_000
COLUMN_OF_STATUS = {Status.COMPLETED: "completed", Status.FAILED: "failed", Status.CANCELLED: "cancelled"}


class _Facts(NamedTuple):
    """The facts of a job that statistics are grouped by."""

    workspace: str
    type: str
    repository: str | None
    executor: str


def count_end(db: Db, job: Row, now: int) -> None:
    """Count that an attempt of a job ended, given the row of the job with its new status."""
    status, started = Status(job["status"]), job["started_at"]
    times = {} if started is None else {"durations": now - started, "queue_waits": started - job["queued_at"]}
    after_commit(partial(metrics.count_end, job["type"], status, times.get("durations"), times.get("queue_waits")))
    counts = {COLUMN_OF_STATUS[status]: 1}
    if status is Status.CANCELLED:  # its time says when somebody cancelled it
        times = {}
    else:
        passed = status is Status.COMPLETED and job["tries_used"] <= 1
        counts["first_tries" if passed else "later_tries"] = 1
    facts = _Facts(job["workspace"], job["type"], job["repository"], job["executor"])
    _add(db, "job_stats", facts, now, {}, counts, times)


def count_gate(db: Db, job: int, gate: str, *, passed: bool, duration: int, now: int) -> None:
    """Count that a gate passed or failed on a job, given its key, after so many milliseconds."""
    counts = {"passed" if passed else "failed": 1}
    _add(db, "gate_stats", _facts(db, job), now, {"gate": gate}, counts, {"durations": duration})


def count_usage(db: Db, job: int, used: Usage, now: int) -> None:
    """Count the usage that an executor reported of a job, given its key."""
    counts = {"input_tokens": used.input_tokens, "output_tokens": used.output_tokens, "cost_usd": used.cost_usd}
    facts = _facts(db, job)
    _add(db, "job_stats", facts, now, {}, counts, {})
    after_commit(partial(metrics.count_usage, facts.executor, used))


def _facts(db: Db, job: int) -> _Facts:
    row = db.execute("SELECT workspace, type, repository, executor FROM jobs WHERE key = ?", (job,)).fetchone()
    return _Facts(*row)


def _add(
    db: Db,
    table: str,
    facts: _Facts,
    now: int,
    more_key: Mapping[str, str],
    counts: Mapping[str, float],
    durations: Mapping[str, int],
) -> None:
    """Add counts, and durations in milliseconds, to the four rows of the facts."""
    hour, day = now // HOUR_MS * HOUR_MS, now // DAY_MS * DAY_MS
    cells = [
        ("hour", hour, ""),
        ("type", day, facts.type),
        ("repository", day, facts.repository or ""),
        ("executor", day, facts.executor),
    ]
    key = ["grouping", "start", "workspace", "name COLLATE NOCASE", *more_key]
    columns = ["grouping", "start", "name", "workspace", *more_key, *counts, *durations]
    added = [f"{column} = {table}.{column} + excluded.{column}" for column in counts]
    added += [f"{column} = {histograms.incremented(f'{table}.{column}')}" for column in durations]
    paths = [histograms.path_of(duration) for duration in durations.values() for _ in range(2)]
    rest = [facts.workspace, *more_key.values(), *counts.values(), *map(histograms.text_of, durations.values())]
    db.execute(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES {row_marks(len(cells), len(columns))}"
        f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(added)}",
        [value for cell in cells for value in (*cell, *rest)] + paths,
    )
