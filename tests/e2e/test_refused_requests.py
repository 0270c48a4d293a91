"""Invalid requests: each has a defined response, none is stored, and none causes a 500."""

import itertools
import json
import socket
from contextlib import suppress
from urllib.parse import quote_plus

import pytest

from tests.e2e.harness import DaemonHarness
from tests.e2e.webhooks import OLD_SECRET, comment_body, signed_headers

MIB = 2**20
HOOK = "/stitcher/webhook/github"
FORM = "application/x-www-form-urlencoded"


def raw(daemon: DaemonHarness, *pieces: bytes, half: bool = False) -> bytes:
    """Send raw bytes, with half=True closing the sending side; return the beginning of the response."""
    answer = b""
    with socket.create_connection(("127.0.0.1", daemon.port), timeout=10) as connection:
        with suppress(ConnectionError):  # the daemon may respond and close the connection before all is sent
            for piece in pieces:
                connection.sendall(piece)
            if half:
                connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while b"\r\n\r\n" not in answer and (piece := connection.recv(65536)):
                answer += piece
    return answer


def head(*lines: str, path: str = HOOK) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *lines, "", ""]).encode()


def with_headers(body: bytes) -> list[str]:
    return [f"{name}: {value}" for name, value in signed_headers(body).items()]


def deliveries(daemon: DaemonHarness) -> int:
    return len(daemon.get("/deliveries?limit=500")["items"])


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, "bad_request"),
        (b"", {}, 400, "bad_request"),
        (b"\xff\xfe{}", {}, 400, "bad_request"),
        (b'{"a": "\xff"}', {}, 400, "bad_request"),
        (b"[" * 100_000, {}, (400, 422), ("bad_request", "invalid")),
        (b'{"a": NaN}', {}, 400, "bad_request"),
        (b"[]", {}, 422, "invalid"),
        (b"null", {}, 422, "invalid"),
        (b'{"action": "created"}', {}, 422, "invalid"),
        (
            b'{"action": "created", "issue": {"number": 1e999}, "comment": {}}',
            {},
            (400, 422),
            ("bad_request", "invalid"),
        ),
        (b"{}", {"X-GitHub-Event": ""}, 422, "invalid"),
        (b"{}", {"X-Hub-Signature-256": ""}, 401, "bad_signature"),
        (b"{}", {"X-Hub-Signature-256": "sha256=" + "0" * 64}, 401, "bad_signature"),
        (b"{}", {"X-Hub-Signature-256": "sha256=é"}, 401, "bad_signature"),
        (b"{", {"X-Hub-Signature-256": "sha256=00"}, 401, "bad_signature"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "application/jsonp"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Encoding": "identity"}, 415, "unsupported_media_type"),
        (b"{}", {"Content-Encoding": ""}, 415, "unsupported_media_type"),
        (b"payload={}&payload={}", {"Content-Type": FORM}, 422, "invalid"),
        (b"other={}", {"Content-Type": FORM}, 422, "invalid"),
        (b"{}", {"Origin": "http://localhost"}, 403, "forbidden"),
        (b"{}", {"Host": "stitcher.example"}, 403, "forbidden"),
        (b"{}", {"Host": "127.0.0.1.example"}, 403, "forbidden"),
        (b"{}", {"Host": ""}, 403, "forbidden"),
        (b" " * (MIB + 1), {}, 413, "too_large"),
    ],
    ids=itertools.count(),
)
def test_invalid_deliveries_are_refused_and_not_stored(
    daemon: DaemonHarness,
    body: bytes,
    headers: dict[str, str],
    status: int | tuple[int, ...],
    code: str | tuple[str, ...],
) -> None:
    before = deliveries(daemon)
    reply = daemon.public("POST", HOOK, body, {**signed_headers(body), **headers})
    assert reply.status in (status if isinstance(status, tuple) else (status,)), reply.body
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["code"] in (code if isinstance(code, tuple) else (code,))
    assert reply.json["status"] == reply.status
    assert deliveries(daemon) == before


def test_missing_headers_are_refused(daemon: DaemonHarness) -> None:
    body = b"{}"
    for missing, code in (
        ("Content-Type", "unsupported_media_type"),
        ("X-Hub-Signature-256", "bad_signature"),
        ("X-GitHub-Event", "invalid"),
    ):
        kept = {name: value for name, value in signed_headers(body).items() if name != missing}
        assert daemon.public("POST", HOOK, body, kept).json["code"] == code


