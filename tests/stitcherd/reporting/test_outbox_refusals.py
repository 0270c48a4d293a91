"""What the outbox makes of refusals, limits and outages: one answer fails, or the source is held; nothing is lost."""

from pathlib import Path

import pytest

from shared.models import Status
from stitcherd.reporting.contents import ChangeContent, ReactionContent
from stitcherd.reporting.outbox import LIFETIMES
from tests.forges.fake import Answer, FakeRepository, FakeThread
from tests.stitcherd.reporting.outbox_harness import OutboxHarness, outbox_on
from tests.stitcherd.reporting.reports import make_report


async def test_a_locked_thread_is_tried_once(harness: OutboxHarness) -> None:
    harness.fake.thread().locked = True
    del harness.fake.repository.levels[harness.fake.bot.id]  # members of a project of GitLab may go on
    await harness.want_comment()
    await harness.send_all()
    row = await harness.row()
    assert (row["state"], row["tries"]) == ("failed", 1)
    assert '"code":"locked"' in row["error"]
    await harness.want_comment(Status.COMPLETED)
    await harness.send_all()
    assert harness.writes() == ["POST"]
    assert await harness.events() == ["answer.failed"]


async def test_a_deleted_comment_is_made_again_only_for_the_next_job(harness: OutboxHarness) -> None:
    await harness.want_comment()
    await harness.send_all()
    harness.fake.thread().comments.clear()
    await harness.want_comment(Status.COMPLETED)
    await harness.send_all()
    assert ((await harness.row())["state"], harness.ours()) == ("failed", [])
    await harness.want_comment(Status.RUNNING, job="job-2")
    await harness.send_all()
    assert len(harness.ours()) == 1


async def test_a_thread_that_was_moved_says_where_it_is(github: OutboxHarness) -> None:
    github.fake.repositories[8] = other = FakeRepository(8, "octo-org/other")
    other.threads[479] = FakeThread(479, "issue", github.fake.accounts[2])
    github.fake.thread().moved_to = 8
    await github.want_comment()
    await github.outbox.probe()
    github.fake.faults.append(Answer(404, {"message": "Not Found"}))
    await github.outbox.send_next()
    error = (await github.row())["error"]
    assert '"code":"moved","detail":"octo-org/api#479 was moved to octo-org/other"' in error


async def test_a_thread_that_is_gone_is_tried_once(harness: OutboxHarness) -> None:
    del harness.fake.repository.threads[479]
    await harness.want_comment()
    await harness.send_all()
    assert '"code":"gone"' in (await harness.row())["error"]


TARGET_GONE = {
    "gitea": Answer(404, {"message": "The target couldn't be found."}),
    "github": Answer(422, {"message": "Validation Failed", "errors": [{"field": "base", "code": "invalid"}]}),
    "gitlab": Answer(400, {"message": {"target_branch": ["does not exist"]}}),
}


async def test_a_change_onto_a_branch_that_was_deleted_is_tried_once(harness: OutboxHarness) -> None:
    content = ChangeContent(job=make_report(), head="stitcher/1", base="main", draft=False)
    await harness.want("change", "change:stitcher/1", content)
    await harness.outbox.probe()
    answer = TARGET_GONE[harness.api.forge.kind]
    harness.fake.faults = [answer]
    await harness.send_all()
    row = await harness.row()
    assert (row["state"], row["tries"]) == ("failed", 1)
    assert f"answered {answer.status}: " in row["error"]
    assert harness.writes() == ["POST"]


async def test_a_change_from_a_branch_that_gitlab_sees_late_is_opened_once(tmp_path: Path) -> None:
    async with outbox_on(tmp_path, "gitlab") as gitlab:
        content = ChangeContent(job=make_report(), head="stitcher/1", base="main", draft=False)
        await gitlab.want("change", "change:stitcher/1", content)
        await gitlab.outbox.probe()
        gitlab.fake.faults = [Answer(400, {"message": {"source_branch": ["does not exist"]}})] * 2
        await gitlab.send_all()
        assert (await gitlab.row())["state"] == "delivered"
        assert gitlab.writes() == ["POST"] * 3
    assert [each.number for each in gitlab.fake.repository.threads.values() if each.head == "stitcher/1"] == [481]


async def test_an_answer_that_is_refused_for_a_day_is_given_up(harness: OutboxHarness) -> None:
    content = ReactionContent(thread_kind="issue", thread_number=479, comment=None, review=False, reaction="eyes")
    await harness.want("reaction", "reaction:issue/479/eyes", content)
    await harness.outbox.probe()
    harness.fake.faults.extend([Answer(500)] * 100)
    began = harness.clock.now
    await harness.send_all(100)
    assert '"code":"gave_up"' in (await harness.row())["error"]
    assert LIFETIMES["reaction"] <= harness.clock.now - began <= 2 * LIFETIMES["reaction"]


async def test_a_token_that_is_not_accepted_holds_the_source_and_uses_no_try(harness: OutboxHarness) -> None:
    await harness.want_comment()
    harness.fake.tokens.clear()
    await harness.outbox.probe()
    assert not [each for each in harness.fake.log if each.method == "POST"]
    await harness.outbox.send_next()
    hold = harness.outbox.hold
    assert hold is not None
    assert "the token is not accepted" in hold.reason
    assert [each.method for each in harness.fake.log] == ["GET"]  # and nothing until it is looked at again
    assert (await harness.row())["tries"] == 0
    harness.fake.tokens["good-token"] = harness.fake.bot
    await harness.send_all()
    assert harness.outbox.hold is None
    assert len(harness.ours()) == 1
    assert await harness.events() == ["source.held", "answer.sent", "source.resumed"]


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (Answer(429, headers={"Retry-After": "7"}), 7_000),
        (Answer(403, {"message": "You have exceeded a secondary rate limit"}), 60_000),
    ],
)
async def test_a_rate_limit_holds_the_source(harness: OutboxHarness, answer: Answer, wait: int) -> None:
    await harness.want_comment()
    await harness.outbox.probe()
    harness.fake.faults.append(answer)
    await harness.outbox.send_next()
    hold = harness.outbox.hold
    assert hold is not None
    assert wait - 5_000 <= hold.until - harness.clock.now <= wait
    await harness.send_all()
    assert len(harness.ours()) == 1
    assert (await harness.events())[0] == "source.held"


async def test_a_redirect_to_another_host_is_refused_and_holds_the_source(harness: OutboxHarness) -> None:
    await harness.want_comment()
    await harness.outbox.probe()
    harness.fake.faults.append(Answer(307, {}, {"Location": "http://evil.example/x"}))
    await harness.outbox.send_next()
    assert '"code":"redirected"' in (await harness.row())["error"]
    assert harness.outbox.hold is not None
