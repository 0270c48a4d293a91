"""Step logs, conversations of tries and diffs of attempts as plain text, with Range support."""

import asyncio
from pathlib import Path

from aiohttp import web

from stitcherd.errors import Refusal
from stitcherd.http.auth import caller
from stitcherd.http.requests import CURSOR_MAX, QUERY
from stitcherd.http.state import STATE
from stitcherd.jobs.conversation import Conversation
from stitcherd.jobs.logs import diff_path, log_path, prompts_path, raw_log_path
from stitcherd.store import jobs

# Browsers must not render what an agent wrote.
TEXT_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}


async def show_log(request: web.Request) -> web.StreamResponse:
    """Return the whole output of a step; supports Range.

    With `raw` it is what the agent wrote in the form of its own, where the output was made of that.
    """
    state, names = request.app[STATE], request.match_info
    async with state.store.reading() as db:
        place, size = await jobs.step_log(db, names["job"], names["step"], caller(request).workspace)
    directory = Path(state.settings.daemon.state_dir)
    if request[QUERY].flag("raw"):
        path = raw_log_path(directory, *place)
        if not path.exists():
            raise Refusal("not_found", "this step has no raw output: its output is what was printed, or it was removed")
        return web.FileResponse(path, headers=TEXT_HEADERS)
    path = log_path(directory, *place)
    if not path.exists() and size == 0:  # it has printed nothing, or nothing yet
        if "Range" in request.headers:
            return web.Response(status=416, headers={**TEXT_HEADERS, "Content-Range": "bytes */0"})
        return web.Response(headers=TEXT_HEADERS)
    if not path.exists():
        raise Refusal("not_found", "the log of this step is past its retention")
    return web.FileResponse(path, headers=TEXT_HEADERS)


async def show_conversation(request: web.Request) -> web.StreamResponse:
    """Return what the agent of a step was sent, and between, the output of the step; supports Range."""
    state, names = request.app[STATE], request.match_info
    async with state.store.reading() as db:
        place, _ = await jobs.step_log(db, names["job"], names["step"], caller(request).workspace)
    directory = Path(state.settings.daemon.state_dir)
    try:
        conversation = await asyncio.to_thread(
            Conversation, log_path(directory, *place), prompts_path(directory, *place)
        )
    except FileNotFoundError:
        raise Refusal("not_found", "no prompt was sent in this step, or it is past its retention") from None
    return await _send_ranges(request, conversation)


async def _send_ranges(request: web.Request, text: Conversation) -> web.StreamResponse:
    """Send a text, or the part that the request's Range asks for."""
    try:
        wanted = request.http_range
    except ValueError:
        wanted = slice(text.size, None)
    start, end, _ = wanted.indices(text.size)
    if start >= end and wanted.start is not None:
        return web.Response(status=416, headers={**TEXT_HEADERS, "Content-Range": f"bytes */{text.size}"})
    response = web.StreamResponse(headers={**TEXT_HEADERS, "Accept-Ranges": "bytes"})
    if wanted.start is not None:
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{text.size}"
    response.content_length = end - start
    await response.prepare(request)
    chunks = text.read(start, end)
    while chunk := await asyncio.to_thread(next, chunks, b""):
        await response.write(chunk)
    await response.write_eof()
    return response


async def show_diff(request: web.Request) -> web.StreamResponse:
    """Return the diff of an attempt, by default the last one; supports Range."""
    state = request.app[STATE]
    async with state.store.reading() as db:
        job = await jobs.get_job(db, request.match_info["job"], caller(request).workspace)
    attempt = request[QUERY].number("attempt", job.attempt, 1, CURSOR_MAX)
    path = diff_path(Path(state.settings.daemon.state_dir), job.id, attempt)
    if not path.exists():
        raise Refusal("not_found", f"there is no diff of attempt {attempt}: nothing was committed, or it was removed")
    return web.FileResponse(path, headers=TEXT_HEADERS)
