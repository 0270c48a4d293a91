"""JSON that means harm: refused where it cannot be kept as it was meant, and else kept to the letter."""

import json
from itertools import count
from typing import Any

import pytest

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
async def test_what_could_not_be_kept_is_refused_by_the_api(doors: Any, written: str, status: int) -> None:
    body = f'{{"type": "hello", "metadata": {{"x": {written}}}}}'
    for path in ("/runner-jobs", "/stitcher/dispatch"):
        headers = {"Content-Type": "application/json"}
        answered, problem = await doors.socket.say("POST", path, data=body, headers=headers)
        assert (answered, problem["status"]) == (status, status)
    assert (await doors.socket.say("GET", "/runner-jobs"))[1]["items"] == []


@pytest.mark.parametrize(
    "metadata", [{"x": 2**70}, {"x": -(2**63)}, {"\x00": "\x00"}, {"": 1.5e308}, {"a": [[[{}]]]}, {"x": ESCAPES}]
)
async def test_what_can_be_kept_is_kept_to_the_letter(doors: Any, metadata: dict[str, Any]) -> None:
    asked = {"type": "hello", "metadata": metadata, "prompt": ESCAPES}
    status, job = await doors.socket.say("POST", "/runner-jobs", json=asked)
    assert (status, job["metadata"], job["prompt"]) == (201, metadata, ESCAPES)
    assert (await doors.socket.say("GET", f"/runner-jobs/{job['id']}"))[1]["metadata"] == metadata


async def test_of_a_key_that_stands_twice_the_last_is_judged_and_stored(doors: Any) -> None:
    twice = comment_body("@mosaic hello").replace(b'"created"', b'"edited", "action": "created"', 1)
    status, told = await send_webhook(doors, "near", twice)
    assert (status, told["verdict"]) == (202, "allowed")
    _, delivery = await doors.socket.say("GET", f"/deliveries/{told['deliveryId']}")
    assert delivery["action"] == "created"
    other = comment_body("@mosaic hello", issue=2).replace(b'"created"', b'"created", "action": "edited"', 1)
    assert (await send_webhook(doors, "near", other))[1]["verdict"] == "ignored"


async def test_of_a_key_that_stands_twice_in_a_dispatch_the_last_is_judged_and_stored(doors: Any) -> None:
    headers = {"Content-Type": "application/json"}
    body = '{"type": "goodbye", "type": "hello", "metadata": {"a": 1, "a": 2}}'
    status, job = await doors.socket.say("POST", "/runner-jobs", data=body, headers=headers)
    assert (status, job["type"], job["metadata"]) == (201, "hello", {"a": 2})
    body = '{"type": "hello", "type": "goodbye"}'
    assert (await doors.socket.say("POST", "/runner-jobs", data=body, headers=headers))[0] == 422


@pytest.mark.parametrize(
    "body",
    [b"\xef\xbb\xbf{}", b"{}\xff", b'{"x": "\xed\xa0\x80"}', b'{"x": NaN}', b'{"x": "\\ud800"}', b'{"x":' * DEEP],
    ids=count(),
)
async def test_a_webhook_that_is_no_json_is_400_even_in_what_nobody_looks_at(doors: Any, body: bytes) -> None:
    status, problem = await send_webhook(doors, "near", body)
    assert (status, problem["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "name", ["../../etc", "-rf/x", "--upload-pack=x/y", "a/..", "%2e%2e/x", "x/\u202ey", "x/" + "y" * 300]
)
async def test_a_repository_that_is_no_name_is_refused(doors: Any, name: str) -> None:
    status, problem = await send_webhook(doors, "near", comment_body("@mosaic hello", repository=name))
    assert (status, problem["code"]) == (422, "invalid")
    for path in ("/runner-jobs", "/stitcher/dispatch"):
        status, _ = await doors.socket.say("POST", path, json={"type": "hello", "repository": name})
        assert status in {403, 422}


async def test_the_words_of_strangers_are_kept_as_they_are(doors: Any) -> None:
    document = json.loads(comment_body(f"@mosaic hello {ESCAPES}"))
    document["issue"] |= {"title": ESCAPES, "labels": [{"name": ESCAPES}], "html_url": f"https://x/{ESCAPES}"}
    status, told = await send_webhook(doors, "near", json.dumps(document).encode())
    assert status == 202
    _, job = await doors.socket.say("GET", f"/runner-jobs/{told['jobId']}")
    assert job["thread"]["title"] == ESCAPES
    assert job["thread"]["url"] is None  # an address with such characters is none


async def test_a_gzip_bomb_is_not_even_opened(doors: Any) -> None:
    body = comment_body("@mosaic hello")
    for encoding in ("gzip", "br", "identity", "gzip, gzip"):
        headers = {**signed_headers(body), "Content-Encoding": encoding}
        status, problem = await doors.tcp.say("POST", "/stitcher/webhook/near", data=body, headers=headers)
        assert (status, problem["code"]) == (415, "unsupported_media_type")
