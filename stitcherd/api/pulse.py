"""The pulse: how work goes, in one answer that is cheap to ask for every few seconds."""

from aiohttp import web

from shared.ids import now_ms
from stitcherd.api.answers import answer
from stitcherd.api.asked import Query
from stitcherd.api.auth import caller
from stitcherd.api.house import HOUSE
from stitcherd.store.pulse import pulse


async def show_pulse(request: web.Request) -> web.Response:
    """Answer what ended lately, what waits and since when, and whether jobs may start."""
    Query(request)
    async with request.app[HOUSE].store.reading() as db:
        return answer(await pulse(db, caller(request).workspace, now_ms()))
