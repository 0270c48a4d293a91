"""How work goes: what ended lately, what waits and since when, and whether anything may start."""

from typing import Any

import aiosqlite
import msgspec

from shared.api import Pulse
from shared.ids import format_timestamp

MINUTES = 8
_MINUTE = 60_000


async def read_pulse(db: aiosqlite.Connection, workspace: str | None, now: int) -> Pulse:
    """Return the pulse of a workspace, or of all of them, at `now` in milliseconds."""
    here = "" if workspace is None else " AND workspace = :workspace"
    asked = {"workspace": workspace, "now": now, "since": now - MINUTES * _MINUTE}
    ended = [0] * MINUTES
    async with db.execute(
        f"SELECT (:now - completed_at) / {_MINUTE} AS ago, count(*) AS n FROM jobs INDEXED BY jobs_ended"
        f" WHERE completed_at IS NOT NULL AND completed_at > :since{here} GROUP BY 1",
        asked,
    ) as found:
        async for row in found:
            ended[MINUTES - 1 - min(max(row["ago"], 0), MINUTES - 1)] += row["n"]
    oldest = await _first(
        db,
        "SELECT queued_at AS value FROM jobs INDEXED BY jobs_waited"
        f" WHERE status = 'QUEUED'{here} ORDER BY queued_at LIMIT 1",
        asked,
    )
    queued = await _first(
        db, f"SELECT coalesce(sum(n), 0) AS value FROM job_counts WHERE status = 'QUEUED'{here}", asked
    )
    switch = await _first(db, "SELECT value FROM meta WHERE name = 'paused'", {})
    pause = {} if switch is None else msgspec.json.decode(switch, type=dict[str, Any])
    return Pulse(
        ended=tuple(ended),
        queued=queued,
        oldest_queued_at=None if oldest is None else format_timestamp(oldest),
        paused=switch is not None,
        paused_by=pause.get("actor"),
        reason=pause.get("reason"),
    )


async def _first(db: aiosqlite.Connection, statement: str, values: dict[str, Any]) -> Any:
    async with db.execute(statement, values) as found:
        row = await found.fetchone()
    return None if row is None else row["value"]
