"""What a job left behind as text: the log of a step, the diff of an attempt; both by the stretch, of any size."""

from pathlib import Path

from aiohttp import web

from stitcherd.errors import Refusal
from stitcherd.http.auth import caller
from stitcherd.http.requests import CURSOR_MAX, Query
from stitcherd.http.state import STATE
from stitcherd.jobs.logs import diff_path, log_path
from stitcherd.store import jobs

# Whatever an agent wrote must not become a page in a browser.
AS_TEXT = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}


async def show_log(request: web.Request) -> web.StreamResponse:
    """Answer a step's whole output; ranges work."""
    Query(request)
    house = request.app[STATE]
    async with house.store.reading() as db:
        place = await jobs.step_place(
            db, request.match_info["job"], request.match_info["step"], caller(request).workspace
        )
    path = log_path(Path(house.settings.daemon.state_dir), *place)
    if not path.exists():
        raise Refusal("not_found", "the log of this step is past its retention")
    return web.FileResponse(path, headers=AS_TEXT)


async def show_diff(request: web.Request) -> web.StreamResponse:
    """Answer the diff of what an attempt, the last one unless told otherwise, has changed; ranges work."""
    query = Query(request)
    house = request.app[STATE]
    async with house.store.reading() as db:
        job = await jobs.get_job(db, request.match_info["job"], caller(request).workspace)
    attempt = query.number("attempt", job.attempt, 1, CURSOR_MAX)
    path = diff_path(Path(house.settings.daemon.state_dir), job.id, attempt)
    if not path.exists():
        raise Refusal("not_found", f"there is no diff of attempt {attempt}: nothing was committed, or it is too old")
    return web.FileResponse(path, headers=AS_TEXT)
