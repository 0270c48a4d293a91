"""Jobs with what is reported of them."""

from collections.abc import Collection

from msgspec import Struct, structs

from shared.models import JobStep, Result, RunnerJob, Status
from stitcherd.store import approvals, rows
from stitcherd.store.db import Reader
from stitcherd.store.queries import fetch_all

_JOBS = (
    "SELECT j.*, t.result, a.request, d.source FROM jobs j JOIN job_texts t ON t.job = j.key"
    " LEFT JOIN deliveries d ON d.id = j.delivery_id LEFT JOIN approvals a ON a.job = j.key"
)


class StoredReport(Struct, frozen=True):
    """A job, the steps of its current attempt, and its result; `source` is None where no delivery requested it."""

    job: RunnerJob
    source: str | None
    steps: tuple[JobStep, ...]
    result: Result | None


async def read_reports(db: Reader, job_ids: Collection[str]) -> list[StoredReport]:
    """Return those of the jobs that exist, the newest first."""
    marks = ", ".join("?" * len(job_ids))
    found = await fetch_all(db, f"{_JOBS} WHERE j.id IN ({marks}) ORDER BY j.key DESC", [*job_ids])
    reports = []
    for row in found:
        job = rows.job(row)
        if job.status is Status.PENDING and row["request"] is not None:
            job = structs.replace(job, waiting=approvals.pending_approval(row["request"]))
        steps = await fetch_all(
            db, "SELECT * FROM steps WHERE job = ? AND attempt = ? ORDER BY ordinal", [row["key"], row["attempt"]]
        )
        result = rows.result(row["result"]) if job.status is Status.COMPLETED else None
        reports.append(StoredReport(job, row["source"], tuple(rows.step(step, job.id) for step in steps), result))
    return reports
