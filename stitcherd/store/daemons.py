"""The daemons and workers of a store: each has a lease, by the clock of the database, which it renews.

Whoever renews it no more is gone, and others recover the jobs that it ran. In a SQLite file there is one daemon, whose
lease has no end.
"""

from collections.abc import Collection, Sequence

import msgspec
from msgspec import Struct

from shared.api import DaemonState
from shared.ids import format_timestamp, now_ms
from stitcherd.store import rows
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.events import add_events, new_event
from stitcherd.store.queries import fetch_all

LEASE_OVER = "its lease is over"
STARTED_AGAIN = "it was started again"
STOPPED = "it was stopped"
_DAEMON_ACTOR = "stitcherd"
_LIVING = "{0}gone = 0 AND ({0}until IS NULL OR {0}until > database_ms())"
_OVER = "gone = 0 AND until <= database_ms()"
# On the machine of a process that is gone somebody can end what it left running, and may have its checkouts: until
# another lease is over, only they recover its jobs, if there is anybody. A job is for all when a further one is over:
# until then who lacks the executor or the repository of a job may leave it to others.
_LEFT = (
    "SELECT j.id, j.attempt, j.owner, coalesce(d.host, :host) AS host, coalesce(d.name, :name) AS name,"
    " (d.id IS NULL OR d.until + 2 * :lease <= database_ms() OR NOT EXISTS (SELECT 1 FROM daemons p"
    f" WHERE p.id <> :owner AND {_LIVING.format('p.')})) AS is_for_all"
    " FROM jobs j LEFT JOIN daemons d ON d.id = j.owner"
    " WHERE j.status = 'RUNNING' AND coalesce(j.owner, '') <> :owner"
    " AND (d.id IS NULL OR (d.gone = 1 AND (d.host = :host OR d.until + :lease <= database_ms()"
    f" OR NOT EXISTS (SELECT 1 FROM daemons p WHERE p.host = d.host AND {_LIVING.format('p.')}))))"
    " ORDER BY j.key"
)
_WHAT_IS_LEFT = (
    f"SELECT EXISTS (SELECT 1 FROM daemons WHERE {_OVER}) AS over, EXISTS ({_LEFT}) AS jobs,"
    " EXISTS (SELECT 1 FROM daemons WHERE gone = 1) AS gone,"
    " (SELECT min(until) - database_ms() FROM daemons WHERE gone = 0) AS next"
)
_OWN = (
    "SELECT id, attempt, owner, :host AS host, coalesce(worker, :name) AS name, 1 AS is_for_all FROM jobs"
    " WHERE status = 'RUNNING' AND owner = :owner ORDER BY key"
)
# Of a job that an earlier version ran, whose stores had one daemon, that daemon has the checkout.
_UNNAMED = (
    "UPDATE jobs SET worker = ? WHERE status IN ('PENDING', 'QUEUED', 'RUNNING') AND tries_used > 0 AND worker IS NULL"
)
_CANCELLED = "SELECT id FROM jobs WHERE status = 'RUNNING' AND cancel_requested = 1 AND owner = ?"


class NewDaemon(Struct, frozen=True):
    """A process that begins to run jobs."""

    id: str
    name: str
    host: str
    state_dir: str
    pid: int
    role: str
    version: str
    workers: int


class LeftJob(Struct, frozen=True):
    """A running job to recover; the machine on which its owner was, and the owner's name.

    One that is not `is_for_all` may be left to others, if they can do more about it.
    """

    id: str
    attempt: int
    owner: str | None
    host: str
    name: str
    is_for_all: bool


class Left(Struct, frozen=True):
    """Whether a lease is over, and whether there are jobs to recover; in how many ms there may be more, if known."""

    is_over: bool
    has_jobs: bool
    next: int | None


class NameTaken(Exception):
    """Another process has the name of one that wants to join."""


def join(db: Db, new: NewDaemon, lease: int | None, now: int) -> None:
    """Add a process, with a lease (ms) from now on, or without an end where no other can use the database.

    An earlier process with the same state directory is gone: the caller has the lock on it. Without a lease, all are.
    The name says where the checkout of a job is: raises NameTaken if another process has it, whose lease is not over.
    """
    earlier, values = ("gone = 0", []) if lease is None else ("gone = 0 AND host = ? AND state_dir = ?", _place(new))
    _end(db, earlier, values, STARTED_AGAIN, now, told=lease is not None)
    if lease is not None:  # nobody else may be there to do it
        end_leases(db, now)
    other = db.execute("SELECT * FROM daemons WHERE name = ? AND gone = 0", (new.name,)).fetchone()
    if other is not None:
        where = f"on {other['host']}, pid {other['pid']}, state directory {other['state_dir']}"
        raise NameTaken(f"another {other['role']} is named {new.name} ({where}): set daemon.name in stitcherd.toml")
    row = {**msgspec.to_builtins(new), "started_at": now, "lease": lease, "executors": None}
    db.execute(
        "INSERT INTO daemons (id, name, host, state_dir, pid, role, version, started_at, until, executors, workers)"
        " VALUES (:id, :name, :host, :state_dir, :pid, :role, :version, :started_at, database_ms() + :lease,"
        " :executors, :workers)",
        row,
    )
    if new.role == "daemon":
        db.execute(_UNNAMED, (new.name,))
    if lease is not None:
        payload = {name: row[name] for name in ("name", "role", "workers")}  # all workspaces see it
        add_events(db, new_event("daemon.joined", actor=_DAEMON_ACTOR, now=now, payload=payload))


