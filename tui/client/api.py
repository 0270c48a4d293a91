"""One function for each route of the API: nothing else in the client knows routes, queries or response types.

All raise ApiError, DaemonUnreachable and NotUtf8, and `Reply.value` raises InvalidResponse.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from http import HTTPStatus
from http.client import HTTPResponse

from msgspec import Raw, Struct

from shared.api import (
    Account,
    AccountList,
    Answer,
    AnswerPage,
    Backup,
    BulkResult,
    EventPage,
    JobPage,
    JobRequest,
    Meta,
    PauseState,
    Pulse,
    RailsState,
    Readiness,
    SimulationResult,
)
from shared.deliveries import Delivery, DeliveryPage, ReplayResponse
from shared.models import Decision, JobEvent, RunnerJob
from shared.protocol import PAGE_MAX
from shared.stats import Grouping, Stats
from tui.client.http import ApiError, DaemonClient, Query, decode, quote_segment
from tui.client.replies import RemoteText, Reply


class _RawPage(Struct):
    items: list[Raw]
    next: str | int | None = None


# The daemon


def get_meta(client: DaemonClient) -> Reply[Meta]:
    """Return the identity of the daemon."""
    return Reply(client.get("/meta"), Meta)


def get_readiness(client: DaemonClient) -> Reply[Readiness]:
    """Return whether the daemon is ready; the status 503 has the same body."""
    try:
        return Reply(client.get("/readyz"), Readiness)
    except ApiError as error:
        if error.problem.status != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        return Reply(error.document, Readiness)


def get_pulse(client: DaemonClient) -> Reply[Pulse]:
    """Return the current load."""
    return Reply(client.get("/pulse"), Pulse)


def get_stats(client: DaemonClient, by: Grouping, since: datetime) -> Reply[Stats]:
    """Return what became of jobs since a time, grouped."""
    return Reply(client.get("/stats", [("since", since.isoformat()), ("by", by.value)]), Stats)


def get_pause(client: DaemonClient) -> Reply[PauseState]:
    """Return whether new jobs may start."""
    return Reply(client.get("/pause"), PauseState)


def pause(client: DaemonClient, reason: str | None = None) -> Reply[PauseState]:
    """Stop new jobs from starting."""
    return Reply(client.post("/pause", _with_reason(reason)), PauseState)


def resume(client: DaemonClient) -> Reply[PauseState]:
    """Allow new jobs to start."""
    return Reply(client.post("/resume", {}), PauseState)


def back_up(client: DaemonClient, path: str) -> Reply[Backup]:
    """Let the daemon copy its database to a new file at an absolute path."""
    return Reply(client.post("/backup", {"path": path}), Backup)


def open_events(
    client: DaemonClient, after: int | None, job_id: str | None, timeout: float
) -> AbstractContextManager[HTTPResponse]:
    """Open the Server-Sent Events of one job or of all, after a cursor or from now on."""
    query = [] if after is None else [("after", str(after))]
    if job_id is not None:
        query.append(("job", job_id))
    return client.open("/events", query, timeout)


# Jobs


def list_jobs(
    client: DaemonClient, query: Query = (), *, limit: int | None = None, before: str | None = None
) -> Reply[JobPage]:
    """Return a page of the jobs that match `query`, newest first, older than the job `before`."""
    return Reply(client.get("/runner-jobs", [*query, *_paging(limit, before)]), JobPage)


def iter_raw_jobs(client: DaemonClient, query: Query = ()) -> Iterator[bytes]:
    """Yield every job that matches `query` as JSON, newest first."""
    query, before = list(query), None
    while True:
        page = decode(client.get("/runner-jobs", [*query, *_paging(PAGE_MAX, before)]), _RawPage)
        yield from map(bytes, page.items)
        if page.next is None:
            return
        before = str(page.next)


def get_job(client: DaemonClient, job_id: str) -> Reply[RunnerJob]:
    """Return a job with its steps, last events and decision."""
    return Reply(client.get(_job(job_id)), RunnerJob)


def create_job(client: DaemonClient, request: JobRequest) -> Reply[RunnerJob]:
    """Dispatch a job manually."""
    return Reply(client.post("/runner-jobs", request), RunnerJob)


def cancel_job(client: DaemonClient, job_id: str, reason: str | None = None) -> Reply[RunnerJob]:
    """Cancel a job."""
    return Reply(client.post(f"{_job(job_id)}/cancel", _with_reason(reason)), RunnerJob)


def retry_job(client: DaemonClient, job_id: str) -> Reply[RunnerJob]:
    """Run a failed or cancelled job again."""
    return Reply(client.post(f"{_job(job_id)}/retry", {}), RunnerJob)


def approve_job(client: DaemonClient, job_id: str, reason: str | None = None) -> Reply[RunnerJob]:
    """Approve a pending job."""
    return Reply(client.post(f"{_job(job_id)}/approve", _with_reason(reason)), RunnerJob)


def deny_job(client: DaemonClient, job_id: str, reason: str) -> Reply[RunnerJob]:
    """Deny a pending job."""
    return Reply(client.post(f"{_job(job_id)}/deny", _with_reason(reason)), RunnerJob)


def change_jobs(client: DaemonClient, action: str, q: str, *, dry_run: bool) -> Reply[BulkResult]:
    """Cancel or retry every job that matches the filter `q`; a dry run only reports what would happen."""
    return Reply(client.post("/runner-jobs/bulk", {"action": action, "q": q, "dryRun": dry_run}), BulkResult)


def list_job_events(client: DaemonClient, job_id: str, after: int) -> Reply[EventPage]:
    """Return a page of a job's events after a cursor, oldest first."""
    return Reply(_events(client, job_id, after), EventPage)


