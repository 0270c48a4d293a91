"""Received deliveries and their decisions."""

from aiohttp import web
from msgspec import structs

from shared.deliveries import ReplayResponse
from shared.models import Verdict
from stitcherd.http.auth import caller
from stitcherd.http.requests import QUERY, RequestBody, parse_body
from stitcherd.http.responses import json_response, webhook_response
from stitcherd.http.state import STATE
from stitcherd.metrics import count_delivery
from stitcherd.store import deliveries


class ReplayBody(RequestBody):
    """The body of a replay; a dry run changes nothing."""

    dry_run: bool = False


async def list_deliveries(request: web.Request) -> web.Response:
    """Return a page of deliveries."""
    query = request[QUERY]
    wanted = deliveries.DeliveryFilter(
        verdicts=query.each("verdict", lambda value: Verdict(value.lower()), Verdict),
        sources=query.each("source", str),
        workspace=caller(request).workspace,
        before=query.text("before"),
    )
    async with request.app[STATE].store.reading() as db:
        return json_response(await deliveries.delivery_page(db, wanted, query.limit))


async def show_delivery(request: web.Request) -> web.Response:
    """Return a delivery with its decision."""
    async with request.app[STATE].store.reading() as db:
        delivery = await deliveries.get_delivery(db, request.match_info["delivery"], caller(request).workspace)
    return json_response(delivery)


async def show_body(request: web.Request) -> web.Response:
    """Return the stored body of a delivery, as a download that browsers do not render."""
    async with request.app[STATE].store.reading() as db:
        body = await deliveries.get_body(db, request.match_info["delivery"], caller(request).workspace)
    return web.Response(
        body=body, content_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"}
    )


async def replay(request: web.Request) -> web.Response:
    """Decide a delivery again under the current rails, and store the result unless it is a dry run."""
    state, options = request.app[STATE], await parse_body(request, ReplayBody)
    state.refuse_if_stopping()
    actor = caller(request).actor
    async with state.store.reading() as db:
        delivery = await deliveries.get_delivery(db, request.match_info["delivery"], caller(request).workspace)
        body = await deliveries.get_body(db, delivery.id, None)
    if options.dry_run:
        result, decision = await state.intake.rehearse(delivery, body, actor)
        return json_response(ReplayResponse(**structs.asdict(result), decision=decision))
    answer = await state.intake.replay(delivery, body, actor)
    count_delivery(delivery.source, answer.verdict)
    return webhook_response(answer)
