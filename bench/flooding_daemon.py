"""stitcherd, which on SIGUSR1 writes 5,000 events a second for $FLOOD_SECONDS."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

from shared.ids import now_ms
from stitcherd import execution
from stitcherd.__main__ import main
from stitcherd.store.db import Db
from stitcherd.store.events import add_events, new_event
from stitcherd.store.sqlite import open_sqlite
from stitcherd.store.store import Store

PER_SECOND = 5_000
STEP_SECONDS = 0.01
TYPES = ("step.output", "ai.tool_called", "step.output", "step.progress", "step.output")

_tasks: set[asyncio.Task[None]] = set()


async def open_with_handler(path: Path) -> Store:
    store = await open_sqlite(path)

    def begin() -> None:
        task = asyncio.get_running_loop().create_task(flood(store))
        _tasks.add(task)

    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, begin)
    return store


async def flood(store: Store) -> None:
    started, made, wanted = time.perf_counter(), 0, int(float(os.environ["FLOOD_SECONDS"]) * PER_SECOND)
    while made < wanted:
        due = min(int((time.perf_counter() - started) * PER_SECOND), wanted) - made
        await store.write(append_batch, made, due)
        made += due
        await asyncio.sleep(STEP_SECONDS)


def append_batch(db: Db, first: int, number: int) -> None:
    jobs = db.execute("SELECT key, id FROM jobs ORDER BY key DESC LIMIT 40").fetchall()
    for at in range(first, first + number):
        payload = {"offset": at * 150, "length": 150, "text": f"line {at} of what an agent prints " + "x" * 110}
        job = tuple(jobs[at % len(jobs)])
        add_events(db, new_event(TYPES[at % 5], actor="bench", now=now_ms(), payload=payload, job=job))


if __name__ == "__main__":
    setattr(execution, "open_sqlite", open_with_handler)  # noqa: B010 (it is not exported)
    sys.exit(main())
