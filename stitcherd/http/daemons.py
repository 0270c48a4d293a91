"""The daemons and workers that share the store."""

from aiohttp import web
from msgspec.structs import replace

from shared.api import DaemonList, ReadinessCheck
from stitcherd.http.auth import require_operator
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE, AppState
from stitcherd.store import daemons
from stitcherd.store.errors import StorageUnavailable


async def list_daemons(request: web.Request) -> web.Response:
    """Return the daemons and workers whose lease is not over."""
    require_operator(request)
    state = request.app[STATE]
    async with state.store.reading() as db:
        living = await daemons.living_daemons(db)
    reached = tuple(state.health.healthy())  # of this process, which stores that only for others
    return json_response(DaemonList(tuple(each if each.until else replace(each, executors=reached) for each in living)))


async def daemons_check(state: AppState) -> tuple[ReadinessCheck, ...]:
    """Return who shares the store, and how far its clock is from ours; nothing where nobody can share it."""
    if not state.settings.store.is_shared:
        return ()
    since = state.meta.started_at
    try:
        async with state.store.reading() as db:
            living = await daemons.living_daemons(db)
            skew = await daemons.clock_skew(db)
    except StorageUnavailable as error:
        return (ReadinessCheck("daemons", ok=False, detail=str(error), since=since),)
    names = ", ".join(f"{each.role} {each.name} ({each.workers})" for each in living)
    return (ReadinessCheck("daemons", ok=True, detail=f"{names}; the database's clock {skew:+d} ms", since=since),)
