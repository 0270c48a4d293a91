"""Gates on the commit of a try: where they run, which count, and what they leave."""

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.ids import now_ms
from shared.models import JobStep
from stitcherd.config.settings import RepositorySettings
from stitcherd.gates import BUILTINS
from stitcherd.git.checkout import Checkout, Checkouts
from stitcherd.git.work_tree import commit_work_tree
from stitcherd.jobs.command_runner import AttemptFailed, CommandRunner
from stitcherd.jobs.gate_runner import GateRunner
from stitcherd.jobs.outputs import FileOutputs
from stitcherd.jobs.redaction import Redaction
from stitcherd.jobs.step_recorder import StepRecorder
from stitcherd.rails.load import parse_rails
from stitcherd.rails.validate import RailsContext
from stitcherd.store import jobs, transitions
from stitcherd.store.deferred import DeferredWrites
from stitcherd.store.steps import Fence
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import dispatch, new_job
from tests.stores import open_store

RAILS = """
version: 1
profiles:
  weaver: {capabilities: [repo:write, git:commit], executor: agent}
jobs:
  clean: {profile: weaver, needs: [repo:write], gates: [litter, tidy]}
  optional: {profile: weaver, needs: [repo:write], gates: [audit, tests]}
  free: {profile: weaver, needs: [repo:write]}
  read: {profile: weaver, needs: [repo:write], gates: [scope]}
  unavailable: {profile: weaver, needs: [repo:write], gates: [idle, absent, tests]}
gates:
  scope: {builtin: diff-rules}
  idle: {run: [no-such-program], required: false}
  absent: {run: [no-such-program, test]}
  litter: {run: [sh, -c, "cat made && touch litter"]}
  tidy: {run: [sh, -c, "ls; test ! -e litter && test ! -e ignored"]}
  audit: {run: [sh, -c, "exit 3"], required: false}
  tests: {run: [sh, -c, "echo broken; exit 1"]}
"""


def git(path: Path, *words: str) -> None:
    identity = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", **identity}
    subprocess.run(["git", *words], cwd=path, env=env, capture_output=True, check=True)


class GateHarness:
    """A running job with a checkout of a repository, in which a test works as the agent."""

    def __init__(self, store: Store, job_id: str, fence: Fence, checkout: Checkout, state: Path, clone: Path) -> None:
        self._store = store
        self._job_id = job_id
        self._writes = DeferredWrites(store)
        self._recorder = StepRecorder(store, self._writes, fence, FileOutputs(state), 2**20, Redaction(()))
        self.checkout = checkout
        self._repository = RepositorySettings.model_construct(pattern="*", clone=str(clone))

    async def run(self, job_type: str, commit: str | None) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
        commands = CommandRunner(
            job_id=self._job_id,
            attempt=1,
            root=self.checkout.directory,
            cwd=self.checkout.work,
            tmp=self.checkout.tmp,
            environ=os.environ,
        )
        gates = GateRunner(
            type=parse_rails(RAILS, RailsContext(BUILTINS)).jobs[job_type],
            repository=self._repository,
            checkout=self.checkout,
            commands=commands,
            recorder=self._recorder,
        )
        return await gates.run(commit, 1)

    async def steps(self) -> list[JobStep]:
        await self._writes.write(bool)  # after the end of the last step
        async with self._store.reading() as db:
            steps = (await jobs.get_job_detail(db, self._job_id, None)).steps
        assert isinstance(steps, tuple)
        return list(steps)


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[GateHarness]:
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / ".gitignore").write_text("ignored\n")
    git(origin, "init", "-q", "-b", "main")
    git(origin, "add", "-A")
    git(origin, "commit", "-qm", "First")
    store = await open_store(tmp_path / "stitcher.db")
    job = await dispatch(store, new_job(repository="acme/roof"))
    started = await store.write(transitions.start, job.id, 1, "me", now_ms())
    assert started
    checkouts = Checkouts(tmp_path / "state")
    await checkouts.mirror(str(origin)).fetch()
    base = await checkouts.mirror(str(origin)).resolve("main")
    checkout = await checkouts.open(job.id, 1, str(origin), base, job.branch)
    yield GateHarness(store, job.id, started[1], checkout, tmp_path / "state", origin)
    await store.close()


async def test_each_gate_runs_in_a_clean_checkout_of_the_commit(harness: GateHarness) -> None:
    (harness.checkout.work / "made").write_text("made by the agent\n")
    (harness.checkout.work / "ignored").touch()
    commit = await commit_work_tree(harness.checkout, "Made")
    assert await harness.run("clean", commit) == ([], ())
    _tree, litter, tidy = await harness.steps()
    assert (litter.output, tidy.output) == ("made by the agent\n", "made\n")
    assert not (harness.checkout.work / "litter").exists()


async def test_without_a_commit_the_gates_run_on_the_base(harness: GateHarness) -> None:
    (harness.checkout.work / "ignored").touch()
    failures, _ = await harness.run("clean", None)
    assert [name for name, _ in failures] == ["litter"]
    assert "made" in failures[0][1]


async def test_only_required_gates_are_returned_with_their_output(harness: GateHarness) -> None:
    assert await harness.run("optional", None) == ([("tests", "broken\n")], ())
    _tree, audit, tests = await harness.steps()
    assert (audit.status, audit.exit_code) == ("FAILED", 3)
    assert (tests.status, tests.exit_code) == ("FAILED", 1)


async def test_a_type_without_gates_runs_nothing(harness: GateHarness) -> None:
    assert await harness.run("free", None) == ([], ())
    assert await harness.steps() == []


async def test_built_in_gates_need_no_checkout_of_the_commit(harness: GateHarness) -> None:
    (harness.checkout.work / "page.txt").write_text("made by the agent\n")
    commit = await commit_work_tree(harness.checkout, "Made")
    assert await harness.run("read", commit) == ([], ())
    assert [step.name for step in await harness.steps()] == ["scope"]
    assert not (harness.checkout.directory / "gates-1").exists()


async def test_a_required_gate_that_cannot_be_started_ends_the_job(harness: GateHarness) -> None:
    with pytest.raises(AttemptFailed) as raised:
        await harness.run("unavailable", None)
    failure = raised.value.failure
    assert failure.code == "gate_unavailable"
    assert failure.detail == "gate absent: no-such-program cannot be started: there is no such program."
    assert [step.name for step in await harness.steps()] == ["gate tree", "idle", "absent"]
