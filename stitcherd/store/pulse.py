"""Work statistics: jobs ended in the last minutes, the length and age of the queue, and whether jobs may start."""

from typing import Any

from shared.api import Pulse
from shared.ids import format_timestamp
from stitcherd.store.db import Reader
from stitcherd.store.queries import fetch_all
from stitcherd.store.scheduling import read_pause

MINUTES = 8
_MINUTE_MS = 60_000


async def read_pulse(db: Reader, workspace: str | None, now: int) -> Pulse:
    """Return the statistics of a workspace, or of all of them for None, at `now` (ms)."""
    in_workspace = "" if workspace is None else " AND workspace = :workspace"
    values = {"workspace": workspace, "now": now, "since": now - MINUTES * _MINUTE_MS}
    ended = [0] * MINUTES
    for row in await fetch_all(
        db,
        f"SELECT (:now - completed_at) / {_MINUTE_MS} AS ago, count(*) AS n FROM jobs INDEXED BY jobs_ended"
        f" WHERE completed_at IS NOT NULL AND completed_at > :since{in_workspace} GROUP BY 1",
        values,
    ):
        ended[MINUTES - 1 - min(max(row["ago"], 0), MINUTES - 1)] += row["n"]
    oldest = await oldest_queued(db, workspace)
    queued = await _value(
        db, f"SELECT coalesce(sum(n), 0) AS value FROM job_counts WHERE status = 'QUEUED'{in_workspace}", values
    )
    paused = await read_pause(db)
    return Pulse(
        ended=tuple(ended),
        queued=queued,
        oldest_queued_at=None if oldest is None else format_timestamp(oldest),
        paused=paused is not None,
        paused_by=paused["actor"] if paused else None,
        reason=paused["reason"] if paused else None,
    )


async def oldest_queued(db: Reader, workspace: str | None) -> int | None:
    """Return since when (ms) the job waits that has been queued for the longest, of all workspaces for None."""
    in_workspace = "" if workspace is None else " AND workspace = :workspace"
    found: int | None = await _value(
        db,
        "SELECT queued_at AS value FROM jobs INDEXED BY jobs_waited"
        f" WHERE status = 'QUEUED'{in_workspace} ORDER BY queued_at LIMIT 1",
        {"workspace": workspace},
    )
    return found


async def _value(db: Reader, statement: str, values: dict[str, Any]) -> Any:
    """Return the column `value` of the first row, None where there is no row."""
    found = await fetch_all(db, statement, values)
    return found[0]["value"] if found else None
