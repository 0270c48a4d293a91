"""A fake forge that is served by a thread, for daemons that run as processes."""

from typing import Generic, TypeVar

from tests.forges.fake import FakeForge
from tests.loop_thread import LoopThread

Fake = TypeVar("Fake", bound=FakeForge)


class ThreadedForge(Generic[Fake]):
    """Serves a fake until it is closed; then the fake must have seen and said only what its API allows."""

    def __init__(self, fake: Fake) -> None:
        self.fake = fake
        self._loop = LoopThread()
        self._server = self._loop.run(fake.running())

    def close(self) -> None:
        self._loop.run(self._server.close())
        self._loop.close()
        assert not self.fake.violations, self.fake.violations
