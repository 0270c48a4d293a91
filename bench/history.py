"""Fill a store with past jobs and events by writing directly into its tables."""

import json
import sqlite3
import time
from pathlib import Path

from shared.ids import new_id
from stitcherd.store.migrate import migrate, migrations, split_statements
from stitcherd.store.rows import reversed_suffix
from stitcherd.store.scheduling import pause
from stitcherd.store.sqlite_connections import WritingConnection

STATUSES = ("COMPLETED",) * 16 + ("FAILED",) * 3 + ("CANCELLED",)
TYPES = ("fix", "review", "triage")
REPOSITORIES = tuple(f"octo-org/r{number}" for number in range(1000))
GATES = ("tests", "lint")
DECISION = json.dumps({"verdict": "allowed", "reason": "trigger fix-on-command", "railsRevision": "r-1"})


def write_history(path: Path, jobs: int, queued: int = 0, period: int = 1_000_000) -> None:
    """Write a database with `jobs` jobs of five events each, that ended within a period (ms) until now.

    The newest `queued` of them are queued. The statistics also have two gates.
    """
    db = sqlite3.connect(path, isolation_level=None, factory=WritingConnection)
    db.row_factory = sqlite3.Row
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=OFF")
    # The first version of the schema, so that the migration to the next one counts the jobs.
    for statement in split_statements(migrations()[0][1]):
        db.execute(statement)
    db.execute("PRAGMA user_version = 1")
    db.execute("INSERT INTO decisions (key, document) VALUES (1, ?)", (DECISION,))
    now = time.time_ns() // 1_000_000
    for start in range(0, jobs, 10_000):
        db.execute("BEGIN")
        numbers = range(start, min(start + 10_000, jobs))
        db.executemany(
            "INSERT INTO jobs (key, id, tail, workspace, type, status, priority, profile, executor, repository, ref,"
            " thread_kind, thread_number, thread_title, tries_max, on_interrupt, rails_digest, actor, created_at, queued_at,"
            " started_at, completed_at, last_event, decision)"
            " VALUES (?, ?, ?, 'default', ?, ?, 5, 'weaver', 'agent', ?, 'main', 'issue', ?, 'A row is lost', 3, 'fail',"
            " 'r1', 'source:github/octocat', ?, ?, ?, ?, 'job.completed', 1)",
            (
                _job_row(
                    number, STATUSES[number % 20] if number < jobs - queued else "QUEUED", now - period, period / jobs
                )
                for number in numbers
            ),
        )
        db.executemany(
            "INSERT INTO job_texts (job, prompt, metadata) VALUES (?, 'fix it', '{}')",
            ((number + 1,) for number in numbers),
        )
        db.executemany(
            "INSERT INTO events (job, workspace, type, actor, at, payload) VALUES (?, 'default', ?, 'stitcherd', ?, ?)",
            (
                (number + 1, type_, now, '{"attempt":1}')
                for number in numbers
                for type_ in ("job.created", "job.queued", "job.started", "step.started", "job.completed")
            ),
        )
        db.execute("COMMIT")
    migrate(db)
    # As if each attempt had run the gates once, in the time that the job took.
    db.executemany(
        "INSERT INTO gate_stats (grouping, start, workspace, name, gate, passed, failed, durations)"
        " SELECT grouping, start, workspace, name, ?, completed, failed, durations FROM job_stats",
        ((gate,) for gate in GATES),
    )
    # Pause, so that no job starts: only reading is measured.
    pause(db, "bench", None, now)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def _job_row(number: int, status: str, begin: int, each: float) -> tuple[object, ...]:
    identifier = new_id()
    ended = begin + int(number * each)
    started = ended - number * 7919 % 600_000
    queued = started - number * 31 % 5000
    return (
        number + 1,
        identifier,
        reversed_suffix(identifier),
        TYPES[number % 3],
        status,
        REPOSITORIES[number // len(STATUSES) % len(REPOSITORIES)],
        number + 1,
        queued,
        queued,
        started,
        ended if status != "QUEUED" else None,
    )
