"""What a daemon promises, compared after each step of a history with what is stored, started, published and told."""

import json
from collections import Counter
from collections.abc import Mapping
from copy import copy
from typing import Any

from msgspec import Struct
from multidict import CIMultiDict

from shared.audit import verify_export
from shared.deliveries import WebhookResponse
from shared.ids import short_id
from shared.models import Status
from stitcherd.http.feed import encode_event
from stitcherd.store import audit, events
from stitcherd.store.lifecycle import NEXT
from tests.stitcherd.jobs.crashing_daemon import CrashingDaemon
from tests.stitcherd.jobs.history_rails import GUARDS

STATUS_OF = {
    "job.queued": Status.QUEUED,
    "job.waiting": Status.PENDING,
    "job.started": Status.RUNNING,
    "job.completed": Status.COMPLETED,
    "job.failed": Status.FAILED,
    "job.cancelled": Status.CANCELLED,
    "job.denied": Status.CANCELLED,
}
REPEATABLE = {"job.queued", "job.waiting"}  # that say more of a job in the same status
STORED = {
    "events": "SELECT id FROM events ORDER BY id",
    "jobs": "SELECT id, status, attempt, thread_number, error FROM jobs",
    "counts": "SELECT status, sum(n) FROM job_counts GROUP BY status HAVING sum(n) <> 0",
    "deliveries": "SELECT id, job_id, subject FROM deliveries",
    "starts": "SELECT j.id, s.attempt, s.try FROM starts s JOIN jobs j ON j.key = s.job",
}

REPORTED = "SELECT id, status, thread_number FROM jobs WHERE thread_number IS NOT NULL ORDER BY key"
SHOWN = {
    Status.PENDING: "waits for an approval",
    Status.COMPLETED: "✓ completed",
    Status.FAILED: "✗ failed",
    Status.CANCELLED: "○ cancelled",
}

Stored = dict[str, list[tuple[Any, ...]]]


class Sent(Struct):
    """A webhook that was sent; `answer` is None while nobody knows what became of it."""

    body: bytes
    headers: CIMultiDict[str]
    answer: WebhookResponse | None = None


class JobStory(Struct):
    """What the events say of a job."""

    status: Status | None = None
    attempt: int = 1
    approved_under: str | None = None  # the name of the rails; None once it waits again
    is_cancelled: bool = False  # a cancel was acknowledged in this attempt
    is_requested_by_comment: bool = False
    is_of_outsider: bool = False  # the thread


