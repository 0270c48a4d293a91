"""A fake forge that is served by a thread, for daemons that run as processes."""

import asyncio
import threading
from typing import Generic, TypeVar

from tests.forges.fake import FakeForge

Fake = TypeVar("Fake", bound=FakeForge)


class ThreadedForge(Generic[Fake]):
    """Serves a fake until it is closed; then the fake must have seen and said only what its API allows."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(fake.running(), self._loop).result(30)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
        assert not self.fake.violations, self.fake.violations
