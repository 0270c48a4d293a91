"""Agents and gates that multiply, hear no signal and leave their session, or print without end: all of it ends."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.http_client import TIMEOUT
from tests.stitcherd.sandbox.sandbox_host import needs_sandbox

PYTHON = sys.executable
RAILS = f"""\
version: 1
profiles:
  free: {{capabilities: [repo:read, exec:run], executor: agent}}
  caged: {{capabilities: [repo:read, exec:run], executor: agent, sandbox: bwrap, mounts: [{sys.base_prefix}]}}
jobs:
  free-agent: {{profile: free}}
  caged-agent: {{profile: caged}}
  free-gate: {{profile: free, gates: [free]}}
  caged-gate: {{profile: free, gates: [caged]}}
gates:
  free: {{run: [sh, program], timeout: 1m}}
  caged: {{run: [sh, program], timeout: 1m, sandbox: bwrap, mounts: [{sys.base_prefix}]}}
"""
# Chains of processes: each lives for a moment in a session of its own, and starts the next one.
MULTIPLYING = """
import os, signal, time

for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
end = time.monotonic() + 50
for _ in range(8):
    if os.fork() == 0:
        while time.monotonic() < end:
            time.sleep(0.005)
            if os.fork() > 0:
                os._exit(0)
            os.setsid()
        os._exit(0)
time.sleep(50)
"""
PROGRAM = f"""
case $(cat what) in
  multiply) exec {Path(PYTHON).resolve()} -I multiplying.py ;;
  print) head -c 1000 /dev/urandom; exec head -c {{size}} /dev/zero ;;
esac
"""
PRINTED = 300_000_000  # bytes, several times what the daemon may keep; the log keeps 64 MiB of them
MEMORY_MAX = 64_000_000  # bytes that the daemon may need meanwhile
PLACES = [
    "free-agent",
    "free-gate",
    *(pytest.param(name, marks=needs_sandbox) for name in ("caged-agent", "caged-gate")),
]


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    files = {"program": PROGRAM.format(size=PRINTED - 1000), "multiplying.py": MULTIPLYING}
    with DaemonHarness(rails=RAILS, files=files) as built:
        built.start()
        yield built


def begin(daemon: DaemonHarness, type_: str, what: str) -> str:
    """Let a program run as an agent or as a gate; return the job."""
    run = "sh program" if type_.endswith("agent") else "true"
    return daemon.dispatch(type_, f"printf {what} > what; {run}")


def multiply(daemon: DaemonHarness, type_: str) -> str:
    """Return a job whose program has begun to multiply."""
    job_id = begin(daemon, type_, "multiply")
    wait_until(lambda: daemon.has_process("multiplying.py"), "it multiplies")
    return job_id


@pytest.mark.parametrize("type_", PLACES)
def test_what_multiplies_is_ended_by_a_cancel(daemon: DaemonHarness, type_: str) -> None:
    job_id = multiply(daemon, type_)
    begun = time.monotonic()
    assert daemon.request("POST", f"/runner-jobs/{job_id}/cancel").status == 202
    daemon.wait(job_id, "CANCELLED")
    assert time.monotonic() - begun < 4.0  # two seconds, and as much again for a busy machine
    daemon.wait_until_clean()


@pytest.mark.parametrize("type_", PLACES)
def test_what_multiplies_is_ended_after_the_daemon_was_killed(daemon: DaemonHarness, type_: str) -> None:
    job_id = multiply(daemon, type_)
    daemon.kill()
    daemon.start()
    assert daemon.wait(job_id)["error"]["code"] == "interrupted"
    daemon.wait_until_clean()


@pytest.mark.parametrize("type_", ["free-agent", "free-gate"])
def test_output_without_end_needs_little_memory(daemon: DaemonHarness, type_: str) -> None:
    assert daemon.process is not None
    before = resident(daemon.process.pid)
    job_id = begin(daemon, type_, "print")
    most = 0

    def is_over() -> bool:
        nonlocal most
        assert daemon.process is not None
        most = max(most, resident(daemon.process.pid))
        return daemon.job(job_id)["status"] not in {"QUEUED", "RUNNING"}

    wait_until(is_over, "all is printed", 3 * TIMEOUT)
    assert most - before < MEMORY_MAX
    job = daemon.job(job_id)
    assert job["status"] == "COMPLETED", job["error"]
    [step] = [step for step in job["steps"] if step["outputBytes"] == PRINTED]
    log = daemon.request("GET", f"/runner-jobs/{job_id}/steps/{step['id']}/log")
    assert log.status == 200
    assert 60_000_000 < len(log.body) < 70_000_000


def resident(pid: int) -> int:
    """Return how many bytes of memory a process has."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024
