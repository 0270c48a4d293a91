"""Takes queued jobs in a store that several processes share: each the next one that it can run.

A job whose commit waits to be published is only for the process that has its checkout. Whoever has the executor of a
job may take it; what nobody can run is held by the leader.
"""

from collections.abc import Collection, Mapping

from stitcherd.policy import ConcurrencyLimits
from stitcherd.store import daemons, in_force, transitions
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.queries import fetch_all
from stitcherd.store.rulings import Ruling, Undecided, apply_ruling
from stitcherd.store.scheduling import Held, claim, find_startable
from stitcherd.store.steps import Claimed

LOOKED_AT = 16  # jobs of each kind that one transaction looks at: those before the one that is taken may all be held
RULED_AT_ONCE = 32
_NEXT = (
    "SELECT id, attempt, priority FROM jobs INDEXED BY jobs_next WHERE status = 'QUEUED' AND held IS NULL"
    " AND executor IN ({marks}) AND (tries_used = 0 OR state_id = ?) AND (? = '' OR decided_under = ?)"
    " ORDER BY priority DESC, key LIMIT ?"
)
_ANY = (
    "SELECT EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_next WHERE status = 'QUEUED' AND held IS NULL"
    " AND executor IN ({marks})) OR EXISTS (SELECT 1 FROM jobs INDEXED BY jobs_held WHERE held IS NOT NULL"
    " AND status = 'QUEUED' AND coalesce(held_until, 0) <= ? AND executor IN ({marks})) AS found"
)
_OTHERWISE_DECIDED = (
    "SELECT key, id FROM jobs WHERE status = 'QUEUED' AND coalesce(decided_under, '') <> ? AND key > ?"
    " ORDER BY key LIMIT ?"
)
# A process tells with its first renewal what it reaches, so until then nobody can say that something is out of reach.
# What is reached by somebody is found once, not for each job.
_REACHES = "SELECT {what} FROM daemons d, json_each(d.executors) e WHERE d.gone = 0"
_OUT_OF_REACH = (
    "SELECT j.* FROM jobs j INDEXED BY jobs_next WHERE j.status = 'QUEUED' AND j.held IS NULL"
    f" AND (j.executor NOT IN ({_REACHES.format(what='e.value')}) OR (j.tries_used > 0"
    f" AND NOT EXISTS ({_REACHES.format(what=1)} AND d.state_id = j.state_id AND e.value = j.executor)))"
    " AND NOT EXISTS (SELECT 1 FROM daemons WHERE gone = 0 AND executors IS NULL)"
    " ORDER BY j.priority DESC, j.key LIMIT 64"
)


def take(
    db: Db,
    owner: str,
    executors: Collection[str],
    now: int,
    running: ConcurrencyLimits,
    broken: Collection[str] = (),
) -> Claimed | Held | None:
    """Start the next job that a process may run, which has these executors; return None where there is none.

    Jobs of executors that are `broken` here are started too, and fail with the reason, unless another process has the
    executor.
    Those before it that a limit holds are stored with the reason; Held is returned where there may be jobs behind those
    that were looked at, which the limit does not hold. Nothing is taken by a process whose lease is over, or that does
    not know the rails in force yet.
    """
    if broken:
        reached = {row["name"] for row in db.execute(_REACHES.format(what="e.value AS name"))}
        executors = [*executors, *(name for name in broken if name not in reached)]
    if not executors or not daemons.is_living(db, owner) or in_force.in_force(db) != running.rails_digest:
        return None
    _, state_id = daemons.name_and_state_id(db, owner)
    # Where no job may start at all, each gets that as its reason, whatever rails it was decided under.
    digest = None if running.stopped else running.rails_digest

    def is_wanted(job: Row) -> bool:
        return (
            job["executor"] in executors
            and (job["tries_used"] == 0 or job["state_id"] == state_id)
            and digest in {None, job["decided_under"]}
        )

    _, found = find_startable(db, running, LOOKED_AT, now, is_wanted)
    statement = _NEXT.format(marks=_marks(executors))
    values = [*executors, state_id, digest or "", digest or "", LOOKED_AT]
    found += [(row["id"], row["attempt"], row["priority"]) for row in db.execute(statement, values)]
    reasons, held = running.reasons, None
    for_all = {reasons.paused, running.stopped, reasons.total.format(total=running.total)}
    for job_id, attempt, _ in sorted(found, key=lambda each: (-each[2], each[0])):
        claimed = claim(db, job_id, attempt, owner, now, running)
        if isinstance(claimed, Claimed):
            return claimed
        if isinstance(claimed, Held) and claimed.is_new and claimed.reason not in for_all:
            held = claimed
    return held if len(found) >= LOOKED_AT else None


async def may_take(db: Reader, executors: Collection[str], now: int) -> bool:
    """Say whether it is worth while to try to take a job for some executors."""
    if not executors:
        return False
    statement = _ANY.format(marks=_marks(executors))
    [row] = await fetch_all(db, statement, [*executors, now, *executors])
    return bool(row["found"])


async def otherwise_decided(db: Reader, rails_digest: str, after: int) -> list[tuple[int, str]]:
    """Return (key, id) of queued jobs that were last decided under other rails than those in force.

    They are the oldest RULED_AT_ONCE whose key is greater than `after`.
    """
    found = await fetch_all(db, _OTHERWISE_DECIDED, [rails_digest, after, RULED_AT_ONCE])
    return [(row["key"], row["id"]) for row in found]


def rule_queued(db: Db, job_id: str, ruling: Ruling | Undecided, now: int) -> None:
    """Apply a ruling to a queued job, if it is still at the same version; hold it where it is undecided."""
    job = transitions.find_job_row(db, job_id)
    if job["status"] != "QUEUED" or job["version"] != ruling.version:
        return
    if isinstance(ruling, Undecided):
        transitions.set_held_reason(db, job, ruling.reason, now)
    else:
        apply_ruling(db, job, ruling, now)


async def out_of_reach(db: Reader) -> bool:
    """Say whether there is a queued job that no process can run."""
    return bool(await fetch_all(db, _OUT_OF_REACH, []))


def hold_out_of_reach(db: Db, reasons: Mapping[str, str], missing: str, now: int) -> None:
    """Hold each queued job that no process can run: 64 of them.

    The reason is that of its executor, or `missing`, with {executor}. A job with a commit waits for the process that
    has its checkout.
    """
    for job in db.execute(_OUT_OF_REACH).fetchall():
        reason = reasons.get(job["executor"]) or missing.format(executor=job["executor"])
        if job["tries_used"]:
            reason = f"its commit is published by {job['worker']}, once that is back"
        transitions.set_held_reason(db, job, reason, now)


def _marks(values: Collection[object]) -> str:
    return ", ".join("?" * len(values))
