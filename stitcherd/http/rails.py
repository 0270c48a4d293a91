"""The rails: those in force, what they say of a delivery, and what others would have said of the last ones."""

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web
from multidict import CIMultiDict
from pydantic import AwareDatetime, Field

from shared.models import Decision
from stitcherd.config.settings import Permission, SourceSettings
from stitcherd.errors import Refusal
from stitcherd.gates import BUILTINS
from stitcherd.http.auth import caller
from stitcherd.http.requests import Query, RequestBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE, AppState
from stitcherd.jobs.evaluator import is_form
from stitcherd.jobs.simulation import SimulationScope, simulate
from stitcherd.rails.json_schema import schema_file
from stitcherd.rails.load import RailsError, with_defaults
from stitcherd.sources import SOURCES, NotJson, WrongShape
from stitcherd.store import deliveries

SIMULATION_MAX = 10_000  # deliveries in one simulation


class ExplainBody(RequestBody):
    """The body of an explain: either a delivery that came in, or one made up."""

    delivery_id: str | None = None
    source: str | None = None
    headers: dict[str, str] | None = None
    body: str | dict[str, Any] | None = None


class SimulateBody(RequestBody):
    """The body of a simulate: a text for rails.yaml, and how far back to look."""

    text: str
    limit: Annotated[int, Field(ge=0, le=SIMULATION_MAX)] = 1000
    since: AwareDatetime | None = None


async def show_rails(request: web.Request) -> web.Response:
    """Answer the rails in force and how they differ from those before, or from the revision `against`.

    With `effective` also all that they leave to defaults.
    """
    query = Query(request)
    wanted, against = query.text("effective"), query.text("against")
    if wanted not in {None, "true", "false"}:
        raise Refusal("invalid", f"effective takes true or false, not {wanted!r}")
    rails = request.app[STATE].rails
    try:
        state = rails.state() if against is None else await rails.state_against(against)
    except LookupError as missing:
        raise Refusal("not_found", f"there are no rails {against!r} that can be read") from missing
    if wanted != "true":
        return json_response(state)
    effective = None if state.text is None else await asyncio.to_thread(with_defaults, state.text)
    return json_response({**msgspec.to_builtins(state), "effective": effective})


async def show_schema(request: web.Request) -> web.Response:
    """Answer the JSON Schema of rails.yaml."""
    Query(request)
    return web.Response(body=schema_file(BUILTINS), content_type="application/schema+json")


async def explain(request: web.Request) -> web.Response:
    """Answer what the rails in force say of a delivery; nothing is stored and nothing runs."""
    house, asked = request.app[STATE], await parse_body(request, ExplainBody)
    made_up = asked.source is not None and asked.body is not None
    if (asked.delivery_id is None) is not made_up or (asked.delivery_id and asked.model_fields_set != {"delivery_id"}):
        raise Refusal("invalid", "explain takes either deliveryId, or source, headers and body")
    try:
        return json_response(
            await (_explain_delivery if asked.delivery_id else _explain_request)(request, house, asked)
        )
    except NotJson as fault:
        raise Refusal("bad_request", str(fault)) from fault
    except WrongShape as fault:
        raise Refusal("invalid", str(fault)) from fault


async def simulate_rails(request: web.Request) -> web.Response:
    """Answer what another text of rails.yaml would have said of the last deliveries, where it differs."""
    house, asked = request.app[STATE], await parse_body(request, SimulateBody)
    try:
        rulebook = await asyncio.to_thread(house.rails.parse, asked.text)
    except RailsError as error:
        faults = msgspec.to_builtins(error.others)
        more = {"line": error.line, "column": error.column, "message": error.message, "faults": faults}
        raise Refusal("invalid", str(error), more=more) from error
    since = int(asked.since.timestamp() * 1000) if asked.since else 0
    wanted = SimulationScope(asked.limit, since, caller(request).workspace)
    return json_response(await simulate(house.store, house.intake.judge, rulebook, wanted))


async def _explain_delivery(request: web.Request, house: AppState, asked: ExplainBody) -> Decision:
    _require(request, "deliveries:read")
    name = asked.delivery_id or ""
    async with house.store.reading() as db:
        delivery = await deliveries.get_delivery(db, name, caller(request).workspace)
        body = await deliveries.get_body(db, delivery.id, None)
    return await house.intake.explain_again(delivery, body)


async def _explain_request(request: web.Request, house: AppState, asked: ExplainBody) -> Decision:
    _require(request, "rails:read")
    headers = CIMultiDict(asked.headers or {})
    body = asked.body if isinstance(asked.body, str) else msgspec.json.encode(asked.body).decode()
    content = body.encode("utf-8", "surrogatepass")
    source = _find_source(request, house, asked.source or "")
    return await house.intake.explain(source, headers, content, form=is_form(headers))


def _require(request: web.Request, permission: Permission) -> None:
    if not caller(request).may(permission):
        raise Refusal("forbidden", f"this needs the permission {permission}")


def _find_source(request: web.Request, house: AppState, name: str) -> SourceSettings:
    source, workspace = house.settings.sources.get(name), caller(request).workspace
    if source is None or source.kind not in SOURCES or workspace not in {None, source.workspace}:
        raise Refusal("not_found", f"there is no source {name!r}")
    return source
