"""The table of routes, and the refusals derived from it."""

import pytest

from stitcherd.http.openapi import OPENAPI, document
from stitcherd.http.routes import ROUTES
from tests.stitcherd.http.conftest import HttpHarness

BY_NAME = {f"{route.method} {route.path}": route for route in (*ROUTES, OPENAPI)}
PUBLIC = {"POST /stitcher/webhook", "POST /stitcher/webhook/{source}", "GET /healthz", "GET /readyz"}
UNCHECKED = {"GET /meta", "GET /openapi.json"}  # they ignore their query


def test_only_webhooks_and_probes_are_public() -> None:
    assert {name for name, route in BY_NAME.items() if route.public} == PUBLIC


@pytest.mark.parametrize("name", [name for name in BY_NAME if name.startswith("GET ")])
async def test_an_unknown_parameter_is_refused_as_documented(api: HttpHarness, name: str) -> None:
    path = name.removeprefix("GET ")
    status, _ = await api.local.request("GET", f"{path}?unknown=1".replace("{", "").replace("}", ""))
    documented = "422" in document()["paths"][path]["get"]["responses"]
    assert (status == 422) is documented is (name not in PUBLIC | UNCHECKED)


@pytest.mark.parametrize(
    ("name", "refusals"),
    [
        ("GET /healthz", {400, 403, 414, 431}),
        ("GET /meta", {400, 401, 403, 414, 431, 429}),
        ("GET /pulse", {400, 401, 403, 414, 431, 422, 429}),
        ("GET /runner-jobs", {400, 401, 403, 414, 431, 404, 409, 422, 429}),
        ("GET /runner-jobs/{job}", {400, 401, 403, 414, 431, 404, 409, 422, 429}),
        ("GET /events", {400, 401, 403, 414, 431, 404, 409, 410, 422, 429}),
        ("POST /runner-jobs/{job}/cancel", {400, 401, 403, 414, 431, 404, 409, 413, 415, 422, 429, 503}),
        ("POST /runner-jobs/bulk", {400, 401, 403, 414, 431, 413, 415, 422, 429, 503}),
        ("POST /rails/simulate", {400, 401, 403, 414, 431, 413, 415, 422, 429}),
        ("POST /stitcher/webhook", {400, 401, 403, 414, 431, 404, 413, 415, 422, 503}),
    ],
)
def test_refusals_follow_from_what_a_route_takes(name: str, refusals: set[int]) -> None:
    assert BY_NAME[name].refusals == refusals


def test_what_a_route_answers_is_no_refusal() -> None:
    assert 503 in BY_NAME["GET /readyz"].answers
    assert 503 not in BY_NAME["GET /readyz"].refusals
