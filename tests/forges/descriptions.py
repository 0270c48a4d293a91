"""The official descriptions of two APIs: which requests exist, and the shape of what is sent and answered."""

import copy
import json
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs

_SPEC = Path(__file__).with_name("spec")


class Description:
    """An API by its OpenAPI 3 or Swagger 2 document.

    `beyond` are operations (`GET /app`) that exist, but are not in the document; nothing is known of their shapes.
    """

    def __init__(self, file: str, beyond: tuple[str, ...] = ()) -> None:
        self._document: dict[str, Any] = json.loads((_SPEC / file).read_text("utf-8"))
        self._beyond = [_pattern(*each.split()) for each in beyond]

    def request_faults(self, method: str, path: str, query: list[str], body: Any) -> Iterator[str]:
        """Yield what a request has that the description does not know, or lacks."""
        if any(pattern.fullmatch(f"{method} {path}") for pattern in self._beyond):
            return
        operation = self._operation(method, path)
        if operation is None:
            yield f"{method} {path} does not exist"
            return
        parameters = [self._resolve(each) for each in operation.get("parameters", [])]
        known = {each["name"] for each in parameters if each["in"] == "query"}
        yield from (f"{method} {path} has no parameter {name}" for name in query if name not in known)
        schema = self._body_schema(operation, parameters)
        if body is None:
            if schema is not None and operation.get("requestBody", {}).get("required", True):
                yield f"{method} {path} needs a body"
        elif schema is None:
            yield f"{method} {path} takes no body"
        else:
            resolved = self._resolve(schema)
            yield from (f"{method} {path} has no key {key}" for key in body if key not in resolved["properties"])
            yield from self._faults(f"{method} {path}", schema, body)

    def response_faults(self, method: str, path: str, status: int, content: Any) -> Iterator[str]:
        """Yield where a response differs from the description."""
        if any(pattern.fullmatch(f"{method} {path}") for pattern in self._beyond):
            return
        operation = self._operation(method, path)
        responses = {} if operation is None else operation["responses"]
        if str(status) not in responses:
            yield f"{method} {path} never answers {status}"
            return
        response = self._resolve(responses[str(status)])
        schema = response.get("schema") or response.get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            if content is not None and status < 400:
                yield f"{method} {path} answers {status} without content"
            return
        yield from self._faults(f"{method} {path} {status}", schema, content)

    def example(self, operation: str, status: int) -> Any:
        """Return a copy of the official example of an answer, by `GET /path/{with}/names` and status."""
        method, path = operation.split()
        response = self._resolve(self._document["paths"][path][method.lower()]["responses"][str(status)])
        examples = response["content"]["application/json"]["examples"]
        found = self._resolve(next(iter(examples.values())))
        while isinstance(found, dict) and "value" in found:
            found = self._resolve(found["value"])
        return copy.deepcopy(found)

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        return next((found for pattern, found in self._operations if pattern.fullmatch(f"{method} {path}")), None)

    @cached_property
    def _operations(self) -> list[tuple[re.Pattern[str], dict[str, Any]]]:
        return [
            (_pattern(method.upper(), path), operation)
            for path, methods in sorted(self._document["paths"].items(), key=lambda item: item[0].count("{"))
            for method, operation in methods.items()
        ]

    def _body_schema(self, operation: dict[str, Any], parameters: list[Any]) -> dict[str, Any] | None:
        if "requestBody" in operation:
            schema: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["schema"]
            return schema
        return next((each["schema"] for each in parameters if each["in"] == "body"), None)

    def _resolve(self, node: Any) -> Any:
        while isinstance(node, dict) and "$ref" in node:
            target: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            node = target
        return node

    def _faults(self, where: str, schema: dict[str, Any], content: Any) -> Iterator[str]:
        for error in self._validator(json.dumps(schema)).iter_errors(content):
            yield f"{where}: {'.'.join(map(str, error.instance_path)) or 'the body'}: {error.message[:200]}"

    @cache  # noqa: B019 (a description lives as long as the tests)
    def _validator(self, schema: str) -> Any:
        root = {"allOf": [_standard(json.loads(schema))], **self._schemas}
        return jsonschema_rs.Draft4Validator(root)

    @cached_property
    def _schemas(self) -> dict[str, Any]:
        if "components" in self._document:
            return {"components": {"schemas": _standard(self._document["components"]["schemas"])}}
        definitions = {name: _closed(each) for name, each in self._document["definitions"].items()}
        return {"definitions": definitions}


def _pattern(method: str, path: str) -> re.Pattern[str]:
    return re.compile(re.escape(method) + " " + re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)))


def _standard(node: Any) -> Any:
    """Return an OpenAPI 3.0 schema as a JSON Schema, which has no `nullable`."""
    if isinstance(node, list):
        return [_standard(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _standard(value) for key, value in node.items()}
    if found.get("nullable") is not True:
        return found
    del found["nullable"]
    return {"anyOf": [found, {"type": "null"}]}


def _closed(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a definition of Swagger that allows no other keys, and null where Go has a pointer or a list."""
    if "properties" not in definition:
        return definition
    nullable = {
        name: {"anyOf": [each, {"type": "null"}]} if "$ref" in each or each.get("type") == "array" else each
        for name, each in definition["properties"].items()
    }
    return {**definition, "properties": nullable, "additionalProperties": False}


GITHUB = Description(
    "github.openapi.cut.json",
    beyond=("GET /app", "GET /repositories/{id}", "GET /user/repos"),
)
GITEA = Description("forgejo.swagger.cut.json", beyond=("GET /user/repos",))
