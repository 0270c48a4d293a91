"""The current rails, their decision on a delivery, and simulations of changed rails."""

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import structs
from multidict import CIMultiDict
from pydantic import AwareDatetime, Field

from shared.models import Decision
from stitcherd.config.settings import SourceSettings
from stitcherd.errors import Refusal
from stitcherd.gates import BUILTINS
from stitcherd.http.auth import caller, require_permission
from stitcherd.http.requests import QUERY, RequestBody, parse_body
from stitcherd.http.responses import json_response
from stitcherd.http.state import STATE
from stitcherd.jobs.evaluator import is_form
from stitcherd.jobs.simulation import SimulationScope, simulate
from stitcherd.rails.json_schema import schema_file
from stitcherd.rails.live import AmbiguousRevision
from stitcherd.rails.load import RailsError, with_defaults
from stitcherd.sources import NotJson, WrongShape
from stitcherd.store import deliveries

SIMULATION_MAX = 10_000  # deliveries in one simulation


class ExplainBody(RequestBody):
    """The body of an explain: either a stored delivery, or the parts of an invented one."""

    delivery_id: str | None = None
    source: str | None = None
    headers: dict[str, str] | None = None
    body: str | dict[str, Any] | None = None


class SimulateBody(RequestBody):
    """The body of a simulation: the text of rails.yaml, and which deliveries to decide again."""

    text: str
    limit: Annotated[int, Field(ge=0, le=SIMULATION_MAX)] = 1000
    since: AwareDatetime | None = None


async def show_rails(request: web.Request) -> web.Response:
    """Return the current rails and how they differ from the previous ones, or from the revision `against`.

    With `effective` the answer includes the file with all defaults filled in.
    """
    effective, against = request[QUERY].flag("effective"), request[QUERY].text("against")
    rails = request.app[STATE].rails
    try:
        state = rails.state() if against is None else await rails.state_against(against)
    except LookupError as error:
        raise Refusal("not_found", f"there are no rails {against!r} that can be read") from error
    except AmbiguousRevision as error:
        hint = "write more digits of its digest, up to all 64"
        raise Refusal("conflict", f"against: several rails are named {against}", hint) from error
    if effective:
        document = None if state.text is None else await asyncio.to_thread(with_defaults, state.text)
        state = structs.replace(state, effective=document)
    return json_response(state)


async def show_schema(_request: web.Request) -> web.Response:
    """Return the JSON Schema of rails.yaml."""
    return web.Response(body=schema_file(BUILTINS), content_type="application/schema+json")


async def explain(request: web.Request) -> web.Response:
    """Return what the current rails decide about a delivery; nothing is stored and nothing runs."""
    options = await parse_body(request, ExplainBody)
    invented = options.source is not None and options.body is not None
    if (options.delivery_id is None) is not invented or (
        options.delivery_id and options.model_fields_set != {"delivery_id"}
    ):
        raise Refusal("invalid", "explain takes either deliveryId, or source, headers and body")
    try:
        decision = await (_explain_stored if options.delivery_id else _explain_invented)(request, options)
    except NotJson as error:
        raise Refusal("bad_request", str(error)) from error
    except WrongShape as error:
        raise Refusal("invalid", str(error)) from error
    return json_response(decision)


async def simulate_rails(request: web.Request) -> web.Response:
    """Return how another rails.yaml would have decided the last deliveries, where that differs."""
    state, options = request.app[STATE], await parse_body(request, SimulateBody)
    since = int(options.since.timestamp() * 1000) if options.since else 0
    scope = SimulationScope(options.limit, since, caller(request).workspace)
    async with state.simulations.take(caller(request).token) as threads:
        try:
            rails = await asyncio.get_running_loop().run_in_executor(threads, state.rails.parse, options.text)
        except RailsError as error:
            more = {"line": error.line, "column": error.column, "message": error.message, "faults": error.faults}
            raise Refusal("invalid", str(error), more=more) from error
        return json_response(await simulate(state.store, state.evaluator, rails, scope, threads))


async def _explain_stored(request: web.Request, options: ExplainBody) -> Decision:
    require_permission(request, "deliveries:read")
    state = request.app[STATE]
    async with state.store.reading() as db:
        delivery = await deliveries.get_delivery(db, options.delivery_id or "", caller(request).workspace)
        body = await deliveries.get_body(db, delivery.id, None)
    return await state.intake.explain_again(delivery, body)


async def _explain_invented(request: web.Request, options: ExplainBody) -> Decision:
    require_permission(request, "rails:read")
    source, headers = _find_source(request, options.source or ""), CIMultiDict(options.headers or {})
    text = options.body if isinstance(options.body, str) else msgspec.json.encode(options.body).decode()
    body = text.encode("utf-8", "surrogatepass")
    return await request.app[STATE].intake.explain(source, headers, body, form=is_form(headers))


def _find_source(request: web.Request, name: str) -> SourceSettings:
    source, workspace = request.app[STATE].settings.sources.get(name), caller(request).workspace
    if source is None or workspace not in {None, source.workspace}:
        raise Refusal("not_found", f"there is no source {name!r}")
    return source
