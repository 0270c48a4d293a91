"""Tests what a hostile agent cannot do in a sandbox; each case must succeed without one."""

import os

import pytest

from stitcherd.sandbox.bubblewrap import SandboxSpec
from tests.stitcherd.sandbox.sandbox_host import CLOSED_SANDBOX, IS_ROOT, LIBRARY, SandboxHost, needs_sandbox

pytestmark = needs_sandbox


SECRETS = {
    "the environment of a process": "open(f'/proc/{bystander}/environ').read()",
    "the environment of any process": "''.join(open(f'/proc/{p}/environ', 'rb').read().decode('latin1')"
    " for p in os.listdir('/proc') if p.isdigit() and int(p) == bystander)",
    "a secret file": "open(f'{root}/config/secret').read()",
    "the database": "open(f'{root}/state/stitcher.db').read()",
    "another checkout": "open(f'{root}/state/checkouts/other/1/work/a.py').read()",
    "an ssh key": "open(os.path.expanduser('~/.ssh/id_ed25519')).read()",
    "a password": "open(os.path.expanduser('~/.netrc')).read()",
    "a file, by the way of a link": "(os.symlink(f'{root}/config/secret', 'way'), open('way').read())[1]",
    "a file, by the way of a process": "open(f'/proc/{bystander}/root{root}/config/secret').read()",
}


@pytest.mark.parametrize("what", SECRETS)
async def test_secrets_cannot_be_read(host: SandboxHost, what: str) -> None:
    code = f"print({SECRETS[what]})"
    assert "hunter22" in (await host.run(code))[1]
    (host.attempt / "work/way").unlink(missing_ok=True)
    ended, output = await host.run(code, CLOSED_SANDBOX)
    assert "hunter22" not in output
    assert ended == "ended with exit code 1" or not output.strip()


@pytest.mark.parametrize(
    "name",
    [
        *("config/rails.yaml", "state/mirrors/api.git/refs/heads/main", "state/stitcher.db", "home/.bashrc"),
        *("home/src/api/.git/hooks/pre-commit", "home/src/api/.git/refs/heads/main"),
        *("state/checkouts/mine/1/stitcher.git/HEAD", "state/checkouts/mine/1/gates-1/Makefile"),
        *("state/checkouts/mine/1/diff.patch", "state/checkouts/other/1/work/a.py"),
    ],
)
async def test_files_outside_cannot_be_written(host: SandboxHost, name: str) -> None:
    code = (
        f"os.makedirs(os.path.dirname(f'{{root}}/{name}'), exist_ok=True); open(f'{{root}}/{name}', 'w').write('evil')"
    )
    file = host.root / name
    before = file.read_text() if file.exists() else None
    await host.run(code)
    assert file.read_text() == "evil"
    file.write_text(before) if before is not None else file.unlink()
    await host.run(code, CLOSED_SANDBOX)
    assert (file.read_text() if file.exists() else None) == before


ACTS = {
    "connect to the socket": "socket.socket(socket.AF_UNIX).connect(f'/proc/self/cwd/../../../../socket')",
    "connect to an abstract socket": "socket.socket(socket.AF_UNIX).connect('\\0' + unique_name)",
    "connect to the TCP port": "socket.create_connection(('127.0.0.1', port), 2)",
    "signal a process": "os.kill(bystander, 0)",
    "change the system": "open(f'/usr/lib/{unique_name}', 'w'); os.unlink(f'/usr/lib/{unique_name}')",
    "change the kernel": "f = open('/proc/sys/vm/swappiness', 'r+'); v = f.read(); f.seek(0); f.write(v); f.flush()",
    "mount": "import ctypes; assert not ctypes.CDLL(None).unshare(0x10020000)",
}
ONLY_ROOT = {"change the system", "change the kernel"}


@pytest.mark.parametrize("what", ACTS)
async def test_hostile_acts_fail(host: SandboxHost, what: str) -> None:
    if what in ONLY_ROOT and not IS_ROOT:
        pytest.skip("only root can do that outside a sandbox")
    assert await host.run(ACTS[what]) == ("ended with exit code 0", "")
    ended, output = await host.run(ACTS[what], CLOSED_SANDBOX)
    assert ended == "ended with exit code 1"
    assert "Error" in output


async def test_the_network_is_available_unless_disabled(host: SandboxHost) -> None:
    code = ACTS["connect to the TCP port"]
    assert (await host.run(code, SandboxSpec(mounts=(LIBRARY,))))[0] == "ended with exit code 0"


async def test_ordinary_work_still_succeeds(host: SandboxHost) -> None:
    code = """
    import multiprocessing, subprocess, tempfile, time
    open('a.py', 'a').write('b\\n')
    open(tempfile.mkstemp()[1], 'w').write('x')
    open(os.path.expanduser('~/.cache'), 'w').write('x')
    multiprocessing.Queue().put(1)
    print(os.environ['HOME'] == root + '/home', os.getcwd() == root + '/state/checkouts/mine/1/work')
    print(subprocess.run(['git', '--version'], capture_output=True).returncode, os.getuid(), time.strftime('%Z') != '')
    """
    assert await host.run(code, CLOSED_SANDBOX) == ("ended with exit code 0", f"True True\n0 {os.getuid()} True\n")
    assert (host.attempt / "work/a.py").read_text() == "a\nb\n"


PLANTS = [
    "os.path.expanduser('~/.local/lib/sitecustomize.py')",
    "'/tmp/' + unique_name",
    "'/dev/shm/' + unique_name",
    "'/var/tmp/' + unique_name",
]


@pytest.mark.parametrize("place", [*PLANTS, "os.environ['TMPDIR'] + '/conftest.py'"])
async def test_nothing_can_be_planted_for_a_later_gate(host: SandboxHost, place: str) -> None:
    plant = f"os.makedirs(os.path.dirname({place}), exist_ok=True); open({place}, 'w').write('evil')"
    look = f"print(os.path.exists({place}))"
    try:
        await host.run(plant)
        assert (await host.run(look))[1] == "True\n"
    finally:
        await host.run(f"os.unlink({place})")
    assert (await host.run(plant, CLOSED_SANDBOX))[0] == "ended with exit code 0"
    assert (await host.run(look, CLOSED_SANDBOX, tmp="tmp-gates"))[1] == "False\n"
