"""`stitcher rails test`: it needs no daemon, and no secret of the daemon's environment."""

import json
from pathlib import Path

import pytest

from tests.tui.fake_api import RunStitcher

SETTINGS = '[sources.hub]\nkind = "mosaic"\nsecrets = [{env = "NEVER_SET"}]\n'
CASE = '- {{name: "{name}", source: hub, body: {{}}, expect: {{verdict: {verdict}}}}}\n'
BODY = '{issueNumber: "1", repository: octo-org/api, action: commented, comment: hello}'


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NEVER_SET", raising=False)
    (tmp_path / "stitcherd.toml").write_text(SETTINGS)
    (tmp_path / "rails.yaml").write_text("version: 1\n")
    return tmp_path


def write(path: Path, *cases: tuple[str, str]) -> None:
    text = "".join(CASE.format(name=name, verdict=verdict) for name, verdict in cases)
    path.write_text(text.replace("body: {}", f"body: {BODY}"))


def test_each_case_is_a_line_and_a_failed_one_says_why(stitcher: RunStitcher, config: Path) -> None:
    write(config / "rails.test.yaml", ("a remark", "ignored"), ("odd\\e", "denied"))
    code, out, err = stitcher("rails", "test", "--config", str(config))
    assert code == 1
    first, second, expected, found = out.splitlines()
    assert (first, second) == ("✓ a remark", "✗ odd\\x1b  (rails.test.yaml:2)")
    assert expected == "    expected denied"
    assert found.startswith("    found    ignored: no trigger wants ")
    assert err.endswith(": 1 case failed\n")
    code, out, _ = stitcher("rails", "test", "--config", str(config), "--json")
    assert (code, [each["ok"] for each in json.loads(out)["items"]]) == (1, [True, False])


def test_another_file_and_other_rails_may_be_named(stitcher: RunStitcher, config: Path, tmp_path: Path) -> None:
    write(tmp_path / "mine.yaml", ("a remark", "ignored"))
    words = ("rails", "test", str(tmp_path / "mine.yaml"), "--config", str(config))
    code, out, err = stitcher(*words)
    assert (code, out) == (0, "✓ a remark\n")
    assert err.endswith(": all passed\n")
    (tmp_path / "new.yaml").write_text("version: 2\n")
    code, out, err = stitcher(*words, "--rails", str(tmp_path / "new.yaml"))
    assert (code, out) == (2, "")
    assert err.startswith("new.yaml:1:10: ")


def test_a_file_that_is_missing_is_a_usage_error(stitcher: RunStitcher, config: Path) -> None:
    code, out, err = stitcher("rails", "test", "--config", str(config))
    assert (code, out) == (2, "")
    assert err == f"stitcher: there are no cases yet: write them into {config}/rails.test.yaml, or name another file\n"
