"""Commands of a job: their directory, environment and output, and the preparation of a checkout."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from shared.ids import now_ms
from shared.models import Failure, JobStep, Phase
from stitcherd.config.settings import RepositorySettings
from stitcherd.jobs.command_runner import AttemptFailed, CommandRunner, prepare_repository
from stitcherd.jobs.outputs import FileOutputs
from stitcherd.jobs.redaction import Redaction
from stitcherd.jobs.step_recorder import StepRecorder
from stitcherd.processes import CannotStart, ExitStatus
from stitcherd.sandbox.bubblewrap import SandboxSpec
from stitcherd.store import jobs, transitions
from stitcherd.store.deferred import DeferredWrites
from stitcherd.store.store import Store
from tests.stitcherd.sandbox.sandbox_host import needs_sandbox
from tests.stitcherd.store.factories import dispatch, new_job
from tests.stores import open_store

SHOW = "import os, sys; print(os.getcwd(), *(os.environ.get(name, '-') for name in sys.argv[1:]))"


@pytest.fixture
def commands(tmp_path: Path) -> CommandRunner:
    work, tmp = tmp_path / "work", tmp_path / "tmp"
    work.mkdir()
    tmp.mkdir()
    return CommandRunner(
        job_id=tmp_path.name,
        attempt=2,
        root=tmp_path,
        cwd=work,
        tmp=tmp,
        environ={"PATH": "/usr/bin:/bin", "ALLOWED": "yes", "OTHER": "no", "HOME": "/nowhere"},
        env_names=("ALLOWED",),
    )


async def output(commands: CommandRunner, *names: str) -> list[str]:
    written = bytearray()
    argv = [sys.executable, "-c", SHOW, *names]
    assert await commands.run(argv, timeout=20.0, write=written.extend) == ExitStatus(0)
    return written.decode().split()


async def test_a_command_has_its_directory_and_only_named_variables(commands: CommandRunner) -> None:
    assert await output(commands, "ALLOWED", "OTHER", "TMPDIR", "STITCHER_ATTEMPT", "STITCHER_TRY") == [
        str(commands.cwd),
        "yes",
        "-",
        str(commands.tmp),
        "2",
        "0",
    ]


async def test_a_runner_for_another_directory_is_derived(commands: CommandRunner) -> None:
    other = replace(commands, number=3, cwd=commands.root, env_names=("OTHER",))
    assert await output(other, "ALLOWED", "OTHER", "STITCHER_TRY") == [str(commands.root), "-", "no", "3"]


async def test_stdin_timeout_and_errors(commands: CommandRunner) -> None:
    written = bytearray()
    assert await commands.run(["cat"], timeout=20.0, write=written.extend, stdin=b"in") == ExitStatus(0)
    assert written == b"in"
    ended = await commands.run(["sleep", "60"], timeout=0.2, write=written.extend)
    assert ended.timed_out
    with pytest.raises(CannotStart):
        await commands.run(["no-such-program"], timeout=20.0, write=written.extend)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store(tmp_path / "stitcher.db")
    yield store
    await store.close()


async def prepare(
    store: Store, commands: CommandRunner, repository: RepositorySettings | None
) -> tuple[list[JobStep], Failure | None]:
    """Return the steps of the preparation, and its failure."""
    job = await dispatch(store, new_job())
    started = await store.write(transitions.start, job.id, 1, "me", now_ms())
    assert started
    writes = DeferredWrites(store)
    recorder = StepRecorder(store, writes, started[1], FileOutputs(commands.root), 2**20, Redaction(()))
    failure = None
    try:
        await prepare_repository(repository, commands, recorder, Phase.SETUP, 20.0)
    except AttemptFailed as error:
        failure = error.failure
    await writes.write(bool)  # after the end of the step
    async with store.reading() as db:
        steps = (await jobs.get_job_detail(db, job.id, None)).steps
    assert isinstance(steps, tuple)
    return list(steps), failure


def repository(*prepare: tuple[str, ...]) -> RepositorySettings:
    return RepositorySettings.model_construct(pattern="*", clone="/nowhere.git", prepare=prepare)


async def test_preparation_runs_its_commands_in_order(store: Store, commands: CommandRunner) -> None:
    steps, failure = await prepare(store, commands, repository(("sh", "-c", "echo 1 > made"), ("cat", "made")))
    assert failure is None
    assert [(step.name, step.status, step.output) for step in steps] == [
        ("prepare", "COMPLETED", "$ sh -c echo 1 > made\n$ cat made\n1\n")
    ]


async def test_preparation_stops_at_the_first_failure(store: Store, commands: CommandRunner) -> None:
    steps, failure = await prepare(store, commands, repository(("false",), ("touch", "made")))
    assert failure is not None
    assert (failure.code, failure.detail) == ("prepare_failed", "false: The command ended with exit code 1.")
    assert [(step.status, step.exit_code) for step in steps] == [("FAILED", 1)]
    assert not (commands.cwd / "made").exists()


@pytest.mark.parametrize("entry", [None, repository()])
async def test_without_commands_there_is_no_step(
    store: Store, commands: CommandRunner, entry: RepositorySettings | None
) -> None:
    assert await prepare(store, commands, entry) == ([], None)


@needs_sandbox
@pytest.mark.parametrize("kept", [True, False])
async def test_a_home_in_a_sandbox_is_empty_each_time_unless_it_is_kept(
    commands: CommandRunner, tmp_path: Path, kept: bool
) -> None:
    home = tmp_path / "agent"
    home.mkdir()
    output = bytearray()
    boxed = replace(commands, sandbox=SandboxSpec(memory=2**30, disk=2**30), kept_home=home if kept else None)
    for _ in range(2):
        script = "echo x >> $HOME/session; echo $HOME $(wc -l < $HOME/session)"
        assert (await boxed.run(["sh", "-c", script], timeout=20.0, write=output.extend)).ok
    assert output.decode().splitlines() == ["/nowhere 1", f"/nowhere {2 if kept else 1}"]
    assert (home / "session").exists() == kept