def iter_job_events(client: DaemonClient, job_id: str) -> Iterator[Reply[JobEvent]]:
    """Yield all events of a job, oldest first."""
    after: int | None = 0
    while after is not None:
        page = decode(_events(client, job_id, after), _RawPage)
        yield from (Reply(bytes(item), JobEvent) for item in page.items)
        after = None if page.next is None else int(page.next)


def step_log(client: DaemonClient, job_id: str, step_id: str) -> RemoteText:
    """Return the whole output of a step."""
    return RemoteText(client, f"{_job(job_id)}/steps/{quote_segment(step_id)}/log")


def raw_step_log(client: DaemonClient, job_id: str, step_id: str) -> RemoteText:
    """Return what the agent of a step wrote in the form of its own."""
    return RemoteText(client, f"{_job(job_id)}/steps/{quote_segment(step_id)}/log", [("raw", "true")])


def conversation(client: DaemonClient, job_id: str, step_id: str) -> RemoteText:
    """Return what the agent of a step was sent, and between, the output of the step."""
    return RemoteText(client, f"{_job(job_id)}/steps/{quote_segment(step_id)}/conversation")


def diff(client: DaemonClient, job_id: str, attempt: int | None = None) -> RemoteText:
    """Return what an attempt changed, by default the last one, as git formats it."""
    return RemoteText(client, f"{_job(job_id)}/diff", [] if attempt is None else [("attempt", str(attempt))])


# Deliveries


def list_deliveries(
    client: DaemonClient, query: Query = (), *, limit: int | None = None, before: str | None = None
) -> Reply[DeliveryPage]:
    """Return a page of the deliveries that match `query`, newest first, older than the delivery `before`."""
    return Reply(client.get("/deliveries", [*query, *_paging(limit, before)]), DeliveryPage)


def get_delivery(client: DaemonClient, delivery_id: str) -> Reply[Delivery]:
    """Return a delivery with its decision."""
    return Reply(client.get(_delivery(delivery_id)), Delivery)


def get_delivery_body(client: DaemonClient, delivery_id: str) -> bytes:
    """Return the stored body of a delivery, byte for byte."""
    return client.get(f"{_delivery(delivery_id)}/body")


def replay_delivery(client: DaemonClient, delivery_id: str, *, dry_run: bool) -> Reply[ReplayResponse]:
    """Decide a delivery again under the rails in force; unless it is a dry run, that may create a job."""
    return Reply(client.post(f"{_delivery(delivery_id)}/replay", {"dryRun": dry_run}), ReplayResponse)


# Answers


def list_answers(
    client: DaemonClient, query: Query = (), *, limit: int | None = None, before: str | None = None
) -> Reply[AnswerPage]:
    """Return a page of the answers that match `query`, newest first, older than the answer `before`."""
    return Reply(client.get("/answers", [*query, *_paging(limit, before)]), AnswerPage)


def retry_answer(client: DaemonClient, answer_id: str) -> Reply[Answer]:
    """Send a failed or pending answer at once."""
    return Reply(client.post(f"/answers/{quote_segment(answer_id)}/retry", {}), Answer)


# The audit chain


def export_events(client: DaemonClient) -> RemoteText:
    """Return all events with their hashes, as JSON lines; shared.audit verifies them."""
    return RemoteText(client, "/audit")


# Rails and accounts


def list_accounts(client: DaemonClient) -> Reply[AccountList]:
    """Return the accounts whose ids are kept."""
    return Reply(client.get("/accounts"), AccountList)


def accept_account(client: DaemonClient, account: str, number: str | None) -> Reply[Account]:
    """Keep the other id that was seen for an account; with a `number`, only if it is that one."""
    body = {"account": account, **({"id": number} if number else {})}
    return Reply(client.post("/accounts/accept", body), Account)


def get_rails(client: DaemonClient, *, against: str | None = None, effective: bool = False) -> Reply[RailsState]:
    """Return the rails in force, compared with the revision `against`; `effective` adds all defaults, as JSON."""
    query = [("against", against)] if against is not None else []
    return Reply(client.get("/rails", [*query, *([("effective", "true")] if effective else [])]), RailsState)


def get_rails_schema(client: DaemonClient) -> bytes:
    """Return the JSON Schema of rails.yaml."""
    return client.get("/rails/schema")


def explain(client: DaemonClient, source: str, headers: dict[str, str], body: bytes) -> Reply[Decision]:
    """Return what the rails in force decide about a delivery that is only thought of: nothing is stored."""
    return Reply(client.post("/rails/explain", {"source": source, "headers": headers, "body": body.decode()}), Decision)


def simulate_rails(
    client: DaemonClient, text: str, limit: int, since: datetime | None = None
) -> Reply[SimulationResult]:
    """Return what a text of rails.yaml would change about the last `limit` deliveries, received after `since`."""
    body = {"text": text, "limit": limit, **({"since": since.isoformat()} if since else {})}
    return Reply(client.post("/rails/simulate", body), SimulationResult)


def _job(job_id: str) -> str:
    return f"/runner-jobs/{quote_segment(job_id)}"


def _delivery(delivery_id: str) -> str:
    return f"/deliveries/{quote_segment(delivery_id)}"


def _events(client: DaemonClient, job_id: str, after: int) -> bytes:
    return client.get(f"{_job(job_id)}/events", [("after", str(after)), ("limit", str(PAGE_MAX))])


def _paging(limit: int | None, before: str | None) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in (("limit", limit), ("before", before)) if value is not None]


def _with_reason(reason: str | None) -> dict[str, str]:
    return {} if reason is None else {"reason": reason}
