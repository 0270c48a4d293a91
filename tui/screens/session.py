"""What the screens share: the daemon's client, what is known about the daemon, and the way to other screens."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import Struct
from textual.app import App
from textual.message import Message
from textual.screen import ModalScreen

from shared.api import JobPage, Meta
from shared.models import JobEvent
from tui.client import api
from tui.client.browser import open_in_browser
from tui.client.http import ApiError, DaemonClient, DaemonUnreachable, InvalidResponse, NotUtf8
from tui.screens import SCREENS
from tui.screens.rails_text import RailsNotice
from tui.text.plain import plain, plain_lines
from tui.widgets.bar import DaemonStatus

P = ParamSpec("P")
T = TypeVar("T")

DAEMON_ERRORS = (ApiError, DaemonUnreachable, InvalidResponse, NotUtf8)  # what a request to the daemon raises


class DaemonConnection(Struct, frozen=True):
    """State of the event feed: if lost, since when (`lost_at`), and when it is retried, in ms since 1970."""

    meta: Meta | None = None
    lost_at: int | None = None
    attempt: int = 0
    retry_at: int = 0
    error: str = ""

    @property
    def live(self) -> bool:
        """Whether events arrive."""
        return self.meta is not None and self.lost_at is None


class EventsReceived(Message, bubble=False):
    """New events, in order."""

    def __init__(self, events: list[JobEvent]) -> None:
        super().__init__()
        self.events = events


class SnapshotReceived(Message, bubble=False):
    """Everything shown so far is void; `page` holds the newest jobs."""

    def __init__(self, page: JobPage) -> None:
        super().__init__()
        self.page = page


class JobsRequested(Message, bubble=False):
    """The list of jobs is to show those that match a filter."""

    def __init__(self, filter_: str) -> None:
        super().__init__()
        self.filter = filter_


class SessionChanged(Message, bubble=False):
    """The connection, the daemon's status, the rails in force or the notice about them changed."""


class Session:
    """One daemon as seen from one terminal.

    `acted_on` holds the ids of jobs whose next change of state is to be reported, since it was requested here.
    """

    def __init__(self, app: App[None], client: DaemonClient, *, config: Path, clock: Callable[[], int]) -> None:
        self.client = client
        self.config = config
        self.clock = clock
        self.connection = DaemonConnection()
        self.status = DaemonStatus()
        self.rails_label = ""
        self.notice: RailsNotice | None = None
        self.acted_on: set[str] = set()
        self._app = app

    async def call(self, function: Callable[Concatenate[DaemonClient, P], T], *args: P.args, **options: P.kwargs) -> T:
        """Call a function on the client in a thread, mostly one of `tui.client.api`; raises one of DAEMON_ERRORS."""
        return await asyncio.to_thread(function, self.client, *args, **options)

    async def ask(self, dialog: ModalScreen[T]) -> T | None:
        """Show a dialog and return its result; call it from a worker."""
        return await self._app.push_screen_wait(dialog)

    def start(self, work: Coroutine[Any, Any, None], *, group: str, exclusive: bool = False) -> None:
        """Run a coroutine in the background, even if the screen that started it is closed meanwhile."""
        self._app.run_worker(work, group=group, exclusive=exclusive)

    def notify(self, text: str, *, error: bool = False) -> None:
        """Show a transient notification."""
        self._app.notify(plain_lines(text), severity="error" if error else "information", markup=False)

    def copy(self, text: str) -> None:
        """Copy a text to the clipboard, through the terminal."""
        self._app.copy_to_clipboard(text)
        self._app.notify(f"copied {plain(text)}", markup=False, timeout=2)

    async def follow(self, url: str | None, otherwise: str) -> None:
        """Open a URL in the browser, or copy it where there is none; without a URL copy another text."""
        if url is None:
            self._app.copy_to_clipboard(otherwise)
            self.notify(f"it has no thread with a URL: copied {otherwise}")
        elif await asyncio.to_thread(open_in_browser, url):
            self.notify(f"opened {url}")
        else:
            self._app.copy_to_clipboard(url)
            self.notify(f"no browser can be opened here: copied {url}")

    def broadcast(self, message: Callable[[], Message]) -> None:
        """Send a new message to every screen, including covered ones."""
        for screen in self._app.screen_stack:
            screen.post_message(message())

    def update(self, connection: DaemonConnection) -> None:
        """Store the state of the connection and tell the screens."""
        self.connection = connection
        self.broadcast(SessionChanged)

    def set_notice(self, notice: RailsNotice | None) -> None:
        """Store what is to be known about the rails and tell the screens."""
        self.notice = notice
        self.broadcast(SessionChanged)

    def open(self, name: str, *args: object) -> None:
        """Open a screen listed in SCREENS; without a subject, go back to it if it is already open."""
        screen = SCREENS[name].load()
        if not args and any(isinstance(covered, screen) for covered in self._app.screen_stack):
            while not isinstance(self._app.screen, screen):
                self._app.pop_screen()
            return
        self._app.push_screen(screen(self, *args))

    def show_jobs(self, filter_: str) -> None:
        """Go back to the list of jobs, and show those that match a filter."""
        self.open("jobs")
        self.broadcast(lambda: JobsRequested(filter_))

    def refresh_status(self, *, readiness: bool = False) -> None:
        """Ask for the daemon's load, and optionally its readiness, and tell the screens what changed."""
        self.start(self._load_status(readiness=readiness), group="status", exclusive=True)

    async def _load_status(self, *, readiness: bool) -> None:
        try:
            pulse = (await self.call(api.get_pulse)).value
            ready = (await self.call(api.get_readiness)).value if readiness else self.status.readiness
        except DAEMON_ERRORS:
            return  # the banner shows that the connection is lost
        status = DaemonStatus(pulse, ready)
        if status != self.status:
            self.status = status
            self.broadcast(SessionChanged)
