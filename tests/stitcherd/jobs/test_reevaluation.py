"""Jobs that are decided again under changed rails: permissions that this depends on are asked, or nothing runs."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.models import RunnerJob, Status, Verdict
from stitcherd.errors import Refusal
from stitcherd.jobs.reevaluation import Reevaluator
from stitcherd.store.approvals import Reevaluation
from stitcherd.store.rulings import Denial, Ruling, Undecided
from tests.forges.fake import Answer, FakeAccount
from tests.forges.harness import serving
from tests.stitcherd.jobs.deciding_harness import (
    BY_PERMISSION,
    OUTSIDER_TEXT,
    DecidingHarness,
    new_fake,
    open_deciding,
)

OCTOCAT, DRIVE_BY, CHIEF = FakeAccount(2, "octocat"), FakeAccount(3, "drive-by"), FakeAccount(4, "chief")
NAMED = BY_PERMISSION.replace("{permission: write}", '{users: ["hub:octocat"]}')
DOWN = Answer(502, b"<html>", {"Content-Type": "text/html"})


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[DecidingHarness]:
    """A harness whose rails name octocat; those that ask for a permission are put in force by the tests."""
    fake = new_fake("github")
    fake.accounts[4], fake.repository.levels[4] = CHIEF, "admin"
    async with serving(fake), open_deciding(tmp_path, fake, rails=NAMED) as harness:
        yield harness


async def queued(harness: DecidingHarness) -> RunnerJob:
    answer = await harness.comment(OCTOCAT)
    assert answer.verdict is Verdict.ALLOWED
    return await harness.job(await harness.decided(answer))


async def rule(harness: DecidingHarness, job: RunnerJob) -> Ruling | Undecided | None:
    intake = harness.intake
    return await Reevaluator(intake.store, intake.rails, intake.evaluator, intake.permissions).rule(job)


async def test_a_queued_job_is_allowed_once_the_permission_was_asked(harness: DecidingHarness) -> None:
    job = await queued(harness)
    await harness.change_rails(BY_PERMISSION)
    ruling = await rule(harness, job)
    assert isinstance(ruling, Ruling)
    assert isinstance(ruling.found, Reevaluation)
    assert (ruling.found.decision.verdict, len(harness.asked())) == (Verdict.ALLOWED, 1)


async def test_a_queued_job_of_an_account_without_the_permission_is_denied(harness: DecidingHarness) -> None:
    job = await queued(harness)
    harness.fake.repository.levels[2] = "read"
    await harness.change_rails(BY_PERMISSION)
    ruling = await rule(harness, job)
    assert isinstance(ruling, Ruling)
    assert isinstance(ruling.found, Denial)
    assert ruling.found.reason.endswith(": who: hub:octocat is in none of team")


async def test_a_queued_job_is_denied_where_the_forge_refuses_to_tell(harness: DecidingHarness) -> None:
    job = await queued(harness)
    harness.fake.faults = [Answer(403, {"message": "Must have push access"})]
    await harness.change_rails(BY_PERMISSION)
    ruling = await rule(harness, job)
    assert isinstance(ruling, Ruling)
    assert isinstance(ruling.found, Denial)
    assert "who: permission_unknown: github answered 403: Must have push access" in ruling.found.reason


async def test_a_queued_job_is_undecided_while_the_forge_is_away(harness: DecidingHarness) -> None:
    job = await queued(harness)
    harness.fake.faults = [DOWN]
    await harness.change_rails(BY_PERMISSION)
    assert harness.intake.rails.current
    assert await rule(harness, job) == Undecided(
        job.version,
        harness.intake.rails.current.digest,
        "the rails changed, and it is decided again once a permission is known: github answered 502",
    )
    harness.clock.pass_time(10)
    assert isinstance(await rule(harness, job), Ruling)


async def waiting(harness: DecidingHarness) -> RunnerJob:
    """Return a job that waits for an approval under rails that name octocat."""
    await harness.change_rails(NAMED + OUTSIDER_TEXT)
    answer = await harness.comment(OCTOCAT, author=DRIVE_BY)
    assert answer.verdict is Verdict.WAITING
    return await harness.job(await harness.decided(answer))


async def test_an_operators_approval_under_changed_rails_asks(harness: DecidingHarness) -> None:
    job = await waiting(harness)
    harness.fake.faults = [DOWN]
    await harness.change_rails(BY_PERMISSION)
    with pytest.raises(Refusal, match="cannot be decided under them yet: github answered 502") as refused:
        await harness.intake.approvals.approve(job.id, "uid:1000", None)
    assert refused.value.code == "conflict"
    harness.clock.pass_time(10)
    approved = await harness.intake.approvals.approve(job.id, "uid:1000", None)
    assert approved.status is Status.QUEUED, "the changed rails require no approval"


async def test_a_comment_under_changed_rails_is_answered_before_the_forge_is_asked(harness: DecidingHarness) -> None:
    job = await waiting(harness)
    await harness.change_rails(BY_PERMISSION + OUTSIDER_TEXT)
    comment = await harness.comment(CHIEF, "@mosaic approve", author=DRIVE_BY)
    assert (comment.verdict, comment.reason) == (
        Verdict.DECIDING,
        "asking hub for the permission of hub:octocat and hub:drive-by on octo-org/api",
    )
    decided = await harness.decided(comment)
    assert (decided.verdict, "the rails have changed" in decided.reason) == (Verdict.DENIED, True)
    again = await harness.decided(await harness.comment(CHIEF, "@mosaic approve now", author=DRIVE_BY))
    assert (again.verdict, again.job_id) == (Verdict.ALLOWED, job.id)


@pytest.mark.parametrize(("level", "holds"), [("admin", True), ("write", False)])
async def test_an_approval_holds_only_while_its_giver_has_the_permission(
    harness: DecidingHarness, level: str, holds: bool
) -> None:
    rails = BY_PERMISSION + OUTSIDER_TEXT + "approvals: {pins: []}\n"
    await harness.change_rails(rails)
    asked = await harness.decided(await harness.comment(OCTOCAT, author=DRIVE_BY))
    await harness.decided(await harness.comment(CHIEF, "@mosaic approve", author=DRIVE_BY))
    harness.fake.repository.levels[4] = level
    harness.clock.pass_time(60)
    await harness.change_rails(f"{rails}# changed\n")
    ruling = await rule(harness, await harness.job(asked))
    assert isinstance(ruling, Ruling)
    assert isinstance(ruling.found, Reevaluation)
    assert (ruling.found.request is None) is holds
