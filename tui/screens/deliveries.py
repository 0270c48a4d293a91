"""What came in: each delivery, what was made of it and why, and its body."""

from typing import TYPE_CHECKING, ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from shared import ids
from shared.api import DeliveryPage
from shared.models import Decision, Delivery, Verdict
from tui.client.http import DaemonClient, DaemonUnreachable, decode, delivery_path
from tui.screens.base import REFUSALS, BaseScreen, crumb
from tui.screens.delivery_pages import PAGES, DeliveryPages
from tui.screens.dialogs import ConfirmDialog
from tui.screens.session import Connection, EventsReceived, SnapshotReceived
from tui.text.decisions import verdict_headline
from tui.text.jobs import location
from tui.text.plain import plain
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.deliveries import DeliveryList, delivery_heading
from tui.widgets.lines import RowView
from tui.widgets.paint import StyledLine

if TYPE_CHECKING:
    from tui.app.app import StitcherApp

# merged from tui.screens.replaying: A delivery again through today's rails: first dry, then as it was asked
# for, and what came of it.

REPLAY_STARTS = "It goes through today's rails as if it came now: a job starts."
REPLAY_WAITS = "It goes through today's rails as if it came now: a job waits for an approval."
REPLAY_RUNS_NOTHING = "Nothing would run; it is only recorded once more."


class _Replayed(msgspec.Struct, rename="camel"):
    delivery_id: str
    verdict: Verdict
    reason: str
    job_id: str | None = None
    decision: Decision | None = None


async def replay_delivery(app: "StitcherApp", delivery: Delivery) -> str | None:
    """Say what would come of it, ask, and do it; returns the id of the new delivery, or None."""
    try:
        rehearsed = await app.ask(_replay, app.daemon, delivery.id, True)
        title = f"Replay delivery {plain(ids.short_id(delivery.id))}?"
        if not await app.push_screen_wait(ConfirmDialog(title, _replay_question(delivery, rehearsed))):
            return None
        done = await app.ask(_replay, app.daemon, delivery.id, False)
    except REFUSALS as said:
        app.say(str(said), wrong=True)
        return None
    job = f"; job {ids.short_id(done.job_id)}" if done.job_id else ""
    app.say(f"{done.verdict.value}: {done.reason}{job}")
    return done.delivery_id


def _replay(daemon: DaemonClient, delivery_id: str, dry_run: bool) -> _Replayed:  # noqa: FBT001 (as above)
    return decode(daemon.post(f"{delivery_path(delivery_id)}/replay", {"dryRun": dry_run}), _Replayed)


def _replay_question(delivery: Delivery, rehearsed: _Replayed) -> list[StyledLine]:
    """Return what was decided when it came, what would be decided now, and what that means."""
    word, colour = verdict_headline(rehearsed.verdict)
    meaning = {Verdict.ALLOWED: REPLAY_STARTS, Verdict.DECIDING: REPLAY_STARTS, Verdict.WAITING: REPLAY_WAITS}.get(
        rehearsed.verdict, REPLAY_RUNS_NOTHING
    )
    lines: list[StyledLine] = [
        [(f"{plain(delivery.event)} on {location(delivery.repository, delivery.thread)}", "")],
        [("then  ", "dim"), (f"{delivery.verdict.value}: {plain(delivery.reason)}", "")],
        [("now   ", "dim"), (f"{word.lower()}", colour), (f": {plain(rehearsed.reason)}", "")],
    ]
    remedy = rehearsed.decision and rehearsed.decision.remedy
    if remedy:
        lines.append([("      to allow it: ", "dim"), (plain(remedy.text), "")])
    return [*lines, [], [(meaning, "dim")]]


PAGE = 100


