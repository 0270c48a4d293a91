"""Health: alive, ready, and who is answering."""

from typing import Any

from aiohttp import web
from msgspec.structs import replace

from shared.house import ExecutorState
from stitcherd.api.answers import answer
from stitcherd.api.auth import CALLER
from stitcherd.api.house import HOUSE, House


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process lives."""
    return answer({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer whether webhooks are taken and what they ask for could be done; the reasons are for the operator alone."""
    house = request.app[HOUSE]
    executors = house.watch.states()
    ready = not house.stopping and all(executor.ok for executor in executors)
    checks = [_of_daemon(house), _of_rails(house), *map(_of_executor, executors)]
    return answer({"ready": ready, **({"checks": checks} if CALLER in request else {})}, 200 if ready else 503)


async def meta(request: web.Request) -> web.Response:
    """Answer who this is."""
    house = request.app[HOUSE]
    return answer(replace(house.meta, executors=house.watch.states()))


def _of_daemon(house: House) -> dict[str, Any]:
    detail = "stopping" if house.stopping else "running"
    since = house.stopping_since or house.meta.started_at
    return {"name": "daemon", "ok": not house.stopping, "detail": detail, "since": since}


def _of_executor(state: ExecutorState) -> dict[str, Any]:
    return {"name": f"executor:{state.name}", "ok": state.ok, "detail": state.detail, "since": state.since}


def _of_rails(house: House) -> dict[str, Any]:
    state = house.rails.state()
    ok = state.revision is not None
    detail = f"{state.revision} in force" if ok else "none in force: nothing runs"
    since = state.loaded_at or (state.error and state.error.at) or house.meta.started_at
    return {"name": "rails", "ok": ok, "detail": detail, "since": since}
