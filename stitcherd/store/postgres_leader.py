"""The leader of the processes that share a PostgreSQL database: the one that has a lock, for as long as its connection.

For a moment there may be two, until the earlier one notices that its connection is lost: the work must bear that. One
that is stopped or cut off loses the lock.
"""

import asyncio
import contextlib
import logging

import psycopg

from stitcherd.store.postgres_connections import KEEPALIVES, NETWORK
from stitcherd.store.postgres_schema import LEADER_LOCK
from stitcherd.store.store import Work

LOOK_SECONDS = 3.0  # between two looks whether the connection is still there
IDLE_SECONDS = 10  # without such a look, after which the server gives the lock to another
CONNECT_AGAIN_SECONDS = 1.0

log = logging.getLogger(__name__)


async def lead(dsn: str, work: Work) -> None:
    """Do the work whenever this process has the lock, for ever; raises what the work raises."""
    while True:
        with contextlib.suppress(psycopg.Error):
            async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, **NETWORK) as connection:
                await connection.execute(KEEPALIVES, prepare=False)
                await connection.execute(f"SET idle_session_timeout = '{IDLE_SECONDS}s'".encode(), prepare=False)
                await connection.execute("SELECT pg_advisory_lock(%s)", [LEADER_LOCK], prepare=False)
                await _work_while_connected(connection, work)
        await asyncio.sleep(CONNECT_AGAIN_SECONDS)


async def _work_while_connected(connection: psycopg.AsyncConnection, work: Work) -> None:
    """Do the work until the connection is lost; raises psycopg.Error then."""
    log.info("this process is the leader now")
    working = asyncio.ensure_future(work())
    try:
        while not working.done():
            await asyncio.wait({working}, timeout=LOOK_SECONDS)
            await connection.execute("SELECT 1", prepare=False)
        working.result()
    except psycopg.Error:
        log.warning("this process is the leader no more: its connection was lost")
        raise
    finally:
        working.cancel()
        await asyncio.wait({working})
