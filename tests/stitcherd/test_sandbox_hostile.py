"""What a hostile agent does in the open, and cannot do in the sandbox: every case must succeed without it."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import pytest

from stitcherd import processes, sandbox
from stitcherd.sandbox import Box, wrap

MISSING = sandbox.available()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"NOT TESTED HERE: {MISSING}")

PYTHON, LIBRARY = os.path.realpath(sys.executable), sys.base_prefix
ROOT = os.geteuid() == 0
MIB = 2**20
CLOSED = Box(network=False, mounts=(LIBRARY,))


@dataclass
class Ground:
    """A machine in small: a house, a user's home, a job's attempt, and what listens and runs beside it."""

    root: Path
    door: str
    port: int
    neighbour: int

    @property
    def attempt(self) -> Path:
        return self.root / "state/checkouts/mine/1"

    async def run(
        self, code: str, box: Box | None = None, *, tmp: str = "tmp", seconds: float = 20.0
    ) -> tuple[str, str]:
        """Run Python as an agent would run; returns how it ended, and what it wrote."""
        said = bytearray()
        work, scratch, home = self.attempt / "work", self.attempt / tmp, self.root / "home"
        scratch.mkdir(exist_ok=True)
        env = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(scratch), "STITCHER_JOB_ID": self.door}
        names = f"root={str(self.root)!r}; door={self.door!r}; port={self.port}; neighbour={self.neighbour}\n"
        argv = [PYTHON, "-I", "-c", "import os, socket, sys\n" + names + textwrap.dedent(code)]
        ended = await processes.run(
            wrap(argv, box, cwd=work, tmp=scratch, home=str(home)),
            cwd=work,
            env=env,
            timeout=seconds,
            say=said.extend,
            job_id=self.door,
            root=self.attempt,
        )
        return str(ended), said.decode(errors="replace")


FILES = {
    "config/rails.yaml": "version: 1\n",
    "config/secret": "hunter22",
    "home/.ssh/id_ed25519": "hunter22",
    "home/.netrc": "hunter22",
    "home/src/api/.git/refs/heads/main": "1" * 40,
    "home/src/api/.git/hooks/pre-commit": "#!/bin/sh\n",
    "home/.bashrc": "",
    "state/stitcher.db": "hunter22",
    "state/mirrors/api.git/refs/heads/main": "1" * 40,
    "state/checkouts/other/1/work/a.py": "hunter22",
    "state/checkouts/mine/1/stitcher.git/HEAD": "ref: refs/heads/main\n",
    "state/checkouts/mine/1/gate-gates-1/Makefile": "test:\n",
    "state/checkouts/mine/1/work/a.py": "a\n",
}


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with contextlib.ExitStack() as closing:
        door = closing.enter_context(socket.socket(socket.AF_UNIX))
        state = os.open(tmp_path / "state", os.O_RDONLY)
        closing.callback(os.close, state)
        door.bind(f"/proc/self/fd/{state}/door")  # a socket's path is short, and a temporary directory's need not be
        door.listen()
        port = closing.enter_context(socket.create_server(("127.0.0.1", 0)))
        abstract = closing.enter_context(socket.socket(socket.AF_UNIX))
        abstract.bind(f"\0{tmp_path.name}-{os.getpid()}")
        abstract.listen()
        neighbour = started("sleep", "600", TOKEN="hunter22")
        try:
            name = f"{tmp_path.name}-{os.getpid()}"
            yield Ground(tmp_path, name, port.getsockname()[1], neighbour.pid)
        finally:
            neighbour.kill()
            neighbour.wait()


SECRETS = {
    "the environment of a process": "open(f'/proc/{neighbour}/environ').read()",
    "the environment of any process": "''.join(open(f'/proc/{p}/environ', 'rb').read().decode('latin1')"
    " for p in os.listdir('/proc') if p.isdigit() and int(p) == neighbour)",
    "a secret file": "open(f'{root}/config/secret').read()",
    "the database": "open(f'{root}/state/stitcher.db').read()",
    "another checkout": "open(f'{root}/state/checkouts/other/1/work/a.py').read()",
    "an ssh key": "open(os.path.expanduser('~/.ssh/id_ed25519')).read()",
    "a password": "open(os.path.expanduser('~/.netrc')).read()",
    "a file, by the way of a link": "(os.symlink(f'{root}/config/secret', 'way'), open('way').read())[1]",
    "a file, by the way of a process": "open(f'/proc/{neighbour}/root{root}/config/secret').read()",
}


@pytest.mark.parametrize("what", SECRETS)
async def test_read(ground: Ground, what: str) -> None:
    code = f"print({SECRETS[what]})"
    assert "hunter22" in (await ground.run(code))[1]
    (ground.attempt / "work/way").unlink(missing_ok=True)
    ended, said = await ground.run(code, CLOSED)
    assert "hunter22" not in said
    assert ended == "ended with exit code 1" or not said.strip()


@pytest.mark.parametrize(
    "name",
    [
        *("config/rails.yaml", "state/mirrors/api.git/refs/heads/main", "state/stitcher.db", "home/.bashrc"),
        *("home/src/api/.git/hooks/pre-commit", "home/src/api/.git/refs/heads/main"),
        *("state/checkouts/mine/1/stitcher.git/HEAD", "state/checkouts/mine/1/gate-gates-1/Makefile"),
        *("state/checkouts/mine/1/diff.patch", "state/checkouts/other/1/work/a.py"),
    ],
)
async def test_write(ground: Ground, name: str) -> None:
    code = (
        f"os.makedirs(os.path.dirname(f'{{root}}/{name}'), exist_ok=True); open(f'{{root}}/{name}', 'w').write('evil')"
    )
    file = ground.root / name
    before = file.read_text() if file.exists() else None
    await ground.run(code)
    assert file.read_text() == "evil"
    file.write_text(before) if before is not None else file.unlink()
    await ground.run(code, CLOSED)
    assert (file.read_text() if file.exists() else None) == before


ACTS = {
    "connect to the door": "socket.socket(socket.AF_UNIX).connect(f'/proc/self/cwd/../../../../door')",
    "connect to a door without a file": "socket.socket(socket.AF_UNIX).connect('\\0' + door)",
    "connect to the TCP door": "socket.create_connection(('127.0.0.1', port), 2)",
    "signal a process": "os.kill(neighbour, 0)",
    "change the system": "open(f'/usr/lib/{door}', 'w'); os.unlink(f'/usr/lib/{door}')",
    "change the kernel": "f = open('/proc/sys/vm/swappiness', 'r+'); v = f.read(); f.seek(0); f.write(v); f.flush()",
    "mount": "import ctypes; assert not ctypes.CDLL(None).unshare(0x10020000)",
}
ONLY_ROOT = {"change the system", "change the kernel"}


@pytest.mark.parametrize("what", ACTS)
async def test_act(ground: Ground, what: str) -> None:
    if what in ONLY_ROOT and not ROOT:
        pytest.skip("only root can do that in the open")
    assert await ground.run(ACTS[what]) == ("ended with exit code 0", "")
    ended, said = await ground.run(ACTS[what], CLOSED)
    assert ended == "ended with exit code 1"
    assert "Error" in said


async def test_the_network_of_the_host_is_there_where_it_is_left(ground: Ground) -> None:
    code = ACTS["connect to the TCP door"]
    assert (await ground.run(code, Box(mounts=(LIBRARY,))))[0] == "ended with exit code 0"


async def test_what_an_agent_is_for_still_works(ground: Ground) -> None:
    code = """
    import multiprocessing, subprocess, tempfile, time
    open('a.py', 'a').write('b\\n')
    open(tempfile.mkstemp()[1], 'w').write('x')
    open(os.path.expanduser('~/.cache'), 'w').write('x')
    multiprocessing.Queue().put(1)
    print(os.environ['HOME'] == root + '/home', os.getcwd() == root + '/state/checkouts/mine/1/work')
    print(subprocess.run(['git', '--version'], capture_output=True).returncode, os.getuid(), time.strftime('%Z') != '')
    """
    assert await ground.run(code, CLOSED) == ("ended with exit code 0", f"True True\n0 {os.getuid()} True\n")
    assert (ground.attempt / "work/a.py").read_text() == "a\nb\n"


PLANTS = [
    "os.path.expanduser('~/.local/lib/sitecustomize.py')",
    "'/tmp/' + door",
    "'/dev/shm/' + door",
    "'/var/tmp/' + door",
]


@pytest.mark.parametrize("place", [*PLANTS, "os.environ['TMPDIR'] + '/conftest.py'"])
async def test_plant_something_for_a_later_gate(ground: Ground, place: str) -> None:
    plant = f"os.makedirs(os.path.dirname({place}), exist_ok=True); open({place}, 'w').write('evil')"
    look = f"print(os.path.exists({place}))"
    try:
        await ground.run(plant)
        assert (await ground.run(look))[1] == "True\n"
    finally:
        await ground.run(f"os.unlink({place})")
    assert (await ground.run(plant, CLOSED))[0] == "ended with exit code 0"
    assert (await ground.run(look, CLOSED, tmp="tmp-gates"))[1] == "False\n"


LIMITS = {
    "memory": ("x = bytearray(200 << 20)", Box(mounts=(LIBRARY,), memory=120 * MIB)),
    "shared memory": (
        "open('/dev/shm/' + door, 'wb').write(bytes(40 << 20))",
        Box(mounts=(LIBRARY,), memory=120 * MIB, disk=30 * MIB),
    ),
    "disk": ("open('big', 'wb').write(bytes(40 << 20))", Box(mounts=(LIBRARY,), disk=30 * MIB)),
    "processes": (
        "import time\nfor _ in range(30):\n  if not os.fork(): time.sleep(30)",
        Box(mounts=(LIBRARY,), processes=15),
    ),
}


@pytest.mark.parametrize("what", LIMITS)
async def test_fill_up(ground: Ground, what: str) -> None:
    code, box = LIMITS[what]
    if what == "processes" and sandbox.unbinding():
        pytest.skip("the processes of root are not counted, and the rails deny such a job")
    assert await ground.run(code) == ("ended with exit code 0", "")
    with contextlib.suppress(FileNotFoundError):
        Path("/dev/shm", ground.door).unlink()
    ended, _ = await ground.run(code, box)
    assert ended != "ended with exit code 0"


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


def started(*argv: str, **env: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(argv, env={"PATH": os.environ["PATH"], **env}, start_new_session=True)


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


async def test_flee(ground: Ground) -> None:
    open_mark, closed_mark = f"{ground.door}-open", f"{ground.door}-closed"
    await ground.run(FLEE.replace("MARK", repr(open_mark)))
    left = living(open_mark)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert len(left) == 1
    assert (await ground.run(FLEE.replace("MARK", repr(closed_mark)), CLOSED))[0] == "ended with exit code 0"
    assert living(closed_mark) == []


async def test_a_cancel_reaches_everything_inside(ground: Ground) -> None:
    mark = f"{ground.door}-cancelled"
    running = asyncio.ensure_future(
        ground.run(FLEE.replace("MARK", repr(mark)) + "time.sleep(600)", CLOSED, seconds=60)
    )
    await until(lambda: bool(living(mark)))
    asked = monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert monotonic() - asked < 2.0
    assert living(mark) == []


async def test_it_dies_with_the_daemon(ground: Ground) -> None:
    mark = f"{ground.door}-orphaned"
    inside = f"import time; open('up', 'w'); time.sleep(600)  # {mark}"
    argv = wrap([PYTHON, "-I", "-c", inside, mark], CLOSED, cwd=ground.attempt / "work", tmp=ground.root, home=None)
    starter = "import subprocess, sys; subprocess.run(sys.argv[1:], start_new_session=True)"
    daemon = started(PYTHON, "-I", "-c", starter, *argv)
    await until((ground.attempt / "work/up").exists)
    assert len(living(mark)) > 1
    daemon.kill()
    daemon.wait()
    await until(lambda: not living(mark))


async def test_recovery_finds_what_is_inside(ground: Ground) -> None:
    mark = f"{ground.door}-left"
    argv = wrap(
        [PYTHON, "-I", "-c", FLEE.replace("MARK", repr(mark)) + "time.sleep(600)"],
        CLOSED,
        cwd=ground.attempt / "work",
        tmp=ground.root,
        home=None,
    )
    left = started(*argv, STITCHER_JOB_ID=mark)
    await until(lambda: bool(living(mark)))
    await processes.end_all(mark, ground.root / "nowhere")
    left.wait(5)
    assert living(mark) == []
