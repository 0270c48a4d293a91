"""Jobs: list, detail and events; create, dispatch, cancel and retry, one or many."""

import json
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from shared import filters
from shared.api import DispatchResponse
from shared.models import Status
from stitcherd.errors import Refusal
from stitcherd.http.auth import caller
from stitcherd.http.requests import CURSOR_MAX, Query, RequestBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE
from stitcherd.jobs.commands import BulkAction
from stitcherd.jobs.intake import JobRequest
from stitcherd.queue import QUEUE_NAME
from stitcherd.store import events, jobs

# merged from stitcherd.api.approvals: Approvals: a waiting job is let run, or never; that the caller may is
# for the table of routes to say.

METADATA_MAX = 64 * 1024  # bytes of JSON

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class NewJobBody(RequestBody):
    """The body of `POST /runner-jobs` and `POST /stitcher/dispatch`."""

    type: Name
    prompt: Annotated[str, Field(max_length=262_144)] | None = None
    repository: Name | None = None
    ref: Name | None = None
    agent_task_id: Name | None = None
    workspace_id: Name | None = None
    priority: Annotated[int, Field(ge=0, le=10)] = 5
    metadata: dict[str, Any] | None = None
    idempotency_key: Name | None = None


class CancelBody(RequestBody):
    """The body of a cancel."""

    reason: Annotated[str, Field(max_length=1000)] | None = None


class RetryBody(RequestBody):
    """The body of a retry: nothing."""


class BulkBody(RequestBody):
    """The body of one command over many jobs."""

    action: BulkAction
    q: str
    dry_run: bool = False


async def list_jobs(request: web.Request) -> web.Response:
    """Answer a page of jobs."""
    query = Query(request)
    wanted = jobs.JobFilter(
        query=_parse_filter(query.text("q") or ""),
        statuses=query.each("status", lambda value: Status(value.upper()), Status),
        types=query.each("type", str),
        agent_task_id=query.text("agentTaskId"),
        repository=query.text("repository"),
        workspace=_resolve_workspace(request, query.text("workspaceId")),
        before=query.text("before"),
    )
    async with request.app[STATE].store.reading() as db:
        return json_response(await jobs.job_page(db, wanted, query.limit))


async def show_job(request: web.Request) -> web.Response:
    """Answer one job with its steps, events and decision."""
    Query(request)
    async with request.app[STATE].store.reading() as db:
        return json_response(await jobs.get_job_detail(db, request.match_info["job"], caller(request).workspace))


async def list_events(request: web.Request) -> web.Response:
    """Answer a page of a job's events."""
    query = Query(request)
    after = query.number("after", 0, 0, CURSOR_MAX)
    async with request.app[STATE].store.reading() as db:
        page = await events.job_events(db, request.match_info["job"], caller(request).workspace, after, query.limit)
    return json_response(page)


async def create_job(request: web.Request) -> web.Response:
    """Store a job that was asked for by hand, and answer it."""
    job, new = await _dispatch(request)
    async with request.app[STATE].store.reading() as db:
        return json_response(await jobs.get_job_detail(db, job.id, None), 201 if new else 200)


async def dispatch(request: web.Request) -> web.Response:
    """Store a job that was asked for by hand, and answer as the original did."""
    job, new = await _dispatch(request)
    return json_response(DispatchResponse(job.id, QUEUE_NAME, job.status), 201 if new else 200)


async def cancel_job(request: web.Request) -> web.Response:
    """Cancel a job."""
    asked = await parse_body(request, CancelBody)
    job_id = await resolve_job_id(request)
    return json_response(await request.app[STATE].intake.cancel(job_id, caller(request).actor, asked.reason), 202)


async def retry_job(request: web.Request) -> web.Response:
    """Queue a job again."""
    await parse_body(request, RetryBody)
    job_id = await resolve_job_id(request)
    return json_response(await request.app[STATE].intake.retry(job_id, caller(request).actor), 202)


async def change_jobs(request: web.Request) -> web.Response:
    """Cancel or retry every job that passes a filter, or say which they would be."""
    asked = await parse_body(request, BulkBody)
    wanted, bulk, who = _parse_filter(asked.q), request.app[STATE].bulk, caller(request)
    if not wanted.terms:
        raise Refusal("invalid", "q: without a word it would mean every job", "is:open means all that are not over")
    if asked.dry_run:
        return json_response(await bulk.look(asked.action, wanted, who.workspace))
    return json_response(await bulk.change(asked.action, wanted, who.workspace, who.actor))


async def _dispatch(request: web.Request) -> tuple[Any, bool]:
    asked = await parse_body(request, NewJobBody)
    house = request.app[STATE]
    if house.stopping:
        raise Refusal("shutting_down", "the daemon is stopping", retry_after=5)
    metadata = asked.metadata or {}
    if len(json.dumps(metadata)) > METADATA_MAX:
        raise Refusal("invalid", f"metadata: larger than {METADATA_MAX} bytes")
    wanted = JobRequest(
        type=asked.type,
        prompt=asked.prompt or "",
        repository=asked.repository,
        ref=asked.ref,
        agent_task_id=asked.agent_task_id,
        workspace=_resolve_workspace(request, asked.workspace_id) or "default",
        priority=asked.priority,
        metadata=metadata,
        idempotency_key=asked.idempotency_key,
    )
    job, new = await house.intake.dispatch(wanted, caller(request).actor)
    return job, new


async def resolve_job_id(request: web.Request) -> str:
    """Return the id of the job that a path names, by the whole or by its end; raises Refusal."""
    async with request.app[STATE].store.reading() as db:
        return (await jobs.get_job(db, request.match_info["job"], caller(request).workspace)).id


def _parse_filter(text: str) -> filters.Filter:
    try:
        return filters.parse_filter(text)
    except filters.FilterError as error:
        raise Refusal("invalid", f"q: {error}", more={"column": error.column}) from error


def _resolve_workspace(request: web.Request, wanted: str | None) -> str | None:
    """Return the workspace to look in: what was asked for, as far as the caller may see it."""
    own = caller(request).workspace
    if own is not None and wanted not in {None, own}:
        raise Refusal("not_found", f"there is no workspace {wanted!r}")
    return own or wanted


ApprovalReason = Annotated[str, Field(min_length=1, max_length=1000)]


class ApproveBody(RequestBody):
    """The body of an approval."""

    reason: ApprovalReason | None = None


class DenyBody(RequestBody):
    """The body of a denial."""

    reason: ApprovalReason


async def approve_job(request: web.Request) -> web.Response:
    """Queue a job that waits for an approval."""
    asked = await parse_body(request, ApproveBody)
    approvals, job_id = request.app[STATE].intake.approvals, await resolve_job_id(request)
    return json_response(await approvals.approve(job_id, caller(request).actor, asked.reason), 202)


async def deny_job(request: web.Request) -> web.Response:
    """Cancel a job that waits for an approval."""
    asked = await parse_body(request, DenyBody)
    approvals, job_id = request.app[STATE].intake.approvals, await resolve_job_id(request)
    return json_response(await approvals.deny(job_id, caller(request).actor, asked.reason), 202)
