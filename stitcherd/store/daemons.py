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
    "SELECT j.id, j.attempt, j.owner,"
    " coalesce(j.state_id, CASE WHEN d.id IS NULL THEN :state_id ELSE d.state_id END) AS state_id,"
    " (d.id IS NULL OR d.until + 2 * :lease <= database_ms() OR NOT EXISTS (SELECT 1 FROM daemons p"
    f" WHERE p.id <> :owner AND {_LIVING.format('p.')})) AS is_for_all"
    " FROM jobs j LEFT JOIN daemons d ON d.id = j.owner"
    " WHERE j.status = 'RUNNING' AND coalesce(j.owner, '') <> :owner"
    " AND (d.id IS NULL OR (d.gone = 1 AND (d.machine = :machine OR d.state_id = :state_id"
    " OR d.until + :lease <= database_ms() OR NOT EXISTS (SELECT 1 FROM daemons p"
    f" WHERE (p.machine = d.machine OR p.state_id = d.state_id) AND {_LIVING.format('p.')}))))"
    " ORDER BY j.key"
)
_WHAT_IS_LEFT = (
    f"SELECT EXISTS (SELECT 1 FROM daemons WHERE {_OVER}) AS over, EXISTS ({_LEFT}) AS jobs,"
    " EXISTS (SELECT 1 FROM jobs WHERE status = 'RUNNING' AND owner = :owner) AS own,"
    " EXISTS (SELECT 1 FROM daemons WHERE gone = 1) AS gone,"
    " (SELECT min(until) - database_ms() FROM daemons WHERE gone = 0) AS next"
)
_OWN = (
    "SELECT id, attempt, owner, state_id, 1 AS is_for_all FROM jobs WHERE status = 'RUNNING' AND owner = ? ORDER BY key"
)
# Of a job that an earlier version ran, the process of its name has the checkout. Those whose stores had one daemon
# stored no name.
_JOBS_OF_EARLIER = (
    "UPDATE jobs SET worker = :name, state_id = :state_id WHERE status IN ('PENDING', 'QUEUED', 'RUNNING')"
    " AND tries_used > 0 AND state_id IS NULL AND (worker = :name OR (worker IS NULL AND :role = 'daemon'))"
)
_CANCELLED = "SELECT id FROM jobs WHERE status = 'RUNNING' AND cancel_requested = 1 AND owner = ?"


class NewDaemon(Struct, frozen=True):
    """A process that begins to run jobs; `processes/place` says what the last three of where it runs mean."""

    id: str
    name: str
    host: str
    state_dir: str
    state_id: str
    lock_id: str
    machine: str
    pid: int
    role: str
    version: str
    workers: int


class LeftJob(Struct, frozen=True):
    """A running job to recover, and the state directory that has its checkout, None where that is not known.

    One that is not `is_for_all` may be left to others, if they can do more about it.
    """

    id: str
    attempt: int
    owner: str | None
    state_id: str | None
    is_for_all: bool


class Left(Struct, frozen=True):
    """Whether a lease is over, and whether there are jobs to recover; in how many ms there may be more, if known.

    `has_own`: whether the owner that asks runs jobs itself, by the store.
    """

    is_over: bool
    has_jobs: bool
    has_own: bool
    next: int | None


class CannotJoin(Exception):
    """Another process has the name, or the state directory, of one that wants to join."""


def join(db: Db, new: NewDaemon, lease: int | None, now: int) -> None:
    """Add a process, with a lease (ms) from now on, or without an end where no other can use the database.

    An earlier process with the same lock is gone: the caller holds it. Without a lease, all are. Of the same state
    directory after a restart of the machine, or of a copy of it, nobody can tell that: the lease has to be over.
    Raises CannotJoin if another process has the name or the state directory, whose lease is not over.
    """
    held, values = ("", []) if lease is None else (" AND state_id = ? AND lock_id = ?", [new.state_id, new.lock_id])
    _end(db, f"gone = 0{held}", values, STARTED_AGAIN, now, told=lease is not None)
    if lease is not None:  # nobody else may be there to do it
        end_leases(db, now)
    _refuse_double(db, new)
    row = {**msgspec.to_builtins(new), "started_at": now, "lease": lease, "executors": None}
    db.execute(
        "INSERT INTO daemons (id, name, host, state_dir, state_id, lock_id, machine, pid, role, version, started_at,"
        " until, executors, workers) VALUES (:id, :name, :host, :state_dir, :state_id, :lock_id, :machine, :pid, :role,"
        " :version, :started_at, database_ms() + :lease, :executors, :workers)",
        row,
    )
    db.execute(_JOBS_OF_EARLIER, row)
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


async def what_is_left(db: Reader, owner: str, machine: str, state_id: str, lease: int) -> Left:
    """Return whether there is something to do for who recovers jobs, as `left_jobs` returns them, and when."""
    values = {"owner": owner, "machine": machine, "state_id": state_id, "lease": lease}
    [row] = await fetch_all(db, _WHAT_IS_LEFT, values)
    return Left(bool(row["over"]), bool(row["jobs"]), bool(row["own"]), 0 if row["gone"] else row["next"])


async def left_jobs(db: Reader, owner: str, machine: str, state_id: str, lease: int) -> list[LeftJob]:
    """Return running jobs whose owner is gone and that `owner`, on this machine, may recover now.

    A job of which is not known who owned it counts as one with its checkout in the state directory of `owner`.
    """
    found = await fetch_all(db, _LEFT, {"owner": owner, "machine": machine, "state_id": state_id, "lease": lease})
    return [_left_job(row) for row in found]


async def own_jobs(db: Reader, owner: str) -> list[LeftJob]:
    """Return the running jobs of `owner`."""
    return [_left_job(row) for row in await fetch_all(db, _OWN, [owner])]


async def cancelled_jobs(db: Reader, owner: str) -> list[str]:
    """Return the ids of the jobs that an owner runs and whose cancel is requested."""
    return [row["id"] for row in await fetch_all(db, _CANCELLED, [owner])]


async def living_daemons(db: Reader) -> tuple[DaemonState, ...]:
    """Return those whose lease is not over, in the order in which they were started."""
    found = await fetch_all(db, f"SELECT * FROM daemons WHERE {_LIVING.format('')} ORDER BY started_at, id", [])
    return tuple(_state(row) for row in found)


def name_and_state_id(db: Db, daemon_id: str) -> tuple[str | None, str | None]:
    """Return the name of a process and the id of its state directory, None where it is not known."""
    found = db.execute("SELECT name, state_id FROM daemons WHERE id = ?", (daemon_id,)).fetchone()
    return (None, None) if found is None else (found["name"], found["state_id"])


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
    return LeftJob(row["id"], row["attempt"], row["owner"], row["state_id"], bool(row["is_for_all"]))


def _refuse_double(db: Db, new: NewDaemon) -> None:
    """Raise CannotJoin where another process has the name of one that joins, or its state directory."""
    sql = "SELECT * FROM daemons WHERE (name = ? OR state_id = ?) AND gone = 0"
    other = db.execute(sql, (new.name, new.state_id)).fetchone()
    if other is None:
        return
    where = f"on {other['host']}, pid {other['pid']}, state directory {other['state_dir']}"
    if other["state_id"] == new.state_id:
        raise CannotJoin(
            f"{new.state_dir} is a copy of the state directory of the {other['role']} {other['name']} ({where}):"
            " set daemon.state_dir to another one"
        )
    raise CannotJoin(f"another {other['role']} is named {new.name} ({where}): set daemon.name in stitcherd.toml")


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
