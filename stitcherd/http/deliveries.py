"""Deliveries: what came in, and what was made of it."""

import msgspec
from aiohttp import web

from shared.models import Verdict
from stitcherd.errors import Refusal
from stitcherd.http.auth import caller
from stitcherd.http.requests import Query, RequestBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE
from stitcherd.http.webhooks import ACCEPTED_VERDICTS, SHUTDOWN_RETRY_SECONDS
from stitcherd.store import deliveries


class ReplayBody(RequestBody):
    """The body of a replay; a dry run changes nothing."""

    dry_run: bool = False


async def list_deliveries(request: web.Request) -> web.Response:
    """Answer a page of deliveries."""
    query = Query(request)
    wanted = deliveries.DeliveryFilter(
        verdicts=query.each("verdict", lambda value: Verdict(value.lower()), Verdict),
        sources=query.each("source", str),
        workspace=caller(request).workspace,
        before=query.text("before"),
    )
    async with request.app[STATE].store.reading() as db:
        return json_response(await deliveries.delivery_page(db, wanted, query.limit))


async def show_delivery(request: web.Request) -> web.Response:
    """Answer one delivery with its decision."""
    Query(request)
    async with request.app[STATE].store.reading() as db:
        return json_response(
            await deliveries.get_delivery(db, request.match_info["delivery"], caller(request).workspace)
        )


async def show_body(request: web.Request) -> web.Response:
    """Answer the stored body of a delivery; never as something that a browser would run."""
    Query(request)
    async with request.app[STATE].store.reading() as db:
        body = await deliveries.get_body(db, request.match_info["delivery"], caller(request).workspace)
    return web.Response(
        body=body, content_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"}
    )


async def replay(request: web.Request) -> web.Response:
    """Put a delivery through today's rails again, and answer as its sender would be answered."""
    house, asked = request.app[STATE], await parse_body(request, ReplayBody)
    if house.stopping:
        raise Refusal("shutting_down", "the daemon is stopping", retry_after=SHUTDOWN_RETRY_SECONDS)
    actor = caller(request).actor
    async with house.store.reading() as db:
        delivery = await deliveries.get_delivery(db, request.match_info["delivery"], caller(request).workspace)
        body = await deliveries.get_body(db, delivery.id, None)
    if asked.dry_run:
        said, decision = await house.intake.rehearse(delivery, body, actor)
        return json_response({**msgspec.to_builtins(said), "decision": decision})
    said = await house.intake.replay(delivery, body, actor)
    return json_response(said, 202 if said.verdict in ACCEPTED_VERDICTS else 200)
