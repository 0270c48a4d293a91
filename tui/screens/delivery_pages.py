"""The pages of one delivery, below the list: its decision, body and headers."""

from textual import work
from textual.app import ComposeResult
from textual.containers import Vertical

from shared import ids
from shared.deliveries import Delivery
from shared.models import Verdict
from tui.client import api
from tui.screens.session import DAEMON_ERRORS, Session
from tui.text.jobs import location
from tui.text.plain import plain, single_line
from tui.widgets import pages
from tui.widgets.bar import Bar, BarSegment
from tui.widgets.paint import StyledLine
from tui.widgets.text_view import TextView

PAGES = ("Why", "Body", "Headers")
_BODY_PAGE = 2
BODY_MAX = 256 * 1024  # bytes of a body that are shown; `stitcher deliveries show` prints all


class DeliveryPages(Vertical):
    """Pages of one delivery, whose body is requested when its page is shown."""

    DEFAULT_CSS = """
    DeliveryPages { height: 1fr; border-top: solid $surface-lighten-2; }
    DeliveryPages #page { padding: 0 1; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.page = 1
        self._session = session
        self._delivery_id: str | None = None
        self._verdict: Verdict | None = None
        self._delivery: Delivery | None = None
        self._body: bytes | None = None

    def compose(self) -> ComposeResult:
        """Stack the tabs and the page."""
        yield Bar(id="tabs")
        yield TextView(id="page")

    def show(self, delivery: Delivery | None) -> None:
        """Show another delivery, or the same one if it was decided meanwhile."""
        if delivery is None or (delivery.id, delivery.verdict) == (self._delivery_id, self._verdict):
            return
        if delivery.id != self._delivery_id:
            self._body = None
        self._delivery_id, self._verdict, self._delivery = delivery.id, delivery.verdict, None
        self._load()

    def turn(self, page: int) -> None:
        """Show another page."""
        self.page = page
        if page == _BODY_PAGE and self._body is None:
            self._load()
        else:
            self.draw()

    @work(group="delivery", exclusive=True)
    async def _load(self) -> None:
        session, delivery_id = self._session, self._delivery_id
        if delivery_id is None:
            return
        try:
            delivery = self._delivery or (await session.call(api.get_delivery, delivery_id)).value
            body = await session.call(api.get_delivery_body, delivery_id) if self.page == _BODY_PAGE else None
        except DAEMON_ERRORS as error:
            self.query_one(TextView).show([[(single_line(str(error)), "red")]])
            return
        self._delivery, self._body = delivery, body
        self.draw()

    def draw(self) -> None:
        """Draw the page for the current width."""
        delivery, page = self._delivery, self.query_one(TextView)
        if delivery is None:
            return
        self.query_one("#tabs", Bar).show(self._tab_segments(), [(_origin(delivery), "dim", "")])
        cells = max(page.line_width - 2, 20)
        match self.page:
            case 1:
                page.show(pages.decision_page(delivery.decision or None, cells))
            case 2:
                page.show(pages.json_page((self._body or b"")[:BODY_MAX], cells))
            case _:
                headers: list[StyledLine] = [
                    [(f"{plain(key)}: ", "dim"), (plain(text), "")] for key, text in delivery.headers.items()
                ]
                page.show(headers or [[("no headers are kept", "dim")]])
        page.jump(0)

    def _tab_segments(self) -> list[BarSegment]:
        segments: list[BarSegment] = [(" ", "", "")]
        for at, name in enumerate(PAGES, 1):
            here, press = at == self.page, f"screen.press('{at}')"
            segments += [(f" {at} ", "accent" if here else "dim", press), (f"{name} ", "bold" if here else "", press)]
        return segments


def _origin(delivery: Delivery) -> str:
    """Return where a delivery came from, and what became of it."""
    origin = f"{delivery.source} · {location(delivery.repository, delivery.thread)} · {delivery.body_bytes:,} bytes"
    job = f" · job {ids.short_id(delivery.job_id)}" if delivery.job_id else ""
    replay = f" · replay of {ids.short_id(delivery.replay_of)}" if delivery.replay_of else ""
    return f"{plain(origin + job + replay)} "
