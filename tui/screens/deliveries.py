"""What came in: each delivery, what was made of it and why, and its body."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from shared.models import DeliveryPage
from tui.client import Daemon, Unreachable, decode
from tui.messages import Began, EventsCame, Link
from tui.screens.delivery_about import PAGES, DeliveryAbout
from tui.screens.replaying import replay
from tui.screens.room import REFUSALS, Room, crumb
from tui.widgets.bar import Bar, Word
from tui.widgets.delivery_list import DeliveryList, heading
from tui.widgets.rows import Rows

PAGE = 100


class DeliveriesScreen(Room):
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
        yield DeliveryAbout()

    def title_words(self) -> list[Word]:
        """Return the name of the place."""
        return [crumb("Jobs"), ("deliveries", "bold", "")]

    @property
    def about(self) -> DeliveryAbout:
        """What there is to say of one."""
        return self.query_one(DeliveryAbout)

    @property
    def deliveries(self) -> DeliveryList:
        """The list."""
        return self.query_one(DeliveryList)

    def on_mount(self) -> None:
        """Ask for the newest."""
        self.deliveries.focus()
        self._look()

    @on(Began)
    def began(self) -> None:
        """Ask again."""
        self._stale = True
        self._look()

    @on(EventsCame)
    def events_came(self, message: EventsCame) -> None:
        """Ask again where something came in."""
        if any(event.type.startswith("delivery.") for event in message.events):
            self._stale = True
            self._look()

    def show_link(self, link: Link) -> None:
        """Ask again once the daemon is back."""
        super().show_link(link)
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
            while self._stale or (rows.next and rows.window[1] + PAGE // 4 > rows.count):
                stale, self._stale = self._stale, False
                page = await self.ask(_page, daemon, None if stale else rows.next)
                (rows.newest if stale else rows.older)(page)
                self.about.mean(rows.delivery)
        except Unreachable:
            self._stale = True  # it is asked again when the daemon is back
        except REFUSALS as said:
            self.complain(said)
        finally:
            self._asking = False
        self.hint()
        empty = self.query_one("#empty", Bar)
        empty.display = rows.loaded and not rows.count
        empty.show([("  nothing came in yet: point a forge's webhook at /stitcher/webhook/SOURCE", "dim", "")])

    @on(Rows.Moved)
    def moved(self) -> None:
        """Tell of the delivery that is meant now."""
        self.about.mean(self.deliveries.delivery)
        self._look()

    def on_resize(self) -> None:
        """Fold for the new width."""
        self.query_one("#heading", Bar).show([(heading(self.size.width - 1), "dim", "")])
        self.call_after_refresh(self.about.draw)

    @on(Rows.Opened)
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
            await replay(self.house, self.deliveries.delivery)


def _page(daemon: Daemon, before: str | None) -> DeliveryPage:
    query = [("limit", str(PAGE)), *([("before", before)] if before else [])]
    return decode(daemon.get("/deliveries", query), DeliveryPage)
