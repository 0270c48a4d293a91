"""The OpenAPI document says what the doors do."""

from typing import Any

from stitcherd.http.openapi import document
from stitcherd.http.routes import ROUTES


def test_every_route_is_in_it_with_its_permission() -> None:
    paths = document()["paths"]
    for route in ROUTES:
        operation = paths[route.path][route.method.lower()]
        assert operation["summary"].endswith(".")
        assert ("security" in operation) is not route.open
        assert str(min(route.answers)) in operation["responses"]


def test_every_reference_leads_somewhere() -> None:
    known = document()["components"]["schemas"]

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].rpartition("/")[2] in known
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document())


def test_operations_have_names_of_their_own() -> None:
    names = [operation["operationId"] for path in document()["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


async def test_it_is_served(doors: Any) -> None:
    status, served = await doors.socket.say("GET", "/openapi.json")
    assert (status, served["openapi"]) == (200, "3.1.0")
