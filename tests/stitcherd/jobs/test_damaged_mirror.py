"""Jobs whose mirror is damaged, before they start or while their agent works: it is cloned anew, and a log says so."""

import random
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shared.models import RunnerJob, Status
from stitcherd.store import jobs
from tests.faults.mirrors import DAMAGES
from tests.stitcherd.jobs.crashing_daemon import MEMORY, OPERATOR, REPOSITORY, CrashingDaemon
from tests.stitcherd.jobs.history_rails import OPEN

NEEDED_BY_NOBODY = {"HEAD", "config", "refs"}  # while an agent works: what is read of these was read before
REPAIRED = "was damaged and has been cloned anew"


@pytest.fixture
async def daemon() -> AsyncIterator[CrashingDaemon]:
    """A daemon that has run a job, so that there is a mirror."""
    with TemporaryDirectory(dir=MEMORY) as place:
        daemon = CrashingDaemon(Path(place), OPEN)
        await daemon.open()
        job = await daemon.dispatch(REPOSITORY)
        await daemon.run(job.id, 1)
        await daemon.finish(job.id, "change")
        yield daemon
        await daemon.close()
        daemon.end()


def damage(daemon: CrashingDaemon, kind: str) -> None:
    [mirror] = (daemon.place / "state" / "mirrors").glob("*.git")
    DAMAGES[kind](mirror, random.Random(kind))


async def ended(daemon: CrashingDaemon, job: RunnerJob) -> str:
    """Check that a job is published, and return what its steps printed."""
    async with daemon.intake.store.reading() as db:
        found = await jobs.get_job_detail(db, job.id, None)
    assert (found.status, found.error) == (Status.COMPLETED, None)
    assert found.result
    assert daemon.published()[found.branch.removeprefix("stitcher/")] == found.result.commit
    return "".join(step.output or "" for step in found.steps or ())


@pytest.mark.parametrize("kind", DAMAGES)
async def test_a_mirror_damaged_before_a_job(daemon: CrashingDaemon, kind: str) -> None:
    job = await daemon.dispatch(REPOSITORY)
    damage(daemon, kind)
    await daemon.run(job.id, 1)
    await daemon.finish(job.id, "change")
    printed = await ended(daemon, job)
    assert (REPAIRED in printed) == (kind.partition(" ")[0] not in {"packs", "mirror"}), "a fetch gets what is missing"


@pytest.mark.parametrize("kind", DAMAGES)
async def test_a_mirror_damaged_while_an_agent_works(daemon: CrashingDaemon, kind: str) -> None:
    job = await daemon.dispatch(REPOSITORY)
    await daemon.run(job.id, 1)
    damage(daemon, kind)
    await daemon.finish(job.id, "change")
    printed = await ended(daemon, job)
    assert (REPAIRED in printed) == (kind.partition(" ")[0] not in NEEDED_BY_NOBODY)


@pytest.mark.parametrize("kind", ["HEAD emptied", "objects missing", "packs overwritten", "mirror missing"])
async def test_a_mirror_damaged_while_a_commit_waits_for_an_approval(daemon: CrashingDaemon, kind: str) -> None:
    job = await daemon.dispatch(REPOSITORY)
    await daemon.run(job.id, 1)
    await daemon.finish(job.id, "change tests")
    damage(daemon, kind)
    await daemon.restart()  # what it knew of the mirror is forgotten
    await daemon.intake.approvals.approve(job.id, OPERATOR, None)
    await daemon.run(job.id, 1)
    await ended(daemon, job)
