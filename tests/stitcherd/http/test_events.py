"""The event stream: every event once and in order, for each client at its own pace."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from aiohttp import web

from shared.ids import now_ms
from stitcherd.http import events, feed
from stitcherd.store import retention
from tests.stitcherd.http.conftest import HttpHarness

WITHIN = 10.0


class Reader:
    """The frames of an open stream, as (id, event or None for a heartbeat)."""

    def __init__(self, content: Any) -> None:
        self._content = content
        self._rest = b""

    async def frame(self) -> tuple[int, Any]:
        while b"\n\n" not in self._rest:
            data = await asyncio.wait_for(self._content.readany(), WITHIN)
            assert data, "the stream ended"
            self._rest += data
        text, self._rest = self._rest.split(b"\n\n", 1)
        fields = dict(line.split(b":", 1) for line in text.split(b"\n"))
        data = fields[b"data"].strip()
        event = msgspec.json.decode(data) if data else None
        assert event is None or (fields[b"event"].strip().decode(), int(fields[b"id"])) == (event["type"], event["id"])
        return int(fields[b"id"]), event

    async def events(self, count: int) -> list[Any]:
        found: list[Any] = []
        while len(found) < count:
            _, event = await self.frame()
            if event is not None:
                found.append(event)
        return found


@asynccontextmanager
async def open_stream(client: Any, query: str = "", token: str | None = None, **headers: str) -> AsyncIterator[Reader]:
    sent = {**headers, **({"Authorization": f"Bearer {token}"} if token else {})}
    async with client.session.get(f"{client.base}/events{query}", headers=sent) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        yield Reader(answer.content)


async def test_without_a_cursor_it_starts_now_and_sends_the_cursor(api: HttpHarness) -> None:
    old = await api.add_event(n=0)
    async with open_stream(api.local) as reader:
        assert await reader.frame() == (old, None)
        new = await api.add_event(n=1)
        assert (await reader.frame())[0] == new


async def test_after_0_starts_at_the_oldest_and_last_event_id_overrides_after(api: HttpHarness) -> None:
    ids = [await api.add_event(n=n) for n in range(5)]
    async with open_stream(api.local, "?after=0") as reader:
        assert [event["id"] for event in await reader.events(6)] == [1, *ids]
    async with open_stream(api.local, "?after=0", **{"Last-Event-ID": str(ids[2])}) as reader:
        assert [event["id"] for event in await reader.events(2)] == ids[3:]


async def test_a_client_that_reconnects_sees_every_event_once(api: HttpHarness) -> None:
    received: list[int] = []
    writing = asyncio.gather(*(api.add_event(n=n) for n in range(300)))
    cursor = 1
    while len(received) < 300:
        async with open_stream(api.local, f"?after={cursor}") as reader:
            for event in await reader.events(min(7, 300 - len(received))):
                received.append(event["payload"]["n"])
                cursor = event["id"]
    await writing
    assert sorted(received) == list(range(300))


async def test_a_client_behind_the_buffer_reads_from_the_store(
    api: HttpHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "BUFFER_BYTES", 2000)
    monkeypatch.setattr(events, "EVENT_BATCH", 7)
    async with open_stream(api.local) as current:
        ids = [await api.add_event(n=n) for n in range(60)]
        assert [event["id"] for event in await current.events(60)] == ids
        async with open_stream(api.local, f"?after={ids[0] - 1}") as behind:
            assert [event["id"] for event in await behind.events(60)] == ids


async def test_a_client_that_stops_reading_delays_no_other(api: HttpHarness) -> None:
    big = "x" * 4000
    async with open_stream(api.local) as _stalled, open_stream(api.local) as reader:
        await reader.frame()
        for start in range(0, 2000, 200):
            await asyncio.gather(*(api.add_event(n=n, big=big) for n in range(start, start + 200)))
            got = [event["payload"]["n"] for event in await reader.events(200)]
            assert sorted(got) == list(range(start, start + 200))


async def test_a_client_that_is_gone_is_no_error(
    api: HttpHarness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def write(_response: web.StreamResponse, _data: bytes) -> None:
        raise ConnectionError("Connection lost")

    monkeypatch.setattr(web.StreamResponse, "write", write)
    async with api.local.session.get(f"{api.local.base}/events") as answer:
        assert await answer.read() == b""
    assert "internal error" not in caplog.text


async def test_the_stream_of_one_job(api: HttpHarness) -> None:
    _, job = await api.local.request("POST", "/runner-jobs", json={"type": "hello"})
    async with open_stream(api.local, f"?after=0&job={job['id'][-8:]}") as reader:
        while (event := (await reader.events(1))[0])["type"] != "job.completed":
            assert event["jobId"] == job["id"]


async def test_workspaces_see_their_own_and_global_events(api: HttpHarness) -> None:
    async with open_stream(api.public, token="other") as reader:
        await reader.frame()
        await api.add_event(workspace="default", n=1)
        await api.add_event(workspace="elsewhere", n=2)
        await api.add_event(workspace=None, n=3)
        assert [event["payload"]["n"] for event in await reader.events(2)] == [2, 3]


async def test_a_heartbeat_moves_the_cursor_past_hidden_events(
    api: HttpHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.2)
    async with open_stream(api.public, token="other") as reader:
        await reader.frame()
        hidden = await api.add_event(workspace="default")
        while (await reader.frame()) != (hidden, None):
            pass  # an earlier heartbeat


async def _write_until_cancelled(api: HttpHarness, workspace: str | None) -> None:
    """Commit all the time: what adds no event, or events of a workspace."""
    while True:
        if workspace is None:
            await api.state.store.write(lambda _db: None)
        else:
            await api.add_event(workspace=workspace)
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("workspace", [None, "default"])
async def test_a_heartbeat_comes_although_the_store_is_written_to(
    api: HttpHarness, monkeypatch: pytest.MonkeyPatch, workspace: str | None
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.3)
    async with open_stream(api.public, token="other") as reader:
        first, event = await reader.frame()
        assert event is None
        writing = asyncio.create_task(_write_until_cancelled(api, workspace))
        started = asyncio.get_running_loop().time()
        beats = [await reader.frame() for _ in range(2)]
        passed = asyncio.get_running_loop().time() - started
        writing.cancel()
    assert [event for _, event in beats] == [None, None]
    assert 0.5 < passed < 5
    ids = [first, *(id_ for id_, _ in beats)]
    if workspace is None:
        assert ids == [first] * 3
    else:  # each has the newest id, although the events are hidden from this client
        assert ids == sorted(set(ids))


async def test_an_event_postpones_the_heartbeat(api: HttpHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.5)
    async with open_stream(api.public, token="other") as reader:
        await reader.frame()
        for n in range(8):  # longer than the interval, with events that the client may see
            await api.add_event(workspace="elsewhere", n=n)
            assert (await reader.frame())[1] is not None
            await asyncio.sleep(0.1)
        assert (await reader.frame())[1] is None


async def test_410_only_if_an_event_after_the_cursor_was_pruned(api: HttpHarness) -> None:
    ids = [await api.add_event(workspace=None, n=n) for n in range(4)]
    await api.state.store.write(retention.prune_events, now_ms() + 1, now_ms())
    kept = await api.add_event(n=4) - 1  # the first one after them is the checkpoint
    status, problem = await api.local.request("GET", f"/events?after={ids[1]}")
    assert (status, problem["code"]) == (410, "cursor_expired")
    for cursor in (ids[-1], 0):
        async with open_stream(api.local, f"?after={cursor}") as reader:
            assert (await reader.frame())[0] == kept


@pytest.mark.parametrize("cursor", ["-1", "x", "1.5", "9" * 25, "\u0661"])
async def test_an_invalid_cursor_is_422(api: HttpHarness, cursor: str) -> None:
    status, problem = await api.local.request("GET", "/events", params={"after": cursor})
    assert (status, problem["code"]) == (422, "invalid")


async def test_closing_the_feed_ends_every_stream(api: HttpHarness) -> None:
    async with open_stream(api.local) as reader:
        await reader.frame()
        api.state.feed.close()
        with pytest.raises(AssertionError, match="ended"):
            await reader.frame()
