"""Comments that cancel and retry jobs: each is stored with what it does, once, and only where the job allows it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.ids import now_ms
from shared.models import Failure, Result, Status, Verdict
from stitcherd.jobs.approvals import MAX_READS
from stitcherd.rails.thread_commands import JOBS_KEEP_CHANGING
from stitcherd.store import commands, deliveries, publications, transitions
from stitcherd.store.steps import Fence
from tests.e2e.webhooks import comment_body
from tests.forges.fake import FakeAccount
from tests.forges.harness import serving
from tests.stitcherd.jobs.deciding_harness import new_fake, open_deciding
from tests.stitcherd.jobs.intake_harness import RAILS, IntakeHarness, open_harness

TWO_TYPES = RAILS.replace("triggers:", "  review: {profile: weaver, needs: [repo:write]}\ntriggers:") + (
    "  - {id: on-review, on: [issue.comment], command: review, from: [team], job: review}\n"
)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[IntakeHarness]:
    async with open_harness(tmp_path, rails_text=TWO_TYPES) as opened:
        yield opened


async def start(harness: IntakeHarness, job_id: str) -> Fence:
    started = await harness.store.write(transitions.start, job_id, 1, "me", now_ms())
    assert started
    return started[1]


async def test_a_comment_cancels_a_running_job(harness: IntakeHarness) -> None:
    asked = await harness.mosaic()
    assert asked.job_id
    await start(harness, asked.job_id)
    told = await harness.mosaic("@mosaic cancel it is wrong", key="k1")
    assert (told.verdict, told.job_id, told.status) == (Verdict.ALLOWED, asked.job_id, Status.RUNNING)
    assert harness.cancelled == [asked.job_id]
    job = await harness.job(asked)
    assert job.cancel_requested
    again = await harness.mosaic("@mosaic cancel it is wrong", key="k1")
    assert (again.verdict, again.delivery_id, harness.cancelled) == ("duplicate", told.delivery_id, [asked.job_id])
    assert (await harness.delivery(told)).job_id == asked.job_id
    async with harness.store.reading() as db:
        body = await deliveries.get_body(db, told.delivery_id, None)
    replayed = await harness.intake.replay(await harness.delivery(told), body, "uid:0")
    assert (replayed.verdict, harness.cancelled) == ("ignored", [asked.job_id])


async def test_a_comment_retries_a_failed_job(harness: IntakeHarness) -> None:
    asked = await harness.mosaic()
    assert asked.job_id
    await harness.expect_queued((asked.job_id, 1))
    await start(harness, asked.job_id)
    failure = Failure("gates_failed", "gate tests failed")
    await harness.store.write(transitions.conclude, asked.job_id, (1, "me"), now_ms(), failure)
    told = await harness.mosaic("@mosaic retry")
    assert (told.verdict, told.job_id, told.status) == (Verdict.ALLOWED, asked.job_id, Status.QUEUED)
    await harness.expect_queued((asked.job_id, 1), (asked.job_id, 2))
    job = await harness.job(asked)
    assert (job.attempt, job.delivery_id) == (2, asked.delivery_id)
    assert isinstance(job.events, tuple)
    assert job.events[-2].actor == "source:mosaic/ann"


async def test_what_the_job_does_not_allow_is_denied_with_its_reason(harness: IntakeHarness) -> None:
    asked = await harness.mosaic()
    assert asked.job_id
    fence = await start(harness, asked.job_id)
    result = Result("4be1", 1, 1, 0, "+1")
    digest = harness.rails.current.digest if harness.rails.current else None
    assert await harness.store.write(publications.begin_publication, fence, result, now_ms(), digest)
    told = await harness.mosaic("@mosaic cancel")
    assert (told.verdict, told.job_id) == ("denied", None)
    assert told.reason == f"job {asked.job_id[-8:]} is being published"
    assert harness.cancelled == []


async def test_a_stranger_changes_nothing(harness: IntakeHarness) -> None:
    asked = await harness.mosaic()
    told = await harness.mosaic("@mosaic cancel", author="eve")
    assert (told.verdict, told.reason) == ("denied", "who: command cancel: mosaic:eve is in none of team")
    assert (await harness.job(asked)).status is Status.QUEUED
    await harness.mosaic("@mosaic help", issueNumber="9")
    elsewhere = await harness.mosaic("@mosaic cancel", issueNumber="8")
    assert (elsewhere.verdict, elsewhere.reason) == ("ignored", "no job is open on this thread")


def change_before_writes(
    harness: IntakeHarness, monkeypatch: pytest.MonkeyPatch, changes: list[Callable[[], Awaitable[object]]]
) -> None:
    """Let one of the changes happen before each write of a command."""
    write = harness.store.write

    async def changing_write(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if function is commands.add_command and changes:
            await changes.pop(0)()
        return await write(function, *args, **kwargs)

    monkeypatch.setattr(harness.store, "write", changing_write)


async def test_a_command_is_decided_again_if_a_job_of_the_thread_changes_meanwhile(
    harness: IntakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await harness.mosaic()
    change_before_writes(harness, monkeypatch, [lambda: harness.mosaic("@mosaic review it")])
    told = await harness.mosaic("@mosaic cancel")
    assert (told.verdict, told.reason) == (
        "denied",
        "2 jobs are open on this thread: name one by the end of its id",
    )
    assert (await harness.job(asked)).status is Status.QUEUED
    assert (await harness.delivery(told)).job_id is None


async def test_a_command_is_denied_if_a_job_of_the_thread_changes_every_time(
    harness: IntakeHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = await harness.mosaic()
    assert asked.job_id
    job_id = asked.job_id

    async def change(number: int) -> None:
        other = await harness.mosaic(f"@mosaic review {number}")
        assert other.job_id
        await harness.store.write(transitions.cancel, other.job_id, "uid:0", None, now_ms())

    change_before_writes(harness, monkeypatch, [partial(change, number) for number in range(MAX_READS)])
    told = await harness.mosaic(f"@mosaic cancel {job_id[-8:]}")
    assert (told.verdict, told.reason) == ("denied", JOBS_KEEP_CHANGING)
    assert (await harness.job(asked)).status is Status.QUEUED
    again = await harness.mosaic(f"@mosaic cancel {job_id[-8:]} now")
    assert (again.verdict, again.status) == (Verdict.ALLOWED, Status.CANCELLED)


async def test_a_job_of_another_source_on_the_same_thread_is_not_meant(harness: IntakeHarness) -> None:
    asked = await harness.mosaic()
    assert asked.job_id
    for verb in ("cancel", f"cancel {asked.job_id[-8:]}"):
        body = comment_body(f"@mosaic {verb}", issue=7, login="octocat", repository="acme/roof")
        told = await harness.deliver("hub", body, {"X-GitHub-Event": "issue_comment"})
        assert (told.verdict, told.reason.endswith("is open on this thread")) == ("ignored", True)
    assert (await harness.job(asked)).status is Status.QUEUED


@pytest.mark.parametrize("kind", ["github", "gitea", "gitlab"])
@pytest.mark.parametrize("level", ["write", "read"])
async def test_a_permission_that_decides_is_asked_before_a_command_is_carried_out(
    tmp_path: Path, kind: str, level: str
) -> None:
    fake = new_fake(kind)
    async with serving(fake), open_deciding(tmp_path, fake, kind) as deciding:
        fake.repository.levels[3] = level
        asked = await deciding.decided(await deciding.comment(FakeAccount(2, "octocat")))
        told = await deciding.comment(FakeAccount(3, "drive-by"), "@mosaic cancel it is wrong")
        assert (told.verdict, told.job_id) == (Verdict.DECIDING, None)
        decided = await deciding.decided(told)
        job = await deciding.job(asked)
        if level == "write":
            assert (decided.verdict, decided.job_id) == (Verdict.ALLOWED, asked.job_id)
            assert job.status is Status.CANCELLED
            (cancelled,) = await deciding.events("job.cancelled")
            assert cancelled["reason"] == "it is wrong"
        else:
            assert (decided.verdict, decided.job_id) == (Verdict.DENIED, None)
            assert decided.reason == f"who: command cancel: {deciding.source}:drive-by is in none of team"
            assert job.status is Status.QUEUED
