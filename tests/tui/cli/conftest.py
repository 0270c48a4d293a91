"""Fixtures for the command line: a valid configuration, the doctor, and completion with an API behind it."""

import json
from pathlib import Path

import pytest

from shared.checks import CheckResult, CheckState
from tests.e2e.harness import free_port
from tests.tui import documents
from tests.tui.cli.examine import Complete, Examine, Results
from tests.tui.fake_api import FakeApi
from tui.__main__ import main
from tui.cli.completion.candidates import complete
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
RAILS: documents.Document = {
    **dict.fromkeys(("revision", "loadedAt", "mode", "text", "error")),
    "path": "rails.yaml",
    "warnings": [],
    "effective": {"jobs": {"fix": {}, "triage": {}, "$(reboot)": {}}},
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Creates the directory of a valid configuration; no daemon uses it."""
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
def examine(config: Path, capsys: pytest.CaptureFixture[str]) -> Examine:
    def run(*argv: str) -> tuple[int, Results]:
        code = main(["--config", str(config), *argv, "doctor", "--json"])
        document = json.loads(capsys.readouterr().out)
        assert document["ok"] is (code == 0)
        by_name: Results = {}
        for each in document["checks"]:
            by_name.setdefault(each["name"], []).append(CheckResult(**{**each, "state": CheckState(each["state"])}))
        return code, by_name

    return run


@pytest.fixture
def completion(api: FakeApi) -> Complete:
    """Completes with a daemon that knows two jobs, a delivery and three job types; some names are unsafe in a shell."""
    hostile = documents.job(id="01", status="QUEUED", repository="$(reboot)", type="fix\x1b")
    page: documents.Document = {"items": [documents.job(), hostile], "next": None, "cursor": 1, "counts": {}}
    api.answers["GET /runner-jobs"] = 200, page
    api.answers["GET /deliveries"] = 200, {"items": [documents.DELIVERY], "next": None}
    api.answers["GET /rails"] = 200, RAILS

    def candidates(*words: str) -> list[str]:
        return [each.word for each in complete(words, DaemonClient(api.path)).words]

    return candidates