class DeliveriesScreen(BaseScreen):
    """The list over what there is to say of one."""

    CSS = """
    DeliveriesScreen {
        #list { height: 1fr; }
        #empty { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *[Binding(str(at), f"page({at})", name.lower()) for at, name in enumerate(PAGES, 1)],
        Binding("r", "replay", "replay"),
        Binding("y", "copy", "copy id", show=False),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._asking = False
        self._stale = True

    def body(self) -> ComposeResult:
        """Put the list over the page."""
        yield Bar(id="heading")
        with Vertical(id="list"):
            yield DeliveryList(self.house.clock, id="deliveries")
            yield Bar(id="empty")
        yield DeliveryPages()

    def title_words(self) -> list[BarSegment]:
        """Return the name of the place."""
        return [crumb("Jobs"), ("deliveries", "bold", "")]

    @property
    def about(self) -> DeliveryPages:
        """What there is to say of one."""
        return self.query_one(DeliveryPages)

    @property
    def deliveries(self) -> DeliveryList:
        """The list."""
        return self.query_one(DeliveryList)

    def on_mount(self) -> None:
        """Ask for the newest."""
        self.deliveries.focus()
        self._look()

    @on(SnapshotReceived)
    def began(self) -> None:
        """Ask again."""
        self._stale = True
        self._look()

    @on(EventsReceived)
    def events_received(self, message: EventsReceived) -> None:
        """Ask again where something came in."""
        if any(event.type.startswith("delivery.") for event in message.events):
            self._stale = True
            self._look()

    def show_connection(self, link: Connection) -> None:
        """Ask again once the daemon is back."""
        super().show_connection(link)
        if link.live:
            self._look()

    def _look(self) -> None:
        if not self._asking and self.house.link.live:
            self._asking = True
            self._keep_true()

    @work(group="deliveries")
    async def _keep_true(self) -> None:
        daemon, rows = self.house.daemon, self.deliveries
        try:
            while self._stale or (rows.next and rows.visible_rows[1] + PAGE // 4 > rows.count):
                stale, self._stale = self._stale, False
                page = await self.ask(_page, daemon, None if stale else rows.next)
                (rows.prepend_page if stale else rows.append_page)(page)
                self.about.mean(rows.delivery)
        except DaemonUnreachable:
            self._stale = True  # it is asked again when the daemon is back
        except REFUSALS as said:
            self.show_error(said)
        finally:
            self._asking = False
        self.hint()
        empty = self.query_one("#empty", Bar)
        empty.display = rows.loaded and not rows.count
        empty.show([("  nothing came in yet: point a forge's webhook at /stitcher/webhook/SOURCE", "dim", "")])

    @on(RowView.Moved)
    def moved(self) -> None:
        """Tell of the delivery that is meant now."""
        self.about.mean(self.deliveries.delivery)
        self._look()

    def on_resize(self) -> None:
        """Fold for the new width."""
        self.query_one("#heading", Bar).show([(delivery_heading(self.size.width - 1), "dim", "")])
        self.call_after_refresh(self.about.draw)

    @on(RowView.Opened)
    def opened(self) -> None:
        """Open the job that came of it."""
        meant = self.deliveries.delivery
        if meant and meant.job_id:
            self.house.open_job(meant.job_id)
        elif meant:
            self.house.show_why(meant.id)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 (Textual's way)
        """Offer only what can be done."""
        return action not in {"page", "replay", "copy"} or self.deliveries.count > 0

    def action_page(self, page: int) -> None:
        """Show another page of the delivery."""
        self.about.turn(page)

    def action_copy(self) -> None:
        """Put the id on the clipboard, through the terminal."""
        if self.deliveries.delivery:
            self.house.copy(self.deliveries.delivery.id)

    @work(group="replay")
    async def action_replay(self) -> None:
        """Send it through today's rails again, after a question that says what would come of it."""
        if self.deliveries.delivery:
            await replay_delivery(self.house, self.deliveries.delivery)


def _page(daemon: DaemonClient, before: str | None) -> DeliveryPage:
    query = [("limit", str(PAGE)), *([("before", before)] if before else [])]
    return decode(daemon.get("/deliveries", query), DeliveryPage)
