"""Clients of others find in the fakes what they expect of the real forges."""

import asyncio
from typing import Any

import aiohttp
import pytest

from stitcherd.forges import FORGES
from stitcherd.forges.client import ForgeClient
from stitcherd.forges.models import ChangeState, RepositoryRef
from tests.forges.fake import Answer
from tests.forges.fake_github import FakeGitHub
from tests.forges.fake_gitlab import KEYS, FakeGitLab
from tests.forges.fake_gitlab_lists import FILTERS
from tests.forges.harness import TOKEN, serving

SHA = "c" * 40
R = "/repos/octo-org/api"


async def test_gidgethub_on_the_fake_of_github() -> None:
    gidgethub = pytest.importorskip("gidgethub")
    from gidgethub.aiohttp import GitHubAPI

    fake = FakeGitHub()
    async with serving(fake), aiohttp.ClientSession() as session:
        github = GitHubAPI(session, "stitcher", oauth_token=TOKEN, base_url=fake.api)
        assert (await github.getitem("/user"))["login"] == "mosaic"
        permission = await github.getitem(f"{R}/collaborators/octocat/permission")
        assert (permission["permission"], permission["user"]["id"]) == ("write", 2)
        comment = await github.post(f"{R}/issues/479/comments", data={"body": "queued"})
        edited = await github.patch(f"{R}/issues/comments/{comment['id']}", data={"body": "running"})
        assert (edited["id"], edited["body"]) == (comment["id"], "running")
        await github.post(f"{R}/issues/comments/{comment['id']}/reactions", data={"content": "eyes"})
        new = {"title": "Fix it", "body": "", "head": "stitcher/1", "base": "main"}
        opened = await github.post(f"{R}/pulls", data=new)
        with pytest.raises(gidgethub.BadRequest) as existing:
            await github.post(f"{R}/pulls", data=new)
        assert existing.value.status_code == 422
        found = await github.getitem(f"{R}/pulls?head=octo-org:stitcher/1&base=main&state=all")
        assert [each["number"] for each in found] == [opened["number"]]
        status = await github.post(f"{R}/statuses/{SHA}", data={"state": "success", "context": "stitcher/fix"})
        assert (status["state"], status["context"]) == ("success", "stitcher/fix")
        await github.delete(f"{R}/issues/comments/{comment['id']}")
        fake.faults = [
            Answer(403, {}, {"X-RateLimit-Limit": "60", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"})
        ]
        with pytest.raises(gidgethub.RateLimitExceeded):
            await github.getitem("/user")
    assert fake.thread().comments == []


async def test_a_client_that_follows_a_redirected_write_does_nothing_and_believes_that_it_did() -> None:
    """Shows what `tests/stitcherd/forges/test_client.py` guards against: this is not how our client behaves."""
    pytest.importorskip("gidgethub")
    from gidgethub.aiohttp import GitHubAPI

    fake = FakeGitHub()
    fake.renamed["octo-org/old-name"] = 7
    fake.redirects = [301]
    async with serving(fake), aiohttp.ClientSession() as session:
        github = GitHubAPI(session, "stitcher", oauth_token=TOKEN, base_url=fake.api)
        await github.post("/repos/octo-org/old-name/issues/479/comments", data={"body": "hello"})
    assert fake.thread().comments == []
    assert [each.method for each in fake.log] == ["POST", "GET"]


async def test_python_gitlab_on_the_fake_of_gitlab() -> None:
    gitlab = pytest.importorskip("gitlab")
    fake = FakeGitLab()
    fake.add_event("labeled", 479, fake.accounts[2], label="go")
    async with serving(fake):
        await asyncio.to_thread(_walk, gitlab, fake)
        async with ForgeClient(FORGES["gitlab"], fake.api) as client:
            call = client.forge.get_change(RepositoryRef("octo-org/api", "7"), 481)
            assert call.read(await client.send(call.request, TOKEN)).state is ChangeState.OPEN
    assert fake.thread().comments == []
    assert [each["state"] for each in fake.repository.statuses[SHA]] == ["success"]


def _walk(gitlab: Any, fake: FakeGitLab) -> None:
    with gitlab.Gitlab(fake.url, oauth_token=TOKEN) as client:
        client.auth()
        assert client.user.username == "mosaic"
        project = client.projects.get(7)
        assert project.path_with_namespace == "octo-org/api"
        member = project.members_all.get(2)
        assert (member.access_level, member.state) == (30, "active")
        issue = project.issues.get(479)
        note = issue.notes.create({"body": "queued"})
        note.awardemojis.create({"name": "eyes"})
        with pytest.raises(gitlab.GitlabCreateError) as twice:
            note.awardemojis.create({"name": "eyes"})
        assert twice.value.response_code == 404
        assert [each.name for each in note.awardemojis.list(get_all=True)] == ["eyes"]
        note.body = "running"
        note.save()
        assert [each.body for each in issue.notes.list(get_all=True)] == ["running"]
        commit = project.commits.get(SHA, lazy=True)
        commit.statuses.create({"state": "success", "name": "stitcher/fix"})
        with pytest.raises(gitlab.GitlabCreateError, match="Cannot transition"):
            commit.statuses.create({"state": "success", "name": "stitcher/fix"})
        assert [each.status for each in commit.statuses.list(name="stitcher/fix", get_all=True)] == ["success"]
        new = {"source_branch": "stitcher/1", "target_branch": "main", "title": "Fix it"}
        opened = project.mergerequests.create(new)
        with pytest.raises(gitlab.GitlabCreateError) as exists:
            project.mergerequests.create(new)
        assert exists.value.response_code == 409
        found = project.mergerequests.list(source_branch="stitcher/1", target_branch="main", state="all", get_all=True)
        assert [each.iid for each in found] == [opened.iid] == [481]
        assert project.hooks.list(get_all=True) == []
        _read_lists(project, note.id)
        note.delete()


def _read_lists(project: Any, note: int) -> None:
    (event,) = project.events.list(action="commented", after="2026-11-20", sort="desc", get_all=True)
    assert (event.note["id"], event.note["noteable_iid"], event.note["noteable_type"]) == (note, 479, "Issue")
    changed = {"order_by": "updated_at", "sort": "desc", "updated_after": "2026-11-20T00:00:00Z"}
    assert [each.iid for each in project.issues.list(**changed, get_all=True)] == [479]
    assert {each.iid for each in project.mergerequests.list(**changed, state="all", get_all=True)} == {480, 481}
    (label,) = project.issues.get(479).resourcelabelevents.list(get_all=True)
    assert (label.action, label.label["name"], label.user["username"]) == ("add", "go", "octocat")


def test_the_fake_of_gitlab_takes_the_keys_that_python_gitlab_knows() -> None:
    pytest.importorskip("gitlab")
    from gitlab.v4 import objects

    tables = {
        "POST /award_emoji": objects.ProjectIssueNoteAwardEmojiManager._create_attrs,
        "POST /notes": objects.ProjectIssueNoteManager._create_attrs,
        "PUT /notes/{id}": objects.ProjectIssueNoteManager._update_attrs,
        "POST /statuses/{sha}": objects.ProjectCommitStatusManager._create_attrs,
        "POST /merge_requests": objects.ProjectMergeRequestManager._create_attrs,
    }
    assert tables.keys() == KEYS.keys()
    for route, attributes in tables.items():
        needed, others = KEYS[route]
        assert needed == set(attributes.required), route
        assert others <= set(attributes.optional), route
    filters = {
        "/events": objects.ProjectEventManager._list_filters,
        "/issues": objects.ProjectIssueManager._list_filters,
        "/merge_requests": objects.ProjectMergeRequestManager._list_filters,
    }
    for path, known in filters.items():
        assert set(known) >= FILTERS[path], path
