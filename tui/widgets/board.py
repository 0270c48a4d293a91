"""The model of a list of jobs: which are loaded, which are out of date, and what to request next.

The daemon orders and filters; here its pages are only put together. Events do not carry whole jobs, so an event of a
loaded job makes its row stale, and a stale row is requested again once it is visible.
"""

from collections.abc import Iterable

from msgspec import Struct

from shared.api import JobPage
from shared.models import JobEvent, RunnerJob
from tui.text.events import activity

PAGE = 200  # rows of one request; 500 is the daemon's limit
CACHED_JOBS = 4000  # jobs that are kept whole; of others only the id
CACHED_ACTIVITIES = 2000  # jobs whose latest activity is kept


class PageRequest(Struct, frozen=True):
    """A page to request: `limit` jobs that match `query` and are older than `before`, or the newest."""

    before: str | None
    limit: int
    query: tuple[tuple[str, str], ...] = ()


class Board:
    """The jobs that match one query, newest first; `ids` are the loaded rows, `more` tells if there are older ones."""

    def __init__(self, query: Iterable[tuple[str, str]] = ()) -> None:
        self.query = tuple(query)
        self.ids: list[str] = []
        self.more = True
        self.counts: dict[str, int] = {}
        self.gates: set[str] = set()  # names found in events
        self._jobs: dict[str, RunnerJob] = {}
        self._activity: dict[str, str] = {}
        self._stale: set[str] = set()
        self._head_stale = True

    def job(self, row: int) -> RunnerJob | None:
        """Return the job of a row, or None if it has to be requested first."""
        return self._jobs.get(self.ids[row])

    def cached(self, job_id: str) -> RunnerJob | None:
        """Return a job if it is kept whole."""
        return self._jobs.get(job_id)

    def cached_jobs(self) -> list[RunnerJob]:
        """Return all jobs that are kept whole."""
        return list(self._jobs.values())

    def activity(self, job_id: str) -> str:
        """Return the latest activity of a job, or "" if no event told of any."""
        return self._activity.get(job_id, "")

    @property
    def loaded(self) -> bool:
        """Whether a page has arrived."""
        return bool(self.ids) or not self.more

    def apply(self, events: Iterable[JobEvent]) -> None:
        """Mark as stale what events changed; an event of an unknown type counts as a change of its job."""
        for event in events:
            job_id = event.job_id
            if job_id is None:
                continue
            if event.type.startswith("gate."):
                self.gates.add(str(event.payload.get("name", "")))
            if text := activity(event):
                self._activity.pop(job_id, None)
                self._activity[job_id] = text
                if len(self._activity) > CACHED_ACTIVITIES:
                    self._activity.pop(next(iter(self._activity)))
            if job_id in self._jobs and event.type != "step.output":  # of which the activity is all that a row shows
                self._stale.add(job_id)
            if event.type == "job.created" or (self.query and event.type.startswith("job.")):
                self._head_stale = True

    def give_up(self) -> None:
        """Request nothing more, since the daemon does not understand the query."""
        self._head_stale = self.more = False

    def next_request(self, first: int, last: int) -> PageRequest | None:
        """Return what to request next while the rows `first` to `last` are visible, or None if they are up to date."""
        if self._head_stale or not self.loaded:
            return PageRequest(None, PAGE, self.query)
        last = min(last, len(self.ids) - 1)
        outdated = [row for row in range(first, last + 1) if self.ids[row] in self._stale or self.job(row) is None]
        if outdated:
            before = self.ids[outdated[0] - 1] if outdated[0] else None
            return PageRequest(before, min(max(outdated[-1] - outdated[0] + 1, 50), PAGE), self.query)
        if self.more and last + PAGE // 4 >= len(self.ids):
            return PageRequest(self.ids[-1], PAGE, self.query)
        return None

    def remove(self, job_ids: frozenset[str]) -> None:
        """Remove jobs that no longer match."""
        if gone := job_ids.intersection(self.ids):
            self._forget(gone)
            self.ids = [job_id for job_id in self.ids if job_id not in gone]

    def merge(self, request: PageRequest, page: JobPage) -> None:
        """Insert a page where it belongs."""
        self.counts = page.counts
        start = self._row_after(request.before)
        items = [job.id for job in page.items]
        removed, added, ends = self._section(start, items, last=page.next is None)
        self._forget(self.ids[start : start + removed])
        self.ids[start : start + removed] = items[:added]
        if ends:
            self.more = page.next is not None
        for job in page.items[:added]:
            self._activity.pop(job.id, None)
            self._jobs.pop(job.id, None)
            self._jobs[job.id] = job
        self._stale.difference_update(items)
        if request.before is None:
            self._head_stale = False
        while len(self._jobs) > CACHED_JOBS:
            self._jobs.pop(next(iter(self._jobs)))

    def _row_after(self, before: str | None) -> int:
        if before is None:
            return 0
        return self.ids.index(before) + 1 if before in self.ids else len(self.ids)

    def _section(self, start: int, items: list[str], *, last: bool) -> tuple[int, int, bool]:
        """Return how many loaded rows a page replaces, by how many of its own, and whether it is the end."""
        known = {job_id: at for at, job_id in enumerate(self.ids[start:])}
        if last or not known:
            return len(known), len(items), True
        for at in range(len(items) - 1, -1, -1):
            if (place := known.get(items[at])) is not None:
                ends = place == len(known) - 1
                return place + 1, len(items), ends
        return (
            len(known),
            len(items),
            True,
        )  # the loaded rows are further down than a page: they will be requested again

    def _forget(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            self._jobs.pop(job_id, None)
            self._stale.discard(job_id)
