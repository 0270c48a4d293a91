"""What the store holds at a moment, for metrics: unfinished jobs, the queue, and the outbox."""

from msgspec import Struct

from shared.models import OPEN_STATUSES, AnswerState
from stitcherd.store.db import Reader
from stitcherd.store.pulse import oldest_queued
from stitcherd.store.queries import fetch_all
from stitcherd.store.scheduling import read_pause

UNSENT = (AnswerState.PENDING, AnswerState.SENDING)
AGES_MAX = 10_000  # unsent answers, the first ones, among which the one that has waited for the longest is looked for


class StoreGauges(Struct, frozen=True):
    """How many jobs and answers of all workspaces there are by their state, and since when (ms) the oldest waits."""

    jobs: dict[str, int]
    oldest_queued_at: int | None
    paused: bool
    answers: dict[str, int]
    oldest_answer_at: int | None


async def read_gauges(db: Reader) -> StoreGauges:
    """Return what the store holds now, by indices: in milliseconds, however many jobs have ended."""
    counted = {row["status"]: row["n"] for row in await fetch_all(db, _JOBS, ())}
    unsent = {row["state"]: row["n"] for row in await fetch_all(db, _ANSWERS, ())}
    [oldest] = await fetch_all(db, _OLDEST_ANSWER, ())
    return StoreGauges(
        jobs={status.lower(): counted.get(status, 0) for status in OPEN_STATUSES},
        oldest_queued_at=await oldest_queued(db, None),
        paused=await read_pause(db) is not None,
        answers={str(state): unsent.get(state, 0) for state in UNSENT},
        oldest_answer_at=oldest["pending_since"],
    )


_JOBS = "SELECT status, sum(n) AS n FROM job_counts GROUP BY status"
_ANSWERS = "SELECT state, count(*) AS n FROM answers WHERE state IN ('pending', 'sending') GROUP BY state"
_OLDEST_ANSWER = (
    "SELECT min(pending_since) AS pending_since FROM (SELECT pending_since FROM answers INDEXED BY answers_state"
    f" WHERE state IN ('pending', 'sending') LIMIT {AGES_MAX}) unsent"
)
