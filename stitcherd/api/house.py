"""What the handlers of both doors work with."""

from aiohttp import web
from msgspec import Struct

from shared.models import Meta
from stitcherd.feed import Feed
from stitcherd.intake import Intake
from stitcherd.rails.in_force import RailsInForce
from stitcherd.runner import Runner
from stitcherd.settings import Settings
from stitcherd.store.sqlite import Store


class House(Struct):
    """The parts of the daemon that requests may reach; `stopping` once no new work is taken."""

    settings: Settings
    store: Store
    rails: RailsInForce
    intake: Intake
    runner: Runner
    feed: Feed
    meta: Meta
    stopping: bool = False


HOUSE = web.AppKey("house", House)
