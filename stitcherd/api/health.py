"""Health: alive, ready, and who is answering."""

from aiohttp import web

from stitcherd.api.answers import answer
from stitcherd.api.auth import CALLER
from stitcherd.api.house import HOUSE


async def healthz(_request: web.Request) -> web.Response:
    """Answer that the process lives."""
    return answer({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Answer whether webhooks are taken; the reasons are for the operator alone."""
    house = request.app[HOUSE]
    stopping = {"name": "daemon", "ok": not house.stopping, "detail": "stopping" if house.stopping else "running"}
    in_force = house.rails.current is not None
    rails = {"name": "rails", "ok": in_force, "detail": "in force" if in_force else "none in force: nothing runs"}
    ready = not house.stopping
    checks = {"checks": [stopping, rails]} if CALLER in request else {}
    return answer({"ready": ready, **checks}, 200 if ready else 503)


async def meta(request: web.Request) -> web.Response:
    """Answer who this is."""
    return answer(request.app[HOUSE].meta)
