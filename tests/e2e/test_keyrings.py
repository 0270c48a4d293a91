"""Agents that look for keys of the operator in the kernel, and for ways out of the sandbox that namespaces leave."""

import ctypes
import errno
import os
import sys
from typing import Any

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import agent_output
from tests.stitcherd.sandbox.sandbox_host import SANDBOX_MISSING, needs_sandbox

PYTHON = os.path.realpath(sys.executable)
RAILS = f"""\
version: 1
profiles:
  caged: {{capabilities: [repo:read], executor: agent, sandbox: bwrap, network: none, mounts: [{sys.base_prefix}]}}
  free: {{capabilities: [repo:read], executor: agent, sandbox: none}}
jobs:
  caged: {{profile: caged}}
  free: {{profile: free}}
"""
KEYS = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*words):
    ctypes.set_errno(0)
    return libc.syscall(*words), ctypes.get_errno()
"""
START = f"""{KEYS}
call(250, 1, None)
assert call(248, b"user", b"operators", b"ticket", 6, -3)[0] > 0
os.execvp(sys.argv[1], sys.argv[1:])
"""
SEARCH = f"""{KEYS}
print("search", call(250, 10, -3, b"user", b"operators", 0))
print("add", call(248, b"user", b"left", b"behind", 6, -3)[1])
"""


def has_keyrings() -> bool:
    """Return whether the kernel of this machine has keyrings, and we know the number of its system call."""
    if os.uname().machine != "x86_64":
        return False
    return int(ctypes.CDLL(None).syscall(250, 0, -3, 1)) > 0


pytestmark = pytest.mark.skipif(not has_keyrings(), reason="NOT TESTED HERE: no keyrings, or not on x86_64")


def output_lines(job: Any) -> list[str]:
    assert job["status"] == "COMPLETED", job["error"]
    return agent_output(job).splitlines()


def test_jobs_find_no_key_of_the_session_of_the_operator(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS)
    daemon.start(around=(sys.executable, "-c", START))
    script = f"printf %s {SEARCH.encode().hex()}"
    decode = "import sys; exec(bytes.fromhex(sys.stdin.read()))"
    free = output_lines(daemon.run("free", f"{script} | {PYTHON} -I -c '{decode}'", repository=None))
    assert free == [f"search (-1, {errno.ENOKEY})", "add 0"]
    if SANDBOX_MISSING is None:
        caged = output_lines(daemon.run("caged", f"{script} | {PYTHON} -I -c '{decode}'", repository=None))
        assert caged == [f"search (-1, {errno.EPERM})", f"add {errno.EPERM}"]


@needs_sandbox
def test_without_a_network_no_socket_leads_out(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS)
    daemon.start()
    code = "import socket; socket.socket(socket.AF_VSOCK)"
    job = daemon.run("caged", f"{PYTHON} -I -c '{code}'", repository=None)
    assert job["status"] == "FAILED"
    assert "Address family not supported by protocol" in job["steps"][-1]["output"]