class Promises:
    """What is known of a history: what was sent and acknowledged, and what the events say."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.told: set[str] = set()  # the jobs that were dispatched and acknowledged
        self.stories: dict[str, JobStory] = {}
        self.seen: list[int] = []  # the events that a client of the feed got
        self.branches: dict[str, str] = {}
        self.starts = 0  # that were checked

    async def check(self, daemon: CrashingDaemon, rails: str) -> None:
        """Look at what the last step of a history has come to, under the rails with this name."""
        stories = {job_id: copy(story) for job_id, story in self.stories.items()}  # as they were before that step
        stored = await self._look(daemon, rails)
        self._check_starts(daemon, stories, stored, rails)
        self._check_publications(daemon, stories, rails)
        self._check_jobs(daemon, stored)
        self._check_deliveries(stored)
        assert all(len(comments) <= 1 for comments in daemon.forge.comments().values()), "no reply twice"

    async def check_reports(self, daemon: CrashingDaemon) -> None:
        """Each thread with a job shows its newest one, once all replies are sent, and none of them was given up."""
        assert {state for (state,) in await daemon.rows("SELECT state FROM answers")} <= {"delivered"}
        newest = {number: (job_id, status) for job_id, status, number in await daemon.rows(REPORTED)}
        comments = daemon.forge.comments()
        for number, (job_id, status) in newest.items():
            (comment,) = comments[number]
            assert short_id(job_id) in comment
            assert SHOWN[Status(status)] in comment

    async def _look(self, daemon: CrashingDaemon, rails: str) -> Stored:
        """Follow the feed up to a moment, and return what is stored at that moment."""
        while True:
            self._follow(await self._new_events(daemon), rails)
            async with daemon.intake.store.reading() as db:
                lines = b"".join([chunk async for chunk in audit.export_events(db)]).splitlines()
                found = {
                    name: [tuple(row) for row in await db.execute_fetchall(query)] for name, query in STORED.items()
                }
            assert verify_export(lines).broken is None
            stored = [number for (number,) in found["events"]]
            assert self.seen == stored[: len(self.seen)], "the feed misses and repeats nothing"
            if self.seen == stored:
                return found

    async def _new_events(self, daemon: CrashingDaemon) -> list[dict[str, Any]]:
        """Return what a client of the event stream gets now."""
        cursor, feed = self.seen[-1] if self.seen else 0, daemon.feed
        await feed.catch_up()
        frames = feed.since(cursor)
        if frames is None:  # it reads for itself what the feed has no more
            async with daemon.intake.store.reading() as db:
                frames = [encode_event(*each) for each in await events.events_after(db, cursor, 10_000)]
        return [json.loads(frame.data.partition(b"\ndata: ")[2]) for frame in frames]

    def _follow(self, new: list[dict[str, Any]], rails: str) -> None:
        """Let the stories of jobs go on with events; check that they may: only transitions of the table."""
        for event in new:
            assert not self.seen or self.seen[-1] < event["id"]
            self.seen.append(event["id"])
            if event["jobId"] is None or not event["type"].startswith("job."):
                continue
            story = self.stories.setdefault(event["jobId"], JobStory())
            if event["type"] == "job.retried":
                story.is_cancelled = False
            if event["type"] in {"job.approved", "job.waiting"}:
                story.approved_under = rails if event["type"] == "job.approved" else None
            after = STATUS_OF.get(event["type"])
            if after is not None and not (after is story.status and event["type"] in REPEATABLE):
                assert after in NEXT[story.status], (event, story)
                story.status = after
                assert not story.is_cancelled or after is Status.CANCELLED, "an acknowledged cancel wins"

    def _check_starts(self, daemon: CrashingDaemon, before: Mapping[str, JobStory], stored: Stored, rails: str) -> None:
        """No (job, attempt, try) twice, none that is not stored, and none that the rails in force do not allow."""
        starts = daemon.starts
        assert len(set(starts)) == len(starts)
        assert set(starts) <= set(stored["starts"])
        for job_id, _, number in starts[self.starts :]:
            if number == 1:
                check_allowed(before[job_id], rails)
        self.starts = len(starts)

    def _check_publications(self, daemon: CrashingDaemon, before: Mapping[str, JobStory], rails: str) -> None:
        """Nothing is published that the rails in force do not allow."""
        published = daemon.published()
        for branch, sha in published.items():
            if self.branches.get(branch) != sha:
                job_id = next(job_id for job_id in before if job_id.endswith(branch))
                check_allowed(before[job_id], rails)
                assert daemon.endings[job_id] != "change tests" or before[job_id].approved_under is not None
        self.branches = published

    def _check_jobs(self, daemon: CrashingDaemon, stored: Stored) -> None:
        """Every job stands where its events say, is counted there, and none failed through a bug."""
        found = stored["jobs"]
        assert {job_id: status for job_id, status, *_ in found} == {
            job_id: story.status for job_id, story in self.stories.items()
        }
        for job_id, status, attempt, thread, error in found:
            job = self.stories[job_id]
            job.attempt = attempt
            job.is_requested_by_comment, job.is_of_outsider = thread is not None, bool(thread and thread % 2)
            assert (status == Status.RUNNING) == (job_id in daemon.running)
            assert "internal" not in (error or ""), "a bug, which the log shows"
        assert dict(stored["counts"]) == Counter(status for _, status, *_ in found)
        assert self.told <= self.stories.keys()

    def _check_deliveries(self, stored: Stored) -> None:
        """Every acknowledged delivery exists, once, with the job that was named."""
        jobs = {delivery: job_id for delivery, job_id, _ in stored["deliveries"]}
        assert len(jobs) == len({subject for *_, subject in stored["deliveries"]})
        for answer in (sent.answer for sent in self.sent if sent.answer):
            assert answer.job_id in {None, jobs[answer.delivery_id]}
            assert answer.job_id is None or answer.job_id in self.stories


def check_allowed(job: JobStory, rails: str) -> None:
    """The rails with this name allow that a job starts or is published."""
    assert rails != "observing"
    if job.is_requested_by_comment:
        assert rails != "closed"
        assert rails not in GUARDS or not job.is_of_outsider or job.approved_under == rails
