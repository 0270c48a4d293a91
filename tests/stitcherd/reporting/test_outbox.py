"""The outbox with a fake forge of each kind: what is wanted last is there once; a refusal is not tried again."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.models import Status
from stitcherd.reporting.contents import ChangeContent, CommentContent, FailedOutput, ReactionContent, StatusContent
from stitcherd.reporting.outbox import LIFETIMES, SEARCH_DELAY
from stitcherd.store import outbox as store_outbox
from stitcherd.store.answers import EDIT_INTERVAL
from tests.forges.fake import Answer, FakeRepository, FakeThread
from tests.stitcherd.reporting.outbox_harness import Lost, OutboxHarness, outbox_on
from tests.stitcherd.reporting.reports import JOB_ID, make_report

SHA = "a" * 40
CUT = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"


@pytest.fixture(params=["gitea", "github", "gitlab"])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OutboxHarness]:
    async with outbox_on(tmp_path, request.param) as found:
        yield found


@pytest.fixture
async def github(tmp_path: Path) -> AsyncIterator[OutboxHarness]:
    async with outbox_on(tmp_path) as found:
        yield found


async def events(harness: OutboxHarness) -> list[str]:
    async with harness.store.reading() as db:
        return [row["type"] for row in await db.execute_fetchall("SELECT type FROM events ORDER BY id")]


def writes(harness: OutboxHarness) -> list[str]:
    return [each.method for each in harness.fake.log if each.method != "GET"]


async def test_a_comment_is_made_once_and_edited_afterwards(harness: OutboxHarness) -> None:
    await harness.want_comment(Status.QUEUED)
    await harness.send_all()
    await harness.want_comment(Status.RUNNING)
    await harness.want_comment(Status.COMPLETED)
    await harness.send_all()
    (comment,) = harness.ours()
    assert "is done" in comment.body
    assert len(writes(harness)) == 2
    row = await harness.row()
    assert (row["state"], row["remote_id"], row["generation"]) == ("delivered", str(comment.id), 3)
    assert (row["url"] is None) == (harness.api.forge.kind == "gitlab")  # whose notes have none
    assert await events(harness) == ["answer.sent", "answer.sent"]


async def test_edits_have_five_seconds_between_them(github: OutboxHarness) -> None:
    await github.want_comment(Status.QUEUED)
    await github.send_all()
    sent_at = (await github.row())["sent_at"]
    await github.want_comment(Status.RUNNING)
    github.clock.now = sent_at + EDIT_INTERVAL - 1
    assert not await github.outbox.send_next()
    github.clock.now = sent_at + EDIT_INTERVAL
    assert await github.outbox.send_next()


async def test_a_reaction_is_there_once(harness: OutboxHarness) -> None:
    thread = harness.fake.thread()
    comment = harness.fake.add_comment(thread, harness.fake.accounts[2], "@mosaic fix")
    content = ReactionContent(
        thread_kind="issue", thread_number=479, comment=str(comment.id), review=False, reaction="eyes"
    )
    await harness.want("reaction", f"reaction:comment/{comment.id}/eyes", content)
    await harness.outbox.send_next()
    await harness.restart()
    await harness.send_all()
    assert len(comment.reactions) == 1
    assert harness.accounts == {"github": "1"}


async def test_a_status_shows_the_newest_state(harness: OutboxHarness) -> None:
    for state in (Status.QUEUED, Status.RUNNING, Status.COMPLETED):
        content = StatusContent(sha=SHA, context="stitcher/fix", job=JOB_ID, state=state)
        await harness.want("status", f"status:{SHA}/stitcher/fix", content)
        await harness.send_all()
    last = harness.fake.repository.statuses[SHA][-1]
    assert last.get("state", last.get("status")) == "success"
    assert (await harness.row())["state"] == "delivered"


@pytest.mark.parametrize("before", [Status.QUEUED, Status.RUNNING, Status.COMPLETED])
async def test_a_status_that_may_not_go_back_is_not_tried_again(harness: OutboxHarness, before: Status) -> None:
    for number, state in enumerate((before, Status.QUEUED)):
        content = StatusContent(sha=SHA, context="stitcher/fix", job=JOB_ID, state=state, error=str(number))
        await harness.want("status", f"status:{SHA}/stitcher/fix", content)
        await harness.send_all()
        assert ((await harness.row())["state"], (await harness.row())["error"]) == ("delivered", None)
    assert len([each for each in harness.fake.log if each.method == "POST" and "/status" in each.path]) == 2


async def test_a_check_run_is_made_and_updated(github: OutboxHarness) -> None:
    for state in (Status.RUNNING, Status.FAILED):
        content = StatusContent(sha=SHA, context="stitcher/fix", job=JOB_ID, state=state, error="gates_failed")
        await github.want("check", f"check:{SHA}/stitcher/fix", content)
        await github.send_all()
    (check,) = github.fake.repository.checks.values()
    assert (check["status"], check["conclusion"], check["external_id"]) == ("completed", "failure", JOB_ID)


async def test_a_check_run_whose_response_was_lost_is_found_again(github: OutboxHarness) -> None:
    content = StatusContent(sha=SHA, context="stitcher/fix", job=JOB_ID, state=Status.RUNNING)
    await github.want("check", f"check:{SHA}/stitcher/fix", content)
    lost: Any = Lost(0.0)
    github.fake.faults.append(lost)
    await github.send_all()
    assert list(github.fake.repository.checks) == [int((await github.row())["remote_id"])]


async def test_a_change_is_opened_once(harness: OutboxHarness) -> None:
    content = ChangeContent(job=make_report(), head="stitcher/1", base="main", draft=False, about=479)
    await harness.want("change", "change:stitcher/1", content)
    await harness.send_all()
    number = int((await harness.row())["remote_id"])
    assert harness.fake.thread(number).head == "stitcher/1"
    await harness.want("change", "change:stitcher/1", ChangeContent(job=make_report(), head="x", base="y", draft=True))
    await harness.send_all()
    assert (await harness.row())["remote_id"] == str(number)


async def test_a_change_that_somebody_else_opened_is_not_ours(github: OutboxHarness) -> None:
    other = github.fake.thread(480)
    other.head, other.base = "stitcher/1", "main"
    await github.want(
        "change", "change:1", ChangeContent(job=make_report(), head="stitcher/1", base="main", draft=False)
    )
    await github.send_all()
    row = await github.row()
    assert row["state"] == "failed"
    assert "another account opened a change of stitcher/1" in row["error"]


@pytest.mark.parametrize(
    "fault",
    [
        *(Lost(each) for each in (CUT, b"", Answer(502, b"<html>bad gateway</html>"), Answer(201, {"x": 1}), 0.4)),
        *(CUT, Answer(502), 0.4),  # nothing was done
    ],
)
async def test_a_lost_response_makes_no_second_comment(tmp_path: Path, fault: Any) -> None:
    async with outbox_on(tmp_path, deadline=0.2) as harness:
        await harness.want_comment()
        await harness.outbox.probe()
        harness.fake.faults.append(fault)
        began = harness.clock.now
        await harness.outbox.send_next()
        row = await harness.row()
        assert (row["state"], row["uncertain"]) == ("pending", 1)
        assert row["due_at"] >= began + SEARCH_DELAY
        await harness.send_all()
        assert len(harness.ours()) == 1
        assert [each.method for each in harness.fake.log].count("POST") == (1 if isinstance(fault, Lost) else 2)


async def test_what_a_crash_left_is_found_and_not_made_again(harness: OutboxHarness) -> None:
    await harness.want_comment(Status.RUNNING)
    taken = await harness.store.write(store_outbox.take_answer, "github", harness.clock.now)
    assert taken is not None
    await harness.outbox._sender.send(taken)  # and the daemon ends before that is stored
    assert len(harness.ours()) == 1
    await harness.restart()
    await harness.want_comment(Status.COMPLETED)
    await harness.send_all()
    (comment,) = harness.ours()
    assert "is done" in comment.body


async def test_of_two_comments_of_ours_the_oldest_is_kept_and_no_other_touched(harness: OutboxHarness) -> None:
    await harness.want_comment()
    taken = await harness.store.write(store_outbox.take_answer, "github", harness.clock.now)
    assert taken is not None
    mark = harness.outbox._sender.marker(taken)
    thread = harness.fake.thread()
    first, second = (harness.fake.add_comment(thread, harness.fake.bot, f"old {mark}") for _ in range(2))
    stranger = harness.fake.add_comment(thread, harness.fake.accounts[3], f"mine {mark}")
    unmarked = harness.fake.add_comment(thread, harness.fake.bot, "another mark <!-- stitcher:t:000000000000 -->")
    await harness.restart()
    await harness.send_all()
    assert thread.comments == [first, stranger, unmarked]
    assert second not in thread.comments
    assert first.body.startswith("**`fix`** is running")
    assert stranger.body == f"mine {mark}"


async def test_a_locked_thread_is_tried_once(github: OutboxHarness) -> None:
    github.fake.thread().locked = True
    await github.want_comment()
    await github.send_all()
    row = await github.row()
    assert (row["state"], row["tries"]) == ("failed", 1)
    assert '"code":"locked"' in row["error"]
    await github.want_comment(Status.COMPLETED)
    await github.send_all()
    assert writes(github) == ["POST"]
    assert await events(github) == ["answer.failed"]


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


async def test_a_thread_that_is_gone_is_tried_once(github: OutboxHarness) -> None:
    del github.fake.repository.threads[479]
    await github.want_comment()
    await github.send_all()
    assert '"code":"gone"' in (await github.row())["error"]


async def test_an_answer_that_is_refused_for_a_day_is_given_up(github: OutboxHarness) -> None:
    content = ReactionContent(thread_kind="issue", thread_number=479, comment=None, review=False, reaction="eyes")
    await github.want("reaction", "reaction:issue/479/eyes", content)
    await github.outbox.probe()
    github.fake.faults.extend([Answer(500)] * 100)
    began = github.clock.now
    await github.send_all(100)
    assert '"code":"gave_up"' in (await github.row())["error"]
    assert LIFETIMES["reaction"] <= github.clock.now - began <= 2 * LIFETIMES["reaction"]


async def test_a_token_that_is_not_accepted_holds_the_source_and_uses_no_try(github: OutboxHarness) -> None:
    await github.want_comment()
    github.fake.tokens.clear()
    await github.outbox.probe()
    assert not [each for each in github.fake.log if each.method == "POST"]
    await github.outbox.send_next()
    hold = github.outbox.hold
    assert hold is not None
    assert "the token is not accepted" in hold.reason
    assert [each.method for each in github.fake.log] == ["GET"]  # and nothing until it is looked at again
    assert (await github.row())["tries"] == 0
    github.fake.tokens["good-token"] = github.fake.bot
    await github.send_all()
    assert github.outbox.hold is None
    assert len(github.ours()) == 1
    assert await events(github) == ["source.held", "answer.sent", "source.resumed"]


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (Answer(429, headers={"Retry-After": "7"}), 7_000),
        (Answer(403, {"message": "You have exceeded a secondary rate limit"}), 60_000),
    ],
)
async def test_a_rate_limit_holds_the_source(github: OutboxHarness, answer: Answer, wait: int) -> None:
    await github.want_comment()
    await github.outbox.probe()
    github.fake.faults.append(answer)
    await github.outbox.send_next()
    hold = github.outbox.hold
    assert hold is not None
    assert wait - 5_000 <= hold.until - github.clock.now <= wait
    await github.send_all()
    assert len(github.ours()) == 1
    assert (await events(github))[0] == "source.held"


async def test_a_redirect_to_another_host_is_refused_and_holds_the_source(github: OutboxHarness) -> None:
    await github.want_comment()
    await github.outbox.probe()
    github.fake.faults.append(Answer(307, {}, {"Location": "http://evil.example/x"}))
    await github.outbox.send_next()
    assert '"code":"redirected"' in (await github.row())["error"]
    assert github.outbox.hold is not None


async def test_a_repository_that_was_renamed_is_followed(github: OutboxHarness) -> None:
    github.fake.repository.name = "octo-org/renamed"
    github.fake.renamed["octo-org/api"] = 7
    await github.want_comment()
    await github.send_all()
    assert (await github.row())["state"] == "delivered"
    assert len(github.ours()) == 1


async def test_secrets_are_masked_in_what_is_sent(github: OutboxHarness) -> None:
    output = FailedOutput("tests", "password hunter2hunter2\n")
    report = make_report(status=Status.FAILED, error="x", output=output)
    await github.want(
        "comment", "comment:issue/479", CommentContent(thread_kind="issue", thread_number=479, jobs=(report,))
    )
    await github.send_all()
    assert "hunter2" not in github.ours()[0].body


async def test_a_content_of_another_version_fails_alone(github: OutboxHarness) -> None:
    await github.want("status", "status:x", ChangeContent(job=make_report(), head="x", base="y", draft=False))
    await github.send_all()
    assert "this version cannot read what is to be sent" in (await github.row())["error"]
