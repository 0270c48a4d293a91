"""The screen of received deliveries: the list, the pages of one of them, and its replay."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from shared import ids
from shared.deliveries import Delivery, ReplayResponse
from shared.models import Verdict
from tui.client import api
from tui.screens.base import breadcrumb
from tui.screens.delivery_pages import PAGES, DeliveryPages
from tui.screens.dialogs import ConfirmDialog
from tui.screens.refreshing import RefreshingScreen
from tui.screens.session import DAEMON_ERRORS, EventsReceived, Session, SnapshotReceived
from tui.text.decisions import verdict_headline
from tui.text.jobs import location
from tui.text.links import web_url
from tui.text.plain import plain
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.deliveries import DeliveryList, delivery_heading
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine

PAGE = 100  # deliveries of one request

REPLAY_STARTS = "The current rails decide it as if it came now: a job starts."
REPLAY_WAITS = "The current rails decide it as if it came now: a job waits for an approval."
REPLAY_ASKS = "The current rails decide it as if it came now: once a permission was asked, a job starts, or none."
REPLAY_RUNS_NOTHING = "Nothing would run; it is only recorded once more."
_REPLAY_EFFECTS = {
    Verdict.ALLOWED: REPLAY_STARTS,
    Verdict.DECIDING: REPLAY_ASKS,
    Verdict.WAITING: REPLAY_WAITS,
}


class DeliveriesScreen(RefreshingScreen):
    """The list of deliveries, newest first, above the pages of one of them."""

    CSS = """
    DeliveriesScreen {
        #list { height: 1fr; }
        #empty { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(at), f"page({at})", name.lower()) for at, name in enumerate(PAGES, 1)],
        Binding("r", "replay", "replay"),
        Binding("w", "page(1)", "why", show=False),
        Binding("y", "copy", "copy id", show=False),
        Binding("o", "browse", "open thread", show=False),
    ]

    def body(self) -> ComposeResult:
        """Stack the list and the pages."""
        yield Bar(id="heading")
        with Vertical(id="list"):
            yield DeliveryList(self.session.clock, id="deliveries")
            yield Bar(id="empty")
        yield DeliveryPages(self.session)

    def title_segments(self) -> list[BarSegment]:
        """Return the way back, and the name of the screen."""
        return [breadcrumb("Jobs"), ("deliveries", "bold", "")]

    @property
    def pages(self) -> DeliveryPages:
        """The pages of the delivery under the cursor."""
        return self.query_one(DeliveryPages)

    @property
    def deliveries(self) -> DeliveryList:
        """The list."""
        return self.query_one(DeliveryList)

    def on_mount(self) -> None:
        """Focus the list, and keep its times current."""
        self.deliveries.focus()
        self.set_interval(1.0, self._tick)

    @on(SnapshotReceived)
    def snapshot_received(self) -> None:
        """Request the newest deliveries again."""
        self.refresh_data()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Request new deliveries."""
        if any(event.type.startswith("delivery.") for event in message.events):
            self.refresh_data()

    def _tick(self) -> None:
        if self.is_current:
            self.deliveries.tick()

    @property
    def is_incomplete(self) -> bool:
        """Whether the end of the list is near, and there are older deliveries."""
        rows = self.deliveries
        return bool(rows.next and rows.visible_rows[1] + PAGE // 4 > rows.count)

    async def load(self, *, stale: bool) -> None:
        """Request the newest deliveries if there are new ones, else older ones."""
        rows = self.deliveries
        page = (await self.session.call(api.list_deliveries, limit=PAGE, before=None if stale else rows.next)).value
        (rows.prepend_page if stale else rows.append_page)(page)
        self.pages.show(rows.delivery)
        self.show_hints()
        empty = self.query_one("#empty", Bar)
        empty.display = rows.loaded and not rows.count
        empty.show([("  nothing came in yet: point a forge's webhook at /stitcher/webhook/SOURCE", "dim", "")])

    @on(RowView.Moved)
    def moved(self) -> None:
        """Show the delivery under the cursor, and load more at the end of the list."""
        self.pages.show(self.deliveries.delivery)
        self.load_missing()

    def on_resize(self) -> None:
        """Wrap for the new width."""
        self.query_one("#heading", Bar).show([(delivery_heading(self.size.width - 1), "dim", "")])
        self.call_after_refresh(self.pages.draw)

    @on(RowView.Opened)
    def opened(self) -> None:
        """Open the delivery's job or, if it has none, the decision not to start one."""
        delivery = self.deliveries.delivery
        if delivery and delivery.job_id:
            self.session.open("job", delivery.job_id)
        elif delivery:
            self.session.open("why", delivery.id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's way)
        """Offer only what can be done; the help dims the rest."""
        if action == "browse":
            delivery = self.deliveries.delivery
            return bool(delivery and _thread_url(delivery)) or None
        return action not in {"page", "replay", "copy"} or self.deliveries.count > 0 or None

    def action_page(self, page: int) -> None:
        """Show another page of the delivery."""
        self.pages.turn(page)

    def action_copy(self) -> None:
        """Copy the id to the clipboard, through the terminal."""
        if self.deliveries.delivery:
            self.session.copy(self.deliveries.delivery.id)

    def action_browse(self) -> None:
        """Open the thread of the delivery in the browser."""
        delivery = self.deliveries.delivery
        if delivery and (url := _thread_url(delivery)):
            self.session.start(self.session.follow(url, url), group="browse")

    @work(group="replay")
    async def action_replay(self) -> None:
        """Replay the delivery under the current rails, after a dry run and confirmation."""
        if self.deliveries.delivery:
            await _replay(self.session, self.deliveries.delivery)


def _thread_url(delivery: Delivery) -> str | None:
    return web_url(delivery.thread.url) if delivery.thread else None


async def _replay(session: Session, delivery: Delivery) -> None:
    try:
        dry_run = (await session.call(api.replay_delivery, delivery.id, dry_run=True)).value
        title = f"Replay delivery {plain(ids.short_id(delivery.id))}?"
        if not await session.ask(ConfirmDialog(title, _replay_question(delivery, dry_run))):
            return
        done = (await session.call(api.replay_delivery, delivery.id, dry_run=False)).value
    except DAEMON_ERRORS as error:
        session.notify(str(error), error=True)
        return
    job = f"; job {ids.short_id(done.job_id)}" if done.job_id else ""
    session.notify(f"{done.verdict.value}: {done.reason}{job}")


def _replay_question(delivery: Delivery, dry_run: ReplayResponse) -> list[StyledLine]:
    """Return the first decision, the one that a replay would make, and what follows from it."""
    word, colour = verdict_headline(dry_run.verdict)
    lines: list[StyledLine] = [
        [(f"{plain(delivery.event)} on {location(delivery.repository, delivery.thread)}", "")],
        [("then  ", "dim"), (f"{delivery.verdict.value}: {plain(delivery.reason)}", "")],
        [("now   ", "dim"), (f"{word.lower()}", colour), (f": {plain(dry_run.reason)}", "")],
    ]
    remedy = dry_run.decision and dry_run.decision.remedy
    if remedy:
        lines.append([("      to allow it: ", "dim"), (plain(remedy.text), "")])
    return [*lines, [], [(_REPLAY_EFFECTS.get(dry_run.verdict, REPLAY_RUNS_NOTHING), "dim")]]
