"""What is sent to each fake, and what it answers, exists in the official description of its API."""

import pytest

from stitcherd.forges import FORGES
from stitcherd.forges.models import (
    AccessLevel,
    ChangeState,
    CheckRun,
    CommitState,
    CommitStatus,
    ForgeAccount,
    NewChange,
    Reaction,
    ReactionTarget,
    RepositoryRef,
    ThreadRef,
)
from tests.forges.descriptions import GITEA, GITHUB
from tests.forges.harness import FAKES, connected, value_of

REPOSITORY = RepositoryRef("octo-org/api", "7")
ISSUE, CHANGE = ThreadRef("issue", 479), ThreadRef("change", 480)
SHA = "c" * 40
KINDS = pytest.mark.parametrize("kind", FORGES)


@KINDS
async def test_the_whole_way_of_an_answer(kind: str) -> None:
    fake = FAKES[kind]()
    asked = fake.add_comment(fake.thread(), fake.accounts[2], "@mosaic fix")
    async with connected(fake, kind) as api:
        forge = api.forge
        bot = value_of(await api.identify())
        assert bot == ForgeAccount("1", "mosaic")
        access = value_of(await api.perform(forge.get_access(REPOSITORY, ForgeAccount("2", "octocat"))))
        assert (access.account, access.level) == (ForgeAccount("2", "octocat"), AccessLevel.WRITE)
        target = ReactionTarget(ISSUE, str(asked.id))
        for _ in range(2):
            assert value_of(await api.perform(forge.add_reaction(REPOSITORY, target, Reaction.EYES, bot)))
        assert len(asked.reactions) == 1
        comment = value_of(await api.perform(forge.create_comment(REPOSITORY, ISSUE, "queued")))
        assert comment.author == bot
        assert value_of(await api.perform(forge.edit_comment(REPOSITORY, ISSUE, comment.id, "running")))
        page = value_of(await api.perform(forge.list_comments(REPOSITORY, ISSUE, comment.created_at, 1)))
        assert [each.body for each in page.comments if each.author == bot] == ["running"]
        assert page.next_page is None
        new = NewChange(title="Fix it", body="By a job", base="main", head="stitcher/5b1f7f3a1c9d", draft=True)
        opened = value_of(await api.perform(forge.create_change(REPOSITORY, new)))
        assert (opened.state, opened.draft, opened.from_fork) == (ChangeState.OPEN, True, False)
        assert value_of(await api.perform(forge.create_change(REPOSITORY, new))).number == opened.number
        for state in (CommitState.PENDING, CommitState.PENDING, CommitState.RUNNING, CommitState.SUCCESS):
            status = CommitStatus(state=state, context="stitcher/fix", description="1 try", url="https://d/1")
            assert value_of(await api.perform(forge.set_status(REPOSITORY, SHA, status)))
        assert value_of(await api.perform(forge.delete_comment(REPOSITORY, ISSUE, comment.id)))
        assert [each.body for each in fake.thread().comments] == ["@mosaic fix"]
    assert len([each for each in fake.repository.threads.values() if each.head == new.head]) == 1
    assert [each.token for each in fake.log] == ["good-token"] * len(fake.log)


@KINDS
async def test_threads_changes_repositories_and_hooks_are_read(kind: str) -> None:
    fake = FAKES[kind]()
    fake.thread().locked = True
    fake.thread(480).source_repository = None
    async with connected(fake, kind) as api:
        forge = api.forge
        thread = value_of(await api.perform(forge.get_thread(REPOSITORY, ISSUE)))
        assert (thread.is_open, thread.locked, thread.author) == (True, True, ForgeAccount("2", "octocat"))
        assert (thread.repository, thread.moved) == ("octo-org/api", False)
        change = value_of(await api.perform(forge.get_change(REPOSITORY, 480)))
        assert (change.head_sha, change.fork_gone, change.from_fork) == ("a" * 40, True, True)
        for call in (forge.get_repository(REPOSITORY), forge.get_repository_by_id(REPOSITORY)):
            assert value_of(await api.perform(call)).ref == REPOSITORY
        assert value_of(await api.perform(forge.list_hooks(REPOSITORY))) == ()
        assert value_of(await api.perform(forge.get_account(REPOSITORY, "3"))) == ForgeAccount("3", "drive-by")
        assert value_of(await api.perform(forge.get_account(REPOSITORY, "404"))) is None
        assert value_of(await api.perform(forge.find_change(REPOSITORY, "no/such", "main"))) is None


