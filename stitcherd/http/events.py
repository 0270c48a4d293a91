"""The event stream: Server-Sent Events by cursor, without a gap and without a repetition."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import ClientConnectionResetError, web

from stitcherd.errors import Refusal
from stitcherd.http.auth import caller
from stitcherd.http.feed import EVENT_BATCH, EventFeed, EventFrame, encode_event
from stitcherd.http.requests import CURSOR_MAX, Query
from stitcherd.http.state import STATE
from stitcherd.store import events, jobs
from stitcherd.store.sqlite import Store

HEARTBEAT_SECONDS = 15.0


class EventSubscription:
    """One client of the stream: what it may see, and how far it has come."""

    def __init__(self, feed: EventFeed, store: Store, workspace: str | None, job_id: str | None, cursor: int) -> None:
        self._feed = feed
        self._store = store
        self._workspace = workspace
        self._job_id = job_id
        self.cursor = cursor

    async def next(self) -> bytes:
        """Return what is new behind the cursor, and move it; empty at the head."""
        frames: Sequence[EventFrame] | None = self._feed.since(self.cursor)
        if frames is None:
            async with self._store.reading() as db:
                frames = [encode_event(*found) for found in await events.events_after(db, self.cursor, EVENT_BATCH)]
        if frames:
            self.cursor = frames[-1].id
        return b"".join(each.data for each in frames if self._may_see(each))

    @property
    def behind(self) -> bool:
        """Whether there is more to send."""
        return self.cursor < self._feed.head

    def _may_see(self, each: EventFrame) -> bool:
        if self._job_id is not None and each.job_id != self._job_id:
            return False
        return self._workspace is None or each.workspace in {None, self._workspace}


async def stream(request: web.Request) -> web.StreamResponse:
    """Answer the events from the cursor on, for as long as the client stays."""
    query = Query(request)
    house = request.app[STATE]
    workspace = caller(request).workspace
    wanted = request.headers.get("Last-Event-ID") or query.text("after")
    job_id = await _resolve_job(request, query.text("job"))
    with house.feed.listening() as ear:
        newest = await house.feed.catch_up()
        cursor = newest if wanted is None else _parse_cursor(wanted)
        await _check_retention(house.store, cursor)
        listener = EventSubscription(house.feed, house.store, workspace, job_id, cursor)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        with suppress(ClientConnectionResetError, ConnectionResetError):
            await response.prepare(request)
            if wanted is None:
                await response.write(_heartbeat(cursor))
            await _send_events(response, listener, house.feed, ear)
    return response


async def _send_events(
    response: web.StreamResponse, listener: EventSubscription, feed: EventFeed, ear: asyncio.Event
) -> None:
    while not feed.closed:
        ear.clear()  # before looking: what comes while we look rings again
        data = await listener.next()
        if data:
            await response.write(data)
        if listener.behind:
            continue
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await ear.wait()
        except TimeoutError:
            await response.write(_heartbeat(listener.cursor))


def _heartbeat(cursor: int) -> bytes:
    return b"id: %d\ndata:\n\n" % cursor


def _parse_cursor(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= CURSOR_MAX):
        raise Refusal("invalid", f"{text!r} is no cursor: it is the id of an event")
    return int(text)


async def _check_retention(store: Store, cursor: int) -> None:
    """Refuse a cursor behind which events were pruned; 0 asks for the oldest that is kept."""
    async with store.reading() as db:
        pruned = await events.pruned_through(db)
    if 0 < cursor < pruned:
        raise Refusal("cursor_expired", f"events up to {pruned} are past their retention", "take a new snapshot")


async def _resolve_job(request: web.Request, name: str | None) -> str | None:
    if name is None:
        return None
    async with request.app[STATE].store.reading() as db:
        return (await jobs.get_job(db, name, caller(request).workspace)).id
