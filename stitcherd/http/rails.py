"""The rails: those in force, what they say of a delivery, and what others would have said of the last ones."""

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web
from multidict import CIMultiDict
from pydantic import AwareDatetime, Field

from shared.models import Decision
from stitcherd.api.answers import answer
from stitcherd.api.asked import Query, body_of
from stitcherd.api.auth import caller
from stitcherd.api.house import HOUSE, House
from stitcherd.api.jobs import Asked
from stitcherd.judge import is_form
from stitcherd.rails import file
from stitcherd.rails.faults import RailsError
from stitcherd.rails.json_schema import shipped
from stitcherd.refusal import Refusal
from stitcherd.settings.tables import Permission, SourceSettings
from stitcherd.simulation import Wanted, simulate
from stitcherd.sources import SOURCES, NotJson, WrongShape
from stitcherd.store import reads

MOST = 10_000  # deliveries in one simulation


class Explain(Asked):
    """The body of an explain: either a delivery that came in, or one made up."""

    delivery_id: str | None = None
    source: str | None = None
    headers: dict[str, str] | None = None
    body: str | dict[str, Any] | None = None


class Simulate(Asked):
    """The body of a simulate: a text for rails.yaml, and how far back to look."""

    text: str
    limit: Annotated[int, Field(ge=0, le=MOST)] = 1000
    since: AwareDatetime | None = None


async def show_rails(request: web.Request) -> web.Response:
    """Answer the rails in force and how they differ from those before, or from the revision `against`.

    With `effective` also all that they leave to defaults.
    """
    query = Query(request)
    wanted, against = query.text("effective"), query.text("against")
    if wanted not in {None, "true", "false"}:
        raise Refusal("invalid", f"effective takes true or false, not {wanted!r}")
    rails = request.app[HOUSE].rails
    try:
        state = rails.state() if against is None else await rails.state_against(against)
    except LookupError as missing:
        raise Refusal("not_found", f"there are no rails {against!r} that can be read") from missing
    if wanted != "true":
        return answer(state)
    effective = None if state.text is None else await asyncio.to_thread(file.in_full, state.text)
    return answer({**msgspec.to_builtins(state), "effective": effective})


async def show_schema(request: web.Request) -> web.Response:
    """Answer the JSON Schema of rails.yaml."""
    Query(request)
    return web.Response(body=shipped(), content_type="application/schema+json")


async def explain(request: web.Request) -> web.Response:
    """Answer what the rails in force say of a delivery; nothing is stored and nothing runs."""
    house, asked = request.app[HOUSE], await body_of(request, Explain)
    made_up = asked.source is not None and asked.body is not None
    if (asked.delivery_id is None) is not made_up or (asked.delivery_id and asked.model_fields_set != {"delivery_id"}):
        raise Refusal("invalid", "explain takes either deliveryId, or source, headers and body")
    try:
        return answer(await (_explained_again if asked.delivery_id else _explained)(request, house, asked))
    except NotJson as fault:
        raise Refusal("bad_request", str(fault)) from fault
    except WrongShape as fault:
        raise Refusal("invalid", str(fault)) from fault


async def simulate_rails(request: web.Request) -> web.Response:
    """Answer what another text of rails.yaml would have said of the last deliveries, where it differs."""
    house, asked = request.app[HOUSE], await body_of(request, Simulate)
    try:
        rulebook = await asyncio.to_thread(house.rails.parse, asked.text)
    except RailsError as error:
        faults = msgspec.to_builtins(error.others)
        more = {"line": error.line, "column": error.column, "message": error.message, "faults": faults}
        raise Refusal("invalid", str(error), more=more) from error
    since = int(asked.since.timestamp() * 1000) if asked.since else 0
    wanted = Wanted(asked.limit, since, caller(request).workspace)
    return answer(await simulate(house.store, house.intake.judge, rulebook, wanted))


async def _explained_again(request: web.Request, house: House, asked: Explain) -> Decision:
    _need(request, "deliveries:read")
    name = asked.delivery_id or ""
    async with house.store.reading() as db:
        delivery = await reads.delivery(db, name, caller(request).workspace)
        body = await reads.delivery_body(db, delivery.id, None)
    return await house.intake.explain_again(delivery, body)


async def _explained(request: web.Request, house: House, asked: Explain) -> Decision:
    _need(request, "rails:read")
    headers = CIMultiDict(asked.headers or {})
    body = asked.body if isinstance(asked.body, str) else msgspec.json.encode(asked.body).decode()
    content = body.encode("utf-8", "surrogatepass")
    source = _source(request, house, asked.source or "")
    return await house.intake.explain(source, headers, content, form=is_form(headers))


def _need(request: web.Request, permission: Permission) -> None:
    if not caller(request).may(permission):
        raise Refusal("forbidden", f"this needs the permission {permission}")


def _source(request: web.Request, house: House, name: str) -> SourceSettings:
    source, workspace = house.settings.sources.get(name), caller(request).workspace
    if source is None or source.kind not in SOURCES or workspace not in {None, source.workspace}:
        raise Refusal("not_found", f"there is no source {name!r}")
    return source
