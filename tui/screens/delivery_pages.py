"""One delivery under the list of them: why it was decided so, its body, its headers."""

from typing import TYPE_CHECKING, cast

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical

from shared import ids
from shared.models import Delivery
from tui.client.http import decode, delivery_path
from tui.screens.base import REFUSALS
from tui.text.jobs import location
from tui.text.plain import plain
from tui.widgets import pages
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.lines import TextView
from tui.widgets.paint import StyledLine

if TYPE_CHECKING:
    from tui.app.app import StitcherApp

PAGES = ("Why", "Body", "Headers")
_BODY_PAGE = 2  # the number of its page
BODY_MAX = 256 * 1024  # bytes of a body that are shown; the rest is in stitcher deliveries show


class DeliveryPages(Vertical):
    """The pages of one delivery; a body is asked for when its page is."""

    DEFAULT_CSS = """
    DeliveryAbout { height: 1fr; border-top: solid $surface-lighten-2; }
    DeliveryAbout #page { padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.page = 1
        self._meant: str | None = None
        self._about: Delivery | None = None
        self._body: bytes | None = None

    def compose(self) -> ComposeResult:
        """Put its names over the page."""
        yield Bar(id="says")
        yield TextView(id="page")

    def mean(self, delivery: Delivery | None) -> None:
        """Tell of another delivery."""
        if delivery is not None and delivery.id != self._meant:
            self._meant, self._about, self._body = delivery.id, None, None
            self._load()

    def turn(self, page: int) -> None:
        """Show another page."""
        self.page = page
        if page == _BODY_PAGE and self._body is None:
            self._load()
        else:
            self.draw()

    @work(group="about", exclusive=True)
    async def _load(self) -> None:
        app, meant = cast("StitcherApp", self.app), self._meant
        if meant is None:
            return
        try:
            about = self._about or decode(await app.ask(app.daemon.get, delivery_path(meant)), Delivery)
            body = await app.ask(app.daemon.get, f"{delivery_path(meant)}/body") if self.page == _BODY_PAGE else None
        except REFUSALS as said:
            self.query_one(TextView).show([[(plain(str(said)), "red")]])
            return
        self._about, self._body = about, body
        self.draw()

    def draw(self) -> None:
        """Draw the page, for the width there is."""
        about, page = self._about, self.query_one(TextView)
        if about is None:
            return
        words: list[BarSegment] = [(" ", "", "")]
        for at, name in enumerate(PAGES, 1):
            here, press = at == self.page, f"screen.press('{at}')"
            words += [(f" {at} ", "accent" if here else "dim", press), (f"{name} ", "bold" if here else "", press)]
        where = f"{about.source} · {location(about.repository, about.thread)} · {about.body_bytes:,} bytes"
        job = f" · job {ids.short_id(about.job_id)}" if about.job_id else ""
        replayed = f" · replay of {ids.short_id(about.replay_of)}" if about.replay_of else ""
        self.query_one("#says", Bar).show(words, [(f"{plain(where + job + replayed)} ", "dim", "")])
        cells = max(page.line_width - 2, 20)
        match self.page:
            case 1:
                page.show(pages.decision_page(about.decision or None, cells))
            case 2:
                page.show(pages.json_page((self._body or b"")[:BODY_MAX], cells))
            case _:
                headers: list[StyledLine] = [
                    [(f"{plain(key)}: ", "dim"), (plain(text), "")] for key, text in about.headers.items()
                ]
                page.show(headers or [[("no headers are kept", "dim")]])
        page.jump(0)
