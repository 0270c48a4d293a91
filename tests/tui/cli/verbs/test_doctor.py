"""`stitcher doctor`: all checks together."""

from pathlib import Path
from typing import Any

import pytest

from shared.checks import CheckState
from tests.tui.cli.examine import Examine, states
from tests.tui.fake_api import FakeApi
from tests.tui.fake_daemon import PULSE
from tui.__main__ import main
from tui.cli import bubblewrap
from tui.client import listener

META = {"version": "0.1.0", "api": "1", "instance": "i", "pid": 7, "startedAt": "2099-11-22T14:02:11.284Z"}

NOT_PAUSED: dict[str, Any] = {"paused": False, "since": None, "actor": None, "reason": None, "running": [], "queued": 0}


def test_a_stopped_daemon_is_a_problem_and_the_other_checks_still_run(examine: Examine) -> None:
    code, found = examine()
    assert code == 1
    assert states(found, "daemon") == [CheckState.PROBLEM]
    assert found["daemon"][0].remedy == "start it with: stitcherd"
    for name in (
        "configuration",
        "stitcherd.toml",
        "secrets",
        "state directory",
        "socket",
        "program agent",
        "executor agent",
        "git",
    ):
        assert states(found, name) == [CheckState.OK], found[name]
    assert {"sandbox", "sqlite", "clock", "disk", "public listener", "webhook"} <= found.keys()


def test_without_problems_the_exit_code_is_0(examine: Examine, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "unavailable_reason", lambda: None)
    monkeypatch.setattr(listener, "check_health", lambda *_: True)
    api.path.parent.chmod(0o700)
    api.path.chmod(0o600)
    check = {"name": "executor:agent", "ok": True, "detail": "starts sh", "since": META["startedAt"]}
    api.answers["GET /meta"] = 200, META
    api.answers["GET /readyz"] = 200, {"ready": True, "checks": [check]}
    api.answers["GET /pause"] = 200, NOT_PAUSED
    api.answers["GET /pulse"] = 200, PULSE
    code, found = examine("--socket", str(api.path))
    assert code == 0, found
    assert states(found, "ready: executor agent") == [CheckState.OK]
    assert not {"pause", "signatures"} & found.keys()


def test_errors_in_both_files_are_those_of_the_daemon(examine: Examine, config: Path) -> None:
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
    captured = capsys.readouterr()
    assert captured.out.startswith(f"✗ problem  configuration             there is no directory {tmp_path / 'none'}\n")
    assert "→ start with: stitcher init" in captured.out
    assert "rails.yaml" not in captured.out
    assert captured.err.startswith("2 problems")


def test_secrets_are_never_shown(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config / "old").chmod(0o644)
    main(["--config", str(config), "doctor"])
    captured = capsys.readouterr()
    assert "very-secret" not in captured.out + captured.err
    assert f"chmod 600 {config / 'old'}" in captured.out


def test_a_socket_path_that_is_too_long(examine: Examine) -> None:
    code, found = examine("--socket", f"/{'x' * 120}")
    assert (code, "107" in found["socket"][0].detail) == (1, True)
