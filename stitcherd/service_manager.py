"""Tells systemd how the daemon is, by datagrams to the socket in NOTIFY_SOCKET (sd_notify(3)); else does nothing."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager, suppress

EXTENSION_SECONDS = 60.0  # of the time to start, from each message on
_EXTENSION = f"EXTEND_TIMEOUT_USEC={EXTENSION_SECONDS * 1_000_000:.0f}"


class ServiceManager:
    """The service manager that started this process, if any; its variables are removed from `environ`."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        self._address = environ.pop("NOTIFY_SOCKET", "").replace("@", "\0", 1)  # @: an abstract one
        microseconds, pid = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", str(os.getpid()))
        is_watched = microseconds.isdecimal() and pid == str(os.getpid())
        self._interval = int(microseconds) / 1_000_000 / 2 if is_watched else None

    def notify(self, state: str) -> None:
        """Send a state such as READY=1; nobody need listen."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(state.encode(), self._address)

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[None]:
        """Ask for more time to start until the context ends, which may take longer than TimeoutStartSec=."""
        asking = asyncio.create_task(self._ask_for_time())
        try:
            yield
        finally:
            asking.cancel()

    @asynccontextmanager
    async def watching(self, is_alive: Callable[[], bool]) -> AsyncIterator[None]:
        """Tell that the daemon is ready, and, until the context ends, that it is alive as long as `is_alive` says so.

        A manager that is not told twice in WatchdogSec= ends the daemon, and starts it again.
        """
        self.notify("READY=1")
        beating = asyncio.create_task(self._beat(is_alive))
        try:
            yield
        finally:
            beating.cancel()

    async def _ask_for_time(self) -> None:
        while True:
            self.notify(_EXTENSION)
            await asyncio.sleep(EXTENSION_SECONDS / 6)

    async def _beat(self, is_alive: Callable[[], bool]) -> None:
        while self._interval is not None:
            if is_alive():
                self.notify("WATCHDOG=1")
            await asyncio.sleep(self._interval)
