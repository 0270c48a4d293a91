"""The pollers of all sources with `pull`: each runs by itself, and what it cannot read is shown with its forge.

Of the other sources with a credential, what was missed while the daemon was away is read once.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

from msgspec.structs import replace

from shared.api import ReadinessCheck
from shared.deliveries import Via
from shared.ids import format_timestamp, new_id
from stitcherd.config.settings import Settings, SourceSettings
from stitcherd.forges.connections import ForgeConnections
from stitcherd.polling.catch_up import CatchUp
from stitcherd.polling.poller import Poller, Take
from stitcherd.store.sqlite import Store

RESTART_SECONDS = 30.0

log = logging.getLogger(__name__)


def polled_repositories(settings: Settings, source: SourceSettings, forges: ForgeConnections) -> tuple[str, ...]:
    """Return the repositories that a source is asked about: those of its workspace that have an entry of their own.

    One that is cloned from a path may be at any forge; one that is cloned from a URL is at the forge of that host.
    """
    return tuple(
        entry.pattern
        for entry in settings.repositories
        if entry.workspace == source.workspace
        and not entry.is_pattern
        and (found := settings.repository(entry.pattern)) is not None
        and (found.is_path or forges.serves(source.name, found.clone))
    )


class Pollers:
    """The poller of each source with `pull`, and what catches up on the others."""

    def __init__(self, store: Store, settings: Settings, forges: ForgeConnections) -> None:
        self._store = store
        self._settings = settings
        self._forges = forges
        self._by_source: dict[str, Poller] = {}

    @asynccontextmanager
    async def running(self, take: Take) -> AsyncIterator[None]:
        """Poll while the context is open; `take` is that of the intake."""
        for source in self._settings.sources.values():
            if source.pull is not None:
                names = polled_repositories(self._settings, source, self._forges)
                log.info("source %s is asked about %d repositories", source.name, len(names))
                self._by_source[source.name] = Poller(self._store, source, self._forges.apis[source.name], names, take)
        tasks = [asyncio.create_task(_keep_running(name, poller)) for name, poller in self._by_source.items()]
        tasks += [asyncio.create_task(_keep_running(name, each)) for name, each in self._catching_up(take)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _catching_up(self, take: Take) -> Iterator[tuple[str, CatchUp]]:
        for source in self._settings.sources.values():
            if source.pull is not None or not source.catch_up or source.name not in self._forges.apis:
                continue
            names = polled_repositories(self._settings, source, self._forges)
            if names:
                api = self._forges.apis[source.name]
                poller = Poller(self._store, source, api, names, take, via=Via.CATCH_UP)
                yield source.name, CatchUp(self._store, source.name, poller)

    def check(self, check: ReadinessCheck) -> ReadinessCheck:
        """Return the check of a source, `forge:NAME`, with what its poller cannot read."""
        poller = self._by_source.get(check.name.removeprefix("forge:"))
        fault = poller.fault if poller is not None else None
        if fault is None or not check.ok:
            return check
        reason, since = fault
        return replace(check, ok=False, detail=f"cannot be polled: {reason}", since=format_timestamp(since))


async def _keep_running(source: str, poller: Poller | CatchUp) -> None:
    """Poll for ever; where that fails, which is a bug of ours, log it and go on."""
    while True:
        try:
            await poller.run()
        except Exception:
            log.exception("polling source %s failed, and goes on in %g s (%s)", source, RESTART_SECONDS, new_id())
        await asyncio.sleep(RESTART_SECONDS)
