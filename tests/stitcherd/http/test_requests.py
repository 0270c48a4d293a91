"""Hostile JSON: refused if it cannot be stored as it was meant, else stored exactly; and bodies that never arrive."""

import asyncio
import json
from itertools import count
from typing import Any
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader
from aiohttp.test_utils import make_mocked_request

from stitcherd.errors import Refusal
from stitcherd.http.requests import read_body
from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook, signed_headers

DEEP = 100_000
ESCAPES = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u2066"


@pytest.mark.parametrize(
    ("written", "status"),
    [
        ("NaN", 400),
        ("-Infinity", 400),
        ("1e999", 422),
        ("9" * 10_000, 400),
        ('"\\ud800"', 400),
        ("[" * DEEP, 400),
        ('{"a":' * DEEP, 400),
        ("[" * DEEP + "]" * DEEP, 400),
        ("01", 400),
        ("'x'", 400),
        ('"\x00"', 400),
    ],
    ids=count(),
)
async def test_json_that_cannot_be_stored_is_refused(api: HttpHarness, written: str, status: int) -> None:
    body = f'{{"type": "hello", "metadata": {{"x": {written}}}}}'
    for path in ("/runner-jobs", "/stitcher/dispatch"):
        headers = {"Content-Type": "application/json"}
        answered, problem = await api.local.request("POST", path, data=body, headers=headers)
        assert (answered, problem["status"]) == (status, status)
    assert (await api.local.request("GET", "/runner-jobs"))[1]["items"] == []


@pytest.mark.parametrize(
    "metadata", [{"x": 2**70}, {"x": -(2**63)}, {"\x00": "\x00"}, {"": 1.5e308}, {"a": [[[{}]]]}, {"x": ESCAPES}]
)
async def test_json_is_stored_exactly(api: HttpHarness, metadata: dict[str, Any]) -> None:
    asked = {"type": "hello", "metadata": metadata, "prompt": ESCAPES}
    status, job = await api.local.request("POST", "/runner-jobs", json=asked)
    assert (status, job["metadata"], job["prompt"]) == (201, metadata, ESCAPES)
    assert (await api.local.request("GET", f"/runner-jobs/{job['id']}"))[1]["metadata"] == metadata


async def test_the_last_of_duplicate_keys_is_decided_and_stored(api: HttpHarness) -> None:
    twice = comment_body("@mosaic hello").replace(b'"created"', b'"edited", "action": "created"', 1)
    status, response = await send_webhook(api, "near", twice)
    assert (status, response["verdict"]) == (202, "allowed")
    _, delivery = await api.local.request("GET", f"/deliveries/{response['deliveryId']}")
    assert delivery["action"] == "created"
    other = comment_body("@mosaic hello", issue=2).replace(b'"created"', b'"created", "action": "edited"', 1)
    assert (await send_webhook(api, "near", other))[1]["verdict"] == "ignored"


async def test_the_last_of_duplicate_keys_in_a_dispatch_is_decided_and_stored(api: HttpHarness) -> None:
    headers = {"Content-Type": "application/json"}
    body = '{"type": "goodbye", "type": "hello", "metadata": {"a": 1, "a": 2}}'
    status, job = await api.local.request("POST", "/runner-jobs", data=body, headers=headers)
    assert (status, job["type"], job["metadata"]) == (201, "hello", {"a": 2})
    body = '{"type": "hello", "type": "goodbye"}'
    assert (await api.local.request("POST", "/runner-jobs", data=body, headers=headers))[0] == 422


