"""What becomes of answers whose repository was renamed, or whose issue was transferred: they follow, and stay one."""

from typing import Any

import pytest

from shared.models import Status
from stitcherd.reporting.contents import CommentContent, ReactionContent, StatusContent, encode_content
from stitcherd.store import answers
from tests.forges.fake import FakeComment, FakeRepository, FakeThread
from tests.stitcherd.reporting.outbox_harness import Lost, OutboxHarness
from tests.stitcherd.reporting.reports import JOB_ID, PLACE, make_report

SHA = "a" * 40
CUT = b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{"


def rename(harness: OutboxHarness) -> None:
    harness.fake.repository.name = "octo-org/renamed"
    harness.fake.renamed["octo-org/api"] = 7


def transfer(harness: OutboxHarness, *, allowed: bool = True) -> FakeThread:
    """Transfer the issue with its comments to another repository, where it gets another number."""
    old = harness.fake.thread()
    moved = FakeThread(3, "issue", old.author, comments=old.comments)
    harness.fake.repositories[8] = FakeRepository(8, "octo-org/other", threads={3: moved})
    gone = FakeThread(479, "issue", old.author, moved_to=8, moved_number=3)
    harness.fake.repository.threads[479] = gone
    if allowed:
        harness.may_move.add(("octo-org/other", "comment:issue/3"))
    return moved


def ours(harness: OutboxHarness, thread: FakeThread) -> list[FakeComment]:
    return [each for each in thread.comments if each.author == harness.fake.bot]


def writes(harness: OutboxHarness) -> list[str]:
    """Return the paths of the writes that the forge has carried out."""
    return [each.path for each in harness.fake.log if each.method != "GET" and each.status < 300]


@pytest.mark.parametrize("redirect", [None, 301, 302])
async def test_a_repository_that_was_renamed_is_followed_and_its_new_name_kept(
    harness: OutboxHarness, redirect: int | None
) -> None:
    rename(harness)
    harness.fake.redirects = [] if redirect is None else [redirect]
    await harness.want_comment()
    await harness.send_all()
    row = await harness.row()
    assert (row["state"], row["present_repository"]) == ("delivered", "octo-org/renamed")
    assert len(harness.ours()) == 1
    harness.fake.renamed.clear()  # the earlier name leads nowhere any more
    await harness.want_comment(Status.COMPLETED)
    await harness.send_all()
    assert (await harness.row())["state"] == "delivered"
    (comment,) = harness.ours()
    assert "is done" in comment.body


async def test_statuses_reactions_and_check_runs_keep_the_new_name_too(harness: OutboxHarness) -> None:
    rename(harness)
    status = StatusContent(sha=SHA, context="stitcher/fix", job=JOB_ID, state=Status.RUNNING)
    kind = "check" if harness.api.forge.checks else "status"
    await harness.want(kind, f"{kind}:{SHA}/stitcher/fix", status)
    reaction = ReactionContent(thread_kind="issue", thread_number=479, comment=None, review=False, reaction="eyes")
    await harness.want("reaction", "reaction:issue/479/eyes", reaction)
    await harness.send_all()
    async with harness.store.reading() as db:
        found = await db.execute_fetchall("SELECT state, present_repository FROM answers")
    assert [tuple(row) for row in found] == [("delivered", "octo-org/renamed")] * 2


async def test_a_job_from_the_renamed_repository_is_shown_in_the_same_comment(harness: OutboxHarness) -> None:
    rename(harness)
    await harness.want_comment(Status.COMPLETED)
    await harness.send_all()
    content = CommentContent(thread_kind="issue", thread_number=479, jobs=(make_report(id="job-2"),))
    await want_at(harness, "octo-org/renamed", "comment:issue/479", content)
    await harness.send_all()
    assert len(harness.ours()) == 1
    assert (await harness.row())["job_id"] == "job-2"


async def test_another_repository_that_took_the_name_gets_what_is_for_it(harness: OutboxHarness) -> None:
    rename(harness)
    await harness.want_comment(Status.COMPLETED)
    await harness.send_all()
    harness.fake.repositories[9] = FakeRepository(9, "octo-org/api", {1: "admin"})
    taken_over = harness.fake.repositories[9].threads[479] = FakeThread(479, "issue", harness.fake.accounts[2])
    for job in ("job-2", "job-3"):  # the first one finds that the comment is not there
        await harness.want_comment(job=job)
        await harness.send_all()
    assert len(ours(harness, taken_over)) == 1
    assert "is done" in harness.ours()[0].body


async def test_a_comment_goes_to_where_its_issue_was_transferred(github: OutboxHarness) -> None:
    moved = transfer(github)
    await github.want_comment()
    await github.send_all()
    row = await github.row()
    assert (row["state"], row["present_repository"], row["present_slot"]) == (
        "delivered",
        "octo-org/other",
        "comment:issue/3",
    )
    (comment,) = ours(github, moved)
    del github.fake.log[:]
    await github.want_comment(Status.COMPLETED)
    await github.send_all()
    assert ours(github, moved) == [comment]
    assert "is done" in comment.body
    assert [each.path for each in github.fake.log] == [f"/repos/octo-org/other/issues/comments/{comment.id}"]


async def test_a_comment_that_was_transferred_with_its_issue_is_edited(github: OutboxHarness) -> None:
    await github.want_comment()
    await github.send_all()
    (comment,) = github.ours()
    comments = github.fake.thread().comments
    moved = transfer(github)
    moved.comments = [FakeComment(5_000, comment.author, comment.body, comment.created, comment.updated)]
    comments.clear()
    await github.want_comment(Status.COMPLETED)
    await github.send_all()
    assert [(each.id, "is done" in each.body) for each in ours(github, moved)] == [(5_000, True)]
    assert (await github.row())["remote_id"] == "5000"


async def test_a_comment_that_was_deleted_is_not_made_again_after_a_transfer(github: OutboxHarness) -> None:
    await github.want_comment()
    await github.send_all()
    github.fake.thread().comments.clear()
    moved = transfer(github)
    await github.want_comment(Status.COMPLETED)
    await github.send_all()
    assert '"code":"deleted"' in (await github.row())["error"]
    assert ours(github, moved) == []


@pytest.mark.parametrize("lost", [1, 2, 3, 4, 5])
async def test_a_lost_response_on_the_way_to_a_transferred_issue_makes_no_second_comment(
    github: OutboxHarness, lost: int
) -> None:
    moved = transfer(github)
    await github.want_comment()
    await github.outbox.probe()
    faults: list[Any] = [None] * (lost - 1) + [Lost(CUT)]
    github.fake.faults.extend(faults)
    await github.send_all()
    assert (await github.row())["state"] == "delivered"
    assert len(ours(github, moved)) == 1


async def test_an_issue_that_went_to_a_repository_without_an_entry_is_not_followed(github: OutboxHarness) -> None:
    moved = transfer(github, allowed=False)
    await github.want_comment()
    await github.send_all()
    assert '"code":"moved","detail":"octo-org/api#479 was moved to octo-org/other"' in (await github.row())["error"]
    assert (ours(github, moved), writes(github)) == ([], [])


async def test_a_job_from_the_transferred_issue_is_shown_in_the_same_comment(github: OutboxHarness) -> None:
    moved = transfer(github)
    await github.want_comment()
    await github.send_all()
    content = CommentContent(thread_kind="issue", thread_number=3, jobs=(make_report(id="job-2"),))
    await want_at(github, "octo-org/other", "comment:issue/3", content)
    await github.want_comment(Status.COMPLETED)  # and the earlier job goes on
    await github.send_all()
    assert len(ours(github, moved)) == 1
    async with github.store.reading() as db:
        shown = await answers.desired_at(db, PLACE.source, "octo-org/other", "comment:issue/3")
        assert shown == (await github.row())["desired"]


async def want_at(harness: OutboxHarness, repository: str, slot: str, content: CommentContent) -> None:
    wanted = harness.wanted("comment", slot, encode_content(content), repository=repository, job="job-2")
    await harness.store.write(answers.put_answers, (wanted,), 0, harness.clock.now)
