"""Deliveries: what came in, and what was made of it."""

from aiohttp import web

from shared.models import Verdict
from stitcherd.api.answers import answer
from stitcherd.api.asked import Query
from stitcherd.api.auth import caller
from stitcherd.api.house import HOUSE
from stitcherd.store import reads


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
