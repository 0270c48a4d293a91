"""The outbox: what is to be at the forges, and what became of it."""

from aiohttp import web

from shared.models import AnswerState
from stitcherd.http.auth import caller
from stitcherd.http.requests import QUERY, EmptyBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE
from stitcherd.store import answers


async def list_answers(request: web.Request) -> web.Response:
    """Return a page of answers."""
    query = request[QUERY]
    wanted = answers.AnswerFilter(
        states=query.each("state", lambda value: AnswerState(value.lower()), AnswerState),
        workspace=caller(request).workspace,
        before=query.text("before"),
    )
    async with request.app[STATE].store.reading() as db:
        return json_response(await answers.answer_page(db, wanted, query.limit))


async def retry_answer(request: web.Request) -> web.Response:
    """Send a failed or pending answer at once, and end a hold of its source."""
    await parse_body(request, EmptyBody)
    state = request.app[STATE]
    async with state.store.reading() as db:
        answer = await answers.get_answer(db, request.match_info["answer"], caller(request).workspace)
    return json_response(await state.reporter.retry(answer), 202)
