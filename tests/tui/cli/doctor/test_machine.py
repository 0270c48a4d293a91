"""The checks of the machine and the state directory."""

import os
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.checks import CheckState
from tests.e2e.harness import free_port
from tui.cli import bubblewrap
from tui.cli.doctor import machine, settings
from tui.cli.doctor import settings as doctor_settings


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


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
    fake = os.statvfs_result([1, 1, real.f_blocks, free, free, *list(real)[5:]])
    monkeypatch.setattr(os, "statvfs", lambda _: fake)
    assert [result.state for result in machine.check_state_directory(tmp_path)][:2] == states


def test_a_state_directory_that_does_not_exist(tmp_path: Path) -> None:
    result, *_ = machine.check_state_directory(tmp_path / "a" / "b")
    assert (result.state, "will be created" in result.detail) == (CheckState.OK, True)
    (tmp_path / "file").touch()
    result, *_ = machine.check_state_directory(tmp_path / "file")
    assert result.state is CheckState.PROBLEM


def test_a_missing_program(config: Path) -> None:
    path = config / "stitcherd.toml"
    path.write_text(path.read_text().replace('["sh"]', '["no-such-agent"]'))
    (result,) = machine.check_executors(settings.read_settings(config), daemon_runs=False)
    assert (result.state, "no-such-agent" in result.detail) == (CheckState.PROBLEM, True)


def test_a_program_that_is_not_executable(config: Path, tmp_path: Path) -> None:
    agent = tmp_path / "an agent.sh"
    agent.write_text("#!/bin/sh\n")
    path = config / "stitcherd.toml"
    path.write_text(path.read_text().replace('["sh"]', f'["{agent}"]'))
    (result,) = machine.check_executors(settings.read_settings(config), daemon_runs=False)
    assert (result.state, result.detail) == (CheckState.PROBLEM, f"{agent} is not executable")
    assert result.remedy == f"chmod +x '{agent}'"
    agent.chmod(0o755)
    (result,) = machine.check_executors(settings.read_settings(config), daemon_runs=False)
    assert result.state is CheckState.OK


def test_a_gateway_is_probed_only_without_a_daemon(used_port: int) -> None:
    def found(port: int, *, daemon_runs: bool = False) -> list[CheckState]:
        gateway = {"kind": "openclaw", "url": f"ws://127.0.0.1:{port}"}
        settings = doctor_settings.SettingsSummary({}, {"claw": gateway}, (), "127.0.0.1:1", ())
        return [result.state for result in machine.check_executors(settings, daemon_runs=daemon_runs)]

    assert found(used_port) == [CheckState.INFO]
    assert found(free_port()) == [CheckState.PROBLEM]
    assert found(99_999) == [CheckState.PROBLEM]
    assert found(used_port, daemon_runs=True) == []


def test_a_missing_sandbox_is_a_problem_if_the_rails_use_it(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "unavailable_reason", lambda: "No permissions to create new namespace")
    (result,) = machine.check_sandbox(config)
    assert (result.state, result.remedy is not None) == (CheckState.WARNING, True)
    (config / "rails.yaml").write_text("version: 1\nprofiles:\n  a: {sandbox: bwrap}\n")
    (result,) = machine.check_sandbox(config)
    assert result.state is CheckState.PROBLEM


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
    assert [result.state for result in machine.check_sqlite()] == [state]
