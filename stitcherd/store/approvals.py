"""Requests for approval of PENDING jobs, and what ends them: an approval, their expiry, or other rails.

Whether somebody may approve is decided by the caller.
"""

from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shared.ids import format_timestamp, short_id, short_sha
from shared.models import Decision, PendingApproval, RunnerJob, Status, Thread
from stitcherd.errors import Refusal
from stitcherd.policy import ApprovalRequest, GrantedApproval
from stitcherd.store import lifecycle, rows, transitions
from stitcherd.store.db import Db, Reader, Row
from stitcherd.store.decisions import add_decision, forget_decisions
from stitcherd.store.queries import fetch_all

RAILS_ACTOR = "rails"  # who approves where changed rails require no approval


class Reevaluation(Struct, frozen=True, kw_only=True):
    """What other rails decide about a job that they allow; without a `request` they require no approval.

    `rails_digest` is that of the rails under which it runs; `reason` is given with the change.
    """

    profile: str
    executor: str
    tries_max: int
    on_interrupt: str
    rails_digest: str
    decision: Decision
    request: ApprovalRequest | None
    reason: str

    def columns(self) -> dict[str, Any]:
        """Return the columns of the job's row that it changes, but for the key of its decision."""
        return {
            "profile": self.profile,
            "executor": self.executor,
            "tries_max": self.tries_max,
            "on_interrupt": self.on_interrupt,
            "rails_digest": self.rails_digest,
            "decided_under": self.decision.rails_digest,
        }


def save_request(db: Db, key: int, request: ApprovalRequest) -> None:
    """Store what the job with this integer key waits for, replacing an earlier request."""
    db.execute(
        "INSERT INTO approvals (job, request, expires_at) VALUES (?, ?, ?)"
        " ON CONFLICT (job) DO UPDATE SET request = excluded.request, expires_at = excluded.expires_at,"
        " approved_by = NULL, approver_id = NULL",
        (key, rows.encode(request), request.expires_at),
    )


def request_approval(db: Db, job_id: str, fence: tuple[int, str], now: int, request: ApprovalRequest) -> Status | None:
    """Park a running job until its commit is approved; return its new status."""
    job = transitions.find_job_row(db, job_id)
    status = transitions.wait_for_approval(db, job_id, fence, request.payload(), now)
    if status is Status.PENDING:
        save_request(db, job["key"], replace(request, judged_under=job["decided_under"]))
    return status


def approve(
    db: Db,
    job_id: str,
    actor: str,
    reason: str | None,
    now: int,
    expected: ApprovalRequest | None = None,
    account_id: str | None = None,
) -> RunnerJob:
    """Queue a waiting job; raise Refusal unless it waits in time, and still for what the caller expects.

    `account_id` is the id of the account that approved on the thread, where it is known.
    """
    request = _current_request(db, job_id, expected)
    if request.expires_at <= now:
        expired = format_timestamp(request.expires_at)
        raise Refusal("not_waiting", f"the time to approve job {short_id(job_id)} was over at {expired}")
    db.execute(
        "UPDATE approvals SET approved_by = ?, approver_id = ? WHERE job = (SELECT key FROM jobs WHERE id = ?)",
        (actor, account_id, job_id),
    )
    return transitions.queue_approved(db, job_id, actor, reason, now)


def replace_request(db: Db, job_id: str, expected: ApprovalRequest, new: Reevaluation, now: int) -> RunnerJob:
    """Let a waiting job wait for what other rails request, or queue it where they request nothing.

    Raises Refusal unless it waits, and still for what the caller expects.
    """
    _current_request(db, job_id, expected)
    earlier = transitions.find_job_row(db, job_id)["decision"]
    changes = {**new.columns(), "decision": add_decision(db, new.decision)}
    payload = new.request.payload(new.reason) if new.request else None
    row = transitions.update_waiting(db, job_id, changes, payload, now)
    forget_decisions(db, [earlier])
    if new.request is None:
        return approve(db, job_id, RAILS_ACTOR, new.reason, now)
    save_request(db, row["key"], new.request)
    return rows.job(row)


def pin_head(db: Db, job_id: str, sha: str, now: int) -> None:
    """Let a waiting job start from this head of its change only; raise Refusal unless it waits."""
    request = replace(_current_request(db, job_id, None), head_sha=sha)
    payload = request.payload(f"the head of the change is {short_sha(sha)}")
    row = transitions.update_waiting(db, job_id, {"head_sha": sha}, payload, now)
    db.execute("UPDATE approvals SET request = ? WHERE job = ?", (rows.encode(request), row["key"]))


async def without_head(db: Reader) -> list[RunnerJob]:
    """Return the jobs that wait before they start from the head of a change, and for which that is not pinned."""
    found = await fetch_all(
        db,
        "SELECT * FROM jobs WHERE status = 'PENDING' AND target IS NOT NULL AND head_sha IS NULL AND start_ref IS NULL"
        " ORDER BY key",
        [],
    )
    return [rows.job(row) for row in found]


