"""The export of all events with their hashes, which shared.audit verifies."""

import asyncio
import logging
from contextlib import suppress

from aiohttp import web

from stitcherd.http.auth import require_operator
from stitcherd.http.state import STATE
from stitcherd.store.audit import export_events
from stitcherd.store.errors import StorageUnavailable

# While an export is read, the write-ahead log cannot be overwritten: a slow client must not let it grow for ever.
EXPORT_SECONDS = 600.0

log = logging.getLogger(__name__)


async def export(request: web.Request) -> web.StreamResponse:
    """Stream all events with their hashes, and the ranges that retention has removed, as JSON lines."""
    require_operator(request)
    state = request.app[STATE]
    response = web.StreamResponse(headers={"Content-Type": "application/jsonl", "Cache-Control": "no-store"})
    with state.exports.take(None), suppress(ConnectionError):  # the client is gone
        try:
            async with asyncio.timeout(EXPORT_SECONDS), state.store.snapshot() as db:
                await response.prepare(request)
                async for chunk in export_events(db):
                    await response.write(chunk)
        except (TimeoutError, StorageUnavailable) as error:  # no response can follow the beginning of this one
            log.error("an export of events was ended: %s", str(error) or "it took too long")  # noqa: TRY400 (no bug of ours)
            if request.transport is not None:
                request.transport.abort()
    return response
