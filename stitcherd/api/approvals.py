"""Approvals: a waiting job is let run, or never; that the caller may is for the table of routes to say."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from stitcherd.api.answers import answer
from stitcherd.api.asked import body_of
from stitcherd.api.auth import caller
from stitcherd.api.house import HOUSE
from stitcherd.api.jobs import Asked, whole_id

Reason = Annotated[str, Field(min_length=1, max_length=1000)]


class Approve(Asked):
    """The body of an approval."""

    reason: Reason | None = None


class Deny(Asked):
    """The body of a denial."""

    reason: Reason


async def approve_job(request: web.Request) -> web.Response:
    """Queue a job that waits for an approval."""
    asked = await body_of(request, Approve)
    approvals, job_id = request.app[HOUSE].intake.approvals, await whole_id(request)
    return answer(await approvals.approve(job_id, caller(request).actor, asked.reason), 202)


async def deny_job(request: web.Request) -> web.Response:
    """Cancel a job that waits for an approval."""
    asked = await body_of(request, Deny)
    approvals, job_id = request.app[HOUSE].intake.approvals, await whole_id(request)
    return answer(await approvals.deny(job_id, caller(request).actor, asked.reason), 202)