def expire(db: Db, now: int) -> list[RunnerJob]:
    """Cancel the jobs that were not approved in time, and return them."""
    expired = db.execute(
        "SELECT j.id, a.request FROM jobs j JOIN approvals a ON a.job = j.key"
        " WHERE j.status = 'PENDING' AND a.expires_at <= ? ORDER BY j.key",
        (now,),
    ).fetchall()
    cancelled = []
    for row in expired:
        reason = f"approval expired after {_decode(row['request']).expires}"
        cancelled.append(transitions.cancel(db, row["id"], transitions.DAEMON_ACTOR, reason, now))
    return cancelled


def pending_approval(request: str) -> PendingApproval:
    """Return a stored request as readers of a job see it."""
    found = _decode(request)
    return PendingApproval(tuple(guard.guard for guard in found.guards), found.by, format_timestamp(found.expires_at))


async def find_waiting(db: Reader, job_id: str) -> tuple[RunnerJob, ApprovalRequest]:
    """Return a job and what it waits for; raise Refusal unless it waits."""
    found = await fetch_all(db, "SELECT * FROM jobs WHERE id = ?", [job_id])
    if not found:
        raise lifecycle.no_such_job(job_id)
    job = found[0]
    requests = await fetch_all(db, "SELECT request FROM approvals WHERE job = ?", [job["key"]])
    if job["status"] != Status.PENDING or not requests:
        raise lifecycle.not_waiting(job)
    return rows.job(job), _decode(requests[0]["request"])


async def find_approval(db: Reader, job_id: str) -> tuple[ApprovalRequest, GrantedApproval | None] | None:
    """Return what a job waits or waited for, and the approval of that, if any; None where it never needed one."""
    found = await fetch_all(db, "SELECT a.* FROM approvals a JOIN jobs j ON j.key = a.job WHERE j.id = ?", [job_id])
    if not found:
        return None
    request, actor = _decode(found[0]["request"]), found[0]["approved_by"]
    return request, GrantedApproval(request, actor, found[0]["approver_id"]) if actor else None


async def waiting_on_thread(
    db: Reader, workspace: str, repository: str, thread: Thread
) -> list[tuple[RunnerJob, ApprovalRequest]]:
    """Return the jobs of all sources that wait on a thread, oldest first, each with what it waits for."""
    found = await fetch_all(
        db,
        "SELECT j.*, a.request FROM jobs j JOIN approvals a ON a.job = j.key WHERE j.workspace = ?"
        " AND j.repository COLLATE NOCASE = ? COLLATE NOCASE AND j.thread_kind = ? AND j.thread_number = ?"
        " AND j.status = 'PENDING' ORDER BY j.key",
        [workspace, repository, thread.kind, thread.number],
    )
    return [(rows.job(row), _decode(row["request"])) for row in found]


def versions_on_thread(db: Db, workspace: str, repository: str, thread: Thread) -> tuple[tuple[str, int], ...]:
    """Return (id, version) of the jobs that wait on a thread, oldest first, within a transaction of the writer."""
    found = db.execute(
        "SELECT id, version FROM jobs WHERE workspace = ? AND repository COLLATE NOCASE = ? COLLATE NOCASE"
        " AND thread_kind = ? AND thread_number = ? AND status = 'PENDING' ORDER BY key",
        (workspace, repository, thread.kind, thread.number),
    )
    return tuple((row["id"], row["version"]) for row in found)


async def find_granted(db: Reader, key: int, attempt: int) -> tuple[ApprovalRequest, bool] | None:
    """Return the approved request for the commit of an attempt, by its job's integer key; None where there is none.

    The second value says whether the job was decided under other rails since the commit passed its gates.
    """
    found = await fetch_all(
        db,
        "SELECT a.request, j.decided_under FROM approvals a JOIN jobs j ON j.key = a.job"
        " WHERE a.job = ? AND a.approved_by IS NOT NULL",
        [key],
    )
    request = _decode(found[0]["request"]) if found else None
    if request is None or request.commit is None or request.attempt != attempt:
        return None
    return request, request.judged_under != found[0]["decided_under"]


def decode_approval(row: Row | None) -> ApprovalRequest | None:
    """Return the stored request of a row of approvals, None without a row."""
    return None if row is None else _decode(row["request"])


def _current_request(db: Db, job_id: str, expected: ApprovalRequest | None) -> ApprovalRequest:
    """Return what a job waits for; raise Refusal unless it waits, and for what is expected."""
    job = transitions.find_job_row(db, job_id)
    found = db.execute("SELECT request FROM approvals WHERE job = ?", (job["key"],)).fetchone()
    if job["status"] != Status.PENDING or found is None:
        raise lifecycle.not_waiting(job)
    request = _decode(found["request"])
    if expected is not None and request != expected:
        detail = f"what job {short_id(job_id)} waits for has changed"
        raise Refusal("conflict", detail, "look at it, and approve it again")
    return request


def _decode(request: str) -> ApprovalRequest:
    return msgspec.json.decode(request, type=ApprovalRequest)
