"""Keeps the parts of the daemon running: one that fails is started again, and stalls of the event loop are noticed."""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress

from shared.ids import format_timestamp, new_id, now_ms

RESTART_SECONDS = 1.0  # after which a part that failed is started again
BEAT_SECONDS = 0.25
STALL_SECONDS = 1.0  # without a beat
FRAMES = 20  # of the stack that is logged

log = logging.getLogger(__name__)


class Supervision:
    """Runs the parts of the daemon. `troubles` are the parts that are not running now, each with the reason and since.

    A part that failed is started again; it is in trouble until it has run for RESTART_SECONDS. That it failed is a bug
    of ours, but for the errors `not_bugs`.
    """

    def __init__(self, *not_bugs: type[Exception]) -> None:
        self._not_bugs = not_bugs
        self.troubles: dict[str, tuple[str, str]] = {}

    async def keep_running(
        self, name: str, run: Callable[[], Awaitable[None]], restart_seconds: float | None = None
    ) -> None:
        """Run a part until it ends by itself; where it fails, start it again after a pause."""
        pause = RESTART_SECONDS if restart_seconds is None else restart_seconds
        while True:
            recovered = asyncio.get_running_loop().call_later(RESTART_SECONDS, self.troubles.pop, name, None)
            try:
                return await run()
            except Exception as error:
                if isinstance(error, self._not_bugs):
                    log.warning("%s failed, and is started again in %g s: %s", name, pause, error)
                else:
                    log.exception("%s failed, and is started again in %g s (%s)", name, pause, new_id())
                self.troubles[name] = (f"{name} failed: {error}", format_timestamp(now_ms()))
            finally:
                recovered.cancel()
            await asyncio.sleep(pause)


@asynccontextmanager
async def running_parts(
    supervision: Supervision, parts: Mapping[str, Callable[[], Awaitable[None]]]
) -> AsyncIterator[None]:
    """Keep parts running until the context ends."""
    tasks = [asyncio.create_task(supervision.keep_running(*part)) for part in parts.items()]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class LoopWatch:
    """Notices when the event loop stalls: a thread logs, once for each stall, what the loop's thread was doing."""

    def __init__(self) -> None:
        self._beaten_at = time.monotonic()
        self._closed = threading.Event()
        self._thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="loop-watch", daemon=True
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch the running loop until the context ends."""
        beating = asyncio.create_task(self._beat())
        self._thread.start()
        try:
            yield
        finally:
            beating.cancel()
            self._closed.set()
            with suppress(asyncio.CancelledError):
                await beating

    async def _beat(self) -> None:
        while True:
            self._beaten_at = time.monotonic()
            await asyncio.sleep(BEAT_SECONDS)

    def _watch(self, watched: int) -> None:
        logged_at = 0.0
        while not self._closed.wait(BEAT_SECONDS):
            beaten_at = self._beaten_at
            if time.monotonic() - beaten_at > STALL_SECONDS and beaten_at != logged_at:
                logged_at = beaten_at
                frame = sys._current_frames().get(watched)  # noqa: SLF001 (its documented name)
                stack = "".join(traceback.format_stack(frame, FRAMES)) if frame else "(it has ended)\n"
                log.error("the event loop has done nothing else for %g s; it is in\n%s", STALL_SECONDS, stack.rstrip())
