"""The demo's forge: it answers as the official description of the API says, and serves only who has the token."""

import base64
import json
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.forges.descriptions import GITEA
from tui.cli.demo import environment
from tui.cli.demo.environment import DemoFailed
from tui.cli.demo.forge import DemoForge

TOKEN = "the-token"
R = "/repos/octo-org/api"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[DemoForge]:
    environment.create_repository(tmp_path / "api.git", tmp_path / "seed")
    served = DemoForge(tmp_path, TOKEN)
    yield served
    served.stop()


def ask(forge: DemoForge, method: str, path: str, body: Any = None, token: str = TOKEN) -> tuple[int, Any]:
    """Return the answer to a request, both of which the description must allow."""
    assert list(GITEA.request_faults(method, path, [], body)) == []
    connection = HTTPConnection(urlsplit(forge.url).netloc, timeout=10)
    headers = {"Authorization": f"token {token}"}
    connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    content = json.loads(response.read())
    connection.close()
    if response.status < 300:
        assert list(GITEA.response_faults(method, path, response.status, content)) == []
    return response.status, content


def test_every_answer_is_one_of_the_description(forge: DemoForge) -> None:
    comment = forge.add_comment(479, "octocat", "@mosaic fix")
    assert ask(forge, "GET", "/user")[1]["login"] == "mosaic"
    levels = {login: ask(forge, "GET", f"{R}/collaborators/{login}/permission") for login in ("octocat", "drive-by")}
    assert {login: answer["permission"] for login, (_, answer) in levels.items()} == environment.LEVELS
    assert ask(forge, "POST", f"{R}/issues/comments/{comment}/reactions", {"content": "eyes"})[0] == 201
    status, created = ask(forge, "POST", f"{R}/issues/479/comments", {"body": "queued"})
    assert (status, created["user"]["login"]) == (201, "mosaic")
    assert ask(forge, "PATCH", f"{R}/issues/comments/{created['id']}", {"body": "done"})[1]["body"] == "done"
    wanted = {"state": "success", "context": "stitcher/fix", "description": "done"}
    assert ask(forge, "POST", f"{R}/statuses/{'c' * 40}", wanted)[1]["status"] == "success"
    change = {"title": "fix", "body": "by a job", "head": "main", "base": "main"}
    status, opened = ask(forge, "POST", f"{R}/pulls", change)
    assert (status, opened["head"]["ref"], len(opened["head"]["sha"])) == (201, "main", 40)
    assert [each.meaning for each in forge.log][-2:] == [
        "status of ccccccc: stitcher/fix is success",
        "change #482 from main to main: fix",
    ]
    assert {route.split()[0] for route in forge._routes()} == {each.method for each in forge.log}
    assert len(forge.log) == len(forge._routes()) + 1  # two permissions


def test_what_is_not_there_and_who_has_no_token(forge: DemoForge) -> None:
    assert ask(forge, "GET", "/user", token="another")[0] == 401
    for method, path, body in (
        ("PATCH", f"{R}/issues/comments/7", {"body": "x"}),
        ("POST", f"{R}/issues/comments/7/reactions", {"content": "eyes"}),
        ("GET", "/repos/octo-org/other/collaborators/octocat/permission", None),
    ):
        assert ask(forge, method, path, body)[0] == 404
    assert forge.reactions == []


def test_git_needs_the_token(forge: DemoForge, tmp_path: Path) -> None:
    url = f"{forge.url}/octo-org/api.git"
    listed = ["git", "-c", "credential.helper=", "ls-remote", url]
    environ = environment.git_environment() | {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "/bin/false"}
    assert subprocess.run(listed, env=environ, capture_output=True, check=False).returncode != 0
    basic = base64.b64encode(f"stitcher:{TOKEN}".encode()).decode()
    git = ("-c", f"http.extraHeader=Authorization: Basic {basic}")
    environment.run_git(*git, "clone", "-q", url, str(tmp_path / "clone"))
    environment.run_git(*git, "-C", str(tmp_path / "clone"), "push", "-q", "origin", "HEAD:refs/heads/stitcher/x")
    assert [each.meaning for each in forge.log] == ["git read the branches", "git fetched", "git pushed stitcher/x"]


def test_a_git_that_cannot_serve_repositories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui.cli.demo.forge.run_git", lambda *_: f"{tmp_path}\n")
    with pytest.raises(DemoFailed, match="no http-backend"):
        DemoForge(tmp_path, TOKEN)
