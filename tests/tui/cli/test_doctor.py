"""What the doctor finds: each fault in its line with what helps, and everything else looked at all the same."""

import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import free_port
from tests.tui.fake_api import FakeApi
from tui.__main__ import main
from tui.cli import bubblewrap
from tui.cli.doctor import daemon, files, machine, settings
from tui.cli.doctor import settings as doctor_settings
from tui.cli.doctor.result import CheckResult, CheckState
from tui.client import listener
from tui.client.http import DaemonClient

SETTINGS = """\
[daemon]
state_dir = "state"
[http]
listen = "127.0.0.1:{port}"
[sources.github]
kind = "github"
secrets = [{{env = "DOCTORS_SECRET"}}, {{file = "old"}}]
[sources.bot]
kind = "mosaic"
secrets = [{{file = "old"}}]
[executors.agent]
kind = "command"
argv = ["sh"]
"""
META = {"version": "0.1.0", "api": "1", "instance": "i", "pid": 7, "startedAt": "2099-11-22T14:02:11.284Z"}
AWAKE: dict[str, Any] = {"paused": False, "since": None, "actor": None, "reason": None, "running": [], "queued": 0}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good configuration of which nothing is installed elsewhere."""
    monkeypatch.setenv("DOCTORS_SECRET", "shh-very-secret")
    monkeypatch.delenv("STITCHER_SOCKET", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    directory = tmp_path / "config"
    for each in (directory, directory / "state"):
        each.mkdir(mode=0o700)
    (directory / "old").touch(mode=0o600)
    (directory / "old").write_text("hush-very-secret\n")
    (directory / "stitcherd.toml").write_text(SETTINGS.format(port=free_port()))
    (directory / "rails.yaml").write_text("version: 1\n")
    for each in directory.glob("*.*"):
        each.chmod(0o600)
    return directory


@pytest.fixture
def stranger() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


Examine = Callable[..., tuple[int, dict[str, list[CheckResult]]]]


@pytest.fixture
def examine(config: Path, capsys: pytest.CaptureFixture[str]) -> Examine:
    """Runs the doctor; gives the exit code, and the findings by name."""

    def run(*argv: str) -> tuple[int, dict[str, list[CheckResult]]]:
        code = main(["--config", str(config), *argv, "doctor", "--json"])
        document = json.loads(capsys.readouterr().out)
        assert document["ok"] is (code == 0)
        by_name: dict[str, list[CheckResult]] = {}
        for each in document["checks"]:
            by_name.setdefault(each["name"], []).append(CheckResult(**{**each, "state": CheckState(each["state"])}))
        return code, by_name

    return run


def states(found: dict[str, list[CheckResult]], name: str) -> list[CheckState]:
    return [finding.state for finding in found[name]]


def test_a_daemon_that_does_not_run_is_a_problem_and_all_else_is_looked_at(examine: Examine) -> None:
    code, found = examine()
    assert code == 1
    assert states(found, "daemon") == [CheckState.PROBLEM]
    assert found["daemon"][0].remedy == "start it with: stitcherd"
    for name in ("configuration", "stitcherd.toml", "secrets", "state directory", "socket", "program agent", "git"):
        assert states(found, name) == [CheckState.OK], found[name]
    assert {"sandbox", "sqlite", "clock", "disk", "public listener", "webhook"} <= found.keys()


def test_with_a_daemon_all_can_be_well(examine: Examine, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "unavailable_reason", lambda: None)
    monkeypatch.setattr(listener, "check_health", lambda *_: True)
    api.path.parent.chmod(0o700)
    api.path.chmod(0o600)
    check = {"name": "executor:agent", "ok": True, "detail": "starts sh", "since": META["startedAt"]}
    api.answers["GET /meta"] = 200, META
    api.answers["GET /readyz"] = 200, {"ready": True, "checks": [check]}
    api.answers["GET /pause"] = 200, AWAKE
    code, found = examine("--socket", str(api.path))
    assert code == 0, found
    assert states(found, "ready: executor agent") == [CheckState.OK]
    assert "pause" not in found


def test_what_the_daemon_says_of_itself_is_told(api: FakeApi, config: Path) -> None:
    api.answers["GET /meta"] = 200, {**META, "version": "0.0.9", "startedAt": "2001-11-22T14:02:11.284Z"}
    away = {"name": "executor:agent", "ok": False, "detail": "connection \x1b[31mrefused", "since": "then"}
    api.answers["GET /readyz"] = 503, {"ready": False, "checks": [away]}
    api.answers["GET /pause"] = 200, {**AWAKE, "paused": True, "actor": "uid:0", "since": "then", "queued": 3}
    there = DaemonClient(api.path)
    meta, said = daemon.check_meta(there)
    assert meta is not None
    found = {finding.name: finding for finding in [*said, *daemon.check_readiness(there, meta, config)]}
    assert (found["daemon"].state, "this client is 0.1.0" in found["daemon"].detail) == (CheckState.WARNING, True)
    assert found["ready: executor agent"].detail == r"connection \x1b[31mrefused, since then"
    assert found["ready: executor agent"].state is CheckState.PROBLEM
    assert (found["pause"].state, found["pause"].remedy) == (CheckState.WARNING, "stitcher resume")
    assert "after the daemon read it" in found["stitcherd.toml"].detail


def test_faults_of_both_files_are_those_of_the_daemon(examine: Examine, config: Path) -> None:
    (config / "rails.yaml").write_text("version: 1\njobbs: {}\n")
    code, found = examine()
    assert (code, states(found, "stitcherd.toml"), states(found, "rails.yaml")) == (
        1,
        [CheckState.OK],
        [CheckState.PROBLEM],
    )
    assert found["rails.yaml"][0].detail.startswith("rails.yaml:2:1: ")
    (config / "stitcherd.toml").write_text("[daemon]\nworker = 3\n")
    code, found = examine()
    assert (code, states(found, "stitcherd.toml"), states(found, "rails.yaml")) == (
        1,
        [CheckState.PROBLEM],
        [CheckState.INFO],
    )
    assert "did you mean workers?" in found["stitcherd.toml"][0].detail


def test_a_missing_configuration_is_reported_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "check_health", lambda *_: None)  # some program may use the default port
    assert main(["--config", str(tmp_path / "none"), "--socket", str(tmp_path / "s"), "doctor"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith(f"✗ problem  configuration             there is no directory {tmp_path / 'none'}\n")
    assert "→ start with: stitcher init" in said.out
    assert "rails.yaml" not in said.out
    assert said.err.startswith("2 problems")


def test_a_variable_that_is_not_set_is_a_fault_of_its_own(
    examine: Examine, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCTORS_SECRET")
    _, found = examine()
    assert (states(found, "stitcherd.toml"), states(found, "secrets")) == ([CheckState.OK], [CheckState.PROBLEM])
    assert "DOCTORS_SECRET" in found["secrets"][0].detail
    (running,) = files.check_secrets(settings.read_settings(config), daemon_runs=True)
    assert running.state is CheckState.WARNING


def test_secrets_are_never_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config / "old").chmod(0o644)
    main(["--config", str(config), "doctor"])
    said = capsys.readouterr()
    assert "very-secret" not in said.out + said.err
    assert f"chmod 600 {config / 'old'}" in said.out


def test_who_may_write_the_configuration(config: Path) -> None:
    config.chmod(0o770)
    (finding,) = files.check_config_directory(config)
    assert (finding.state, finding.remedy) == (CheckState.PROBLEM, f"chmod go-w {config}")


@pytest.mark.parametrize(
    ("mode", "free", "states"),
    [
        (0o700, 2**32, [CheckState.OK, CheckState.OK]),
        (0o755, 2**29, [CheckState.WARNING, CheckState.WARNING]),
        (0o700, 2**20, [CheckState.OK, CheckState.PROBLEM]),
    ],
)
def test_the_state_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, free: int, states: list[CheckState]
) -> None:
    tmp_path.chmod(mode)
    real = os.statvfs(tmp_path)
    told = os.statvfs_result([1, 1, real.f_blocks, free, free, *list(real)[5:]])
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    assert [finding.state for finding in machine.check_state_directory(tmp_path)][:2] == states


def test_a_state_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    finding, *_ = machine.check_state_directory(tmp_path / "a" / "b")
    assert (finding.state, "will be created" in finding.detail) == (CheckState.OK, True)
    (tmp_path / "file").touch()
    finding, *_ = machine.check_state_directory(tmp_path / "file")
    assert finding.state is CheckState.PROBLEM


def test_the_socket(tmp_path: Path) -> None:
    place = tmp_path / "run" / "s"
    place.parent.mkdir(mode=0o700)

    def found(*, answers: bool = False) -> list[CheckResult]:
        return list(daemon.check_socket(place, answers=answers))

    assert [each.state for each in found()] == [CheckState.OK]
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.close()
    assert ["nothing answers" in each.detail for each in found()] == [True]
    place.chmod(0o666)
    assert [each.remedy for each in found(answers=True)] == [f"chmod 600 {place}"]
    place.unlink()
    place.touch()
    assert ["is not a socket" in each.detail for each in found()] == [True]
    place.parent.chmod(0o1777)
    assert ["is shared with others" in each.detail for each in found()] == [True]


def test_a_socket_path_that_is_too_long(examine: Examine) -> None:
    code, found = examine("--socket", f"/{'x' * 120}")
    assert (code, "107" in found["socket"][0].detail) == (1, True)


def test_a_program_that_is_not_there(config: Path) -> None:
    path = config / "stitcherd.toml"
    path.write_text(path.read_text().replace('["sh"]', '["no-such-agent"]'))
    (finding,) = machine.check_executors(settings.read_settings(config), daemon_runs=False)
    assert (finding.state, "no-such-agent" in finding.detail) == (CheckState.PROBLEM, True)


def test_a_gateway_is_looked_for_where_no_daemon_asks_it(stranger: int) -> None:
    def found(port: int, *, daemon_runs: bool = False) -> list[CheckState]:
        gateway = {"kind": "openclaw", "url": f"ws://127.0.0.1:{port}"}
        settings = doctor_settings.SettingsSummary({}, {"claw": gateway}, (), "127.0.0.1:1", ())
        return [finding.state for finding in machine.check_executors(settings, daemon_runs=daemon_runs)]

    assert found(stranger) == [CheckState.INFO]
    assert found(free_port()) == [CheckState.PROBLEM]
    assert found(99_999) == [CheckState.PROBLEM]
    assert found(stranger, daemon_runs=True) == []


def test_a_sandbox_is_needed_where_the_rails_want_one(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "unavailable_reason", lambda: "No permissions to create new namespace")
    (finding,) = machine.check_sandbox(config)
    assert (finding.state, finding.remedy is not None) == (CheckState.WARNING, True)
    (config / "rails.yaml").write_text("version: 1\nprofiles:\n  a: {sandbox: bwrap}\n")
    (finding,) = machine.check_sandbox(config)
    assert finding.state is CheckState.PROBLEM


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ((3, 40, 1), CheckState.INFO),
        ((3, 44, 6), CheckState.OK),
        ((3, 50, 7), CheckState.OK),
        ((3, 51, 3), CheckState.OK),
    ],
)
def test_sqlite(monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], state: CheckState) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    assert [finding.state for finding in machine.check_sqlite()] == [state]


@pytest.mark.parametrize(
    ("hosts", "urls"),
    [
        ([], ["http://127.0.0.1:1/stitcher/webhook/github", "http://127.0.0.1:1/stitcher/webhook"]),
        (["localhost", "hooks.example"], ["https://hooks.example/stitcher/webhook/github", "https://hooks.example/stitcher/webhook"]),
    ],
)  # fmt: skip
def test_each_sender_is_told_its_url(config: Path, hosts: list[str], urls: list[str]) -> None:
    settings = doctor_settings.read_settings(config)
    settings = doctor_settings.SettingsSummary(settings.sources, {}, (), "127.0.0.1:1", tuple(hosts))
    findings = list(daemon.check_webhooks(settings))
    assert all(f"→ {url}" in finding.detail for url, finding in zip(urls, findings, strict=True))
    assert (findings[0].remedy is None) == bool(hosts)


def test_a_port_that_somebody_else_has(stranger: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "_PROBE_TIMEOUT", 0.2)
    settings = doctor_settings.SettingsSummary({}, {}, (), f"127.0.0.1:{stranger}", ())
    (finding,) = daemon.check_listener(settings, daemon_runs=False)
    assert (finding.state, "something else" in finding.detail) == (CheckState.PROBLEM, True)
    settings = doctor_settings.SettingsSummary({}, {}, (), f"127.0.0.1:{free_port()}", ())
    assert [each.state for each in daemon.check_listener(settings, daemon_runs=False)] == [CheckState.OK]
    assert [each.state for each in daemon.check_listener(settings, daemon_runs=True)] == [CheckState.PROBLEM]
