"""A fake gateway in a thread of its own, for daemons that are real processes, and such a daemon."""

import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tests.e2e.harness import DaemonHarness
from tests.loop_thread import LoopThread
from tests.stitcherd.executors.openclaw.fake_gateway import FakeGateway
from tests.stitcherd.executors.openclaw.tasks import claw_settings

RAILS = """
version: 1
profiles:
  reader: {capabilities: [repo:read], executor: claw, timeout: 2m}
  local: {capabilities: [repo:read], executor: agent}
jobs:
  read: {profile: reader, needs: [repo:read]}
  again: {profile: reader, needs: [repo:read], on_interrupt: retry}
  twice: {profile: reader, needs: [repo:read], gates: [second], tries: 2}
  held: {profile: reader, needs: [repo:read], gates: [slow]}
  local: {profile: local, needs: [repo:read]}
gates:
  second: {run: [sh, -c, "test $STITCHER_TRY = 2"]}
  slow: {run: [sh, -c, "test -e ../../../../go || sleep 60"]}
"""


class ThreadedGateway:
    """A FakeGateway that other threads can use."""

    def __init__(self) -> None:
        self.fake = FakeGateway()
        self._loop = LoopThread()
        self.call(self.fake.open())

    def call(self, call: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine on the loop of the gateway."""
        self._loop.run(call)

    def release(self) -> None:
        """Let every run that holds continue."""
        self._loop.call_soon(self.fake.released.set)

    def close(self) -> None:
        """Close the gateway, and end its thread."""
        self.call(self.fake.close())
        self._loop.close()

    @property
    def started(self) -> list[str]:
        """The ids of the runs that were requested."""
        return [params["idempotencyKey"] for params in self.fake.params_of("agent")]


def daemon_with(gateway: ThreadedGateway, directory: Path) -> DaemonHarness:
    """Return a daemon, not started yet, whose executor `claw` is the gateway."""
    return DaemonHarness(settings=claw_settings(gateway.fake.address, directory), rails=RAILS)


def script(*steps: list[Any]) -> str:
    """Return a prompt whose steps the gateway plays."""
    return f"<play>{json.dumps(steps)}</play>"
