"""Health, identity and load of the daemon, statistics, and the pause that keeps new jobs from starting."""

from typing import Annotated

from aiohttp import web
from msgspec.structs import replace
from pydantic import Field

from shared.api import ExecutorState, Health, Readiness, ReadinessCheck
from shared.ids import format_timestamp, now_ms
from shared.stats import Grouping
from stitcherd.budget import DAY_MS
from stitcherd.http.auth import CALLER, caller, require_operator
from stitcherd.http.daemons import daemons_check
from stitcherd.http.requests import QUERY, EmptyBody, RequestBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE, AppState
from stitcherd.store import scheduling
from stitcherd.store.pulse import read_pulse

STATS_DAYS = 14  # that statistics are of by default


class PauseBody(RequestBody):
    """The body of a pause."""

    reason: Annotated[str, Field(max_length=1000)] | None = None


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process is alive."""
    return json_response(Health("ok"))


async def readyz(request: web.Request) -> web.Response:
    """Return whether webhooks are accepted and jobs can run; the reasons only for authenticated callers.

    Only for them the store is read: anybody may ask, as often as they like.
    """
    state, is_told_why = request.app[STATE], CALLER in request
    checks = (
        _daemon_check(state),
        _storage_check(state),
        _rails_check(state),
        *map(_executor_check, state.health.states()),
        *map(state.pollers.check, state.reporter.checks()),
        *(await daemons_check(state) if is_told_why else ()),
    )
    ready = all(check.ok for check in checks)
    return json_response(Readiness(ready, checks if is_told_why else ()), 200 if ready else 503)


async def meta(request: web.Request) -> web.Response:
    """Return the identity of the daemon and the state of its executors."""
    state = request.app[STATE]
    return json_response(replace(state.meta, executors=state.health.states()))


async def show_pulse(request: web.Request) -> web.Response:
    """Return the jobs that ended lately, the queue, whether jobs may start, and refused signatures by source."""
    state, workspace = request.app[STATE], caller(request).workspace
    async with state.store.reading() as db:
        pulse = await read_pulse(db, workspace, now_ms())
    visible = [each.name for each in state.settings.sources.values() if workspace in {None, each.workspace}]
    counts = state.intake.refused_signatures.counts
    return json_response(replace(pulse, refused_signatures={name: counts[name] for name in visible if name in counts}))


async def show_stats(request: web.Request) -> web.Response:
    """Return what became of jobs since a time, grouped; without one, in the last two weeks by day."""
    query = request[QUERY]
    by = query.choice("by", Grouping, Grouping.DAY)
    since = query.time("since", now_ms() - STATS_DAYS * DAY_MS)
    state = request.app[STATE]
    async with state.store.reading() as db:
        return json_response(await state.stats.read(db, caller(request).workspace, by, since))


async def show_pause(request: web.Request) -> web.Response:
    """Return whether new jobs may start."""
    require_operator(request)
    return await _pause_state(request)


async def pause(request: web.Request) -> web.Response:
    """Keep new jobs from starting; return the jobs that go on running."""
    actor, options = require_operator(request), await parse_body(request, PauseBody)
    await request.app[STATE].store.write(scheduling.pause, actor, options.reason, now_ms())
    return await _pause_state(request)


async def resume(request: web.Request) -> web.Response:
    """Let jobs start again, within a second."""
    require_operator(request)
    await parse_body(request, EmptyBody)
    await request.app[STATE].store.write(scheduling.resume)
    return await _pause_state(request)


async def _pause_state(request: web.Request) -> web.Response:
    async with request.app[STATE].store.reading() as db:
        return json_response(await scheduling.read_pause_state(db))


def _daemon_check(state: AppState) -> ReadinessCheck:
    for reason, since in state.supervision.troubles.values():
        return ReadinessCheck("daemon", ok=False, detail=reason, since=since)
    detail = "stopping" if state.stopping else "running"
    return ReadinessCheck("daemon", not state.stopping, detail, state.stopping_since or state.meta.started_at)


def _storage_check(state: AppState) -> ReadinessCheck:
    outage = state.store.outage
    if outage is None:
        return ReadinessCheck("storage", ok=True, detail="the last write was stored", since=state.meta.started_at)
    return ReadinessCheck("storage", ok=False, detail=outage.reason, since=format_timestamp(outage.since))


def _executor_check(executor: ExecutorState) -> ReadinessCheck:
    return ReadinessCheck(f"executor:{executor.name}", executor.ok, executor.detail, executor.since)


def _rails_check(state: AppState) -> ReadinessCheck:
    rails = state.rails.state()
    ok = rails.revision is not None
    detail = f"{rails.revision} in force" if ok else f"{state.rails.unusable or 'none in force'}: nothing runs"
    if state.rails.differs:
        detail += f", put there by another daemon: {rails.path} differs"
    failed_at = rails.error.at if rails.error else None
    return ReadinessCheck("rails", ok, detail, rails.loaded_at or failed_at or state.meta.started_at)
