"""Tests that no process of a sandbox remains, however it ends."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from stitcherd import processes
from stitcherd.sandbox.bubblewrap import wrap_command
from tests.stitcherd.sandbox.sandbox_host import CLOSED_SANDBOX, PYTHON, SandboxHost, needs_sandbox, start_process

pytestmark = needs_sandbox


def find_marked(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (the process of another has no event)
            await asyncio.sleep(0.02)


ESCAPE = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.chdir('/')
        os.execve(sys.executable, [sys.executable, '-I', '-c',
            'import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)', MARK], {})
    os._exit(0)
os.wait()
time.sleep(0.3)
"""


async def test_a_process_that_escapes_its_session_ends(host: SandboxHost) -> None:
    open_mark, closed_mark = f"{host.unique_name}-open", f"{host.unique_name}-closed"
    await host.run(ESCAPE.replace("MARK", repr(open_mark)))
    left = find_marked(open_mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert len(left) == 1
    assert (await host.run(ESCAPE.replace("MARK", repr(closed_mark)), CLOSED_SANDBOX))[0] == "ended with exit code 0"
    assert find_marked(closed_mark) == []


async def test_a_cancellation_ends_everything_inside(host: SandboxHost) -> None:
    mark = f"{host.unique_name}-cancelled"
    running = asyncio.ensure_future(
        host.run(ESCAPE.replace("MARK", repr(mark)) + "time.sleep(600)", CLOSED_SANDBOX, seconds=60)
    )
    await wait_until(lambda: bool(find_marked(mark)))
    began = monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert monotonic() - began < 10.0
    assert find_marked(mark) == []


async def test_it_ends_with_the_daemon(host: SandboxHost) -> None:
    mark = f"{host.unique_name}-orphaned"
    inside = f"import time; open('up', 'w'); time.sleep(600)  # {mark}"
    starter = "import subprocess, sys; subprocess.run(sys.argv[1:], start_new_session=True, close_fds=False)"
    argv, place = [PYTHON, "-I", "-c", inside, mark], host.attempt / "work"
    with wrap_command(argv, CLOSED_SANDBOX, cwd=place, tmp=host.root, home=None) as command:
        daemon = start_process(PYTHON, "-I", "-c", starter, *command.argv, pass_fds=command.pass_fds)
    await wait_until((host.attempt / "work/up").exists)
    assert len(find_marked(mark)) > 1
    daemon.kill()
    daemon.wait()
    await wait_until(lambda: not find_marked(mark))


async def test_recovery_ends_everything_inside(host: SandboxHost) -> None:
    mark = f"{host.unique_name}-left"
    argv = [PYTHON, "-I", "-c", ESCAPE.replace("MARK", repr(mark)) + "time.sleep(600)"]
    with wrap_command(argv, CLOSED_SANDBOX, cwd=host.attempt / "work", tmp=host.root, home=None) as command:
        left = start_process(*command.argv, pass_fds=command.pass_fds, STITCHER_JOB_ID=mark)
    await wait_until(lambda: bool(find_marked(mark)))
    await processes.end_all(mark, host.root / "nowhere")
    left.wait(5)
    assert find_marked(mark) == []


CLEAN_UP = """
import os, signal, sys, time
def clean_up(*_):
    time.sleep(0.05)
    open('cleaned', 'w').write('all of it')
    sys.exit(5)
signal.signal(signal.SIGTERM, clean_up)
open('up', 'w')
while True: time.sleep(600)
"""


async def test_a_process_may_clean_up_after_sigterm(host: SandboxHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "KILL_GRACE_SECONDS", 20.0)  # on a busy machine a moment is long
    work = host.attempt / "work"
    running = asyncio.ensure_future(host.run(CLEAN_UP, CLOSED_SANDBOX, seconds=60))
    await wait_until((work / "up").exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (work / "cleaned").read_text() == "all of it"
