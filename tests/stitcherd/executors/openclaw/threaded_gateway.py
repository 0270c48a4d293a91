"""A fake gateway in a thread of its own, for daemons that are real processes; and a house whose jobs it does."""

import asyncio
import json
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from tests.e2e.harness import DaemonHarness
from tests.stitcherd.executors.openclaw.fake_gateway import TOKEN, FakeGateway

PATIENCE = 30.0
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
    """The fake, to be asked from another thread."""

    def __init__(self) -> None:
        self.fake = FakeGateway()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.do(self.fake.open())

    def do(self, what: Coroutine[Any, Any, None]) -> None:
        """Have something done on the fake's own loop."""
        asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)

    def let_go(self) -> None:
        """Let every run that holds go on."""
        self._loop.call_soon_threadsafe(self.fake.let_go.set)

    def end(self) -> None:
        """Close the fake, and end its thread."""
        self.do(self.fake.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def started(self) -> list[str]:
        """The runs that were asked for, by their names."""
        return [asked["idempotencyKey"] for asked in self.fake.asked("agent")]


def daemon_with(gateway: ThreadedGateway, place: Path, **options: Any) -> DaemonHarness:
    """Return a house that is not started yet, and whose executor `claw` is the fake."""
    token = place / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    url = gateway.fake.address.url
    settings = f'[executors.claw]\nkind = "openclaw"\nurl = "{url}"\ntoken = {{file = "{token}"}}'
    return DaemonHarness(settings=settings, rails=RAILS, **options)


def script(*steps: list[Any]) -> str:
    """Return a prompt that the fake plays."""
    return f"<play>{json.dumps(steps)}</play>"
