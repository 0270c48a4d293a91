"""An agent that acts as the operator: it can without a sandbox, and cannot with one."""

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from stitcherd.sandbox import bubblewrap
from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness

MISSING = bubblewrap.unavailable_reason()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"NOT TESTED HERE: {MISSING}")

FILL = "for i in 1 2 3 4 5 6 7 8; do head -c 5000000 /dev/zero > big$i; done; sleep 60"
PYTHON = os.path.realpath(sys.executable)
ASKING = (
    (Path(__file__).parent / "rails.yaml")
    .read_text()
    .replace("not_in: [team, mosaic]}\n    then: deny", "not_in: [mosaic]}\n    then: require-approval")
    .replace(
        "jobs:\n",
        "  caged: {capabilities: [repo:read, repo:write], executor: agent, timeout: 1m, sandbox: bwrap, mounts: ["
        f"{sys.base_prefix}]}}\n"
        "  small: {capabilities: [repo:read], executor: agent, timeout: 1m, sandbox: bwrap, disk: 20MiB}\n"
        "jobs:\n  caged: {profile: caged, needs: [repo:write]}\n"
        "  small: {profile: small}\n  judged: {profile: caged, gates: [small]}\n",
        1,
    )
    .replace("gates:\n", f"gates:\n  small: {{run: [sh, -c, {FILL!r}], sandbox: bwrap, disk: 20MiB}}\n", 1)
)
APPROVE = r"""s = socket.socket(socket.AF_UNIX); s.connect('{socket}')
s.sendall(b'POST /runner-jobs/{job}/approve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n')
s.sendall(b'Connection: close\r\n\r\n{{}}'); print(s.recv(12))"""


@pytest.fixture
def daemon(build: BuildDaemon) -> DaemonHarness:
    built = build(rails=ASKING)
    built.start()
    return built


def said(job: Any) -> str:
    return next(str(step["output"]) for step in job["steps"] if step["type"] == "AI_ACTION")


def test_approving_a_waiting_job(daemon: DaemonHarness) -> None:
    reply = daemon.comment("@mosaic free touch made")
    assert reply.json["status"] == "PENDING"
    waiting = str(reply.json["jobId"])
    code = "import socket; " + APPROVE.format(socket=daemon.socket, job=waiting).replace("\n", "; ")
    caged = daemon.run("caged", f'touch made; {PYTHON} -I -c "{code}"')
    assert (caged["status"], daemon.job(waiting)["status"]) == ("FAILED", "PENDING")
    assert "FileNotFoundError" in said(caged)
    free = daemon.run("free", f'touch made; {PYTHON} -I -c "{code}"')
    assert free["status"] == "COMPLETED", free["steps"]
    daemon.wait(waiting, "COMPLETED")


def test_moving_the_main_branch(daemon: DaemonHarness) -> None:
    before = daemon.git("rev-parse", "main")
    script = (
        f"git -c user.name=x -c user.email=x commit -q --allow-empty -m evil; git push -q {daemon.repository} HEAD:main"
    )
    caged = daemon.run("caged", script)
    assert (caged["status"], daemon.git("rev-parse", "main")) == ("FAILED", before)
    assert "does not appear to be a git repository" in said(caged)
    daemon.run("free", script)
    assert daemon.git("rev-parse", "main") != before


def test_filling_the_disk_with_many_files(daemon: DaemonHarness) -> None:
    agents = daemon.run("small", FILL)
    assert agents["error"]["code"] == "executor_failed"
    assert agents["error"]["detail"].startswith("The executor was ended: it has written ")
    assert agents["error"]["detail"].endswith(", and may write 20 MiB.")
    judged = daemon.run("judged", "touch made")
    assert judged["error"]["code"] == "gates_failed"
    [why] = [it["payload"]["reason"] for it in judged["events"] if it["type"] == "gate.failed"]
    assert why.startswith("The gate was ended: it has written ")
