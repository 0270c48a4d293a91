"""Jobs: lists, details and events; create, cancel, retry, approve and deny."""

import json
from typing import Annotated, Any

from aiohttp import web
from pydantic import Field

from shared import filters
from shared.api import DispatchResponse
from shared.models import RunnerJob, Status
from stitcherd.errors import Refusal
from stitcherd.http.auth import caller
from stitcherd.http.requests import CURSOR_MAX, QUERY, EmptyBody, RequestBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE
from stitcherd.jobs.commands import BulkAction
from stitcherd.jobs.dispatch import DispatchedJob
from stitcherd.queue import QUEUE_NAME
from stitcherd.store import events, jobs

METADATA_MAX = 64 * 1024  # bytes of JSON

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
ApprovalReason = Annotated[str, Field(min_length=1, max_length=1000)]


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


class ApproveBody(RequestBody):
    """The body of an approval."""

    reason: ApprovalReason | None = None


class DenyBody(RequestBody):
    """The body of a denial."""

    reason: ApprovalReason


class BulkBody(RequestBody):
    """The body of a bulk action: what to do with every job that matches the filter `q`."""

    action: BulkAction
    q: str
    dry_run: bool = False


async def list_jobs(request: web.Request) -> web.Response:
    """Return a page of jobs."""
    query = request[QUERY]
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
    """Return a job with its steps, events and decision."""
    async with request.app[STATE].store.reading() as db:
        return json_response(await jobs.get_job_detail(db, request.match_info["job"], caller(request).workspace))


async def list_events(request: web.Request) -> web.Response:
    """Return a page of a job's events."""
    query, name, workspace = request[QUERY], request.match_info["job"], caller(request).workspace
    after = query.number("after", 0, 0, CURSOR_MAX)
    async with request.app[STATE].store.reading() as db:
        return json_response(await events.job_events(db, name, workspace, after, query.limit))


async def create_job(request: web.Request) -> web.Response:
    """Create a job and return it; the same idempotency key returns the first one."""
    job, new = await _dispatch(request)
    async with request.app[STATE].store.reading() as db:
        return json_response(await jobs.get_job_detail(db, job.id, None), 201 if new else 200)


async def dispatch(request: web.Request) -> web.Response:
    """Create a job and return its id and queue; the same idempotency key returns the first one."""
    job, new = await _dispatch(request)
    return json_response(DispatchResponse(job.id, QUEUE_NAME, job.status), 201 if new else 200)


async def cancel_job(request: web.Request) -> web.Response:
    """Cancel a job."""
    options, job_id = await parse_body(request, CancelBody), await find_job_id(request, request.match_info["job"])
    return json_response(await request.app[STATE].commands.cancel(job_id, caller(request).actor, options.reason), 202)


async def retry_job(request: web.Request) -> web.Response:
    """Queue a failed or cancelled job again."""
    await parse_body(request, EmptyBody)
    job_id = await find_job_id(request, request.match_info["job"])
    return json_response(await request.app[STATE].commands.retry(job_id, caller(request).actor), 202)


async def approve_job(request: web.Request) -> web.Response:
    """Queue a job that waits for an approval."""
    options, job_id = await parse_body(request, ApproveBody), await find_job_id(request, request.match_info["job"])
    approvals = request.app[STATE].approvals
    return json_response(await approvals.approve(job_id, caller(request).actor, options.reason), 202)


async def deny_job(request: web.Request) -> web.Response:
    """Cancel a job that waits for an approval."""
    options, job_id = await parse_body(request, DenyBody), await find_job_id(request, request.match_info["job"])
    approvals = request.app[STATE].approvals
    return json_response(await approvals.deny(job_id, caller(request).actor, options.reason), 202)


async def change_jobs(request: web.Request) -> web.Response:
    """Cancel or retry every job that matches a filter; a dry run only lists them."""
    options = await parse_body(request, BulkBody)
    wanted, commands, user = _parse_filter(options.q), request.app[STATE].commands, caller(request)
    if not wanted.terms:
        raise Refusal("invalid", "q: an empty filter would match every job", "is:open matches all that are not over")
    if options.dry_run:
        return json_response(await commands.preview_bulk(options.action, wanted, user.workspace))
    return json_response(await commands.apply_bulk(options.action, wanted, user.workspace, user.actor))


async def find_job_id(request: web.Request, name: str) -> str:
    """Return the whole id of a job that the caller may see, named by its id or the end of it; raise Refusal."""
    async with request.app[STATE].store.reading() as db:
        return await jobs.get_job_id(db, name, caller(request).workspace)


async def _dispatch(request: web.Request) -> tuple[RunnerJob, bool]:
    body, state = await parse_body(request, NewJobBody), request.app[STATE]
    state.refuse_if_stopping()
    metadata = body.metadata or {}
    if len(json.dumps(metadata)) > METADATA_MAX:
        raise Refusal("invalid", f"metadata: larger than {METADATA_MAX} bytes")
    wanted = DispatchedJob(
        type=body.type,
        prompt=body.prompt or "",
        repository=body.repository,
        ref=body.ref,
        agent_task_id=body.agent_task_id,
        workspace=_resolve_workspace(request, body.workspace_id) or "default",
        priority=body.priority,
        metadata=metadata,
    )
    actor = caller(request).actor
    return await state.dispatcher.dispatch(wanted, actor=actor, idempotency_key=body.idempotency_key)


def _parse_filter(text: str) -> filters.Filter:
    try:
        return filters.parse_filter(text)
    except filters.FilterError as error:
        raise Refusal("invalid", f"q: {error}", more={"column": error.column}) from error


def _resolve_workspace(request: web.Request, wanted: str | None) -> str | None:
    """Return the workspace to use; raise Refusal for one that the caller may not see."""
    own = caller(request).workspace
    if own is not None and wanted not in {None, own}:
        raise Refusal("not_found", f"there is no workspace {wanted!r}")
    return own or wanted