def beat(db: Db, daemon_id: str, lease: int, executors: Collection[str] | None) -> bool:
    """Renew a lease (ms), and note which executors can be reached, None while that is not known.

    Return False where it was given up for gone.
    """
    renewed = db.execute(
        "UPDATE daemons SET until = database_ms() + ?, executors = ? WHERE id = ? AND gone = 0",
        (lease, None if executors is None else rows.encode(list(executors)), daemon_id),
    )
    return renewed.rowcount == 1


def leave(db: Db, daemon_id: str, now: int, *, told: bool) -> None:
    """End a lease at once: the process takes no further job, and others recover what it leaves running."""
    _end(db, "gone = 0 AND id = ?", [daemon_id], STOPPED, now, told=told)


def end_leases(db: Db, now: int) -> list[str]:
    """Give up for gone whose lease is over; return their names."""
    return _end(db, _OVER, [], LEASE_OVER, now, told=True)


async def what_is_left(db: Reader, owner: str, host: str, name: str, lease: int) -> Left:
    """Return whether there is something to do for who recovers jobs, as `left_jobs` returns them, and when."""
    [row] = await fetch_all(db, _WHAT_IS_LEFT, {"owner": owner, "host": host, "name": name, "lease": lease})
    return Left(bool(row["over"]), bool(row["jobs"]), 0 if row["gone"] else row["next"])


async def left_jobs(db: Reader, owner: str, host: str, name: str, lease: int) -> list[LeftJob]:
    """Return running jobs whose owner is gone and that `owner`, on `host`, may recover now.

    A job of which is not known who owned it counts as one of a process with this `host` and `name`.
    """
    found = await fetch_all(db, _LEFT, {"owner": owner, "host": host, "name": name, "lease": lease})
    return [_left_job(row) for row in found]


async def own_jobs(db: Reader, owner: str, host: str, name: str) -> list[LeftJob]:
    """Return the running jobs of `owner`, which is on `host`; their name says where the checkout is."""
    found = await fetch_all(db, _OWN, {"owner": owner, "host": host, "name": name})
    return [_left_job(row) for row in found]


async def cancelled_jobs(db: Reader, owner: str) -> list[str]:
    """Return the ids of the jobs that an owner runs and whose cancel is requested."""
    return [row["id"] for row in await fetch_all(db, _CANCELLED, [owner])]


async def living_daemons(db: Reader) -> tuple[DaemonState, ...]:
    """Return those whose lease is not over, in the order in which they were started."""
    found = await fetch_all(db, f"SELECT * FROM daemons WHERE {_LIVING.format('')} ORDER BY started_at, id", [])
    return tuple(_state(row) for row in found)


def name_of(db: Db, daemon_id: str) -> str | None:
    """Return the name of a process by its id, None where it is not known."""
    found = db.execute("SELECT name FROM daemons WHERE id = ?", (daemon_id,)).fetchone()
    return None if found is None else str(found["name"])


def is_living(db: Db, daemon_id: str) -> bool:
    """Say whether a lease is not over."""
    return (
        db.execute(f"SELECT 1 FROM daemons WHERE id = ? AND {_LIVING.format('')}", (daemon_id,)).fetchone() is not None
    )


async def clock_skew(db: Reader) -> int:
    """Return how many milliseconds the clock of the database is ahead of ours."""
    await _clock(db)  # so that only a round trip is measured, not what a first statement takes
    begun = now_ms()
    there = await _clock(db)
    return there - (begun + now_ms()) // 2


async def _clock(db: Reader) -> int:
    [row] = await fetch_all(db, "SELECT database_ms() AS now", [])
    return int(row["now"])


def _left_job(row: Row) -> LeftJob:
    return LeftJob(row["id"], row["attempt"], row["owner"], row["host"], row["name"], bool(row["is_for_all"]))


def _place(new: NewDaemon) -> list[object]:
    return [new.host, new.state_dir]


def _end(db: Db, where: str, values: Sequence[object], reason: str, now: int, *, told: bool) -> list[str]:
    """Give up those for gone that match; a lease that is not over ends now. Return their names.

    Those of whom nothing is left to recover are forgotten.
    """
    found = db.execute(
        "UPDATE daemons SET gone = 1, until = CASE WHEN until < database_ms() THEN until ELSE database_ms() END"
        f" WHERE {where} RETURNING name, role",
        values,
    ).fetchall()
    for row in found if told else ():
        payload = {"name": row["name"], "role": row["role"], "reason": reason}
        add_events(db, new_event("daemon.gone", actor=_DAEMON_ACTOR, now=now, payload=payload))
    db.execute(
        "DELETE FROM daemons WHERE gone = 1"
        " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.status = 'RUNNING' AND j.owner = daemons.id)"
    )
    return [row["name"] for row in found]


def _state(row: Row) -> DaemonState:
    return DaemonState(
        id=row["id"],
        name=row["name"],
        host=row["host"],
        pid=row["pid"],
        role=row["role"],
        version=row["version"],
        started_at=format_timestamp(row["started_at"]),
        until=None if row["until"] is None else format_timestamp(row["until"]),
        executors=msgspec.json.decode(row["executors"] or "[]", type=tuple[str, ...]),
        workers=row["workers"],
    )
