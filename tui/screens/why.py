"""Why: the decision behind a job or a delivery, check by check."""

from textual import on, work
from textual.app import ComposeResult

from shared import ids
from shared.models import Decision, Delivery, RunnerJob
from tui.client import Daemon, Refused, decode, delivery_path, job_path
from tui.messages import Began
from tui.plain import plain
from tui.screens.room import REFUSALS, Room, crumb
from tui.widgets import pages
from tui.widgets.bar import Word
from tui.widgets.lines import Painted
from tui.wording import place


class WhyScreen(Room):
    """One decision."""

    CSS = "WhyScreen #why { margin: 1 2 0 2; }"

    def __init__(self, subject: str) -> None:
        super().__init__()
        self._subject = subject
        self._what = plain(ids.short(subject))
        self._decision: Decision | None = None
        self._here = False

    def body(self) -> ComposeResult:
        """Put one page."""
        yield Painted(id="why")

    def title_words(self) -> list[Word]:
        """Return what was decided about."""
        return [crumb("Why"), (self._what, "", "")]

    def on_mount(self) -> None:
        """Ask for the decision."""
        self.query_one(Painted).focus()
        self.load()

    def on_resize(self) -> None:
        """Fold for the new width."""
        if self._here:
            self.call_after_refresh(self._draw)

    @on(Began)
    def began(self) -> None:
        """Ask again."""
        self.load()

    @work(group="why", exclusive=True)
    async def load(self) -> None:
        """Ask, and show it."""
        try:
            self._decision, self._what = await self.ask(_decided, self.house.daemon, self._subject)
        except REFUSALS as said:
            self.query_one(Painted).show([[(plain(str(said)), "red")]])
            return
        self._here = True
        self.show_title(self.house.link)
        self._draw()

    def _draw(self) -> None:
        page = self.query_one(Painted)
        page.show(pages.why(self._decision, max(page.room, 20)))


def _decided(daemon: Daemon, subject: str) -> tuple[Decision | None, str]:
    """Return a decision, and in words what it is about; a subject that is no job may be a delivery."""
    try:
        job = decode(daemon.get(job_path(subject)), RunnerJob)
    except Refused as refused:
        if refused.problem.status != 404:
            raise
    else:
        words = f"job {ids.short(job.id)}  {job.type} on {place(job.repository, job.thread)} by {job.actor}"
        return job.decision or None, plain(words)
    delivery = decode(daemon.get(delivery_path(subject)), Delivery)
    what = f"{delivery.event}.{delivery.action}" if delivery.action else delivery.event
    words = f"delivery {ids.short(delivery.id)}  {what} on {place(delivery.repository, delivery.thread)}"
    return delivery.decision or None, plain(f"{words} by {delivery.sender or 'nobody'}")
