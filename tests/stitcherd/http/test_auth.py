"""Authentication, permissions and origin checks of both apps."""

import asyncio

import pytest

from stitcherd.http import auth
from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook

HELLO = {"type": "hello", "prompt": "hi"}


async def test_the_unix_socket_needs_no_token_and_sees_all_workspaces(api: HttpHarness) -> None:
    for token in ("writer", "other"):
        assert (await api.public.request("POST", "/runner-jobs", token, json=HELLO))[0] == 201
    status, page = await api.local.request("GET", "/runner-jobs")
    assert status == 200
    assert {job["workspaceId"] for job in page["items"]} == {"default", "elsewhere"}
    status, job = await api.local.request("POST", "/runner-jobs", json=HELLO)
    assert (status, job["actor"][:4]) == (201, "uid:")


@pytest.mark.parametrize("path", ["/runner-jobs", "/meta", "/openapi.json", "/rails", "/deliveries", "/events"])
async def test_a_missing_or_wrong_token_is_401(api: HttpHarness, path: str) -> None:
    for token in (None, "guess", "reader "):
        status, problem = await api.public.request("GET", path, token and token.strip() + token.strip())
        assert (status, problem["code"]) == (401, "unauthorized")


async def test_another_scheme_is_not_a_token(api: HttpHarness) -> None:
    status, _ = await api.public.request("GET", "/meta", headers={"Authorization": "Basic reader"})
    assert status == 401


@pytest.mark.parametrize(
    ("method", "path", "permission"),
    [
        ("GET", "/rails", "rails:read"),
        ("GET", "/deliveries", "deliveries:read"),
        ("POST", "/runner-jobs", "jobs:dispatch"),
        ("POST", "/stitcher/dispatch", "jobs:dispatch"),
        ("POST", "/runner-jobs/aaaaaaaa/cancel", "jobs:write"),
        ("POST", "/runner-jobs/aaaaaaaa/retry", "jobs:write"),
    ],
)
async def test_a_missing_permission_is_403_and_named(api: HttpHarness, method: str, path: str, permission: str) -> None:
    status, problem = await api.public.request(method, path, "reader", **({"json": {}} if method == "POST" else {}))
    assert (status, problem["code"], problem["detail"]) == (403, "forbidden", f"this needs the permission {permission}")


async def test_meta_and_the_openapi_document_need_any_token(api: HttpHarness) -> None:
    assert (await api.public.request("GET", "/meta", "reader"))[0] == 200
    assert (await api.public.request("GET", "/openapi.json", "reader"))[0] == 200


async def test_a_job_of_another_workspace_is_404_on_every_route(api: HttpHarness) -> None:
    _, job = await api.public.request("POST", "/runner-jobs", "writer", json=HELLO)
    path = f"/runner-jobs/{job['id']}"
    for method, at in (
        ("GET", path),
        ("GET", f"{path}/events"),
        ("GET", f"{path}/steps/x/log"),
        ("GET", f"{path}/diff"),
        ("GET", f"/events?job={job['id']}"),
        ("GET", f"/runner-jobs?before={job['id']}"),
        ("POST", f"{path}/cancel"),
        ("POST", f"{path}/retry"),
    ):
        status, problem = await api.public.request(method, at, "other", **({"json": {}} if method == "POST" else {}))
        assert (status, problem["code"]) == (404, "not_found"), at
    _, page = await api.public.request("GET", "/runner-jobs", "other")
    assert (page["items"], sum(page["counts"].values())) == ([], 0)
    status, _ = await api.public.request("GET", "/runner-jobs?workspaceId=default", "other")
    assert status == 404
    status, _ = await api.public.request("POST", "/runner-jobs", "other", json={**HELLO, "workspaceId": "default"})
    assert status == 404


async def test_too_many_wrong_tokens_are_429(api: HttpHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "FAILURES_MAX", 3)
    for _ in range(4):
        assert (await api.public.request("GET", "/meta", "guess"))[0] == 401
    async with api.public.session.get(f"{api.public.base}/meta", headers={"Authorization": "Bearer guess"}) as answer:
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 61


@pytest.mark.parametrize("authorization", ["Bearer guess", "Basic cmVhZGVyOg==", "", "Bearer reader"])
async def test_open_routes_ignore_a_token_and_known_tokens_are_accepted_after_wrong_ones(
    api: HttpHarness, monkeypatch: pytest.MonkeyPatch, authorization: str
) -> None:
    """Behind a tunnel all requests have one address, and forges and proxies add headers of their own to webhooks."""
    monkeypatch.setattr(auth, "FAILURES_MAX", 3)
    while (await api.public.request("GET", "/meta", "guess"))[0] != 429:
        pass
    status, response = await send_webhook(api, "near", comment_body("A remark."), Authorization=authorization)
    assert (status, response["verdict"]) == (200, "ignored")
    for path in ("/healthz", "/readyz"):
        status, answer = await api.public.request("GET", path, headers={"Authorization": authorization})
        assert status == 200
        assert ("checks" in answer) == (path == "/readyz" and authorization == "Bearer reader")
    assert (await api.public.request("GET", "/meta", "reader"))[0] == 200


async def test_a_wrong_token_on_an_open_route_is_not_counted(api: HttpHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "FAILURES_MAX", 3)
    for _ in range(10):
        assert (await api.public.request("GET", "/healthz", "guess"))[0] == 200
    assert (await api.public.request("GET", "/meta", "guess"))[0] == 401


FOREIGN_HOSTS = ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1", "stitcher.example.evil", "[::ffff:10.0.0.1]"]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
async def test_a_foreign_host_is_403(api: HttpHarness, host: str) -> None:
    status, problem = await api.public.request("GET", "/meta", "reader", headers={"Host": host})
    assert (status, problem["code"]) == (403, "forbidden")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_are_answered_whatever_the_host(api: HttpHarness, path: str) -> None:
    for host in (*FOREIGN_HOSTS, "10.0.0.5:8466"):
        assert (await api.public.request("GET", path, headers={"Host": host}))[0] == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_are_answered_without_a_host(api: HttpHarness, path: str) -> None:
    _, _, address = api.public.base.partition("://")
    reader, writer = await asyncio.open_connection(*address.split(":"))
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    assert b" 200 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()


@pytest.mark.parametrize(
    "host",
    [
        *("localhost:8466", "127.0.0.1", "127.0.0.1:", "[::1]:8466", "[0:0::1]", "[::ffff:127.0.0.1]:8466"),
        *("stitcher.example", "Stitcher.Example:443", "stitcher.example.", "stitcher.example.:8466"),
        *("other.example", "OTHER.example.:1", "[2001:db8::1]", "[2001:DB8:0:0::1]:8466"),
    ],
)
async def test_loopback_and_configured_hosts_are_accepted(api: HttpHarness, host: str) -> None:
    assert (await api.public.request("GET", "/meta", "reader", headers={"Host": host}))[0] == 200


async def test_a_request_with_an_origin_is_403(api: HttpHarness) -> None:
    status, _ = await api.public.request("GET", "/healthz", headers={"Origin": "http://127.0.0.1"})
    assert status == 403


async def test_readiness_has_checks_only_for_a_caller(api: HttpHarness) -> None:
    assert (await api.public.request("GET", "/readyz")) == (200, {"ready": True})
    for client, token in ((api.public, "reader"), (api.local, None)):
        _, readiness = await client.request("GET", "/readyz", token)
        assert {check["name"] for check in readiness["checks"]} >= {"rails", "daemon"}