@KINDS
async def test_comments_that_changed_since_are_read_in_pages(kind: str) -> None:
    fake = FAKES[kind]()
    comments = [fake.add_comment(fake.thread(), fake.bot, str(number)) for number in range(6)]
    since = int(comments[2].created.timestamp() * 1000)
    comments[0].updated = fake.now()
    vars(fake)["page_size"] = 2
    async with connected(fake, kind) as api:
        found: list[str] = []
        page: int | None = 1
        while page is not None:
            answer = value_of(await api.perform(api.forge.list_comments(REPOSITORY, ISSUE, since, page)))
            found += [each.body for each in answer.comments]
            page = answer.next_page
    assert sorted(found) == ["0", "2", "3", "4", "5"]


@pytest.mark.parametrize("review", [False, True])
@KINDS
async def test_reactions_on_threads_and_review_comments(kind: str, review: bool) -> None:
    fake = FAKES[kind]()
    comment = fake.add_comment(fake.thread(480), fake.accounts[3], "@mosaic fix")
    async with connected(fake, kind) as api:
        for target in (ReactionTarget(CHANGE), ReactionTarget(CHANGE, str(comment.id), review)):
            call = api.forge.add_reaction(REPOSITORY, target, Reaction.THUMBS_DOWN, ForgeAccount("1", "mosaic"))
            assert value_of(await api.perform(call))
    assert len(comment.reactions) == len(fake.thread(480).reactions) == 1


async def test_check_runs_exist_only_at_github() -> None:
    fake = FAKES["github"]()
    assert [kind for kind, forge in FORGES.items() if forge.checks] == ["github"]
    async with connected(fake, "github") as api:
        assert api.forge.checks
        for state in CommitState:
            check = CheckRun(name="stitcher/fix", state=state, external_id="job-1", title="1 try", summary="passed")
            id_ = value_of(await api.perform(api.forge.checks.create(REPOSITORY, SHA, check)))
            assert value_of(await api.perform(api.forge.checks.update(REPOSITORY, id_, check)))
    assert [each["external_id"] for each in fake.repository.checks.values()] == ["job-1"] * len(CommitState)


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "fault"),
    [
        ("POST", "/repos/a/b/issues/1/comment", [], {"body": ""}, "does not exist"),
        ("POST", "/repos/a/b/issues/1/comments", [], {"text": ""}, "has no key text"),
        ("POST", "/repos/a/b/issues/1/comments", [], {}, "body"),
        ("POST", "/repos/a/b/issues/1/comments", [], {"body": 3}, "3 is not of type"),
        ("POST", "/repos/a/b/issues/1/comments", [], None, "needs a body"),
        ("GET", "/repos/a/b/issues/1/comments", ["until"], None, "no parameter until"),
        ("GET", "/user", [], {"a": 1}, "takes no body"),
    ],
)
def test_the_descriptions_find_what_does_not_exist(
    method: str, path: str, query: list[str], body: object, fault: str
) -> None:
    for description in (GITHUB, GITEA):
        faults = list(description.request_faults(method, path, query, body))
        if description is GITHUB or body != {}:  # nothing is required at Gitea, says its description
            assert any(fault in each for each in faults), faults


def test_the_descriptions_find_a_wrong_response() -> None:
    path = "/repos/a/b/issues/comments/1"
    for description in (GITHUB, GITEA):
        assert list(description.response_faults("PATCH", path, 200, {"id": "x"}))
        assert list(description.response_faults("PATCH", path, 299, {}))
    assert list(GITEA.response_faults("PATCH", path, 200, {"reactions": []}))
