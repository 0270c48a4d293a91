"""How a daemon starts, and how it says why it does not."""

import socket
import subprocess
import sys
import time

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT, DaemonHarness
from tests.e2e.http_client import TIMEOUT


def check(house: DaemonHarness) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "stitcherd", "--check", "--config", str(house.config)]
    environ = {"WALK_SECRET": "a secret to read", "PATH": "/usr/bin:/bin"}
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def test_both_files_can_be_checked(build: BuildDaemon) -> None:
    house = build()
    house.write_settings()
    good = check(house)
    assert (good.returncode, "r-" in good.stdout) == (0, True), good.stderr
    house.rails.write_text(house.rails.read_text().replace("command: fix", "comand: fix"))
    faulty = check(house)
    assert faulty.returncode == 2
    assert faulty.stderr.startswith("rails.yaml:")
    assert "command" in faulty.stderr
    house.rails.write_text("version: 1\n")
    (house.config / "stitcherd.toml").write_text("[daemon]\nworker = 4\n")
    faulty = check(house)
    assert faulty.returncode == 2
    assert faulty.stderr.startswith("stitcherd.toml:2: ")
    assert "workers" in faulty.stderr


def test_a_second_daemon_says_who_is_there(build: BuildDaemon) -> None:
    house = build()
    first = house.start()
    second = house.start(ready=False)
    assert second.wait(TIMEOUT) == 1
    assert f"state directory {house.state} is in use by pid {first.pid}" in house.log_tail(1)
    other = build()
    text = (house.config / "stitcherd.toml").read_text()
    (house.config / "stitcherd.toml").write_text(text.replace(f'"{house.state}"', f'"{other.state}"'))
    third = house.spawn()
    assert third.wait(TIMEOUT) == 1
    assert f"socket {house.socket} is in use by pid {first.pid}" in house.log_tail(1)
    house.process = first
    assert house.get("/meta")["pid"] == first.pid


def test_what_a_dead_daemon_left_is_replaced(build: BuildDaemon) -> None:
    house = build()
    house.start()
    house.kill()
    assert house.socket.is_socket()
    begun = time.monotonic()
    house.start()
    assert time.monotonic() - begun < 10.0
    assert house.get("/readyz")["ready"] is True


def test_a_file_in_the_sockets_place_is_left_alone(build: BuildDaemon) -> None:
    house = build()
    house.socket.parent.mkdir(mode=0o700)
    house.socket.write_text("mine")
    assert house.start(ready=False).wait(TIMEOUT) == 1
    assert "is there and is no socket" in house.log_tail(1)
    assert house.socket.read_text() == "mine"


def test_a_port_that_is_taken_is_said(build: BuildDaemon) -> None:
    house = build()
    house.start()
    house.stop()
    with socket.create_server(("127.0.0.1", house.port)):
        process = house.spawn()
        assert process.wait(TIMEOUT) == 1
    assert "address already in use" in house.log_tail(1)
    assert "Traceback" not in house.log_tail(20)


def test_a_faulty_file_is_refused_at_the_start(build: BuildDaemon) -> None:
    house = build(daemon="worker = 4")
    assert house.start(ready=False).wait(TIMEOUT) == 2
    assert house.log_tail(1).startswith("stitcherd.toml:")
    assert "workers" in house.log_tail(1)
