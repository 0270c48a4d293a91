"""The jobs on screen, without a screen: which are known, which are out of date, and what to ask next.

The daemon orders and filters; here its answers are only put together. Events carry no whole job, so one that
concerns a known job makes that row stale, and a stale row that is looked at is asked for again.
"""

from collections.abc import Iterable

from msgspec import Struct

from shared.api import JobPage
from shared.models import JobEvent, RunnerJob
from tui.text.events import activity

PAGE = 200  # rows asked for at once; 500 is the daemon's limit
CACHED_JOBS = 4000  # jobs that are held; of others only the id is known
CACHED_ACTIVITIES = 2000  # jobs whose latest words are held


class PageRequest(Struct, frozen=True):
    """What to ask for: `limit` jobs older than `before`, or the newest."""

    before: str | None
    limit: int


class Splice(Struct, frozen=True):
    """What a page did to the rows: from `start` on, `removed` rows gave way to `added`."""

    start: int
    removed: int
    added: int

    def moved(self, row: int) -> int | None:
        """Return where a row is now; None where it was among the removed."""
        if row < self.start:
            return row
        return row + self.added - self.removed if row >= self.start + self.removed else None


class Board:
    """One list of jobs, newest first; `ids` are the known rows, and `more` tells whether there are older ones."""

    def __init__(self, query: Iterable[tuple[str, str]] = ()) -> None:
        self.query = tuple(query)
        self.ids: list[str] = []
        self.more = True
        self.counts: dict[str, int] = {}
        self.gates: set[str] = set()  # names that were heard of
        self._jobs: dict[str, RunnerJob] = {}
        self._said: dict[str, str] = {}
        self._stale: set[str] = set()
        self._head_stale = True

    def job(self, row: int) -> RunnerJob | None:
        """Return the job of a row; None where it has to be asked for first."""
        return self._jobs.get(self.ids[row])

    def known(self, job_id: str) -> RunnerJob | None:
        """Return a job that is held."""
        return self._jobs.get(job_id)

    def held(self) -> list[RunnerJob]:
        """Return all jobs that are held."""
        return list(self._jobs.values())

    def said(self, job_id: str) -> str:
        """Return what a job's last event said, in plain words; empty where none was heard."""
        return self._said.get(job_id, "")

    @property
    def loaded(self) -> bool:
        """Whether the daemon has answered at all."""
        return bool(self.ids) or not self.more

    def apply(self, events: Iterable[JobEvent]) -> None:
        """Note what events made out of date; those of unknown kinds count as a change of their job."""
        for event in events:
            job_id = event.job_id
            if job_id is None or event.type == "step.output":  # that one changes nothing that a row shows
                continue
            if event.type.startswith("gate."):
                self.gates.add(str(event.payload.get("name", "")))
            if words := activity(event):
                self._said.pop(job_id, None)
                self._said[job_id] = words
                if len(self._said) > CACHED_ACTIVITIES:
                    self._said.pop(next(iter(self._said)))
            if job_id in self._jobs:
                self._stale.add(job_id)
            if event.type == "job.created" or (self.query and event.type.startswith("job.")):
                self._head_stale = True

    def outdate(self) -> None:
        """Take every row for stale."""
        self._head_stale = True
        self._stale.update(self._jobs)

    def give_up(self) -> None:
        """Ask for nothing more: the daemon does not understand the query."""
        self._head_stale = self.more = False

    def wish(self, first: int, last: int) -> PageRequest | None:
        """Return what to ask for next while the rows `first` to `last` are looked at; None when all is true."""
        if self._head_stale or not self.loaded:
            return PageRequest(None, PAGE)
        last = min(last, len(self.ids) - 1)
        doubtful = [row for row in range(first, last + 1) if self.ids[row] in self._stale or self.job(row) is None]
        if doubtful:
            before = self.ids[doubtful[0] - 1] if doubtful[0] else None
            return PageRequest(before, min(max(doubtful[-1] - doubtful[0] + 1, 50), PAGE))
        if self.more and last + PAGE // 4 >= len(self.ids):
            return PageRequest(self.ids[-1], PAGE)
        return None

    def merge(self, ask: PageRequest, page: JobPage) -> Splice:
        """Put an answer in its place, and tell which rows it replaced."""
        self.counts = page.counts
        start = self._row_behind(ask.before)
        items = [job.id for job in page.items]
        removed, added, ends = self._section(start, items, last=page.next is None)
        self._forget(self.ids[start : start + removed])
        self.ids[start : start + removed] = items[:added]
        if ends:
            self.more = page.next is not None
        for job in page.items[:added]:
            self._jobs.pop(job.id, None)
            self._jobs[job.id] = job
        self._stale.difference_update(items)
        if ask.before is None:
            self._head_stale = False
        while len(self._jobs) > CACHED_JOBS:
            self._jobs.pop(next(iter(self._jobs)))
        return Splice(start, removed, added)

    def _row_behind(self, before: str | None) -> int:
        if before is None:
            return 0
        return self.ids.index(before) + 1 if before in self.ids else len(self.ids)

    def _section(self, start: int, items: list[str], *, last: bool) -> tuple[int, int, bool]:
        """Return how many known rows an answer replaces, by how many of its own, and whether it is the end."""
        known = {job_id: at for at, job_id in enumerate(self.ids[start:])}
        if last or not known:
            return len(known), len(items), True
        for at in range(len(items) - 1, -1, -1):
            if (place := known.get(items[at])) is not None:
                ends = place == len(known) - 1
                return place + 1, len(items), ends
        return len(known), len(items), True  # so much is new that the known rows are further down: they come again

    def _forget(self, job_ids: list[str]) -> None:
        for job_id in job_ids:
            self._jobs.pop(job_id, None)
            self._stale.discard(job_id)
