"""The outbox with a fake forge of each kind: what is wanted last is there once; a refusal is not tried again."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shared.models import Status
from stitcherd.reporting.contents import ChangeContent, CommentContent, FailedOutput, ReactionContent, StatusContent
from stitcherd.reporting.outbox import SEARCH_DELAY
from stitcherd.reporting.sender import Sender
from stitcherd.store import outbox as store_outbox
from stitcherd.store.answers import EDIT_INTERVAL
from stitcherd.store.errors import StorageUnavailable
from tests.forges.fake import Answer
from tests.forges.harness import FAKES
from tests.stitcherd.rails.watched_rails import until
from tests.stitcherd.reporting.outbox_harness import Lost, OutboxHarness, outbox_on
from tests.stitcherd.reporting.reports import JOB_ID, make_report

SHA = "a" * 40
CUT = b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"


async def test_a_comment_is_made_once_and_edited_afterwards(harness: OutboxHarness) -> None:
    await harness.want_comment(Status.QUEUED)
    await harness.send_all()
    await harness.want_comment(Status.RUNNING)
    await harness.want_comment(Status.COMPLETED)
    await harness.send_all()
    (comment,) = harness.ours()
    assert "is done" in comment.body
    assert len(harness.writes()) == 2
    row = await harness.row()
    assert (row["state"], row["remote_id"], row["generation"]) == ("delivered", str(comment.id), 3)
    assert (row["url"] is None) == (harness.api.forge.kind == "gitlab")  # whose notes have none
    assert await harness.events() == ["answer.sent", "answer.sent"]


async def test_edits_have_five_seconds_between_them(harness: OutboxHarness) -> None:
    await harness.want_comment(Status.QUEUED)
    await harness.send_all()
    sent_at = (await harness.row())["sent_at"]
    await harness.want_comment(Status.RUNNING)
    harness.clock.now = sent_at + EDIT_INTERVAL - 1
    assert not await harness.outbox.send_next()
    harness.clock.now = sent_at + EDIT_INTERVAL
    assert await harness.outbox.send_next()


async def test_what_was_taken_by_who_led_before_is_sent_after_this_one_began(github: OutboxHarness) -> None:
    task = asyncio.create_task(github.outbox.run())
    await until(lambda: bool(github.accounts))  # it has begun
    await github.want_comment()
    assert await github.store.write(store_outbox.take_answer, "github", github.clock.now) is not None
    github.outbox.wake()
    github.clock.now += SEARCH_DELAY
    github.outbox.wake()
    await until(lambda: bool(github.ours()))
    task.cancel()
    await asyncio.wait([task])


async def test_what_was_sent_but_not_stored_is_searched_without_a_restart(
    github: OutboxHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed, note_sent = asyncio.Event(), store_outbox.note_sent
    loop = asyncio.get_running_loop()

    def note(db: Any, taken: store_outbox.TakenAnswer, *args: Any, **more: Any) -> None:
        if taken.tries == 1:
            loop.call_soon_threadsafe(failed.set)
            raise StorageUnavailable("the disk is full")
        note_sent(db, taken, *args, **more)

    monkeypatch.setattr(store_outbox, "note_sent", note)
    await github.want_comment()
    task = asyncio.create_task(github.outbox.run())
    await failed.wait()
    github.clock.now += SEARCH_DELAY
    rows: list[dict[str, Any]] = []
    async with asyncio.timeout(15):
        while not rows or rows[0]["state"] != "delivered":
            rows = await github.rows()
            github.outbox.wake()
            await asyncio.sleep(0.01)
    assert len(github.ours()) == 1
    task.cancel()
    await asyncio.wait([task])


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


@pytest.mark.parametrize("merged", [False, True])
async def test_a_change_that_was_closed_before_its_response_came_is_not_opened_again(
    harness: OutboxHarness, merged: bool
) -> None:
    content = ChangeContent(job=make_report(), head="stitcher/1", base="main", draft=False)
    await harness.want("change", "change:stitcher/1", content)
    await harness.outbox.probe()
    lost: Any = Lost(CUT)
    harness.fake.faults.append(lost)
    await harness.outbox.send_next()
    (opened,) = (each for each in harness.fake.repository.threads.values() if each.head == "stitcher/1")
    opened.is_open, opened.merged = False, merged
    await harness.send_all()
    row = await harness.row()
    assert (row["state"], row["remote_id"]) == ("delivered", str(opened.number))
    assert max(harness.fake.repository.threads) == opened.number


async def test_a_change_that_somebody_else_opened_is_not_ours(harness: OutboxHarness) -> None:
    other = harness.fake.thread(480)
    other.head, other.base = "stitcher/1", "main"
    await harness.want(
        "change", "change:1", ChangeContent(job=make_report(), head="stitcher/1", base="main", draft=False)
    )
    await harness.send_all()
    row = await harness.row()
    assert row["state"] == "failed"
    assert "another account opened a change of stitcher/1" in row["error"]


@pytest.mark.parametrize("kind", FAKES)
@pytest.mark.parametrize(
    "fault",
    [
        *(Lost(each) for each in (CUT, b"", Answer(502, b"<html>bad gateway</html>"), Answer(201, {"x": 1}), 0.4)),
        *(CUT, Answer(502), 0.4),  # nothing was done
    ],
)
async def test_a_lost_response_makes_no_second_comment(tmp_path: Path, kind: str, fault: Any) -> None:
    async with outbox_on(tmp_path, kind, deadline=0.2) as harness:
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


@pytest.mark.parametrize("kind", FAKES)
async def test_a_comment_that_the_forge_lists_late_is_not_made_again(tmp_path: Path, kind: str) -> None:
    async with outbox_on(tmp_path, kind, deadline=0.2) as harness:
        await harness.want_comment()
        await harness.outbox.probe()
        lost: Any = Lost(CUT)
        harness.fake.faults.append(lost)
        visible_at = harness.clock.now + 8_000
        await harness.outbox.send_next()
        hidden = harness.fake.thread().comments.pop()
        harness.clock.now = (await harness.row())["due_at"]
        if harness.clock.now >= visible_at:
            harness.fake.thread().comments.append(hidden)
        await harness.send_all()
        assert len(harness.ours()) == 1


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
    assert isinstance(harness.outbox._sender, Sender)
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


async def test_secrets_are_masked_in_what_is_sent(harness: OutboxHarness) -> None:
    output = FailedOutput("tests", "password hunter2hunter2\n")
    report = make_report(status=Status.FAILED, error="x", output=output)
    await harness.want(
        "comment", "comment:issue/479", CommentContent(thread_kind="issue", thread_number=479, jobs=(report,))
    )
    await harness.send_all()
    assert "hunter2" not in harness.ours()[0].body


async def test_a_content_of_another_version_fails_alone(github: OutboxHarness) -> None:
    await github.want("status", "status:x", ChangeContent(job=make_report(), head="x", base="y", draft=False))
    await github.send_all()
    assert "this version cannot read what is to be sent" in (await github.row())["error"]
