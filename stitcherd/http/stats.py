"""Statistics of jobs."""

from aiohttp import web

from shared.ids import now_ms
from shared.stats import Grouping
from stitcherd.budget import DAY_MS
from stitcherd.http.auth import caller
from stitcherd.http.requests import QUERY
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE
from stitcherd.store.job_stats import read_stats

DEFAULT_DAYS = 14


async def show_stats(request: web.Request) -> web.Response:
    """Return what became of jobs since a time, grouped; without one, in the last two weeks by day."""
    query = request[QUERY]
    by = query.choice("by", Grouping, Grouping.DAY)
    since = query.time("since", now_ms() - DEFAULT_DAYS * DAY_MS)
    async with request.app[STATE].store.reading() as db:
        return json_response(await read_stats(db, caller(request).workspace, by, since))
