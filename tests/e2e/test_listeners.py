"""Access through both listeners, and validation of requests."""

import resource
import socket
import stat
import time
from contextlib import ExitStack

import pytest

from tests.e2e.harness import TOKEN, DaemonHarness

BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_other_users_cannot_open_the_socket(daemon: DaemonHarness) -> None:
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(daemon.socket.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("path", ["/runner-jobs", "/deliveries", "/rails", "/meta", "/events", "/runner-jobs/abcdef12"])
def test_the_api_on_tcp_needs_a_token(daemon: DaemonHarness, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}, {"Authorization": ""}):
        reply = daemon.public("GET", path, headers=headers)
        assert (reply.status, reply.json["code"]) == (401, "unauthorized")


def test_a_token_has_only_its_permissions(daemon: DaemonHarness) -> None:
    assert daemon.public("GET", "/runner-jobs", headers=BEARER).status == 200
    assert daemon.public("GET", "/meta", headers=BEARER).status == 200
    assert "checks" in daemon.public("GET", "/readyz", headers=BEARER).json
    for method, path in (("GET", "/deliveries"), ("GET", "/rails"), ("POST", "/runner-jobs")):
        reply = daemon.public(method, path, headers=BEARER)
        assert (reply.status, reply.json["code"]) == (403, "forbidden")
    job_id = daemon.dispatch("free", repository="far-org/api", workspaceId="far")
    assert daemon.get(f"/runner-jobs/{job_id}")["workspaceId"] == "far"
    assert daemon.public("GET", f"/runner-jobs/{job_id}", headers=BEARER).status == 404


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/runner-jobs?colour=red", "colour"),
        ("/runner-jobs?limit=0", "limit"),
        ("/runner-jobs?limit=501", "limit"),
        ("/runner-jobs?limit=x", "limit"),
        ("/runner-jobs?limit=1&limit=2", "limit"),
        ("/runner-jobs?status=sleeping", "status"),
        ("/deliveries?verdict=maybe", "verdict"),
        ("/deliveries?status=failed", "status"),
        ("/events?after=-1", "-1"),
        ("/events?after=1e3", "1e3"),
        ("/events?since=1", "since"),
    ],
)
def test_queries_are_validated(daemon: DaemonHarness, path: str, name: str) -> None:
    reply = daemon.request("GET", path)
    assert (reply.status, reply.json["code"]) == (422, "invalid")
    assert name in reply.json["detail"]


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        ({}, 422, "type"),
        ({"type": "fix", "colour": "red"}, 422, "colour"),
        ({"type": "dance"}, 422, "dance"),
        ({"type": "fix", "priority": 11}, 422, "priority"),
        ({"type": "fix", "priority": "5"}, 422, "priority"),
        ({"type": "fix", "priority": True}, 422, "priority"),
        ({"type": "fix", "metadata": []}, 422, "metadata"),
        ({"type": "fix", "metadata": {"long": "x" * 70_000}}, 422, "metadata"),
        ({"type": "fix", "idempotencyKey": ""}, 422, "idempotencyKey"),
        ({"type": "fix", "repository": "no-org/api"}, 403, "no-org/api"),
        ({"type": "fix", "repository": "octo-org/../../etc"}, 403, "octo-org"),
        ({"type": "fix", "repository": "--upload-pack=x/y"}, 403, "upload-pack"),
        ({"type": "fix", "repository": "far-org/api"}, 403, "workspace default"),
        (b"{", 400, "JSON"),
        (b"\xff", 400, "JSON"),
        ([], 422, "body"),
        ({"type": "fix", "prompt": "\ud800"}, (400, 422), ""),
    ],
)
def test_dispatch_requests_are_validated(daemon: DaemonHarness, body: object, status: object, name: str) -> None:
    for path in ("/runner-jobs", "/stitcher/dispatch"):
        reply = daemon.request("POST", path, body)
        assert reply.status in (status if isinstance(status, tuple) else (status,)), reply.body
        assert name in reply.json["detail"]


def test_a_job_is_found_by_a_suffix_of_its_id(daemon: DaemonHarness) -> None:
    job_id = daemon.dispatch("free")
    for name in (job_id, job_id[-6:], job_id[-13:], job_id[-8:].upper()):
        assert daemon.get(f"/runner-jobs/{name}")["id"] == job_id
    for name in (job_id[-5:], job_id[:8], "0", "%25", "x" * 300, "%00%00%00%00%00%00"):
        assert daemon.request("GET", f"/runner-jobs/{name}").json["code"] == "not_found"


def test_get_supports_head_and_changes_nothing(daemon: DaemonHarness) -> None:
    job_id = daemon.dispatch("free", "sleep 30")
    assert daemon.request("HEAD", f"/runner-jobs/{job_id}").status == 200
    assert daemon.request("HEAD", "/runner-jobs").body == b""
    reply = daemon.request("GET", f"/runner-jobs/{job_id}/cancel")
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")
    assert daemon.request("POST", f"/runner-jobs/{job_id}/cancel", {"reason": 1}).status == 422
    assert (
        daemon.request("POST", f"/runner-jobs/{job_id}/cancel", b"reason=x", {"Content-Type": "text/plain"}).status
        == 415
    )
    assert daemon.job(job_id)["status"] in {"QUEUED", "RUNNING"}
    assert daemon.request("POST", f"/runner-jobs/{job_id}/cancel").status == 202


def test_pages_follow_one_another(daemon: DaemonHarness) -> None:
    mine = [daemon.dispatch("orphan", agentTaskId="pages", repository=None) for _ in range(5)]
    seen: list[str] = []
    before = ""
    while True:
        page = daemon.get(f"/runner-jobs?agentTaskId=pages&limit=2{before}")
        seen += [job["id"] for job in page["items"]]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert seen == mine[::-1]


@pytest.mark.parametrize("begun", [b"", b"POST /stitcher/webhook/github HTTP/1.1\r\nHost: loc"])
def test_idle_connections_and_streams_keep_out_no_webhook(daemon: DaemonHarness, begun: bytes) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    stream = f"GET /events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with ExitStack() as opened:
        for _ in range(40):
            reading = opened.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=10))
            reading.sendall(stream)
            assert reading.recv(12) in {b"HTTP/1.1 200", b"HTTP/1.1 429"}
        for _ in range(1100):
            idle = opened.enter_context(socket.create_connection(("127.0.0.1", daemon.port), timeout=10))
            idle.sendall(begun)
        for _ in range(3):
            assert daemon.comment("A remark.").status == 200
            assert daemon.public("GET", "/healthz").status == 200
    assert "Traceback" not in daemon.log_tail(200)


def test_a_silent_stream_has_a_heartbeat_every_15_seconds(daemon: DaemonHarness) -> None:
    """What the daemon stores on its own, like the health of executors, does not delay it."""
    started = time.monotonic()
    frames = daemon.stream("/events", 3)  # the first one has the cursor to begin with
    assert all(frame.startswith(b"id: ") and frame.endswith(b"\ndata:\n") for frame in frames), frames
    assert 29 < time.monotonic() - started < 40
