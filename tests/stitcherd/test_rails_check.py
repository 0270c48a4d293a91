"""The cases of a policy as `stitcher rails test` and `stitcherd --check` run them."""

import json
from pathlib import Path

import pytest

from shared import locations
from stitcherd import rails_check
from stitcherd.__main__ import check_files
from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS

SETTINGS = '[sources.hub]\nkind = "mosaic"\nsecrets = [{env = "SECRET"}]\n'
RAILS = "version: 1\n"
CASES = """\
- name: a remark is ignored
  source: hub
  body: {issueNumber: "1", repository: octo-org/api, action: commented, comment: hello}
  expect: {verdict: ignored}
- name: nobody may ask
  source: hub
  body: {issueNumber: "1", repository: octo-org/api, action: mentioned, comment: "@mosaic fix"}
  expect: {verdict: denied}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SECRET", "a-secret-of-the-source")
    (tmp_path / "stitcherd.toml").write_text(SETTINGS)
    (tmp_path / "rails.yaml").write_text(RAILS)
    (tmp_path / locations.RAILS_TEST_FILE).write_text(CASES)
    return tmp_path


def run(config: Path) -> int:
    cases = config / locations.RAILS_TEST_FILE
    return rails_check.main(["--config", str(config), "--rails", str(config / "rails.yaml"), "--", str(cases)])


def test_the_report_has_each_case(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(each["name"], each["line"], each["ok"]) for each in report["items"]] == [
        ("a remark is ignored", 1, True),
        ("nobody may ask", 5, False),
    ]
    assert report["items"][1]["expected"] == "denied"
    assert report["items"][1]["found"].startswith("ignored: ")


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("stitcherd.toml", "[daemon]\nworker = 1", "stitcherd.toml:2: unknown key 'worker'"),
        ("rails.yaml", "version: 1\njobbs: {}", "rails.yaml:2:1: unknown key 'jobbs'"),
        ("rails.test.yaml", "- {nam: a}", "rails.test.yaml:1:4: unknown key 'nam'"),
    ],
)
def test_a_fault_of_a_file_is_told(
    config: Path, capsys: pytest.CaptureFixture[str], file: str, text: str, fault: str
) -> None:
    (config / file).write_text(text)
    assert run(config) == 2
    assert fault in capsys.readouterr().err


def check(config: Path) -> int:
    return check_files(config / "rails.yaml", load_settings(config, SUPPORTED_KINDS))


def test_the_check_of_the_daemon_runs_the_cases_beside_the_rails(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(config) == 2
    assert "rails.test.yaml:5:1: nobody may ask: expected denied, found ignored: " in capsys.readouterr().err
    (config / locations.RAILS_TEST_FILE).write_text(CASES.replace("denied", "ignored"))
    assert check(config) == 0
    assert capsys.readouterr().out.endswith("; 2 cases of rails.test.yaml passed\n")
    (config / locations.RAILS_TEST_FILE).write_text("- {nam: a}")
    assert check(config) == 2
    assert "rails.test.yaml:1:4: unknown key 'nam'" in capsys.readouterr().err
    (config / locations.RAILS_TEST_FILE).unlink()
    assert check(config) == 0
    assert "cases" not in capsys.readouterr().out
