"""The event stream: Server-Sent Events from a cursor on, without gaps and without repetitions."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from aiohttp import web

from stitcherd.errors import Refusal
from stitcherd.http.auth import caller
from stitcherd.http.feed import EVENT_BATCH, EventFeed, EventFrame, encode_event
from stitcherd.http.jobs import find_job_id
from stitcherd.http.requests import CURSOR_MAX, QUERY
from stitcherd.http.state import STATE
from stitcherd.store import events
from stitcherd.store.store import Store

HEARTBEAT_SECONDS = 15.0  # without anything sent on a stream


class EventSubscription:
    """The position of one client in the stream, and what it may see."""

    def __init__(self, feed: EventFeed, store: Store, workspace: str | None, job_id: str | None, cursor: int) -> None:
        self._feed = feed
        self._store = store
        self._workspace = workspace
        self._job_id = job_id
        self.cursor = cursor

    async def next(self) -> bytes:
        """Return the visible events after the cursor and move it; empty at the head."""
        frames: Sequence[EventFrame] | None = self._feed.since(self.cursor)
        if frames is None:
            async with self._store.reading() as db:
                frames = [encode_event(*found) for found in await events.events_after(db, self.cursor, EVENT_BATCH)]
        if frames:
            self.cursor = frames[-1].id
        return b"".join(frame.data for frame in frames if self._may_see(frame))

    @property
    def behind(self) -> bool:
        """Return whether there are more events to send."""
        return self.cursor < self._feed.head

    def _may_see(self, frame: EventFrame) -> bool:
        if self._job_id is not None and frame.job_id != self._job_id:
            return False
        return self._workspace is None or frame.workspace in {None, self._workspace}


async def stream(request: web.Request) -> web.StreamResponse:
    """Stream the events after a cursor for as long as the client stays connected."""
    state, query, workspace = request.app[STATE], request[QUERY], caller(request).workspace
    after = request.headers.get("Last-Event-ID") or query.text("after")
    job = query.text("job")
    job_id = None if job is None else await find_job_id(request, job)
    with state.streams.take(caller(request).token), state.feed.subscribe() as moved:
        newest = await state.feed.catch_up()
        cursor = newest if after is None else _parse_cursor(after)
        await _check_retention(state.store, cursor)
        subscription = EventSubscription(state.feed, state.store, workspace, job_id, cursor)
        state.feed.watch(subscription)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        with suppress(ConnectionError):  # the client is gone
            await response.prepare(request)
            if after is None:
                await response.write(_heartbeat(cursor))
            await _send_events(response, subscription, state.feed, moved)
    return response


async def _send_events(
    response: web.StreamResponse, subscription: EventSubscription, feed: EventFeed, moved: asyncio.Event
) -> None:
    """Send events, and a heartbeat when nothing was sent for a while, whatever is stored meanwhile."""
    loop = asyncio.get_running_loop()
    heartbeat_at = loop.time() + HEARTBEAT_SECONDS
    while not feed.closed:
        moved.clear()  # before reading, so that an event committed meanwhile sets it again
        data = await subscription.next()
        if not data and loop.time() >= heartbeat_at:
            data = _heartbeat(subscription.cursor)
        if data:
            await response.write(data)
            heartbeat_at = loop.time() + HEARTBEAT_SECONDS
        if subscription.behind:
            continue
        with suppress(TimeoutError):
            async with asyncio.timeout_at(heartbeat_at):
                await moved.wait()


def _heartbeat(cursor: int) -> bytes:
    return b"id: %d\ndata:\n\n" % cursor


def _parse_cursor(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= CURSOR_MAX):
        raise Refusal("invalid", f"{text!r} is not a cursor: expected the id of an event")
    return int(text)


async def _check_retention(store: Store, cursor: int) -> None:
    """Refuse a cursor after which events were pruned; 0 asks for the oldest kept."""
    async with store.reading() as db:
        pruned = await events.pruned_through(db)
    if 0 < cursor < pruned:
        raise Refusal("cursor_expired", f"events up to {pruned} are past their retention", "load the lists again")
