"""The OpenAPI document."""

from typing import Any

from stitcherd.http.openapi import document
from stitcherd.http.routes import ROUTES
from tests.stitcherd.http.conftest import HttpHarness


def test_every_route_is_listed_with_its_permission() -> None:
    paths = document()["paths"]
    for route in ROUTES:
        operation = paths[route.path][route.method.lower()]
        assert operation["summary"].endswith(".")
        assert ("security" in operation) is not route.public
        assert str(min(route.answers)) in operation["responses"]


def test_every_reference_resolves() -> None:
    known = document()["components"]["schemas"]

    def check(node: Any) -> None:
        if isinstance(node, dict):
            if "$ref" in node:
                assert node["$ref"].rpartition("/")[2] in known
            for value in node.values():
                check(value)
        elif isinstance(node, list):
            for value in node:
                check(value)

    check(document())


def test_operation_ids_are_unique() -> None:
    names = [operation["operationId"] for path in document()["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))


async def test_it_is_served(api: HttpHarness) -> None:
    status, served = await api.local.request("GET", "/openapi.json")
    assert (status, served["openapi"]) == (200, "3.1.0")
