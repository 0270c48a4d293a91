"""What the doctor finds out about the rights on each repository, with requests that change nothing."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from stitcherd import forge_rights
from stitcherd.forges import FORGES, rate_limit
from tests.forges.fake import Answer, FakeForge, Sent
from tests.forges.fake_github import FakeGitHub
from tests.forges.harness import FAKES, TOKEN
from tests.stitcherd.doctor_harness import APP_SETTING, RAILS, TOKEN_SETTING, of_state, run_check
from tests.stitcherd.git.http_repositories import GitServer

USERNAMES = {"gitea": "stitcher", "github": "x-access-token", "gitlab": "oauth2"}
REPOSITORY = '[repositories."octo-org/api"]\nclone = "{url}/octo-org/api.git"\n'
KINDS = pytest.mark.parametrize("kind", FAKES)
COMMENTS = {"github": "/issues/comments", "gitea": "/issues/comments", "gitlab": "/events"}  # lists of a repository
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOOK", "a-webhook-secret")
    monkeypatch.setenv("TOKEN", TOKEN)
    (tmp_path / "rails.yaml").write_text(RAILS)
    served = tmp_path / "octo-org" / "api.git"
    subprocess.run(["git", "init", "-q", "--bare", str(served)], check=True)
    subprocess.run(["git", "-C", str(served), "config", "http.receivepack", "true"], check=True)
    return tmp_path


def served(config: Path, kind: str, level: str = "admin") -> tuple[FakeForge, GitServer]:
    fake = FAKES[kind]()
    fake.repository.levels[1] = level
    git = GitServer(config, USERNAMES[kind], TOKEN)
    fake.git = git.answer
    return fake, git


async def check(config: Path, fake: FakeForge, kind: str, capsys: Capture, *argv: str, **more: Any) -> Any:
    return await run_check(config, fake, kind, capsys, *argv, **{"more": REPOSITORY, **more})


@KINDS
async def test_all_rights_are_there_and_nothing_is_changed(config: Path, kind: str, capsys: Capture) -> None:
    fake, git = served(config, kind)
    found = await check(config, fake, kind, capsys)
    assert of_state(found, "problem", "warning") == []
    assert of_state(found, "ok")[1] == (
        "octo-org/api: mosaic can look up what others may do, add reactions, comment, set statuses, open changes, push"
    )
    assert {each.method for each in fake.log} == {"GET"}
    assert [each.path for each in git.requests if each.method == "POST"] == []
    assert TOKEN not in str(found)


@KINDS
async def test_who_may_write_may_everything_but_at_gitea_look_up_permissions(
    config: Path, kind: str, capsys: Capture
) -> None:
    fake, _ = served(config, kind, "write")
    found = [each for each in await check(config, fake, kind, capsys) if each["state"] == "problem"]
    if kind != "gitea":
        assert found == []
        return
    [problem] = found
    assert problem["detail"] == "octo-org/api: mosaic cannot look up what others may do: it has write access"
    assert problem["remedy"] == "it needs to be an administrator of the repository: only they see what others may do"


@KINDS
async def test_who_may_read_can_comment_and_no_more(config: Path, kind: str, capsys: Capture) -> None:
    fake, git = served(config, kind, "read")
    git.forbidden = "git-receive-pack"
    found = await check(config, fake, kind, capsys)
    cannot = [each.split(" cannot ")[1].split(":")[0] for each in of_state(found, "problem")]
    lookup = [] if kind == "gitlab" else ["look up what others may do"]  # where members see each other
    assert cannot == [*lookup, "set statuses", "open changes", "push"]
    assert "403" in of_state(found, "problem")[-1]
    assert of_state(found, "ok")[1:] == []


@KINDS
async def test_the_lists_of_pull_are_tried(config: Path, kind: str, capsys: Capture) -> None:
    fake, _ = served(config, kind)
    polled = f'{TOKEN_SETTING}\npull = "60s"'
    found = await check(config, fake, kind, capsys, credential=polled)
    assert of_state(found, "problem", "warning") == []
    assert of_state(found, "ok")[1].endswith(", push, ask what happened")
    answer = fake.answer

    def refusing(sent: Sent) -> Answer:
        return Answer(403, {"message": "Forbidden"}) if sent.path.endswith(COMMENTS[kind]) else answer(sent)

    vars(fake)["answer"] = refusing
    found = await check(config, fake, kind, capsys, credential=polled)
    [problem] = [each for each in found if each["state"] == "problem"]
    assert problem["detail"].startswith("octo-org/api: cannot ask what happened: comments: ")
    assert "403" in problem["detail"]
    assert FORGES[kind].rights["list_news"] in problem["remedy"]


async def test_a_repository_that_does_not_answer_git(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(forge_rights, "PUSH_TIMEOUT", 0.2)
    fake, _ = served(config, "gitlab")

    async def silent(_request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(60)
        raise AssertionError

    fake.git = silent
    [problem] = of_state(await check(config, fake, "gitlab", capsys), "problem")
    assert problem == "octo-org/api: mosaic cannot push: git push was still running after 0.2 s and was ended."


@KINDS
async def test_a_repository_that_the_account_does_not_see(config: Path, kind: str, capsys: Capture) -> None:
    fake, _ = served(config, kind)
    fake.repository.name = "octo-org/other"
    [problem] = [each for each in await check(config, fake, kind, capsys) if each["state"] == "problem"]
    assert problem["detail"].startswith("octo-org/api: it cannot be read: ")
    assert problem["remedy"] == "give mosaic access to it"


async def test_only_what_the_rails_need_is_asked(config: Path, capsys: Capture) -> None:
    (config / "rails.yaml").write_text("version: 1\n")
    fake, git = served(config, "gitea", "read")
    found = await check(config, fake, "gitea", capsys)
    assert of_state(found, "ok")[1] == "octo-org/api: mosaic can read it"
    assert of_state(found, "problem") == []
    assert git.requests == []


@pytest.mark.parametrize(
    ("kind", "hook", "words"),
    [
        ("github", {"last_response": {"code": 502, "status": "x", "message": "bad"}}, "failed last: 502: bad"),
        ("github", {"active": False}, "is not active"),
        ("gitlab", {"alert_status": "disabled", "disabled_until": "2026-12-01"}, "disabled until 2026-12-01"),
        ("gitea", {"active": False}, "is not active"),
    ],
)
async def test_the_last_error_of_our_webhook(
    config: Path, kind: str, hook: dict[str, Any], words: str, capsys: Capture
) -> None:
    fake, _ = served(config, kind)
    ours, other = "https://bot.example/stitcher/webhook/hub", "https://ci.example/hook"
    for number, url in enumerate((ours, other), 1):
        fake.repository.hooks.append(rendered_hook(kind, number, url) | hook)
    [warning] = of_state(await check(config, fake, kind, capsys), "warning")
    assert warning.startswith("octo-org/api: the webhook to /stitcher/webhook/hub")
    assert warning.endswith(words)


def rendered_hook(kind: str, number: int, url: str) -> dict[str, Any]:
    if kind == "gitlab":
        return {"id": number, "url": url, "alert_status": "executable", "disabled_until": None}
    hook: dict[str, Any] = {"id": number, "type": "gitea", "events": [], "active": True, "config": {"url": url}}
    if kind == "gitea":
        return hook
    times = {"updated_at": "2026-11-22T14:00:00Z", "created_at": "2026-11-22T14:00:00Z"}
    last = {"code": 200, "status": "active", "message": "OK"}
    links = dict.fromkeys(("url", "test_url", "ping_url", "deliveries_url"), "https://api.github.com/x")
    return hook | times | links | {"type": "Repository", "name": "web", "last_response": last}


async def test_webhooks_that_the_token_may_not_read_are_no_fault(config: Path, capsys: Capture) -> None:
    fake, _ = served(config, "gitea", "write")
    (config / "rails.yaml").write_text("version: 1\n")
    found = await check(config, fake, "gitea", capsys)
    assert "octo-org/api: its webhooks cannot be read with this credential, which nothing else needs" in of_state(
        found, "info"
    )
    assert of_state(found, "problem", "warning") == []


async def test_a_pattern_is_checked_by_the_repositories_that_are_known(config: Path, capsys: Capture) -> None:
    pattern = '[repositories."octo-org/*"]\nclone = "{url}/{owner}/{name}.git"\n'
    fake, _ = served(config, "gitlab")
    found = await check(config, fake, "gitlab", capsys, more=pattern)
    assert any(each.startswith("octo-org/* is a pattern, and no delivery") for each in of_state(found, "info"))
    seen = ("--seen", "hub=octo-org/api", "--seen", "other=octo-org/else", "--seen", "hub=nobody/knows")
    found = await check(config, fake, "gitlab", capsys, *seen, more=pattern)
    assert [each.split(":")[0] for each in of_state(found, "ok", "problem")[1:]] == ["octo-org/api"]
    assert of_state(found, "info") == []
    polled = f'{TOKEN_SETTING}\npull = "60s"'
    found = await check(config, fake, "gitlab", capsys, *seen, more=pattern, credential=polled)
    assert "ask what happened" in of_state(found, "ok")[1]


@KINDS
async def test_with_pull_the_repositories_of_a_pattern_are_those_that_the_forge_lists(
    config: Path, kind: str, capsys: Capture
) -> None:
    pattern = '[repositories."octo-org/*"]\nclone = "{url}/{owner}/{name}.git"\n'
    polled = f'{TOKEN_SETTING}\npull = "60s"'
    fake, _ = served(config, kind)
    found = await check(config, fake, kind, capsys, more=pattern, credential=polled)
    assert [each.split(":")[0] for each in of_state(found, "ok", "problem")[1:]] == ["octo-org/api"]
    answer = fake.answer
    listing = FORGES[kind].list_repositories(1).request.path

    def refusing(sent: Sent) -> Answer:
        return Answer(403, {"message": "Forbidden"}) if sent.path == listing else answer(sent)

    vars(fake)["answer"] = refusing
    found = await check(config, fake, kind, capsys, more=pattern, credential=polled)
    [problem] = [each for each in found if each["state"] == "problem"]
    assert problem["detail"].startswith("the repositories of octo-org/* cannot be listed, so pull does not find them: ")
    assert FORGES[kind].rights["list_repositories"] in problem["remedy"]


async def test_the_permissions_that_an_app_lacks_by_name(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    pytest.importorskip("jwt", reason="the extra github-app is not installed")
    from tests.stitcherd.forges.test_app_credentials import KEY, pem

    monkeypatch.setenv("PEM", pem(KEY).decode())
    monkeypatch.setattr(rate_limit, "WRITE_INTERVAL", 1)  # each right is asked for with a token of its own
    fake = FakeGitHub()
    fake.granted = {"metadata": "read", "issues": "write", "pull_requests": "read", "contents": "read"}
    found = await check(config, fake, "github", capsys, credential=APP_SETTING)
    remedies = [each["remedy"] for each in found if each["state"] == "problem"]
    assert remedies[:3] == [
        f"grant the App write access to {name}" for name in ("pull_requests", "pull_requests", "checks")
    ]
    assert "contents" in remedies[-1]
    assert {each.method for each in fake.log if "/access_tokens" not in each.path} == {"GET"}
    assert not [each for each in found if "webhook" in each["detail"]]
    fake.delivered = 502
    found = await check(config, fake, "github", capsys, credential=APP_SETTING)
    assert of_state(found, "warning") == ["the webhook of the App failed last: 502: Invalid HTTP Response"]
