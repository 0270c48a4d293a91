"""Agents and gates that act as the operator, move branches or fill the disk, with and without a sandbox."""

import os
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, agent_output
from tests.stitcherd.sandbox.sandbox_host import needs_sandbox

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
for _ in range(2):
    s.sendall(b'POST /runner-jobs/{job}/approve HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{{}}')
    print(s.recv(4096).decode())"""
FLEE = """import os
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.execv("/bin/sh", ["sh", "-c", "{command}"])"""
STITCHER = Path(sys.executable).with_name("stitcher")


@pytest.fixture
def daemon(build: BuildDaemon) -> DaemonHarness:
    built = build(rails=ASKING)
    built.start()
    return built


def waiting_job(daemon: DaemonHarness) -> str:
    reply = daemon.comment("@mosaic free touch made")
    assert reply.json["status"] == "PENDING"
    return str(reply.json["jobId"])


@needs_sandbox
def test_no_socket_is_visible_in_the_sandbox(daemon: DaemonHarness) -> None:
    waiting = waiting_job(daemon)
    code = f'import socket; socket.socket(socket.AF_UNIX).connect("{daemon.socket}")'
    job = daemon.run("caged", f"touch made; {PYTHON} -I -c '{code}'")
    assert (job["status"], daemon.job(waiting)["status"]) == ("FAILED", "PENDING")
    assert "FileNotFoundError" in agent_output(job)


def test_an_agent_without_a_sandbox_is_refused_as_the_operator(daemon: DaemonHarness) -> None:
    waiting = waiting_job(daemon)
    client = f"{STITCHER} --socket {daemon.socket}"
    for name, code in {
        "keep-alive": f"import socket\n{APPROVE.format(socket=daemon.socket, job=waiting)}",
        "flee": FLEE.format(command=f"{client} approve {waiting} >out 2>&1; echo $? >>out; mv out fled"),
    }.items():
        (daemon.root / name).write_text(code)
    commands = (
        f"{client} approve {waiting} 2>refused; echo $? >>refused",
        f"{client} dispatch reads --prompt x 2>>refused; echo $? >>refused",
        f"{sys.executable} {daemon.root}/keep-alive >kept-alive",
        f"env -i {sys.executable} {daemon.root}/flee; while ! test -e fled; do sleep 0.1; done",
    )
    job = daemon.run("free", "; ".join(commands))
    assert job["status"] == "COMPLETED", job["error"]
    assert daemon.job(waiting)["status"] == "PENDING"
    assert [it["type"] for it in daemon.get("/runner-jobs")["items"]] == ["free", "free"]
    published = {name: daemon.git("show", f"{job['branch']}:{name}") for name in ("refused", "kept-alive", "fled")}
    assert published["refused"].count("a job may not act as the operator") == 2
    assert [line for line in published["refused"].splitlines() if line.isdigit()] == ["4", "4"]
    assert published["kept-alive"].count("HTTP/1.1 403") == 2
    assert published["kept-alive"].count('"code":"forbidden"') == 2
    assert "was started by the daemon, or by a process that was" in published["fled"]
    assert published["fled"].endswith("\n4")
    assert daemon.cli("approve", waiting).returncode == 0
    daemon.wait(waiting, "COMPLETED")


@needs_sandbox
def test_moving_the_main_branch(daemon: DaemonHarness) -> None:
    before = daemon.git("rev-parse", "main")
    script = (
        f"git -c user.name=x -c user.email=x commit -q --allow-empty -m evil; git push -q {daemon.repository} HEAD:main"
    )
    caged = daemon.run("caged", script)
    assert (caged["status"], daemon.git("rev-parse", "main")) == ("FAILED", before)
    assert "does not appear to be a git repository" in agent_output(caged)
    daemon.run("free", script)
    assert daemon.git("rev-parse", "main") != before


@needs_sandbox
def test_filling_the_disk_with_many_files(daemon: DaemonHarness) -> None:
    agents = daemon.run("small", FILL)
    assert agents["error"]["code"] == "executor_failed"
    assert agents["error"]["detail"].startswith("The executor was ended: it has written ")
    assert agents["error"]["detail"].endswith(", and may write 20 MiB.")
    judged = daemon.run("judged", "touch made")
    assert judged["error"]["code"] == "gates_failed"
    [why] = [it["payload"]["reason"] for it in judged["events"] if it["type"] == "gate.failed"]
    assert why.startswith("The gate was ended: it has written ")
