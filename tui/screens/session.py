"""What happens to screens that did not come from the keyboard."""

from msgspec import Struct
from textual.message import Message

from shared.api import JobPage, Meta
from shared.models import JobEvent


class Connection(Struct, frozen=True):
    """How the daemon is heard: since when it is lost, in milliseconds since 1970, how often it was tried, and why."""

    meta: Meta | None = None
    lost_at: int | None = None
    attempt: int = 0
    retry_at: int = 0
    why: str = ""

    @property
    def live(self) -> bool:
        """Whether events come."""
        return self.meta is not None and self.lost_at is None


class EventsReceived(Message, bubble=False):
    """Events, in their order."""

    def __init__(self, events: list[JobEvent]) -> None:
        super().__init__()
        self.events = events


class SnapshotReceived(Message, bubble=False):
    """All that is shown is void; the newest jobs are on this page."""

    def __init__(self, page: JobPage) -> None:
        super().__init__()
        self.page = page


class SessionChanged(Message, bubble=False):
    """The daemon was lost, or is heard again."""

    def __init__(self, link: Connection) -> None:
        super().__init__()
        self.link = link
