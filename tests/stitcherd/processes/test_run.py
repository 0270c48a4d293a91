"""Tests commands as child processes: their input and output, how they end, and that no process outlives them."""

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from stitcherd import processes
from stitcherd.processes.tree import find_job_processes, read_process


class Job:
    def __init__(self, root: Path) -> None:
        self.id = str(uuid4())
        self.root = root
        self.cwd = root / "work"
        self.cwd.mkdir()
        self.output = bytearray()
        self.write: Callable[[bytes], None] = self.output.extend
        self.env = processes.build_environment(os.environ, job_id=self.id, attempt=1, number=1, tmp=root)

    async def run(self, *argv: str, stdin: bytes = b"", seconds: float | None = 20.0) -> processes.ExitStatus:
        return await processes.run(
            argv,
            cwd=self.cwd,
            env=self.env,
            stdin=stdin,
            timeout=seconds,
            write=self.write,
            job_id=self.id,
            root=self.root,
        )

    async def python(self, code: str, *, stdin: bytes = b"", seconds: float | None = 20.0) -> processes.ExitStatus:
        return await self.run(sys.executable, "-c", code, stdin=stdin, seconds=seconds)

    def pid(self, name: str) -> int:
        """Return the pid that a process of the job wrote into a file."""
        return int((self.cwd / name).read_text())


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    job = Job(tmp_path)
    yield job
    assert find_job_processes(job.id, job.root) == []


async def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


def start_sleep(cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(["sleep", "60"], cwd=cwd, env=env, start_new_session=True)


def is_written(path: Path) -> bool:
    return path.exists() and path.read_text().endswith("\n")


async def test_stdout_and_stderr_come_in_the_order_written(job: Job) -> None:
    assert await job.run("sh", "-c", "echo one; echo two >&2; echo three; exit 3") == processes.ExitStatus(3)
    assert job.output == b"one\ntwo\nthree\n"


async def test_any_bytes_pass_unchanged(job: Job) -> None:
    blob = bytes(range(256)) * 3
    assert await job.run("cat", stdin=blob) == processes.ExitStatus(0)
    assert job.output == blob


async def test_fifty_megabytes_of_output_are_complete(job: Job) -> None:
    assert (await job.run("head", "-c", "50000000", "/dev/zero")).code == 0
    assert len(job.output) == 50_000_000


async def test_a_child_that_never_reads_a_large_stdin_still_ends(job: Job) -> None:
    assert await job.run("true", stdin=b"x" * 1_000_000) == processes.ExitStatus(0)


async def test_a_child_that_closes_stdin_early_continues(job: Job) -> None:
    assert (await job.run("sh", "-c", "head -c 3; exec <&-; echo end", stdin=b"abc" * 400_000)).code == 0
    assert job.output == b"abcend\n"


async def test_a_large_stdin_is_written_while_output_is_read(job: Job) -> None:
    blob = os.urandom(3_000_000)
    assert (await job.run("cat", stdin=blob)).code == 0
    assert job.output == blob


async def test_a_command_gets_only_the_listed_environment(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STITCHER_TEST_SECRET", "x")
    await job.run("env", "-0")
    names = {line.split(b"=")[0].decode() for line in job.output.split(b"\0")[:-1]}
    assert names <= {
        *("PATH", "HOME", "USER", "LANG", "TMPDIR", "TERM"),
        *("STITCHER_JOB_ID", "STITCHER_ATTEMPT", "STITCHER_TRY"),
    }


def test_an_extra_name_is_copied_if_set_and_cannot_override_ours(tmp_path: Path) -> None:
    made = processes.build_environment(
        {"A": "1", "TERM": "xterm"}, job_id="j", attempt=2, number=3, tmp=tmp_path, extra=["A", "B", "TERM"]
    )
    assert made["A"] == "1"
    assert "B" not in made
    assert made["TERM"] == "dumb"
    assert (made["STITCHER_ATTEMPT"], made["STITCHER_TRY"]) == ("2", "3")


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (["no-such-program-here"], "no such program"),
        (["./plain"], "not executable"),
        (["./orphan"], "interpreter"),
        (["echo", "x" * 300_000], "too long"),
        (["echo", "a\0b"], "null byte"),
        (["echo", "\ud800"], "surrogate"),
        ([], "no command"),
    ],
)
async def test_a_command_that_cannot_start_has_a_reason(job: Job, argv: list[str], reason: str) -> None:
    (job.cwd / "plain").write_text("x")
    (job.cwd / "orphan").write_text("#!/no/such/interpreter\n")
    (job.cwd / "orphan").chmod(0o755)
    with pytest.raises(processes.CannotStart, match=reason) as raised:
        await job.run(*argv)
    assert str(raised.value).endswith(".")


