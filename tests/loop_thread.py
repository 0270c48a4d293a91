"""An event loop in a thread of its own, for servers that tests start beside daemons that are processes."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")
TIMEOUT = 30.0


class LoopThread:
    """Runs coroutines of other threads until it is closed."""

    def __init__(self) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._until_closed(),))
        self._thread.start()
        assert self._ready.wait(TIMEOUT)

    async def _until_closed(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        self._ready.set()
        await self._closed.wait()
        # One that is being closed waits until its peer has read all: one that was killed, or does not read, never does.
        for transport in list(vars(self._loop)["_transports"].values()):
            transport.abort()
        await asyncio.sleep(0)  # the loop closes their sockets

    def run(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine on the loop, and return its result."""
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(TIMEOUT)

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call a function on the loop, without waiting for it."""
        self._loop.call_soon_threadsafe(call)

    def close(self) -> None:
        """End the thread. `asyncio.run` cancels what is left, so that no transport is garbage while it is open."""
        self.call_soon(self._closed.set)
        self._thread.join(TIMEOUT)
        assert not self._thread.is_alive()
