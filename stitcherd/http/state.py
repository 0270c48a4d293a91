"""What the handlers of both doors work with."""

from aiohttp import web
from msgspec import Struct

from shared.house import Meta
from stitcherd.bulk import Bulk
from stitcherd.executors.watch import Watch
from stitcherd.feed import Feed
from stitcherd.intake import Intake
from stitcherd.rails.in_force import RailsInForce
from stitcherd.runner import Runner
from stitcherd.settings import Settings
from stitcherd.store.sqlite import Store


class House(Struct):
    """The parts of the daemon that requests may reach; `stopping_since` is set once no new work is taken."""

    settings: Settings
    store: Store
    rails: RailsInForce
    intake: Intake
    bulk: Bulk
    runner: Runner
    feed: Feed
    meta: Meta
    watch: Watch
    stopping_since: str | None = None

    @property
    def stopping(self) -> bool:
        """Whether no new work is taken."""
        return self.stopping_since is not None


HOUSE = web.AppKey("house", House)
