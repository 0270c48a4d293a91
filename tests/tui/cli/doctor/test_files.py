"""The checks of the configuration files and secrets."""

from pathlib import Path

import pytest

from shared.checks import CheckState
from tests.tui.cli.examine import Examine, states
from tui.cli.doctor import files, settings


def test_an_unset_variable_is_a_problem_of_its_own(
    examine: Examine, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCTORS_SECRET")
    _, found = examine()
    assert (states(found, "stitcherd.toml"), states(found, "secrets")) == ([CheckState.OK], [CheckState.PROBLEM])
    assert "DOCTORS_SECRET" in found["secrets"][0].detail
    (running,) = files.check_secrets(config, settings.read_settings(config), daemon_runs=True)
    assert running.state is CheckState.WARNING


def test_a_secret_of_the_environment_file_is_set_and_must_be_private(
    examine: Examine, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOCTORS_SECRET")
    (config / "environment").write_text("DOCTORS_SECRET=shh-very-secret\n")
    (config / "environment").chmod(0o600)
    _, found = examine()
    assert states(found, "secrets") == [CheckState.OK]
    (config / "environment").chmod(0o644)
    _, found = examine()
    assert states(found, "secrets") == [CheckState.WARNING]
    assert found["secrets"][0].remedy == f"chmod 600 {config / 'environment'}"


def test_a_configuration_that_others_can_write(config: Path) -> None:
    config.chmod(0o770)
    (result,) = files.check_config_directory(config)
    assert (result.state, result.remedy) == (CheckState.PROBLEM, f"chmod go-w {config}")


def test_the_secret_of_whom_to_notify_is_one_of_them(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UNSET_HOOK", raising=False)
    with (config / "stitcherd.toml").open("a") as file:
        file.write('[[notify]]\non = ["job.failed"]\nurl = "https://a.example"\nsecret = {env = "UNSET_HOOK"}\n')
    found = settings.read_settings(config)
    assert [(each.key, each.env) for each in found.unset] == [("notify.1.secret", "UNSET_HOOK")]
    assert found.complete_environment["UNSET_HOOK"]
