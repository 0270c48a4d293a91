"""Health: alive, ready, and who is answering."""

from typing import Annotated, Any

from aiohttp import web
from msgspec.structs import replace
from pydantic import Field

from shared.api import ExecutorState
from shared.ids import now_ms
from stitcherd.errors import Refusal
from stitcherd.http.auth import CALLER, caller
from stitcherd.http.requests import Query, RequestBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE, AppState
from stitcherd.store import scheduling
from stitcherd.store.stats import read_pulse

# merged from stitcherd.api.pause: The switch for everything: while it is off nothing new starts, and what
# comes in is stored and waits.
# merged from stitcherd.api.pulse: The pulse: how work goes, in one answer that is cheap to ask for every few
# seconds.


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process lives."""
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer whether webhooks are taken and what they ask for could be done; the reasons are for the operator alone."""
    house = request.app[STATE]
    executors = house.watch.states()
    ready = not house.stopping and all(executor.ok for executor in executors)
    checks = [_daemon_check(house), _rails_check(house), *map(_executor_check, executors)]
    return json_response({"ready": ready, **({"checks": checks} if CALLER in request else {})}, 200 if ready else 503)


async def show_meta(request: web.Request) -> web.Response:
    """Answer who this is."""
    house = request.app[STATE]
    return json_response(replace(house.meta, executors=house.watch.states()))


def _daemon_check(house: AppState) -> dict[str, Any]:
    detail = "stopping" if house.stopping else "running"
    since = house.stopping_since or house.meta.started_at
    return {"name": "daemon", "ok": not house.stopping, "detail": detail, "since": since}


def _executor_check(state: ExecutorState) -> dict[str, Any]:
    return {"name": f"executor:{state.name}", "ok": state.ok, "detail": state.detail, "since": state.since}


def _rails_check(house: AppState) -> dict[str, Any]:
    state = house.rails.state()
    ok = state.revision is not None
    detail = f"{state.revision} in force" if ok else "none in force: nothing runs"
    since = state.loaded_at or (state.error and state.error.at) or house.meta.started_at
    return {"name": "rails", "ok": ok, "detail": detail, "since": since}


class PauseBody(RequestBody):
    """The body of a pause."""

    reason: Annotated[str, Field(max_length=1000)] | None = None


class ResumeBody(RequestBody):
    """The body of a resume: nothing."""


async def show_pause(request: web.Request) -> web.Response:
    """Answer whether jobs may start."""
    Query(request)
    _require_operator(request)
    return json_response(await request.app[STATE].store.write(scheduling.pause_state))


async def pause(request: web.Request) -> web.Response:
    """Let no further job start; what runs goes on, and is named in the answer."""
    actor, asked = _require_operator(request), await parse_body(request, PauseBody)
    house = request.app[STATE]
    return json_response(await house.store.write(scheduling.pause, actor, asked.reason, now_ms()))


async def resume(request: web.Request) -> web.Response:
    """Let jobs start again, within a second."""
    _require_operator(request)
    await parse_body(request, ResumeBody)
    return json_response(await request.app[STATE].store.write(scheduling.resume))


def _require_operator(request: web.Request) -> str:
    """Return who asks, where that is the operator: the switch is every workspace's."""
    asking = caller(request)
    if asking.workspace is not None:
        raise Refusal("forbidden", "only the operator may do this, through the Unix socket")
    return asking.actor


async def show_pulse(request: web.Request) -> web.Response:
    """Answer what ended lately, what waits and since when, and whether jobs may start."""
    Query(request)
    async with request.app[STATE].store.reading() as db:
        return json_response(await read_pulse(db, caller(request).workspace, now_ms()))
