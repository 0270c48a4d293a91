"""The OpenAPI 3.1 document of the API, made from the routes and the models that they answer with."""

import inspect
import re
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from shared import VERSION
from shared.api import Problem
from stitcherd.http.responses import json_response
from stitcherd.http.routes import ROUTES, Route

SCHEMA_REF = "#/components/schemas/{name}"
PROBLEM_CONTENT = {"application/problem+json": {"schema": {"$ref": SCHEMA_REF.format(name="Problem")}}}
STATUSES_OF_ALL = (
    400,
    403,
)  # no HTTP, or too long an address; a Host or an Origin not taken, a peer that is not the operator
STATUSES_OF_AUTH = (401, 403, 429)  # no token, a permission too few, too many wrong tokens


async def show_openapi(_request: web.Request) -> web.Response:
    """Answer the OpenAPI document."""
    return json_response(document())


OPENAPI = Route(method="GET", path="/openapi.json", handler=show_openapi, answers={200: Any})


@cache
def document() -> dict[str, Any]:
    """Return the document, for every route that there is."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for route in (*ROUTES, OPENAPI):
        operation = _operation(route, schemas)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    _, known = msgspec.json.schema_components([Problem], ref_template=SCHEMA_REF)
    schemas.update(known)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stitcher", "version": VERSION, "summary": "A control plane for agents on your own machine."},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.handler.__name__ + ("_of_source" if "{source}" in route.path else ""),
        "summary": (inspect.getdoc(route.handler) or "").splitlines()[0],
        "parameters": [
            *(
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in _path_parameters(route)
            ),
            *(_parameter(name, schema, route) for name, schema in route.query.items()),
        ],
        "responses": {},
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": _body_schema(route.body, schemas)}}}
    for status, noun in sorted(route.answers.items()):
        operation["responses"][str(status)] = _response(status, noun, schemas)
    refusals = {*route.refusals, *STATUSES_OF_ALL, *(() if route.open else STATUSES_OF_AUTH)} - set(route.answers)
    for status in sorted(refusals):
        operation["responses"][str(status)] = {"description": HTTPStatus(status).phrase, "content": PROBLEM_CONTENT}
    if not route.open:
        operation["security"] = [{"bearer": []}]
        operation["description"] = f"Needs {route.permission or 'any token'}; on the Unix socket, nothing."
    return operation


def _parameter(name: str, schema: dict[str, Any], route: Route) -> dict[str, Any]:
    if name in route.repeats:
        schema = {"type": "array", "items": schema}
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _response(status: int, noun: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(noun, str):
        response["content"] = {noun: {"schema": {"type": "object" if noun.endswith("+json") else "string"}}}
    elif noun is not None:
        (schema,), known = msgspec.json.schema_components([noun], ref_template=SCHEMA_REF)
        schemas.update(known)
        response["content"] = {"application/json": {"schema": schema}}
    return response


def _body_schema(model: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=SCHEMA_REF.replace("{name}", "{model}"), by_alias=True)
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema
    return {"$ref": SCHEMA_REF.format(name=model.__name__)}


def _path_parameters(route: Route) -> list[str]:
    return re.findall(r"{(\w+)}", route.path)