@pytest.mark.parametrize("path", [f"{HOOK}er", f"{HOOK}/x", "/stitcher/webhook/", "/nowhere"])
def test_unknown_paths_are_not_found(daemon: DaemonHarness, path: str) -> None:
    reply = daemon.public("POST", path, b"{}", signed_headers(b"{}"))
    assert (reply.status, reply.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_only_post_is_accepted(daemon: DaemonHarness, method: str) -> None:
    body = comment_body("@mosaic fix never")
    before = deliveries(daemon)
    reply = daemon.public(method, HOOK, body, signed_headers(body))
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")
    assert deliveries(daemon) == before


def test_a_body_of_the_maximum_size_is_accepted(daemon: DaemonHarness) -> None:
    short = comment_body("hello")
    body = short[:-1] + b" " * (MIB - len(short)) + b"}"
    assert len(body) == MIB
    assert daemon.github(body).status == 200


def test_a_body_that_is_too_long_is_refused_early(daemon: DaemonHarness) -> None:
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    chunked = head("Transfer-Encoding: chunked", *with_headers(b""))
    assert b" 413 " in raw(daemon, chunked, *[chunk] * 17, b"0\r\n\r\n").splitlines()[0]
    # With a Content-Length the response does not wait for the body.
    announced = raw(daemon, head("Content-Length: 1000000000", *with_headers(b"")))
    assert b" 413 " in announced.splitlines()[0]


def test_a_chunked_body_is_accepted(daemon: DaemonHarness) -> None:
    body = comment_body("hello")
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\n\r\n"
    answer = raw(daemon, head("Transfer-Encoding: chunked", *with_headers(body)), chunks)
    assert b" 200 " in answer.splitlines()[0]


@pytest.mark.parametrize(
    "request_",
    [
        head("Transfer-Encoding: chunked", *with_headers(b"")) + b"zz\r\n{}\r\n0\r\n\r\n",
        head("Content-Length: 2", "Transfer-Encoding: chunked", *with_headers(b"{}")) + b"2\r\n{}\r\n0\r\n\r\n",
        head("Content-Length: -1", *with_headers(b"")),
        head("Content-Length: 2", "Content-Length: 3", *with_headers(b"{}")) + b"{}",
        head("Content-Length: 2", "Expect: tea", *with_headers(b"{}")) + b"{}",
        head("Content-Length: 2", "X-Long: " + "x" * 70_000, *with_headers(b"{}")) + b"{}",
        head("Content-Length: 2", "Content-Type: \x00", *with_headers(b"{}")) + b"{}",
        head("Content-Length: 2", path="/" + "a" * 70_000) + b"{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        "POST /stitcher/webhook/github HTTP/1.1\r\nHöst: x\r\n\r\n".encode(),
        b"POST http://[::1/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST //[ HTTP/1.1\r\nHost: [\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        head("Content-Length: 0", path="/stitcher/webhook/%ff%00"),
        b"GET /runner-jobs?x=%ff&limit=%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
    ids=itertools.count(),
)
def test_malformed_http_causes_no_500(daemon: DaemonHarness, request_: bytes) -> None:
    before = deliveries(daemon)
    answer = raw(daemon, request_)
    assert 400 <= int(answer.split(b" ")[1]) < 500, answer[:300]
    assert deliveries(daemon) == before
    assert "Traceback" not in daemon.log_tail(200)


HALVES = (b"\r\n\r\n", b"POST / HT", head("Content-Length: 10", *with_headers(b"{}")) + b"{}")


@pytest.mark.parametrize("request_", HALVES, ids=itertools.count())
def test_an_incomplete_request_is_dropped(daemon: DaemonHarness, request_: bytes) -> None:
    before = deliveries(daemon)
    assert raw(daemon, request_, half=True) == b""
    assert deliveries(daemon) == before
    assert "Traceback" not in daemon.log_tail(200)


def test_an_older_secret_is_still_valid(daemon: DaemonHarness) -> None:
    reply = daemon.github(comment_body("hello"), secret=OLD_SECRET)
    assert daemon.get(f"/deliveries/{reply.json['deliveryId']}")["secret"] == 2


def test_the_signature_of_a_form_covers_its_raw_bytes(daemon: DaemonHarness) -> None:
    body = b"payload=" + quote_plus(comment_body("@mosaic free true", issue=31)).encode()
    reply = daemon.github(body, Content_Type=f"{FORM}; charset=utf-8")
    assert (reply.status, reply.json["verdict"]) == (202, "allowed")


def test_a_ping_is_ignored(daemon: DaemonHarness) -> None:
    reply = daemon.github(b'{"zen": "Design for failure.", "hook_id": 1}', X_GitHub_Event="ping")
    assert (reply.status, reply.json["verdict"], reply.json["reason"]) == (200, "ignored", "ping")


def test_an_unknown_event_is_recorded(daemon: DaemonHarness) -> None:
    reply = daemon.github(b'{"action": "thrown"}', X_GitHub_Event="boomerang")
    assert (reply.status, reply.json["verdict"]) == (200, "ignored")
    assert daemon.get(f"/deliveries/{reply.json['deliveryId']}")["event"] == "boomerang"


def test_a_deleted_account_is_denied(daemon: DaemonHarness) -> None:
    document = json.loads(comment_body("@mosaic fix it"))
    reply = daemon.github(json.dumps({**document, "sender": None}).encode())
    assert (reply.status, reply.json["verdict"]) == (200, "denied")
    document["comment"]["user"] = None
    reply = daemon.github(json.dumps(document).encode())
    assert (reply.status, reply.json["verdict"]) == (200, "denied")


def test_the_endpoint_of_the_mosaic_bot(daemon: DaemonHarness) -> None:
    reply = daemon.mosaic(comment="@mosaic free true", issueNumber="41")
    assert (reply.status, reply.json["verdict"]) == (202, "allowed")
    repeated = daemon.mosaic(comment="@mosaic free true", issueNumber="41")
    assert (repeated.status, repeated.json["verdict"]) == (200, "duplicate")
    assert repeated.json["jobId"] == reply.json["jobId"]
    assert daemon.mosaic(action="dance").json["verdict"] == "ignored"
    assert daemon.mosaic(issueNumber=None).status == 422
