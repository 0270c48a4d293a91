"""What the handlers of both doors work with."""

from aiohttp import web
from msgspec import Struct

from shared.api import Meta
from stitcherd.config.settings import Settings
from stitcherd.executors.health import HealthMonitor
from stitcherd.http.feed import EventFeed
from stitcherd.jobs.commands import JobCommands
from stitcherd.jobs.intake import Intake
from stitcherd.jobs.runner import Runner
from stitcherd.rails.live import LiveRails
from stitcherd.store.sqlite import Store


class AppState(Struct):
    """The parts of the daemon that requests may reach; `stopping_since` is set once no new work is taken."""

    settings: Settings
    store: Store
    rails: LiveRails
    intake: Intake
    bulk: JobCommands
    runner: Runner
    feed: EventFeed
    meta: Meta
    watch: HealthMonitor
    stopping_since: str | None = None

    @property
    def stopping(self) -> bool:
        """Whether no new work is taken."""
        return self.stopping_since is not None


STATE = web.AppKey("house", AppState)
