"""The order of a list of jobs: sections by status, one after the other, each newest first.

The daemon orders by age alone, so each section is a query of its own.
"""

from collections.abc import Iterable

from msgspec import Struct, structs

from shared.api import JobPage
from shared.models import JobEvent, RunnerJob, Status
from tui.widgets.board import Board, PageRequest

Parameters = tuple[tuple[str, str], ...]


class JobOrder(Struct, frozen=True):
    """An order: its name, and the statuses of each section; without sections, only the age counts."""

    name: str
    sections: tuple[tuple[Status, ...], ...] = ()


ORDERS = (
    JobOrder("running", ((Status.RUNNING,), tuple(status for status in Status if status is not Status.RUNNING))),
    JobOrder("newest"),
    JobOrder(
        "state",
        tuple(
            (status,)
            for status in (
                Status.PENDING,
                Status.RUNNING,
                Status.QUEUED,
                Status.FAILED,
                Status.CANCELLED,
                Status.COMPLETED,
            )
        ),
    ),
)


class SortedBoard:
    """The jobs that match a query, in an order: a board for each section; `ids` are the loaded rows of all of them."""

    def __init__(self, query: Iterable[tuple[str, str]] = (), order: JobOrder = ORDERS[1]) -> None:
        self.query = tuple(query)
        self.ids: list[str] = []
        self.counts: dict[str, int] = {}
        self._sections = [Board(parameters) for parameters in _section_queries(self.query, order)]

    @property
    def more(self) -> bool:
        """Whether there are jobs that are not loaded."""
        return any(section.more for section in self._sections)

    @property
    def loaded(self) -> bool:
        """Whether a page of each section has arrived."""
        return all(section.loaded for section in self._sections)

    @property
    def gates(self) -> set[str]:
        """The names of gates that events told of."""
        return self._sections[0].gates

    def job(self, row: int) -> RunnerJob | None:
        """Return the job of a row, or None if it has to be requested first."""
        return self.cached(self.ids[row])

    def cached(self, job_id: str) -> RunnerJob | None:
        """Return a job if it is kept whole."""
        return next((job for section in self._sections if (job := section.cached(job_id))), None)

    def cached_jobs(self) -> list[RunnerJob]:
        """Return all jobs that are kept whole."""
        return [job for section in self._sections for job in section.cached_jobs()]

    def activity(self, job_id: str) -> str:
        """Return the latest activity of a job, or "" if no event told of any."""
        return self._sections[0].activity(job_id)

    def apply(self, events: Iterable[JobEvent]) -> None:
        """Mark as stale what events changed."""
        events = list(events)
        for section in self._sections:
            section.apply(events)

    def give_up(self) -> None:
        """Request nothing more, since the daemon does not understand the query."""
        for section in self._sections:
            section.give_up()

    def next_request(self, first: int, last: int) -> PageRequest | None:
        """Return what to request next while the rows `first` to `last` are visible, or None if they are up to date."""
        start = 0
        for section in self._sections:
            request = section.next_request(max(first - start, 0), last - start)
            if request is not None:
                return request
            if section.more:
                return None  # what follows is further down than anything that is visible
            start += len(section.ids)
        return None

    def merge(self, request: PageRequest, page: JobPage) -> None:
        """Insert a page where it belongs; its jobs leave the other sections."""
        self.counts = page.counts
        moved = frozenset(job.id for job in page.items)
        for section in self._sections:
            if section.query == request.query:
                section.merge(request, page)
            else:
                section.remove(moved)
        self.ids = [job_id for section in self._sections for job_id in section.ids]

    def seed(self, page: JobPage) -> None:
        """Begin with the newest jobs of all; a section of which older ones are missing is requested later."""
        for section in self._sections:
            statuses = {value for name, value in section.query if name == "status"} or set(Status)
            items = tuple(job for job in page.items if job.status in statuses)
            wanted = sum(page.counts.get(status.lower(), 0) for status in statuses)
            if section is self._sections[-1] or len(items) == wanted:
                rest = page.next if len(items) < wanted else None
                self.merge(PageRequest(None, len(items), section.query), structs.replace(page, items=items, next=rest))


def _section_queries(query: Parameters, order: JobOrder) -> list[Parameters]:
    """Return the query of each section that can have jobs; a query for some statuses leaves the other sections out."""
    wanted = {value for name, value in query if name == "status"} or set(Status)
    others = tuple(pair for pair in query if pair[0] != "status")
    sections = [tuple(status for status in section if status in wanted) for section in order.sections]
    found = [section for section in sections if section]
    if len(found) < 2:
        return [query]
    return [(*(("status", status.value) for status in section), *others) for section in found]
