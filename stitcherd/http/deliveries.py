"""Deliveries: what came in, and what was made of it."""

import msgspec
from aiohttp import web

from shared.models import Verdict
from stitcherd.api.answers import answer
from stitcherd.api.asked import Query, body_of
from stitcherd.api.auth import caller
from stitcherd.api.house import HOUSE
from stitcherd.api.jobs import Asked
from stitcherd.api.webhooks import ACCEPTED, RETRY_AFTER
from stitcherd.refusal import Refusal
from stitcherd.store import reads


class Replay(Asked):
    """The body of a replay; a dry run changes nothing."""

    dry_run: bool = False


async def list_deliveries(request: web.Request) -> web.Response:
    """Answer a page of deliveries."""
    query = Query(request)
    wanted = reads.DeliveryFilter(
        verdicts=query.each("verdict", lambda value: Verdict(value.lower()), Verdict),
        sources=query.each("source", str),
        workspace=caller(request).workspace,
        before=query.text("before"),
    )
    async with request.app[HOUSE].store.reading() as db:
        return answer(await reads.delivery_page(db, wanted, query.limit))


async def show_delivery(request: web.Request) -> web.Response:
    """Answer one delivery with its decision."""
    Query(request)
    async with request.app[HOUSE].store.reading() as db:
        return answer(await reads.delivery(db, request.match_info["delivery"], caller(request).workspace))


async def show_body(request: web.Request) -> web.Response:
    """Answer the stored body of a delivery; never as something that a browser would run."""
    Query(request)
    async with request.app[HOUSE].store.reading() as db:
        body = await reads.delivery_body(db, request.match_info["delivery"], caller(request).workspace)
    return web.Response(
        body=body, content_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"}
    )


async def replay(request: web.Request) -> web.Response:
    """Put a delivery through today's rails again, and answer as its sender would be answered."""
    house, asked = request.app[HOUSE], await body_of(request, Replay)
    if house.stopping:
        raise Refusal("shutting_down", "the daemon is stopping", retry_after=RETRY_AFTER)
    actor = caller(request).actor
    async with house.store.reading() as db:
        delivery = await reads.delivery(db, request.match_info["delivery"], caller(request).workspace)
        body = await reads.delivery_body(db, delivery.id, None)
    if asked.dry_run:
        said, decision = await house.intake.rehearse(delivery, body, actor)
        return answer({**msgspec.to_builtins(said), "decision": decision})
    said = await house.intake.replay(delivery, body, actor)
    return answer(said, 202 if said.verdict in ACCEPTED else 200)