async def test_without_descriptors_nothing_is_started_and_it_can_be_tried_again(job: Job) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir()))
    for more in range(12):
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + more, hard))
        try:
            await job.run("sh", "-c", "echo x >> ../started")
            break
        except processes.CannotStartNow:
            assert not (job.root / "started").exists()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert more > 0
    assert (job.root / "started").read_text() == "x\n"


async def test_a_missing_directory_is_reported(job: Job) -> None:
    job.cwd.rmdir()
    with pytest.raises(processes.CannotStart, match="is gone"):
        await job.run("true")


async def test_a_signal_is_reported_by_name(job: Job) -> None:
    ended = await job.run("sh", "-c", "kill -9 $$")
    assert ended.code == -9
    assert str(ended) == "was ended by SIGKILL"


async def test_an_exception_of_the_sink_is_raised_after_the_end(job: Job) -> None:
    def write(_: bytes) -> None:
        raise ZeroDivisionError

    job.write = write
    with pytest.raises(ZeroDivisionError):
        await job.run("head", "-c", "1000000", "/dev/zero")


async def test_a_command_that_ignores_sigterm_is_killed_after_its_timeout(job: Job) -> None:
    ended = await job.run("sh", "-c", "trap '' TERM; echo up; exec sleep 60", seconds=1.5)
    assert ended == processes.ExitStatus(-9, timed_out=True)
    assert job.output == b"up\n"


async def test_a_command_that_heeds_sigterm_ends_at_once(job: Job) -> None:
    assert await job.run("sleep", "60", seconds=0.2) == processes.ExitStatus(-15, timed_out=True)


async def test_a_grandchild_that_keeps_stdout_open_does_not_delay_us(job: Job) -> None:
    began = time.monotonic()
    assert (await job.run("sh", "-c", "sleep 60 & echo $! > pid; echo said")).code == 0
    assert time.monotonic() - began < 20
    assert job.output == b"said\n"
    assert read_process(job.pid("pid")) is None


DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in range(3): os.close(fd)
        with open('pid', 'w') as f: print(os.getpid(), file=f)
        CHANGE
        time.sleep(60)
    os._exit(0)
