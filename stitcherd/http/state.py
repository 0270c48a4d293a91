"""The parts of the daemon that HTTP handlers use."""

from aiohttp import web
from msgspec import Struct, field

from shared.api import Meta
from stitcherd.config.settings import Settings
from stitcherd.errors import Refusal
from stitcherd.executors.health import HealthMonitor
from stitcherd.http.feed import EventFeed
from stitcherd.http.simulations import SimulationThreads
from stitcherd.http.slots import Slots
from stitcherd.jobs.accounts import KeptAccounts
from stitcherd.jobs.approvals import Approvals
from stitcherd.jobs.commands import JobCommands
from stitcherd.jobs.dispatch import Dispatcher
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.jobs.intake import Intake
from stitcherd.jobs.outputs import Outputs
from stitcherd.polling.pollers import Pollers
from stitcherd.rails.live import LiveRails
from stitcherd.reporting.reporter import Reporter
from stitcherd.store.job_stats import StatsReader
from stitcherd.store.store import Store
from stitcherd.supervision import Supervision

SHUTDOWN_RETRY_SECONDS = 5
STREAMS_EACH = 16  # event streams of one token
STREAMS_MAX = 256  # of all tokens
EXPORTS_MAX = 2  # of all events


class AppState(Struct):
    """The state shared by both apps; `stopping_since` is set once no new work is accepted."""

    settings: Settings
    store: Store
    rails: LiveRails
    evaluator: Evaluator
    intake: Intake
    dispatcher: Dispatcher
    approvals: Approvals
    accounts: KeptAccounts
    commands: JobCommands
    outputs: Outputs
    feed: EventFeed
    meta: Meta
    health: HealthMonitor
    reporter: Reporter
    pollers: Pollers
    streams: Slots = field(default_factory=lambda: Slots("event streams", each=STREAMS_EACH, total=STREAMS_MAX))
    exports: Slots = field(default_factory=lambda: Slots("exports of events", each=EXPORTS_MAX, total=EXPORTS_MAX))
    stats: StatsReader = field(default_factory=StatsReader)
    simulations: SimulationThreads = field(default_factory=SimulationThreads)
    supervision: Supervision = field(default_factory=Supervision)
    stopping_since: str | None = None

    @property
    def stopping(self) -> bool:
        """Return whether no new work is accepted."""
        return self.stopping_since is not None

    def refuse_if_stopping(self) -> None:
        """Raise Refusal if no new work is accepted."""
        if self.stopping:
            raise Refusal("shutting_down", "the daemon is stopping", retry_after=SHUTDOWN_RETRY_SECONDS)


STATE = web.AppKey("state", AppState)
