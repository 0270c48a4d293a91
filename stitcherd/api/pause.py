"""The switch for everything: while it is off nothing new starts, and what comes in is stored and waits."""

from typing import Annotated

from aiohttp import web
from pydantic import Field

from shared.ids import now_ms
from stitcherd.api.answers import answer
from stitcherd.api.asked import Query, body_of
from stitcherd.api.auth import caller
from stitcherd.api.house import HOUSE
from stitcherd.api.jobs import Asked
from stitcherd.refusal import Refusal
from stitcherd.store import limits


class Hold(Asked):
    """The body of a pause."""

    reason: Annotated[str, Field(max_length=1000)] | None = None


class Resume(Asked):
    """The body of a resume: nothing."""


async def show_pause(request: web.Request) -> web.Response:
    """Answer whether jobs may start."""
    Query(request)
    _operators(request)
    return answer(await request.app[HOUSE].store.write(limits.paused))


async def pause(request: web.Request) -> web.Response:
    """Let no further job start; what runs goes on, and is named in the answer."""
    actor, asked = _operators(request), await body_of(request, Hold)
    house = request.app[HOUSE]
    return answer(await house.store.write(limits.pause, actor, asked.reason, now_ms()))


async def resume(request: web.Request) -> web.Response:
    """Let jobs start again, within a second."""
    _operators(request)
    await body_of(request, Resume)
    return answer(await request.app[HOUSE].store.write(limits.resume))


def _operators(request: web.Request) -> str:
    """Return who asks, where that is the operator: the switch is every workspace's."""
    asking = caller(request)
    if asking.workspace is not None:
        raise Refusal("forbidden", "only the operator may do this, through the Unix socket")
    return asking.actor
