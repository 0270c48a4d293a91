"""Outputs over HTTP that are in the store: parts of them, and one that is deleted while it is sent."""

from typing import Any

import aiohttp
import pytest

from stitcherd.jobs import stored_outputs
from stitcherd.jobs.logs import diff_path
from stitcherd.jobs.stored_outputs import StoredOutputs, place_of
from stitcherd.store.pieces import append_piece, read_pieces
from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.test_jobs import _add

TEXT = b"+one\n+two\n"


@pytest.fixture
async def diff(api: HttpHarness) -> str:
    """Return the path of a diff in two pieces."""
    api.state.outputs = StoredOutputs(api.state.store, api.state.outputs.state)
    job_id = await _add(api)
    place = place_of(diff_path(api.state.outputs.state, job_id, 1))
    for start in (0, 5):
        assert await api.state.store.write(append_piece, place, start, TEXT[start : start + 5])
    return f"/runner-jobs/{job_id}/diff"


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        (None, 200, TEXT),
        ("bytes=0-", 206, TEXT),
        ("bytes=3-6", 206, TEXT[3:7]),
        ("bytes=-2", 206, TEXT[-2:]),
        ("bytes=8-99", 206, TEXT[8:]),
        ("bytes=10-", 416, b""),
        ("lines=1-2", 416, b""),
    ],
)
async def test_a_part(api: HttpHarness, diff: str, asked: str | None, status: int, part: bytes) -> None:
    headers = {"Range": asked} if asked else {}
    session, base = api.local.session, api.local.base
    for method in ("GET", "HEAD"):
        async with session.request(method, f"{base}{diff}", headers=headers) as response:
            body = await response.read()
        assert (response.status, body) == (status, part if method == "GET" else b"")
        if status == 206:
            assert response.headers["Content-Length"] == str(len(part))
            assert response.headers["Content-Range"].endswith("/10")


async def test_who_is_sent_less_than_was_promised_is_told(
    api: HttpHarness, diff: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_first(db: Any, place: Any, start: int, end: int) -> bytes:
        return await read_pieces(db, place, start, 5) if start < 5 else b""

    monkeypatch.setattr(stored_outputs, "read_pieces", read_first)
    async with api.local.session.get(f"{api.local.base}{diff}") as response:
        assert response.headers["Content-Length"] == "10"
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()
