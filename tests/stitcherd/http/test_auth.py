"""Who may knock at which door, and what they may have."""

from typing import Any

import pytest

from stitcherd.http import auth

HELLO = {"type": "hello", "prompt": "hi"}


async def test_the_socket_asks_for_no_token_and_sees_all(doors: Any) -> None:
    for token in ("writer", "other"):
        assert (await doors.tcp.say("POST", "/runner-jobs", token, json=HELLO))[0] == 201
    status, page = await doors.socket.say("GET", "/runner-jobs")
    assert status == 200
    assert {job["workspaceId"] for job in page["items"]} == {"default", "elsewhere"}
    status, job = await doors.socket.say("POST", "/runner-jobs", json=HELLO)
    assert (status, job["actor"][:4]) == (201, "uid:")


@pytest.mark.parametrize("path", ["/runner-jobs", "/meta", "/openapi.json", "/rails", "/deliveries", "/events"])
async def test_on_tcp_no_token_and_a_wrong_one_are_401(doors: Any, path: str) -> None:
    for token in (None, "guess", "reader "):
        status, problem = await doors.tcp.say("GET", path, token and token.strip() + token.strip())
        assert (status, problem["code"]) == (401, "unauthorized")


async def test_another_scheme_is_no_token(doors: Any) -> None:
    status, _ = await doors.tcp.say("GET", "/meta", headers={"Authorization": "Basic reader"})
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
async def test_a_missing_permission_is_403_and_named(doors: Any, method: str, path: str, permission: str) -> None:
    status, problem = await doors.tcp.say(method, path, "reader", **({"json": {}} if method == "POST" else {}))
    assert (status, problem["code"], problem["detail"]) == (403, "forbidden", f"this needs the permission {permission}")


async def test_meta_and_the_openapi_document_need_any_token(doors: Any) -> None:
    assert (await doors.tcp.say("GET", "/meta", "reader"))[0] == 200
    assert (await doors.tcp.say("GET", "/openapi.json", "reader"))[0] == 200


async def test_another_workspaces_job_is_404_whatever_is_asked_of_it(doors: Any) -> None:
    _, job = await doors.tcp.say("POST", "/runner-jobs", "writer", json=HELLO)
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
        status, problem = await doors.tcp.say(method, at, "other", **({"json": {}} if method == "POST" else {}))
        assert (status, problem["code"]) == (404, "not_found"), at
    _, page = await doors.tcp.say("GET", "/runner-jobs", "other")
    assert (page["items"], sum(page["counts"].values())) == ([], 0)
    status, _ = await doors.tcp.say("GET", "/runner-jobs?workspaceId=default", "other")
    assert status == 404
    status, _ = await doors.tcp.say("POST", "/runner-jobs", "other", json={**HELLO, "workspaceId": "default"})
    assert status == 404


async def test_too_many_wrong_tokens_have_to_wait(doors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "FAILURES_MAX", 3)
    for _ in range(4):
        assert (await doors.tcp.say("GET", "/meta", "guess"))[0] == 401
    async with doors.tcp.session.get(f"{doors.tcp.base}/meta", headers={"Authorization": "Bearer reader"}) as answer:
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 61
    assert (await doors.tcp.say("GET", "/healthz"))[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.1", "stitcher.example.evil"])
async def test_a_foreign_host_is_403(doors: Any, host: str) -> None:
    status, problem = await doors.tcp.say("GET", "/healthz", headers={"Host": host})
    assert (status, problem["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    "host", ["localhost:8466", "127.0.0.1", "[::1]:8466", "stitcher.example", "Stitcher.Example:443"]
)
async def test_loopback_and_the_named_hosts_are_taken(doors: Any, host: str) -> None:
    assert (await doors.tcp.say("GET", "/healthz", headers={"Host": host}))[0] == 200


async def test_a_web_page_is_never_answered(doors: Any) -> None:
    status, _ = await doors.tcp.say("GET", "/healthz", headers={"Origin": "http://127.0.0.1"})
    assert status == 403


async def test_readiness_has_reasons_only_for_a_caller(doors: Any) -> None:
    assert (await doors.tcp.say("GET", "/readyz")) == (200, {"ready": True})
    for door, token in ((doors.tcp, "reader"), (doors.socket, None)):
        _, said = await door.say("GET", "/readyz", token)
        assert {check["name"] for check in said["checks"]} >= {"rails", "daemon"}
