"""Step logs, conversations of tries and diffs of attempts as plain text, with Range support."""

from aiohttp import web

from stitcherd.errors import Refusal
from stitcherd.http.auth import caller
from stitcherd.http.requests import CURSOR_MAX, QUERY
from stitcherd.http.state import STATE
from stitcherd.jobs.conversation import find_conversation
from stitcherd.jobs.logs import diff_path, log_path, prompts_path, raw_log_path
from stitcherd.jobs.outputs import FileOutput, Output
from stitcherd.store import jobs
from stitcherd.store.errors import StorageUnavailable

# Browsers must not render what an agent wrote.
TEXT_HEADERS = {"Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff"}


async def show_log(request: web.Request) -> web.StreamResponse:
    """Return the whole output of a step; supports Range.

    With `raw` it is what the agent wrote in the form of its own, where the output was made of that.
    """
    state, names = request.app[STATE], request.match_info
    async with state.store.reading() as db:
        place, size = await jobs.step_log(db, names["job"], names["step"], caller(request).workspace)
    if request[QUERY].flag("raw"):
        raw = await state.outputs.find(raw_log_path(state.outputs.state, *place))
        if raw is None:
            raise Refusal("not_found", "this step has no raw output: its output is what was printed, or it was removed")
        return await _send(request, raw)
    log = await state.outputs.find(log_path(state.outputs.state, *place))
    if log is None and size == 0:  # it has printed nothing, or nothing yet
        if "Range" in request.headers:
            return web.Response(status=416, headers={**TEXT_HEADERS, "Content-Range": "bytes */0"})
        return web.Response(headers=TEXT_HEADERS)
    if log is None:
        raise Refusal("not_found", "the log of this step is past its retention")
    return await _send(request, log)


async def show_conversation(request: web.Request) -> web.StreamResponse:
    """Return what the agent of a step was sent, and between, the output of the step; supports Range."""
    state, names = request.app[STATE], request.match_info
    async with state.store.reading() as db:
        place, _ = await jobs.step_log(db, names["job"], names["step"], caller(request).workspace)
    log, prompts = (path(state.outputs.state, *place) for path in (log_path, prompts_path))
    conversation = await find_conversation(state.outputs, log, prompts)
    if conversation is None:
        raise Refusal("not_found", "no prompt was sent in this step, or it is past its retention")
    return await _send(request, conversation)


async def show_diff(request: web.Request) -> web.StreamResponse:
    """Return the diff of an attempt, by default the last one; supports Range."""
    state = request.app[STATE]
    async with state.store.reading() as db:
        job = await jobs.get_job(db, request.match_info["job"], caller(request).workspace)
    attempt = request[QUERY].number("attempt", job.attempt, 1, CURSOR_MAX)
    diff = await state.outputs.find(diff_path(state.outputs.state, job.id, attempt))
    if diff is None:
        raise Refusal("not_found", f"there is no diff of attempt {attempt}: nothing was committed, or it was removed")
    return await _send(request, diff)


async def _send(request: web.Request, text: Output) -> web.StreamResponse:
    """Send a text, or the part that the request's Range asks for."""
    if isinstance(text, FileOutput):
        return web.FileResponse(text.path, headers=TEXT_HEADERS)
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
    response.content_length = left = end - start
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    try:
        async for chunk in text.read(start, end):
            await response.write(chunk)
            left -= len(chunk)
    except StorageUnavailable:  # it has begun, and another answer cannot take its place
        pass
    if left:  # it was deleted meanwhile: who waits for the rest is told by the end of the connection
        request.protocol.force_close()
    return response
