"""The API of a forge as the daemon sees it: what exists already, limits, tokens that are not accepted."""

import asyncio
import logging
from itertools import pairwise
from typing import Any

import pytest

from stitcherd.forges.models import (
    AccessLevel,
    CommitState,
    CommitStatus,
    ForgeAccount,
    Reaction,
    ReactionTarget,
    RepositoryRef,
    ThreadRef,
)
from stitcherd.forges.outcome import CREDENTIAL_CHECK, Done, Hold, Rejected, RetryAt
from stitcherd.forges.rate_limit import WRITE_INTERVAL
from tests.forges.fake import Answer
from tests.forges.fake_github import FakeGitHub
from tests.forges.fake_gitlab import FakeGitLab
from tests.forges.harness import FAKES, TOKEN, connected, value_of

REPOSITORY = RepositoryRef("octo-org/api", "7")
ISSUE = ThreadRef("issue", 479)
OCTOCAT = ForgeAccount("2", "octocat")
BOT = ForgeAccount("1", "mosaic")
SHA = "c" * 40
START = 1_795_000_000_000
SECONDARY = Answer(403, {"message": "You have exceeded a secondary rate limit"})


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.mark.parametrize("kind", FAKES)
async def test_a_token_that_is_not_accepted_is_not_sent_again_for_five_minutes(kind: str) -> None:
    fake, clock = FAKES[kind](), SetClock()
    fake.tokens.clear()
    async with connected(fake, kind, now=clock) as api:
        first = await api.perform(api.forge.get_user())
        assert isinstance(first, Hold)
        assert (first.until, first.cause) == (START + CREDENTIAL_CHECK, "credential")
        clock.now += CREDENTIAL_CHECK - 1
        assert await api.perform(api.forge.get_thread(REPOSITORY, ISSUE)) == first
        assert len(fake.log) == 1
        clock.now += 1
        fake.tokens[TOKEN] = fake.bot
        assert value_of(await api.perform(api.forge.get_user())) == BOT


async def test_a_release_ends_the_hold_of_a_token() -> None:
    fake, clock = FakeGitHub(), SetClock()
    async with connected(fake, "github", now=clock) as api:
        fake.faults = [Answer(401, {"message": "Bad credentials"})]
        assert isinstance(await api.perform(api.forge.get_user()), Hold)
        api.release()
        assert value_of(await api.perform(api.forge.get_user())) == BOT