while not os.path.exists('pid') or not open('pid').read().endswith('\\n'): time.sleep(0.01)
"""


@pytest.mark.parametrize("change", ["pass", "os.chdir('/')"])
async def test_a_daemonized_process_is_ended(job: Job, change: str) -> None:
    assert (await job.python(DAEMON.replace("CHANGE", change))).code == 0
    assert read_process(job.pid("pid")) is None


async def test_a_process_without_session_and_environment_is_found_by_its_directory(job: Job) -> None:
    script = (
        "env -i setsid sh -c 'echo $$ > pid; sleep 60; :' >/dev/null 2>&1 & while ! [ -s pid ]; do sleep 0.01; done"
    )
    assert (await job.run("sh", "-c", script)).code == 0
    assert read_process(job.pid("pid")) is None


async def test_a_cancellation_ends_everything_soon(job: Job) -> None:
    script = "trap '' TERM; setsid sh -c 'echo $$ > pid; exec sleep 60' & exec sleep 60"
    task = asyncio.ensure_future(job.run("sh", "-c", script, seconds=None))
    await wait_until(lambda: is_written(job.cwd / "pid"))
    began = time.monotonic()
    task.cancel()
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 10  # two seconds are promised, but a machine may be busy
    assert read_process(job.pid("pid")) is None


async def test_only_what_an_earlier_daemon_left_of_the_job_is_ended(job: Job, tmp_path: Path) -> None:
    left = start_sleep(Path("/"), job.env)
    other_job = start_sleep(Path("/"), {**job.env, "STITCHER_JOB_ID": job.id + "0"})
    beside = tmp_path.with_name(tmp_path.name + "-beside")
    beside.mkdir()
    unrelated = start_sleep(beside, os.environ)
    try:
        assert await processes.end_all(job.id, job.root) == 1
        assert left.wait(20) == -15
        assert other_job.poll() is None
        assert unrelated.poll() is None
    finally:
        for process in (other_job, unrelated):
            process.kill()
            process.wait()


async def test_the_caller_is_never_ended(job: Job) -> None:
    code = (
        "import asyncio, os, pathlib\n"
        "from stitcherd import processes\n"
        "job, root = os.environ['STITCHER_JOB_ID'], pathlib.Path.cwd()\n"
        "print(asyncio.run(processes.end_all(job, root)))\n"
    )
    env = {**job.env, "PYTHONPATH": str(Path(processes.__file__).parents[2])}
    done = await asyncio.create_subprocess_exec(
        *("sh", "-c", f'"{sys.executable}" -c "{code}"; echo alive'), env=env, cwd=job.cwd, stdout=subprocess.PIPE
    )
    output, _ = await done.communicate()
    assert output == b"0\nalive\n"


def test_the_root_directory_is_no_job(job: Job) -> None:
    with pytest.raises(ValueError, match="root"):
        find_job_processes(job.id, Path("/"))


REAPER = """
import asyncio, os, pathlib, signal, sys, time
from stitcherd import processes

async def main():
    processes.become_subreaper()
    processes.set_not_dumpable()
    asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, processes.reap_orphans)
    here = pathlib.Path.cwd()
    run = lambda *argv: processes.run(argv, cwd=here, env={**os.environ, "STITCHER_JOB_ID": "j"}, timeout=20,
        write=lambda b: None, job_id="j", root=here)
    script = "(setsid sleep 0.02 &) ; (setsid sleep 60 &) ; exit 7"
    exits = [await run("sh", "-c", "exit 5") for _ in range(5)]
    exits += [await run("sh", "-c", script) for _ in range(5)]
    print([e.code for e in exits])
    children = lambda: "".join(it.read_text() for it in pathlib.Path("/proc/self/task").glob("*/children"))
    end = time.monotonic() + 15
    while children() and time.monotonic() < end:
        await asyncio.sleep(0.01)
    print(children() or "no child")

asyncio.run(main())
"""


async def test_adopted_orphans_are_reaped_and_awaited_children_are_not(job: Job) -> None:
    job.env["PYTHONPATH"] = str(Path(processes.__file__).parents[2])
    assert (await job.python(REAPER, seconds=60)).code == 0
    assert job.output.decode() == "[5, 5, 5, 5, 5, 7, 7, 7, 7, 7]\nno child\n"


async def test_a_short_command_is_captured_apart(tmp_path: Path) -> None:
    got = await processes.capture(
        ["sh", "-c", "cat; echo no >&2; exit 4"], cwd=tmp_path, env=dict(os.environ), stdin=b"in", timeout=5
    )
    assert got == processes.Captured(processes.ExitStatus(4), b"in", b"no\n")


async def test_a_short_command_that_hangs_is_killed(tmp_path: Path) -> None:
    got = await processes.capture(["sleep", "60"], cwd=tmp_path, env=dict(os.environ), timeout=0.1)
    assert got.exit == processes.ExitStatus(-9, timed_out=True)
