"""The start of the daemon, and its errors."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT, DaemonHarness, agent_output, wait_until
from tests.e2e.http_client import TIMEOUT

UMASK_RAILS = """\
version: 1
profiles: {writer: {capabilities: [repo:read, repo:write, git:commit], executor: agent}}
jobs: {look: {profile: writer, gates: [umask]}}
gates: {umask: {run: [sh, -c, "umask; touch made-here; stat -c %a made-here"]}}
"""


def check(daemon: DaemonHarness) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "stitcherd", "--check", "--config", str(daemon.config)]
    environ = {"E2E_SECRET": "a secret to read", "PATH": "/usr/bin:/bin"}
    return subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def test_both_files_can_be_checked(build: BuildDaemon) -> None:
    daemon = build()
    daemon.write_settings()
    good = check(daemon)
    assert (good.returncode, "r-" in good.stdout) == (0, True), good.stderr
    daemon.rails.write_text(daemon.rails.read_text().replace("command: fix", "comand: fix"))
    faulty = check(daemon)
    assert faulty.returncode == 2
    assert faulty.stderr.startswith("rails.yaml:")
    assert "command" in faulty.stderr
    daemon.rails.write_text("version: 1\n")
    (daemon.config / "stitcherd.toml").write_text("[daemon]\nworker = 4\n")
    faulty = check(daemon)
    assert faulty.returncode == 2
    assert faulty.stderr.startswith("stitcherd.toml:2: ")
    assert "workers" in faulty.stderr


def test_programs_that_cannot_be_started_are_warned_of(build: BuildDaemon) -> None:
    daemon = build()
    daemon.write_settings()
    agent = daemon.root / "agent.sh"
    agent.write_text("#!/bin/sh\n")
    settings = daemon.config / "stitcherd.toml"
    settings.write_text(settings.read_text() + f'[executors.broken]\nkind = "command"\nargv = ["{agent}"]\n')
    daemon.rails.write_text(
        "version: 1\nprofiles:\n  p: {capabilities: [repo:read], executor: broken}\n"
        "jobs:\n  j: {profile: p, gates: [g]}\ngates:\n  g: {run: [nomake, test]}\n"
    )
    checked = check(daemon)
    assert checked.returncode == 0
    assert f"executor broken: {agent} cannot be started: it is not executable" in checked.stderr
    assert "gate g: nomake cannot be started: there is no such program" in checked.stderr


def test_agents_and_gates_have_the_umask_of_the_start(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start(around=("sh", "-c", 'umask 027; exec "$@"', "sh"))
    job = daemon.run("free", "umask; touch made; stat -c %a made")
    [step] = [step for step in job["steps"] if step["type"] == "AI_ACTION"]
    assert step["output"].split() == ["0027", "640"]
    private = [daemon.state, *daemon.state.glob("stitcher.db*")]
    assert [path for path in private if path.stat().st_mode & 0o077] == []


def test_a_gate_has_the_umask_of_the_start(build: BuildDaemon) -> None:
    daemon = build(rails=UMASK_RAILS)
    daemon.start(around=("sh", "-c", 'umask 027; exec "$@"', "sh"))
    job = daemon.run("look", "echo x > made")
    [step] = [step for step in job["steps"] if step["name"] == "umask"]
    assert step["output"].split() == ["0027", "640"]


def test_others_can_clone_the_repository_after_a_merge(build: BuildDaemon) -> None:
    daemon = build()
    readable = {path: path.stat().st_mode & 0o777 for path in daemon.repository.rglob("*")}
    assert {mode & 0o044 for mode in readable.values()} == {0o044}, "the repository is one that others can read"
    daemon.start(around=("sh", "-c", 'umask 022; exec "$@"', "sh"))
    job = daemon.run("free", "mkdir deep; echo x > deep/made")
    daemon.git("update-ref", "refs/heads/main", f"refs/heads/{job['branch']}")
    modes = {path: path.stat().st_mode & 0o777 for path in daemon.repository.rglob("*")}
    assert len(modes) > len(readable)
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o044 != 0o044} == {}
    assert {path: oct(mode) for path, mode in modes.items() if path.is_dir() and mode & 0o011 != 0o011} == {}
    if os.getuid() == 0:  # only root can try it as somebody else
        daemon.root.chmod(0o711)
        place, config = daemon.root / "place", daemon.root / "gitconfig"
        place.mkdir()
        place.chmod(0o777)
        config.write_text("[safe]\n\tdirectory = *\n")
        config.chmod(0o644)
        environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_NOSYSTEM": "1"}
        argv = ["git", "clone", "-q", f"file://{daemon.repository}", str(place / "clone")]
        subprocess.run(
            argv, user=65534, group=65534, extra_groups=[], cwd="/", env=environ, check=True, timeout=TIMEOUT
        )
        assert (place / "clone" / "deep" / "made").read_text() == "x\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_says_what_a_second_signal_does(build: BuildDaemon, number: signal.Signals) -> None:
    daemon = build(grace="1h")
    process = daemon.start()
    daemon.step(daemon.dispatch("free", "sleep 60"), "agent")
    process.send_signal(number)
    wait_until(lambda: "stopping; a second signal ends the daemon at once" in daemon.log_tail(), "the log says it")
    assert process.poll() is None
    process.send_signal(number)
    assert process.wait(TIMEOUT) == 1


def test_secrets_may_be_in_the_environment_file(build: BuildDaemon) -> None:
    daemon = build()
    daemon.write_settings()
    file = daemon.config / "environment"
    argv = [sys.executable, "-m", "stitcherd", "--check", "--config", str(daemon.config)]

    def check() -> tuple[int, str]:
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=TIMEOUT)
        return done.returncode, done.stderr

    code, told = check()
    assert (code, "the environment variable E2E_SECRET is not set" in told) == (2, True)
    file.write_text("# of the forge\nE2E_SECRET=shh-very-secret\n")
    code, told = check()
    assert code == 0, told
    file.unlink()
    file.mkdir()
    assert check() == (2, f"{file} cannot be read: Is a directory\n")


def test_without_settings_the_log_names_stitcher_init(build: BuildDaemon) -> None:
    daemon = build()
    daemon.rails.unlink()
    daemon.root.joinpath("file").touch()  # in place of the state directory: the default port is never bound
    process = daemon.spawn(("env", f"XDG_STATE_HOME={daemon.root}/file"))
    assert process.wait(TIMEOUT) == 1
    assert f"there is no stitcherd.toml in {daemon.config}: stitcher init writes a first one" in daemon.log_tail()
    (daemon.config / "stitcherd.toml").touch()
    daemon.log.write_text("")
    assert daemon.spawn(("env", f"XDG_STATE_HOME={daemon.root}/file")).wait(TIMEOUT) == 1
    assert "stitcher init" not in daemon.log_tail()


def test_a_key_of_an_app_that_cannot_be_used_is_named(build: BuildDaemon, tmp_path: Path) -> None:
    key = tmp_path / "app.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    source = '[sources.hub]\nkind = "github"\napi = "https://api.github.com"\nsecrets = [{env = "E2E_SECRET"}]\n'
    daemon = build(settings=f'{source}app = {{id = "Iv23", key = {{file = "{key}"}}}}\n')
    assert daemon.start(ready=False).wait(TIMEOUT) == 2
    assert "stitcherd.toml: sources.hub.app: the key of the App is not a private key in PEM" in daemon.log_tail()


def test_a_second_daemon_names_the_first(build: BuildDaemon) -> None:
    daemon = build()
    first = daemon.start()
    second = daemon.start(ready=False)
    assert second.wait(TIMEOUT) == 1
    assert f"state directory {daemon.state} is in use by pid {first.pid}" in daemon.log_tail(1)
    other = build()
    text = (daemon.config / "stitcherd.toml").read_text()
    (daemon.config / "stitcherd.toml").write_text(text.replace(f'"{daemon.state}"', f'"{other.state}"'))
    third = daemon.spawn()
    assert third.wait(TIMEOUT) == 1
    assert f"socket {daemon.socket} is in use by pid {first.pid}" in daemon.log_tail(1)
    daemon.process = first
    assert daemon.get("/meta")["pid"] == first.pid


@pytest.mark.parametrize("whole", [True, False])
def test_a_socket_that_was_removed_is_bound_again(build: BuildDaemon, *, whole: bool) -> None:
    daemon = build()
    first = daemon.start()
    first.send_signal(signal.SIGSTOP)  # or it could bind the socket again before the client looks
    shutil.rmtree(daemon.socket.parent) if whole else daemon.socket.unlink()
    client = [sys.executable, "-m", "tui", "--config", str(daemon.config), "ls"]
    missed = subprocess.run(client, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert missed.returncode == 3
    assert f"pid {first.pid} has the state directory {daemon.state}" in missed.stderr
    first.send_signal(signal.SIGCONT)
    wait_until(daemon.socket.is_socket, "the socket is bound again")
    assert daemon.get("/meta")["pid"] == first.pid
    assert daemon.stop() == 0
    assert not daemon.socket.exists()


def test_the_service_manager_is_told_when_webhooks_are_accepted(build: BuildDaemon) -> None:
    daemon = build()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(daemon.root / "notify"))
        manager.settimeout(TIMEOUT)
        daemon.start(around=("env", f"NOTIFY_SOCKET={daemon.root}/notify", "WATCHDOG_USEC=200000"))
        while (told := manager.recv(100)) != b"READY=1":
            assert told.startswith(b"EXTEND_TIMEOUT_USEC=")
        assert daemon.comment("@mosaic free true").status == 202
        assert manager.recv(100) == b"WATCHDOG=1"
        assert daemon.stop() == 0
        told = b""
        while told != b"STOPPING=1":
            told = manager.recv(100)


@pytest.mark.sqlite
def test_an_empty_database_in_place_of_one_with_events_is_refused_in_one_line(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    job = daemon.run("free", "touch made")
    assert daemon.stop() == 0
    database = daemon.state / "stitcher.db"
    kept = database.read_bytes()
    database.write_bytes(b"")
    assert daemon.start(ready=False).wait(TIMEOUT) == 1
    assert f"stitcherd: the database {database} is empty, but " in daemon.log_tail(1)
    assert (
        "restore a backup (stitcherd restore FILE), or remove stitcher.db, stitcher.db-wal and stitcher.db-mark"
        in daemon.log_tail(1)
    )
    assert "Traceback" not in daemon.log.read_text()
    database.write_bytes(kept)
    daemon.start()
    assert daemon.job(job["id"])["status"] == "COMPLETED"


def test_a_stale_socket_is_replaced(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    daemon.kill()
    assert daemon.socket.is_socket()
    begun = time.monotonic()
    daemon.start()
    assert time.monotonic() - begun < 10.0
    assert daemon.get("/readyz")["ready"] is True


def test_a_file_at_the_path_of_the_socket_is_not_touched(build: BuildDaemon) -> None:
    daemon = build()
    daemon.socket.parent.mkdir(mode=0o700)
    daemon.socket.write_text("mine")
    assert daemon.start(ready=False).wait(TIMEOUT) == 1
    assert "exists and is not a socket" in daemon.log_tail(1)
    assert daemon.socket.read_text() == "mine"


def test_a_port_in_use_is_reported(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    daemon.stop()
    with socket.create_server(("127.0.0.1", daemon.port)):
        process = daemon.spawn()
        assert process.wait(TIMEOUT) == 1
    fault = f"stitcherd: http.listen 127.0.0.1:{daemon.port} cannot be bound: address already in use; "
    assert daemon.log_tail(1) == f"{fault}end the program that uses it, or choose another http.listen in stitcherd.toml"
    assert "Traceback" not in daemon.log_tail(20)


def test_invalid_settings_are_refused(build: BuildDaemon) -> None:
    daemon = build(daemon="worker = 4")
    assert daemon.start(ready=False).wait(TIMEOUT) == 2
    assert daemon.log_tail(1).startswith("stitcherd.toml:")
    assert "workers" in daemon.log_tail(1)


def test_the_port_that_the_kernel_chose_is_logged(build: BuildDaemon) -> None:
    daemon = build()
    daemon.write_settings()
    settings = daemon.config / "stitcherd.toml"
    settings.write_text(settings.read_text().replace(f'"127.0.0.1:{daemon.port}"', '"127.0.0.1:0"'))
    daemon.spawn()
    line = re.compile(r"listening on .* and http://127\.0\.0\.1:(\d+)")
    found = wait_until(lambda: line.search(daemon.log.read_text()), "the daemon logs its port")
    socket.create_connection(("127.0.0.1", int(found[1])), TIMEOUT).close()


def test_checkouts_can_be_elsewhere(build: BuildDaemon, tmp_path: Path) -> None:
    daemon = build(daemon=f'checkouts = "{tmp_path}"')
    daemon.start()
    job = daemon.run("fix", "touch made; pwd")
    assert job["status"] == "COMPLETED"
    (directory,) = tmp_path.glob("stitcher-*")
    assert agent_output(job).startswith(f"{directory}/{job['id']}/")
    assert not (daemon.state / "checkouts").exists()
    daemon.stop()
    directory.chmod(0o777)
    process = daemon.start(ready=False)
    assert process.wait(20) == 1
    assert "is shared with others; see daemon.checkouts in stitcherd.toml" in daemon.log_tail()