@pytest.mark.parametrize(
    "body",
    [b"\xef\xbb\xbf{}", b"{}\xff", b'{"x": "\xed\xa0\x80"}', b'{"x": NaN}', b'{"x": "\\ud800"}', b'{"x":' * DEEP],
    ids=count(),
)
async def test_invalid_json_in_ignored_fields_is_400(api: HttpHarness, body: bytes) -> None:
    status, problem = await send_webhook(api, "near", body)
    assert (status, problem["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "name", ["../../etc", "-rf/x", "--upload-pack=x/y", "a/..", "%2e%2e/x", "x/\u202ey", "x/" + "y" * 300]
)
async def test_an_invalid_repository_name_is_refused(api: HttpHarness, name: str) -> None:
    status, problem = await send_webhook(api, "near", comment_body("@mosaic hello", repository=name))
    assert (status, problem["code"]) == (422, "invalid")
    for path in ("/runner-jobs", "/stitcher/dispatch"):
        status, _ = await api.local.request("POST", path, json={"type": "hello", "repository": name})
        assert status in {403, 422}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("pull_request", "no trigger wants pull_request/created"),
        ("no-event_9", "no trigger wants no-event_9/created"),
        ("../../etc", "no trigger wants ../../etc/created"),
    ],
)
async def test_an_unwanted_event_is_recorded_whatever_it_lacks(api: HttpHarness, event: str, reason: str) -> None:
    body = json.dumps({"action": "created", "pull_request": 5, "sender": {"login": "-x"}, "repository": []}).encode()
    status, response = await send_webhook(api, "near", body, **{"X-GitHub-Event": event})
    assert (status, response["verdict"], response["reason"]) == (200, "ignored", reason)
    _, stored = await api.local.request("GET", f"/deliveries/{response['deliveryId']}")
    assert (stored["event"], stored["sender"], stored["repository"]) == (event, None, None)


async def test_a_malformed_name_is_described_in_words(api: HttpHarness) -> None:
    _, problem = await send_webhook(api, "near", comment_body("@mosaic hello", repository="a/.."))
    words = "owner/name, of letters, digits, dots, dashes and underscores"
    assert problem["detail"] == f"$.repository.full_name: expected the name of a repository, {words}"
    status, response = await send_webhook(api, "near", comment_body("@mosaic hello", repository="near-org/-dots"))
    assert (status, response["verdict"]) == (200, "denied")
    assert "near-org/-dots matches no [repositories] entry" in response["reason"]


@pytest.mark.parametrize(
    ("path", "right"),
    [
        ("/stitcher/webhook/near/", "/stitcher/webhook/near"),
        ("//stitcher/webhook/near", "/stitcher/webhook/near"),
        ("/stitcher//webhook///near//", "/stitcher/webhook/near"),
        ("/stitcher/webhook/", "/stitcher/webhook"),
        ("/runner-jobs/", "/runner-jobs"),
        ("/stitcher/webhooks/near/", None),
        ("//", None),
        ("/nowhere", None),
    ],
)
async def test_a_path_with_other_slashes_is_not_found_and_the_right_one_named(
    api: HttpHarness, path: str, right: str | None
) -> None:
    for method in ("POST", "GET"):
        status, problem = await api.public.request(method, path, data=b"{}", headers=signed_headers(b"{}"))
        assert (status, problem["code"]) == (404, "not_found")
        assert problem["hint"] == (f"write {right}, with these slashes and no others" if right else None)


async def test_a_title_is_stored_as_its_readers_see_it(api: HttpHarness) -> None:
    document = json.loads(comment_body(f"@mosaic hello {ESCAPES}"))
    document["issue"] |= {"title": ESCAPES, "labels": [{"name": ESCAPES}], "html_url": f"https://x/{ESCAPES}"}
    status, response = await send_webhook(api, "near", json.dumps(document).encode())
    assert status == 202
    _, job = await api.local.request("GET", f"/runner-jobs/{response['jobId']}")
    assert job["thread"]["title"] == "gnp.exe"
    assert job["thread"]["url"] is None  # an address with such characters is none


async def test_content_encodings_are_refused_unread(api: HttpHarness) -> None:
    body = comment_body("@mosaic hello")
    for encoding in ("gzip", "br", "identity", "gzip, gzip"):
        headers = {**signed_headers(body), "Content-Encoding": encoding}
        status, problem = await api.public.request("POST", "/stitcher/webhook/near", data=body, headers=headers)
        assert (status, problem["code"]) == (415, "unsupported_media_type")


async def test_the_body_of_a_connection_that_was_closed_is_no_bug() -> None:
    protocol = Mock(connected=False)
    body = StreamReader(protocol, 2**16, loop=asyncio.get_running_loop())
    request = make_mocked_request("POST", "/", {"Content-Length": "9"}, payload=body, protocol=protocol)
    with pytest.raises(Refusal, match="the connection was closed before the body had arrived"):
        await read_body(request)
