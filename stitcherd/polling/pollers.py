"""The pollers of all sources with `pull`: each runs by itself, and what it cannot read is shown with its forge.

Of the other sources with a credential, what was missed while the daemon was away is read once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from msgspec.structs import replace

from shared.api import ReadinessCheck
from shared.deliveries import Via
from shared.ids import format_timestamp
from stitcherd.config.settings import Settings, SourceSettings
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.connections import ForgeConnections
from stitcherd.polling.catch_up import CatchUp
from stitcherd.polling.poller import Poller, Take
from stitcherd.polling.repositories import polled_repositories
from stitcherd.store.store import Store
from stitcherd.supervision import Supervision

RESTART_SECONDS = 30.0  # of a reader that fails: it must not ask its forge again and again

log = logging.getLogger(__name__)


class Pollers:
    """The poller of each source with `pull`, and what catches up on the others."""

    def __init__(self, store: Store, settings: Settings, forges: ForgeConnections) -> None:
        self._store = store
        self._settings = settings
        self._forges = forges
        self._by_source: dict[str, Poller] = {}

    @asynccontextmanager
    async def running(self, take: Take, supervision: Supervision) -> AsyncIterator[None]:
        """Poll while the context is open; `take` is that of the intake."""
        tasks = [
            asyncio.create_task(
                supervision.keep_running(
                    f"polling source {source.name}", self._reader(source, api, take).run, RESTART_SECONDS
                )
            )
            for source, api in ((self._settings.sources[name], api) for name, api in self._forges.apis.items())
            if source.pull is not None or source.catch_up
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _reader(self, source: SourceSettings, api: ForgeApi, take: Take) -> Poller | CatchUp:
        """Return what reads the lists of a source: again and again, or once at the start."""
        repositories = polled_repositories(self._settings, source, partial(self._forges.serves, source.name))
        if source.pull is None:
            poller = Poller(self._store, source, api, repositories, take, via=Via.CATCH_UP)
            return CatchUp(self._store, source.name, poller)
        asked = ", ".join((*repositories.named, *repositories.patterns)) or "no repository"
        log.info("source %s is asked about %s", source.name, asked)
        self._by_source[source.name] = Poller(self._store, source, api, repositories, take)
        return self._by_source[source.name]

    def check(self, check: ReadinessCheck) -> ReadinessCheck:
        """Return the check of a source, `forge:NAME`, with what its poller cannot read."""
        poller = self._by_source.get(check.name.removeprefix("forge:"))
        fault = poller.fault if poller is not None else None
        if fault is None or not check.ok:
            return check
        reason, since = fault
        return replace(check, ok=False, detail=f"cannot be polled: {reason}", since=format_timestamp(since))
