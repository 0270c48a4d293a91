"""Daemons that end while a commit is pushed: where nobody can tell whether it has arrived, nothing is started again."""

import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from shared.models import RunnerJob, Status
from stitcherd.store import jobs
from tests.stitcherd.git.repositories import git
from tests.stitcherd.jobs.crashing_daemon import MEMORY, REPOSITORY, CrashingDaemon
from tests.stitcherd.jobs.history_rails import OPEN


@pytest.fixture
async def daemon() -> AsyncIterator[CrashingDaemon]:
    with TemporaryDirectory(dir=MEMORY) as place:
        daemon = CrashingDaemon(Path(place), OPEN)
        await daemon.open()
        yield daemon
        await daemon.close()
        daemon.end()


async def killed_at(daemon: CrashingDaemon, point: str) -> RunnerJob:
    """Return a job whose daemon is killed at a point of its end; its type starts an interrupted job again."""
    job = await daemon.dispatch(REPOSITORY)
    await daemon.run(job.id, 1)
    daemon.arm(point, 1)
    daemon.in_danger = True
    await daemon.finish(job.id, "change")
    daemon.in_danger = False
    assert daemon.is_dead
    return job


async def detail(daemon: CrashingDaemon, job: RunnerJob) -> RunnerJob:
    async with daemon.intake.store.reading() as db:
        return await jobs.get_job_detail(db, job.id, None)


async def run_when_due(daemon: CrashingDaemon, job: RunnerJob) -> RunnerJob:
    """Run a held job as if its time had come, and return it."""
    await daemon.intake.store.write(
        lambda db: db.execute("UPDATE jobs SET held_until = NULL WHERE id = ?", (job.id,)) and None
    )
    await daemon.run(job.id, 1)
    return await detail(daemon, job)


def push_on_top(daemon: CrashingDaemon, branch: str) -> str:
    """Push a commit onto the branch of a job, as a person does; return the commit of the job."""
    repository = daemon.place / "api.git"
    published = git(repository, "rev-parse", branch)
    above = git(repository, "commit-tree", "-p", published, "-m", "x", f"{published}^{{tree}}")
    git(repository, "update-ref", f"refs/heads/{branch}", above)
    return published


def lose(daemon: CrashingDaemon, sha: str) -> None:
    """Let the mirror lose a commit that it has fetched already."""
    [mirror] = (daemon.place / "state" / "mirrors").glob("*.git")
    git(mirror, "fetch", "-q", str(daemon.place / "api.git"), "+refs/heads/*:refs/heads/*")
    for pack in (mirror / "objects" / "pack").iterdir():
        pack.rename(moved := mirror / pack.name)
        if moved.suffix == ".pack":
            git(mirror, "unpack-objects", "-q", stdin=moved.read_bytes())
        moved.unlink()
    (mirror / "objects" / sha[:2] / sha[2:]).unlink()


async def test_a_damaged_mirror_does_not_say_that_a_commit_has_not_arrived(daemon: CrashingDaemon) -> None:
    job = await killed_at(daemon, "after_publish")
    await daemon.restart(lambda: lose(daemon, push_on_top(daemon, job.branch)))
    found = await detail(daemon, job)
    assert (found.status, found.attempt, found.error) == (Status.COMPLETED, 1, None)
    assert daemon.starts == [(job.id, 1, 1)]


@pytest.mark.parametrize("point", ["before_publish", "after_publish"])
async def test_a_repository_that_cannot_be_asked_is_asked_later(daemon: CrashingDaemon, point: str) -> None:
    job = await killed_at(daemon, point)
    repository, away = daemon.place / "api.git", daemon.place / "away.git"
    await daemon.restart(lambda: repository.rename(away))
    found = await detail(daemon, job)
    assert (found.status, found.attempt) == (Status.QUEUED, 1)
    assert found.held
    assert "the repository cannot be reached: git " in found.held
    away.rename(repository)
    found = await run_when_due(daemon, job)
    assert found.status is Status.COMPLETED
    assert found.result
    assert daemon.published() == {job.branch.removeprefix("stitcher/"): found.result.commit}
    assert daemon.starts == [(job.id, 1, 1)]


async def test_a_repository_without_an_entry_starts_nothing(daemon: CrashingDaemon) -> None:
    job = await killed_at(daemon, "after_publish")
    daemon.settings = daemon.settings.replace("octo-org/*", "octo-org/other")
    await daemon.restart()
    found = await detail(daemon, job)
    assert (found.status, found.attempt) == (Status.QUEUED, 1)
    assert found.held
    assert "has no entry for octo-org/api any more" in found.held
    found = await run_when_due(daemon, job)
    assert found.error
    assert (found.status, found.error.code) == (Status.FAILED, "checkout_failed")
    assert daemon.starts == [(job.id, 1, 1)]


async def test_a_publication_whose_rails_are_gone_too_has_failed(daemon: CrashingDaemon) -> None:
    job = await killed_at(daemon, "after_publish")

    def lose_all() -> None:
        shutil.rmtree(daemon.place / "api.git")
        daemon.rails = f"{OPEN}mode: observe\n"
        with closing(sqlite3.connect(daemon.place / "state" / "stitcher.db")) as database, database:
            database.execute("DELETE FROM rails")

    await daemon.restart(lose_all)
    found = await detail(daemon, job)
    assert found.error
    assert (found.status, found.error.code) == (Status.FAILED, "publish_failed")
    assert "cannot be asked" in found.error.detail
