"""Jobs: list, detail and events; create, dispatch, cancel and retry, one or many."""

import json
from typing import Annotated, Any

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared import filters
from shared.models import Dispatch, Status
from stitcherd.api.answers import answer
from stitcherd.api.asked import CURSOR_MAX, Query, body_of
from stitcherd.api.auth import caller
from stitcherd.api.house import HOUSE
from stitcherd.bulk import Action
from stitcherd.drafts import DispatchRequest
from stitcherd.queue import NAME
from stitcherd.refusal import Refusal
from stitcherd.store import reads

METADATA_MAX = 64 * 1024  # bytes of JSON

Word = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Asked(BaseModel):
    """A body: camelCase, strict, and nothing that is not known."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, frozen=True)


class NewJob(Asked):
    """The body of `POST /runner-jobs` and `POST /stitcher/dispatch`."""

    type: Word
    prompt: Annotated[str, Field(max_length=262_144)] | None = None
    repository: Word | None = None
    ref: Word | None = None
    agent_task_id: Word | None = None
    workspace_id: Word | None = None
    priority: Annotated[int, Field(ge=0, le=10)] = 5
    metadata: dict[str, Any] | None = None
    idempotency_key: Word | None = None


class Cancel(Asked):
    """The body of a cancel."""

    reason: Annotated[str, Field(max_length=1000)] | None = None


class Retry(Asked):
    """The body of a retry: nothing."""


class Change(Asked):
    """The body of one command over many jobs."""

    action: Action
    q: str
    dry_run: bool = False


async def list_jobs(request: web.Request) -> web.Response:
    """Answer a page of jobs."""
    query = Query(request)
    wanted = reads.JobFilter(
        query=_filter(query.text("q") or ""),
        statuses=query.each("status", lambda value: Status(value.upper()), Status),
        types=query.each("type", str),
        agent_task=query.text("agentTaskId"),
        repository=query.text("repository"),
        workspace=_workspace(request, query.text("workspaceId")),
        before=query.text("before"),
    )
    async with request.app[HOUSE].store.reading() as db:
        return answer(await reads.job_page(db, wanted, query.limit))


async def show_job(request: web.Request) -> web.Response:
    """Answer one job with its steps, events and decision."""
    Query(request)
    async with request.app[HOUSE].store.reading() as db:
        return answer(await reads.job_detail(db, request.match_info["job"], caller(request).workspace))


async def list_events(request: web.Request) -> web.Response:
    """Answer a page of a job's events."""
    query = Query(request)
    after = query.number("after", 0, 0, CURSOR_MAX)
    async with request.app[HOUSE].store.reading() as db:
        page = await reads.job_events(db, request.match_info["job"], caller(request).workspace, after, query.limit)
    return answer(page)


async def create_job(request: web.Request) -> web.Response:
    """Store a job that was asked for by hand, and answer it."""
    job, new = await _dispatch(request)
    async with request.app[HOUSE].store.reading() as db:
        return answer(await reads.job_detail(db, job.id, None), 201 if new else 200)


async def dispatch(request: web.Request) -> web.Response:
    """Store a job that was asked for by hand, and answer as the original did."""
    job, new = await _dispatch(request)
    return answer(Dispatch(job.id, NAME, job.status), 201 if new else 200)


async def cancel_job(request: web.Request) -> web.Response:
    """Cancel a job."""
    asked = await body_of(request, Cancel)
    job_id = await whole_id(request)
    return answer(await request.app[HOUSE].intake.cancel(job_id, caller(request).actor, asked.reason), 202)


async def retry_job(request: web.Request) -> web.Response:
    """Queue a job again."""
    await body_of(request, Retry)
    job_id = await whole_id(request)
    return answer(await request.app[HOUSE].intake.retry(job_id, caller(request).actor), 202)


async def change_jobs(request: web.Request) -> web.Response:
    """Cancel or retry every job that passes a filter, or say which they would be."""
    asked = await body_of(request, Change)
    wanted, bulk, who = _filter(asked.q), request.app[HOUSE].bulk, caller(request)
    if not wanted.terms:
        raise Refusal("invalid", "q: without a word it would mean every job", "is:open means all that are not over")
    if asked.dry_run:
        return answer(await bulk.look(asked.action, wanted, who.workspace))
    return answer(await bulk.change(asked.action, wanted, who.workspace, who.actor))


async def _dispatch(request: web.Request) -> tuple[Any, bool]:
    asked = await body_of(request, NewJob)
    house = request.app[HOUSE]
    if house.stopping:
        raise Refusal("shutting_down", "the daemon is stopping", retry_after=5)
    metadata = asked.metadata or {}
    if len(json.dumps(metadata)) > METADATA_MAX:
        raise Refusal("invalid", f"metadata: larger than {METADATA_MAX} bytes")
    wanted = DispatchRequest(
        type=asked.type,
        prompt=asked.prompt or "",
        repository=asked.repository,
        ref=asked.ref,
        agent_task_id=asked.agent_task_id,
        workspace=_workspace(request, asked.workspace_id) or "default",
        priority=asked.priority,
        metadata=metadata,
        idempotency_key=asked.idempotency_key,
    )
    job, new = await house.intake.dispatch(wanted, caller(request).actor)
    return job, new


async def whole_id(request: web.Request) -> str:
    """Return the id of the job that a path names, by the whole or by its end; raises Refusal."""
    async with request.app[HOUSE].store.reading() as db:
        return (await reads.job(db, request.match_info["job"], caller(request).workspace)).id


def _filter(text: str) -> filters.Filter:
    try:
        return filters.parse(text)
    except filters.FilterError as error:
        raise Refusal("invalid", f"q: {error}", more={"column": error.column}) from error


def _workspace(request: web.Request, wanted: str | None) -> str | None:
    """Return the workspace to look in: what was asked for, as far as the caller may see it."""
    own = caller(request).workspace
    if own is not None and wanted not in {None, own}:
        raise Refusal("not_found", f"there is no workspace {wanted!r}")
    return own or wanted
