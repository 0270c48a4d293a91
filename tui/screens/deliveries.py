"""What came in: each delivery, what was made of it and why, and its body."""

from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical

from shared import ids
from shared.models import Delivery, DeliveryPage
from tui.client import Daemon, Unreachable, decode, delivery_path
from tui.messages import Began, EventsCame, Link
from tui.plain import plain
from tui.screens.confirm import Confirm
from tui.screens.room import REFUSALS, Room, crumb
from tui.widgets import pages
from tui.widgets.bar import Bar, Word
from tui.widgets.delivery_list import DeliveryList, heading
from tui.widgets.lines import Painted
from tui.widgets.paint import Line
from tui.widgets.rows import Rows
from tui.wording import place

PAGE = 100
PAGES = ("Why", "Body", "Headers")
BODY_MAX = 256 * 1024  # bytes of a body that are shown; the rest is in stitcher deliveries show


class DeliveriesScreen(Room):
    """The list over what there is to say of one."""

    CSS = """
    DeliveriesScreen {
        #list { height: 1fr; }
        #about { height: 1fr; border-top: solid $surface-lighten-2; }
        #page { padding: 0 1; }
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
        self._page = 1
        self._about: Delivery | None = None
        self._body: bytes | None = None
        self._asking = False
        self._stale = True

    def body(self) -> ComposeResult:
        """Put the list over the page."""
        yield Bar(id="heading")
        with Vertical(id="list"):
            yield DeliveryList(self.house.clock, id="deliveries")
            yield Bar(id="empty")
        with Vertical(id="about"):
            yield Bar(id="says")
            yield Painted(id="page")

    def title_words(self) -> list[Word]:
        """Return the name of the place."""
        return [crumb("Jobs"), ("deliveries", "bold", "")]

    @property
    def deliveries(self) -> DeliveryList:
        """The list."""
        return self.query_one(DeliveryList)

    def on_mount(self) -> None:
        """Ask for the newest."""
        self.query_one("#heading", Bar).show([(heading(), "dim", "")])
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
                self._show_about()
        except Unreachable:
            self._stale = True  # it is asked again when the daemon is back
        except REFUSALS as said:
            self.complain(said)
        finally:
            self._asking = False
        empty = self.query_one("#empty", Bar)
        empty.display = rows.loaded and not rows.count
        empty.show([("  nothing came in yet: point a forge's webhook at /stitcher/webhook/SOURCE", "dim", "")])

    @on(Rows.Moved)
    def moved(self) -> None:
        """Tell of the delivery that is meant now."""
        self._show_about()
        self._look()

    @work(group="about", exclusive=True)
    async def _show_about(self) -> None:
        meant = self.deliveries.delivery
        if meant is None or (
            self._about and meant.id == self._about.id and (self._page != 2 or self._body is not None)
        ):
            return
        try:
            self._about = decode(await self.ask(self.house.daemon.get, delivery_path(meant.id)), Delivery)
            self._body = None
            if self._page == 2:
                self._body = await self.ask(self.house.daemon.get, f"{delivery_path(meant.id)}/body")
        except REFUSALS as said:
            self.query_one("#page", Painted).show([[(plain(str(said)), "red")]])
            return
        self._draw()

    def _draw(self) -> None:
        about, page = self._about, self.query_one("#page", Painted)
        if about is None:
            return
        words: list[Word] = [(" ", "", "")]
        for at, name in enumerate(PAGES, 1):
            here = at == self._page
            words += [(f" {at} ", "accent" if here else "dim", f"screen.page({at})")]
            words += [(f"{name} ", "bold" if here else "", f"screen.page({at})")]
        where = f"{about.source} · {place(about.repository, about.thread)} · {about.body_bytes:,} bytes"
        job = f" · job {ids.short(about.job_id)}" if about.job_id else ""
        self.query_one("#says", Bar).show(words, [(f"{plain(where + job)} ", "dim", "")])
        cells = max(page.room - 2, 20)
        match self._page:
            case 1:
                page.show(pages.why(about.decision or None, cells))
            case 2:
                page.show(pages.raw((self._body or b"")[:BODY_MAX], cells))
            case _:
                headers: list[Line] = [
                    [(f"{plain(name)}: ", "dim"), (plain(value), "")] for name, value in about.headers.items()
                ]
                page.show(headers or [[("no headers are kept", "dim")]])
        page.jump(0)

    def on_resize(self) -> None:
        """Fold for the new width."""
        self.call_after_refresh(self._draw)

    @on(Rows.Opened)
    def opened(self) -> None:
        """Open the job that came of it."""
        meant = self.deliveries.delivery
        if meant and meant.job_id:
            self.house.open_job(meant.job_id)
        elif meant:
            self.house.show_why(meant.id)

    def action_page(self, page: int) -> None:
        """Show another page of the delivery."""
        self._page = page
        if page == 2 and self._body is None:
            self._show_about()
        else:
            self._draw()

    def action_copy(self) -> None:
        """Put the id on the clipboard, through the terminal."""
        if self.deliveries.delivery:
            self.house.copy(self.deliveries.delivery.id)

    @work(group="replay")
    async def action_replay(self) -> None:
        """Send it through today's rails again, after a question."""
        meant = self.deliveries.delivery
        if meant is None:
            return
        lines: list[Line] = [
            [(f"{plain(meant.event)} on {place(meant.repository, meant.thread)}, then {meant.verdict.value}", "")],
            [],
            [("It goes through today's rails as if it came now; a job may start.", "dim")],
        ]
        if not await self.app.push_screen_wait(Confirm(f"Replay delivery {plain(ids.short(meant.id))}?", lines)):
            return
        try:
            await self.ask(self.house.daemon.post, f"{delivery_path(meant.id)}/replay", {})
        except REFUSALS as said:
            self.complain(said)


def _page(daemon: Daemon, before: str | None) -> DeliveryPage:
    query = [("limit", str(PAGE)), *([("before", before)] if before else [])]
    return decode(daemon.get("/deliveries", query), DeliveryPage)
