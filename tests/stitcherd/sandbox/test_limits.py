"""Filling a machine up: in the open it can be done, and in the sandbox it comes to an end."""

import contextlib
import shutil
import textwrap
from pathlib import Path

import pytest

from stitcherd.sandbox import bubblewrap
from stitcherd.sandbox.bubblewrap import SandboxSpec
from tests.stitcherd.sandbox.sandbox_host import CLOSED_SANDBOX, LIBRARY, MIB, SANDBOX_MISSING, SandboxHost

pytestmark = pytest.mark.skipif(SANDBOX_MISSING is not None, reason=f"NOT TESTED HERE: {SANDBOX_MISSING}")


LIMITS = {
    "memory": ("x = bytearray(200 << 20)", SandboxSpec(mounts=(LIBRARY,), memory=120 * MIB)),
    "shared memory": (
        "open('/dev/shm/' + door, 'wb').write(bytes(40 << 20))",
        SandboxSpec(mounts=(LIBRARY,), memory=120 * MIB, disk=30 * MIB),
    ),
    "disk": ("open('big', 'wb').write(bytes(40 << 20))", SandboxSpec(mounts=(LIBRARY,), disk=30 * MIB)),
    "processes": (
        "import time\nfor _ in range(30):\n  if not os.fork(): time.sleep(30)",
        SandboxSpec(mounts=(LIBRARY,), processes=15),
    ),
}


@pytest.mark.parametrize("what", LIMITS)
async def test_fill_up(ground: SandboxHost, what: str) -> None:
    code, box = LIMITS[what]
    if what == "processes" and bubblewrap.unenforceable_limits():
        pytest.skip("the processes of root are not counted, and the rails deny such a job")
    assert await ground.run(code) == ("ended with exit code 0", "")
    with contextlib.suppress(FileNotFoundError):
        Path("/dev/shm", ground.door).unlink()
    ended, _ = await ground.run(code, box)
    assert ended != "ended with exit code 0"


# Each process and each file keeps to the limit; `hold` is how long they stay, until somebody has looked.
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
            open(place + door + '-full', 'wb').write(bytes(50 << 20))
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


def clean(ground: SandboxHost) -> None:
    """Take away what filled the machine, in the open too, and nobody else can."""
    for place in ("/tmp", "/var/tmp", ground.root / "home"):
        Path(place, f"{ground.door}-full").unlink(missing_ok=True)
    for file in (ground.attempt / "work").glob("big*"):
        file.unlink()
    closed = ground.attempt / "work/closed"
    if closed.exists():
        closed.chmod(0o700)
        shutil.rmtree(closed)


@pytest.mark.parametrize("what", TOGETHER)
async def test_fill_up_by_many(ground: SandboxHost, what: str) -> None:
    code, box, said = TOGETHER[what]
    code = "import time; hold = HOLD\n" + textwrap.dedent(code)
    try:
        assert await ground.run(code.replace("HOLD", "0")) == ("ended with exit code 0", "")
        clean(ground)
        ended, _ = await ground.run(code.replace("HOLD", "60"), box, seconds=60.0)
    finally:
        clean(ground)
    assert ended.startswith("was ended: it ")
    assert ended.endswith(said)


async def test_what_keeps_to_its_limits_is_left_alone(ground: SandboxHost) -> None:
    """Shared memory counts once, files that were there before not at all, and what is gone again neither."""
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
    (ground.attempt / "work/before").write_bytes(bytes(40 * MIB))
    box = SandboxSpec(mounts=(LIBRARY,), memory=110 * MIB, disk=30 * MIB)
    assert await ground.run(code, box) == ("ended with exit code 0", "")


async def test_the_kernel_takes_a_command_first_when_memory_runs_out(ground: SandboxHost) -> None:
    code = "print(open('/proc/self/oom_score_adj').read().strip())"
    assert (await ground.run(code, CLOSED_SANDBOX))[1] == "1000\n"
