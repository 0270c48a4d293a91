"""Cases of a policy are decided as their deliveries would be, on any machine."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import json

from shared.checks import CaseResult
from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS, rails_context
from stitcherd.jobs.rails_cases import run_cases
from stitcherd.rails.cases import load_cases
from stitcherd.rails.load import parse_rails
from stitcherd.sandbox import bubblewrap
from tests.e2e.webhooks import comment_body

SETTINGS = """
[sources.github]
kind = "github"
secrets = [{env = "SECRET"}]
api = "https://api.github.com"
token = {env = "SECRET"}
[repositories."octo-org/*"]
clone = "https://github.com/{owner}/{name}.git"
[repositories."local/*"]
clone = "/srv/{name}.git"
[executors.agent]
kind = "command"
argv = ["no-such-agent"]
"""
RAILS = """
version: 1
people:
  team: {users: ["github:octocat"]}
  writers: {permission: write}
profiles:
  weaver: {capabilities: [repo:read, repo:write], executor: agent, sandbox: bwrap, processes: 64}
jobs:
  fix: {profile: weaver, needs: [repo:write]}
  big: {profile: weaver, needs: [repo:write]}
triggers:
  - {id: fix, on: [issue.comment], command: fix, from: [team], job: fix}
  - {id: big, on: [issue.comment], command: big, from: [writers], job: big}
"""


def run(
    directory: Path, text: str, expect: dict[str, str], *, mode: str = "enforce", **case: Any
) -> tuple[bool, CaseResult]:
    (directory / "stitcherd.toml").write_text(SETTINGS)
    settings = load_settings(directory, SUPPORTED_KINDS)
    rails = parse_rails(RAILS.replace("version: 1", f"version: 1\nmode: {mode}"), rails_context(directory, settings))
    login = case.pop("login", "octocat")
    document = json.decode(comment_body(text, login=login))
    document["comment"]["user"]["id"] = document["sender"]["id"] = 7
    (directory / "body.json").write_bytes(json.encode(document))
    headers = {"X-GitHub-Event": "issue_comment"}
    written = {"name": "it", "source": "github", "headers": headers, "payload": "body.json", "expect": expect} | case
    (directory / "rails.test.yaml").write_bytes(json.encode([written]))
    (result,) = run_cases(load_cases(directory / "rails.test.yaml"), rails, settings)
    return result.ok, result


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "a-secret-of-the-forge")
    monkeypatch.setattr(bubblewrap, "unavailable_reason", lambda: "there is no program bwrap")
    monkeypatch.setattr(bubblewrap, "unenforceable_limits", lambda: {"processes": "root"})


@pytest.mark.parametrize(
    ("text", "login", "more", "expect"),
    [
        ("@mosaic fix it", "octocat", {}, {"verdict": "allowed", "job": "fix", "reason": "trigger fix"}),
        ("@mosaic fix it", "eve", {}, {"verdict": "denied", "reason": "eve is in none of team"}),
        ("just a remark", "octocat", {}, {"verdict": "ignored"}),
        ("@mosaic big thing", "octocat", {}, {"verdict": "deciding", "reason": "asking github"}),
        ("@mosaic big thing", "octocat", {"permissions": {"octocat": "write"}}, {"verdict": "allowed", "job": "big"}),
        ("@mosaic big thing", "octocat", {"permissions": {"octocat": "read"}}, {"verdict": "denied"}),
        ("@mosaic fix it", "octocat", {"mode": "observe"}, {"verdict": "ignored", "reason": "would have been allowed"}),
    ],
)
def test_a_case_gets_the_verdict_of_its_delivery(
    tmp_path: Path, text: str, login: str, more: dict[str, Any], expect: dict[str, str]
) -> None:
    met, result = run(tmp_path, text, expect, login=login, **more)
    assert met, result


@pytest.mark.parametrize(
    ("expect", "more", "found"),
    [
        ({"verdict": "denied"}, {}, "allowed fix: trigger fix"),
        ({"verdict": "allowed", "job": "big"}, {}, "allowed fix: trigger fix"),
        ({"verdict": "allowed", "reason": "another"}, {}, "allowed fix: trigger fix"),
        ({"verdict": "allowed"}, {"source": "githab"}, "unknown source 'githab' (did you mean github?)"),
        ({"verdict": "allowed"}, {"payload": "stitcherd.toml"}, "it cannot be read: "),
    ],
)
def test_a_case_that_fails_says_what_was_found(
    tmp_path: Path, expect: dict[str, str], more: dict[str, Any], found: str
) -> None:
    met, result = run(tmp_path, "@mosaic fix it", expect, **more)
    assert not met
    assert result.found.startswith(found)
