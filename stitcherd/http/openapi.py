"""The OpenAPI 3.1 document of the API, generated from the table of routes."""

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


async def show_openapi(_request: web.Request) -> web.Response:
    """Return the OpenAPI document."""
    return json_response(document())


OPENAPI = Route(method="GET", path="/openapi.json", handler=show_openapi, answers={200: Any})


@cache
def document() -> dict[str, Any]:
    """Return the document."""
    schemas: dict[str, Any] = {}
    paths: dict[str, Any] = {}
    for route in (*ROUTES, OPENAPI):
        operation = _operation(route, schemas)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    _, components = msgspec.json.schema_components([Problem], ref_template=SCHEMA_REF)
    schemas.update(components)
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
            *(
                {"name": name, "in": "query", "required": False, "schema": schema}
                for name, schema in (route.query or {}).items()
            ),
        ],
        "responses": {},
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": _body_schema(route.body, schemas)}}}
    for status, answer in sorted(route.answers.items()):
        operation["responses"][str(status)] = _response(status, answer, schemas)
    for status in sorted(route.refusals):
        operation["responses"][str(status)] = {"description": HTTPStatus(status).phrase, "content": PROBLEM_CONTENT}
    if not route.public:
        operation["security"] = [{"bearer": []}]
        operation["description"] = f"Needs {route.permission or 'any token'}; on the Unix socket, nothing."
    return operation


def _response(status: int, answer: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    response: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if isinstance(answer, str):
        response["content"] = {answer: {"schema": {"type": "object" if answer.endswith("+json") else "string"}}}
    elif answer is not None:
        (schema,), components = msgspec.json.schema_components([answer], ref_template=SCHEMA_REF)
        schemas.update(components)
        response["content"] = {"application/json": {"schema": schema}}
    return response


def _body_schema(model: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=SCHEMA_REF.replace("{name}", "{model}"), by_alias=True)
    schemas.update(schema.pop("$defs", {}))
    schemas[model.__name__] = schema
    return {"$ref": SCHEMA_REF.format(name=model.__name__)}


def _path_parameters(route: Route) -> list[str]:
    return re.findall(r"{(\w+)}", route.path)
