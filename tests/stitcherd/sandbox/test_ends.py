"""Nothing stays of what ran in a sandbox, however it comes to its end."""

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
from tests.stitcherd.sandbox.sandbox_host import CLOSED_SANDBOX, PYTHON, SANDBOX_MISSING, SandboxHost, start_process

pytestmark = pytest.mark.skipif(SANDBOX_MISSING is not None, reason=f"NOT TESTED HERE: {SANDBOX_MISSING}")


def living(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and mark.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 (nobody tells of another's process)
            await asyncio.sleep(0.02)


FLEE = """
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


async def test_flee(ground: SandboxHost) -> None:
    open_mark, closed_mark = f"{ground.door}-open", f"{ground.door}-closed"
    await ground.run(FLEE.replace("MARK", repr(open_mark)))
    left = living(open_mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert len(left) == 1
    assert (await ground.run(FLEE.replace("MARK", repr(closed_mark)), CLOSED_SANDBOX))[0] == "ended with exit code 0"
    assert living(closed_mark) == []


async def test_a_cancel_reaches_everything_inside(ground: SandboxHost) -> None:
    mark = f"{ground.door}-cancelled"
    running = asyncio.ensure_future(
        ground.run(FLEE.replace("MARK", repr(mark)) + "time.sleep(600)", CLOSED_SANDBOX, seconds=60)
    )
    await until(lambda: bool(living(mark)))
    asked = monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert monotonic() - asked < 10.0
    assert living(mark) == []


async def test_it_dies_with_the_daemon(ground: SandboxHost) -> None:
    mark = f"{ground.door}-orphaned"
    inside = f"import time; open('up', 'w'); time.sleep(600)  # {mark}"
    argv = wrap_command(
        [PYTHON, "-I", "-c", inside, mark], CLOSED_SANDBOX, cwd=ground.attempt / "work", tmp=ground.root, home=None
    )
    starter = "import subprocess, sys; subprocess.run(sys.argv[1:], start_new_session=True)"
    daemon = start_process(PYTHON, "-I", "-c", starter, *argv)
    await until((ground.attempt / "work/up").exists)
    assert len(living(mark)) > 1
    daemon.kill()
    daemon.wait()
    await until(lambda: not living(mark))


async def test_recovery_finds_what_is_inside(ground: SandboxHost) -> None:
    mark = f"{ground.door}-left"
    argv = wrap_command(
        [PYTHON, "-I", "-c", FLEE.replace("MARK", repr(mark)) + "time.sleep(600)"],
        CLOSED_SANDBOX,
        cwd=ground.attempt / "work",
        tmp=ground.root,
        home=None,
    )
    left = start_process(*argv, STITCHER_JOB_ID=mark)
    await until(lambda: bool(living(mark)))
    await processes.end_all(mark, ground.root / "nowhere")
    left.wait(5)
    assert living(mark) == []


TIDY = """
import os, signal, sys, time
def tidy(*_):
    time.sleep(0.05)
    open('tidied', 'w').write('all of it')
    sys.exit(5)
signal.signal(signal.SIGTERM, tidy)
open('up', 'w')
while True: time.sleep(600)
"""


async def test_what_is_asked_to_end_may_tidy_up_first(ground: SandboxHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "KILL_GRACE_SECONDS", 20.0)  # on a busy machine a moment is long
    work = ground.attempt / "work"
    running = asyncio.ensure_future(ground.run(TIDY, CLOSED_SANDBOX, seconds=60))
    await until((work / "up").exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert (work / "tidied").read_text() == "all of it"