@pytest.mark.parametrize(
    ("limit", "wait"),
    [
        (Answer(429, {}, {"Retry-After": "7"}), 7_000),
        (SECONDARY, 60_000),
        (
            Answer(403, {}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(START // 1000 + 9), "Date": ""}),
            9_000,
        ),
        (Answer(429, {}, {"RateLimit-Remaining": "0", "RateLimit-Reset": str(START // 1000 + 9), "Date": ""}), 9_000),
    ],
)
async def test_nothing_is_sent_while_a_limit_lasts(limit: Answer, wait: int) -> None:
    fake, clock = FakeGitHub(), SetClock()
    async with connected(fake, "github", now=clock) as api:
        fake.faults = [limit]
        held = await api.perform(api.forge.create_comment(REPOSITORY, ISSUE, "hello"))
        assert isinstance(held, Hold)
        assert (held.until, held.cause) == (START + wait, "rate_limit")
        clock.now += wait - 1
        calls: list[Any] = [api.forge.get_user(), api.forge.get_thread(REPOSITORY, ISSUE)]
        for call in calls:
            assert await api.perform(call) == held
        assert len(fake.log) == 1
        clock.now += 1
        assert isinstance(await api.perform(api.forge.get_user()), Done)


async def test_writes_are_sent_one_at_a_time_with_a_pace() -> None:
    fake = FakeGitHub()
    started = asyncio.get_running_loop().time()
    times: list[float] = []
    now = fake.now

    def noticed() -> object:
        times.append(asyncio.get_running_loop().time() - started)
        return now()

    vars(fake)["now"] = noticed
    async with connected(fake, "github", now=lambda: int(asyncio.get_running_loop().time() * 1000)) as api:
        calls = [api.forge.create_comment(REPOSITORY, ISSUE, str(number)) for number in range(3)]
        assert all(isinstance(each, Done) for each in await asyncio.gather(*map(api.perform, calls)))
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(gaps) == 2
    assert min(gaps) > WRITE_INTERVAL / 1000 - 0.1


async def test_a_write_that_waits_is_not_sent_if_a_limit_is_exceeded_meanwhile() -> None:
    fake = FakeGitHub()
    async with connected(fake, "github", now=lambda: int(asyncio.get_running_loop().time() * 1000)) as api:
        value_of(await api.perform(api.forge.create_comment(REPOSITORY, ISSUE, "first")))
        waiting = asyncio.create_task(api.perform(api.forge.create_comment(REPOSITORY, ISSUE, "second")))
        await asyncio.sleep(0.1)
        fake.faults = [SECONDARY]
        assert isinstance(await api.perform(api.forge.get_user()), Hold)
        held = await waiting
    assert isinstance(held, Hold)
    assert [each.body for each in fake.thread().comments] == ["first"]


async def test_a_reaction_of_somebody_else_is_not_ours() -> None:
    fake = FakeGitLab()
    fake.thread().reactions = {(2, "eyes")}
    async with connected(fake, "gitlab") as api:
        fake.faults = [Answer(404, {"message": "404 Award Emoji cannot be awarded Not Found"})]
        call = api.forge.add_reaction(REPOSITORY, ReactionTarget(ISSUE), Reaction.EYES, BOT)
        assert isinstance(await api.perform(call), Rejected)
        assert value_of(await api.perform(call))
    assert fake.thread().reactions == {(2, "eyes"), (1, "eyes")}


async def test_a_status_at_gitlab_that_may_not_go_back_stays_as_it_is() -> None:
    fake = FakeGitLab()
    async with connected(fake, "gitlab") as api:
        for state in (CommitState.SUCCESS, CommitState.SUCCESS, CommitState.RUNNING, CommitState.PENDING):
            status = CommitStatus(state=state, context="stitcher/fix", branch="stitcher/1")
            assert value_of(await api.perform(api.forge.set_status(REPOSITORY, SHA, status)))
        assert [each["state"] for each in fake.repository.statuses[SHA]] == ["success"]
        assert [each.method for each in fake.log].count("POST") == 4


async def test_a_lookup_that_fails_leaves_open_whether_it_exists() -> None:
    fake = FakeGitLab()
    async with connected(fake, "gitlab") as api:
        fake.faults = [Answer(400, {"message": "Cannot transition status"}), Answer(502, b"<html>")]
        status = CommitStatus(state=CommitState.SUCCESS, context="stitcher/fix")
        assert isinstance(await api.perform(api.forge.set_status(REPOSITORY, SHA, status)), RetryAt)


@pytest.mark.parametrize("kind", ["github", "gitea"])
async def test_permissions_are_told_only_to_those_who_may_ask(kind: str) -> None:
    fake = FAKES[kind]()
    fake.repository.levels[1] = "read"
    async with connected(fake, kind) as api:
        found = await api.perform(api.forge.get_access(REPOSITORY, OCTOCAT))
        assert isinstance(found, Rejected)
        assert found.code == "forbidden"
        assert found.hint
        assert {"github": "push access", "gitea": "administrator"}[kind] in found.hint


async def test_an_account_that_is_blocked_has_no_access() -> None:
    fake = FakeGitLab()
    fake.states[2] = "blocked"
    async with connected(fake, "gitlab") as api:
        access = value_of(await api.perform(api.forge.get_access(REPOSITORY, OCTOCAT)))
    assert (access.level, access.role) == (AccessLevel.NONE, "blocked")


async def test_issues_that_were_transferred_or_deleted() -> None:
    fake = FakeGitHub()
    fake.repositories[8] = type(fake.repository)(8, "octo-org/web")
    fake.repositories[8].threads[479] = fake.thread()
    fake.repository.threads[479] = type(fake.thread())(479, "issue", fake.accounts[2], moved_to=8)
    async with connected(fake, "github") as api:
        moved = value_of(await api.perform(api.forge.get_thread(REPOSITORY, ISSUE)))
        assert moved.repository == "octo-org/web"
        fake.thread().deleted = True
        gone = await api.perform(api.forge.get_thread(REPOSITORY, ISSUE))
    assert isinstance(gone, Rejected)
    assert gone.code == "gone"


async def test_the_new_name_of_a_repository_is_told() -> None:
    fake = FakeGitHub()
    fake.renamed["octo-org/old-name"] = 7
    fake.redirects = [301]
    async with connected(fake, "github") as api:
        old = api.forge.create_comment(RepositoryRef("octo-org/old-name"), ISSUE, "hello")
        outcome = await api.perform(old)
    assert isinstance(outcome, Done)
    assert outcome.repository
    assert outcome.repository.ref == REPOSITORY
    assert [each.body for each in fake.thread().comments] == ["hello"]


@pytest.mark.parametrize("kind", ["github", "gitea"])
async def test_a_locked_thread_a_comment_that_is_gone_and_an_unknown_issue(kind: str) -> None:
    fake = FAKES[kind]()
    fake.thread().locked = True
    async with connected(fake, kind) as api:
        codes = []
        for call in (
            api.forge.create_comment(REPOSITORY, ISSUE, "hello"),
            api.forge.create_comment(REPOSITORY, ThreadRef("issue", 1), "hello"),
        ):
            outcome = await api.perform(call)
            codes.append(outcome.code if isinstance(outcome, Rejected) else None)
        edited = await api.perform(api.forge.edit_comment(REPOSITORY, ISSUE, "5", "hello"))
    assert codes == ["locked", "gone"]
    assert isinstance(edited, Rejected)
    assert edited.code == "deleted"


async def test_no_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    fake = FakeGitHub()
    fake.faults = [Answer(500, b""), Answer(307, None, {"Location": "http://other.example/"})]
    async with connected(fake, "github") as api:
        outcomes = [await api.perform(api.forge.get_user()) for _ in range(3)]
        assert TOKEN not in repr(api)
    assert TOKEN not in caplog.text + repr(outcomes)
