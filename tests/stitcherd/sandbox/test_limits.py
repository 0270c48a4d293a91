"""Tests the limits of a sandbox; each case must succeed without one."""

import contextlib
import shutil
import textwrap
from pathlib import Path

import pytest

from stitcherd.sandbox import bubblewrap
from stitcherd.sandbox.bubblewrap import SandboxSpec
from tests.stitcherd.sandbox.sandbox_host import CLOSED_SANDBOX, LIBRARY, MIB, SandboxHost, needs_sandbox

pytestmark = needs_sandbox


LIMITS = {
    "memory": ("x = bytearray(200 << 20)", SandboxSpec(mounts=(LIBRARY,), memory=120 * MIB)),
    "shared memory": (
        "open('/dev/shm/' + unique_name, 'wb').write(bytes(40 << 20))",
        SandboxSpec(mounts=(LIBRARY,), memory=120 * MIB, disk=30 * MIB),
    ),
    "disk": ("open('big', 'wb').write(bytes(40 << 20))", SandboxSpec(mounts=(LIBRARY,), disk=30 * MIB)),
    "processes": (
        "import time\nfor _ in range(30):\n  if not os.fork(): time.sleep(30)",
        SandboxSpec(mounts=(LIBRARY,), processes=15),
    ),
}


@pytest.mark.parametrize("what", LIMITS)
async def test_one_process_or_file_is_limited(host: SandboxHost, what: str) -> None:
    code, sandbox = LIMITS[what]
    if what == "processes" and bubblewrap.unenforceable_limits():
        pytest.skip("the processes of root are not counted, and the rails deny such a job")
    assert await host.run(code) == ("ended with exit code 0", "")
    with contextlib.suppress(FileNotFoundError):
        Path("/dev/shm", host.unique_name).unlink()
    ended, _ = await host.run(code, sandbox)
    assert ended != "ended with exit code 0"


# Each process and each file is below the limit; `hold` is for how many seconds they exist.
TOGETHER = {
    "memory": (
        """
        kept = bytearray(30 << 20)
        for _ in range(8):
            if not os.fork():
                mine = bytearray(30 << 20)
                time.sleep(hold)
                os._exit(0)
        time.sleep(hold)
        """,
        SandboxSpec(mounts=(LIBRARY,), memory=120 * MIB),
        "of memory in all, and may hold 120 MiB",
    ),
    "memory that is shared": (
        """
        import ctypes, mmap
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        for _ in range(4):
            if not os.fork():
                mine = mmap.mmap(-1, 50 << 20)
                mine.write(b'x' * (50 << 20))
                time.sleep(hold)
                os._exit(0)
        time.sleep(hold)
        """,
        SandboxSpec(mounts=(LIBRARY,), memory=120 * MIB),
        "of memory in all, and may hold 120 MiB",
    ),
    "memory in files": (
        """
        import ctypes
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: its files in /proc are closed to its own user
        for place in ('/tmp/', '/var/tmp/', os.path.expanduser('~/')):
            open(place + unique_name + '-full', 'wb').write(bytes(50 << 20))
        time.sleep(hold)
        """,
        SandboxSpec(mounts=(LIBRARY,), memory=120 * MIB),
        "of memory in all, and may hold 120 MiB",
    ),
    "disk": (
        """
        for number in range(8):
            open(f'big{number}', 'wb').write(bytes(10 << 20))
        time.sleep(hold)
        """,
        SandboxSpec(mounts=(LIBRARY,), disk=30 * MIB),
        "and may write 30 MiB",
    ),
    "disk, by deleted files": (
        """
        import ctypes
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        for number in range(8):
            kept = os.open('big', os.O_CREAT | os.O_WRONLY)
            os.write(kept, bytes(10 << 20))
            os.unlink('big')
        time.sleep(hold)
        """,
        SandboxSpec(mounts=(LIBRARY,), disk=30 * MIB),
        "and may write 30 MiB",
    ),
    "disk, in a closed directory": (
        """
        os.makedirs('closed/deep')
        for number in range(8):
            open(f'closed/deep/big{number}', 'wb').write(bytes(10 << 20))
        os.chmod('closed', 0)
        time.sleep(hold)
        """,
        SandboxSpec(mounts=(LIBRARY,), disk=30 * MIB),
        "and may write 30 MiB",
    ),
}


def clean(host: SandboxHost) -> None:
    """Delete what was written, also outside a sandbox."""
    for place in ("/tmp", "/var/tmp", host.root / "home"):
        Path(place, f"{host.unique_name}-full").unlink(missing_ok=True)
    for file in (host.attempt / "work").glob("big*"):
        file.unlink()
    closed = host.attempt / "work/closed"
    if closed.exists():
        closed.chmod(0o700)
        shutil.rmtree(closed)


@pytest.mark.parametrize("what", TOGETHER)
async def test_all_processes_and_files_together_are_limited(host: SandboxHost, what: str) -> None:
    code, sandbox, output = TOGETHER[what]
    code = "import time; hold = HOLD\n" + textwrap.dedent(code)
    try:
        assert await host.run(code.replace("HOLD", "0")) == ("ended with exit code 0", "")
        clean(host)
        ended, _ = await host.run(code.replace("HOLD", "60"), sandbox, seconds=60.0)
    finally:
        clean(host)
    assert ended.startswith("was ended: it ")
    assert ended.endswith(output)


async def test_a_command_within_its_limits_is_not_ended(host: SandboxHost) -> None:
    """Shared memory counts once, and neither files that existed before nor deleted ones count."""
    code = """
    import time
    kept = bytearray(40 << 20)
    for _ in range(4):
        if not os.fork():
            time.sleep(1)
            os._exit(0)
    for _ in range(8):
        open('big', 'wb').write(bytes(10 << 20))
        os.unlink('big')
    for _ in range(4):
        os.wait()
    """
    (host.attempt / "work/before").write_bytes(bytes(40 * MIB))
    sandbox = SandboxSpec(mounts=(LIBRARY,), memory=110 * MIB, disk=30 * MIB)
    assert await host.run(code, sandbox) == ("ended with exit code 0", "")


async def test_the_kernel_kills_a_command_first_when_memory_runs_out(host: SandboxHost) -> None:
    code = "print(open('/proc/self/oom_score_adj').read().strip())"
    assert (await host.run(code, CLOSED_SANDBOX))[1] == "1000\n"
