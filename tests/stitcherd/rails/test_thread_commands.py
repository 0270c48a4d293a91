"""Decisions on commands about the jobs of a thread, and on questions: pure functions, no store."""

from typing import Any

import pytest
from msgspec.structs import replace

from shared.models import RunnerJob, Status, Verdict
from stitcherd.policy import AccountAccess, CommandResult, ThreadJob
from stitcherd.rails.commands import ANSWERED, QUESTIONS, thread_command, thread_verbs
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.rails.thread_commands import decide_question, decide_transition
from stitcherd.sources.trigger import Command, Trigger
from tests.stitcherd.reporting.reports import make_job

TEXT = """\
version: 1
people:
  crew: {users: ["forge:ann"]}
  staff: {permission: write}
  chiefs: {users: ["forge:zoe"]}
profiles:
  careful: {capabilities: [repo:write, issue:comment], executor: smith}
jobs:
  mend: {profile: careful, needs: [repo:write]}
  paint: {profile: careful, needs: [repo:write]}
triggers:
  - {id: word, on: [issue.comment], command: mend, from: [crew], job: mend}
  - {id: other, on: [issue.comment], command: paint, from: [staff], job: paint}
report: {thread: single-comment, explain_denials_to: [chiefs]}
"""
BOOK = parse_rails(TEXT)
CAME_FROM = {"mend": "word", "paint": "other", "gone": "word"}  # the triggers of jobs by type
IDS = {"forge:ann": ("1",), "forge:eve": ("2",), "forge:zoe": ("3",)}


def written(verb: str, text: str = "", login: str = "forge:ann", **more: Any) -> Trigger:
    fields: dict[str, Any] = {"sender": login, "author": login, "account_ids": IDS, "repository": "acme/roof"}
    command = Command(verb, text)
    return Trigger(source="forge", event="comment", name="issue.comment", commands=(command,), **{**fields, **more})


def facts(**access: str) -> RuntimeFacts:
    known = {number: AccountAccess(level, 0) for number, level in access.items()}
    return RuntimeFacts(cannot_ask=None, access={number.removeprefix("id"): each for number, each in known.items()})


def asked(trigger: Trigger, known: RuntimeFacts = facts(id2="read")) -> CommandResult:  # noqa: B008 (immutable)
    return decide_question(trigger.commands[0], trigger, BOOK, known)


def commanded(trigger: Trigger, *jobs: RunnerJob, known: RuntimeFacts = facts(id1="read", id2="read")) -> CommandResult:  # noqa: B008
    found = [ThreadJob(job, "forge", CAME_FROM[job.type]) for job in jobs]
    return decide_transition(trigger.commands[0], trigger, BOOK, found, known)


def job(end: str, status: Status, type_: str = "mend") -> RunnerJob:
    return make_job(id=f"0199f3a1-5c2f-7a60-8e21-5b1f7f3a{end}", status=status, type=type_)


def test_every_thread_has_these_commands_unless_the_rails_use_their_verbs() -> None:
    for verb in thread_verbs(BOOK):
        assert thread_command(written(verb), BOOK) == Command(verb, "")
        assert thread_command(written(verb, unusable="its own"), BOOK) is None
        assert thread_command(written(verb, author="forge:eve"), BOOK) is None
    assert thread_command(written("mend"), BOOK) is None
    assert thread_command(written("retry"), parse_rails(TEXT.replace("command: mend", "command: retry"))) is None
    assert (
        thread_command(written("retry"), parse_rails(TEXT.replace("version: 1", "version: 1\nmode: observe"))) is None
    )


@pytest.mark.parametrize("verb", sorted(QUESTIONS))
def test_a_question_of_a_member_is_answered_and_changes_nothing(verb: str) -> None:
    for login in ("forge:ann", "forge:zoe"):
        result = asked(written(verb, login=login))
        assert (result.decision.verdict, result.job_id, result.action) == (Verdict.IGNORED, None, None)
        assert result.decision.reason == f"command {verb}: {ANSWERED}"
    stranger = asked(written(verb, login="forge:eve")).decision
    assert (stranger.verdict, stranger.reason) == (
        Verdict.DENIED,
        f"who: command {verb}: forge:eve is in none of crew or staff or chiefs",
    )


def test_a_permission_that_decides_is_asked_first() -> None:
    result = asked(written("help", login="forge:eve"), facts())
    assert (result.decision.verdict, result.asks) == (Verdict.DECIDING, {"2": "forge:eve"})
    assert asked(written("help", login="forge:eve"), facts(id2="write")).decision.verdict is Verdict.IGNORED
    assert asked(written("help"), facts()).asks == {}


def test_nothing_is_answered_where_the_rails_report_nothing() -> None:
    silent = parse_rails(TEXT.partition("report:")[0])
    trigger = written("help")
    decision = decide_question(trigger.commands[0], trigger, silent, facts()).decision
    assert decision.reason == "command help: nothing is answered on threads: see report.thread of the rails"


def test_the_only_open_job_is_cancelled() -> None:
    running, done = job("0001", Status.RUNNING), job("0002", Status.COMPLETED)
    result = commanded(written("cancel", "it is wrong"), done, running)
    assert (result.decision.verdict, result.job_id, result.action) == (Verdict.ALLOWED, running.id, "cancel")
    assert (result.reason, result.account_id) == ("it is wrong", "1")
    assert result.decision.reason == "forge:ann may cancel job 7f3a0001"
    two = commanded(written("cancel"), job("0003", Status.QUEUED), running).decision
    assert two.reason == "2 jobs are open on this thread: name one by the end of its id"
    named = commanded(written("cancel", "7f3a0001 wrong"), job("0003", Status.QUEUED), running)
    assert (named.job_id, named.reason) == (running.id, "wrong")
    nothing = commanded(written("cancel"), done).decision
    assert nothing.verdict is Verdict.IGNORED
    assert nothing.reason == f"command cancel: no job is open on this thread: {ANSWERED}"
    other = commanded(written("cancel", "7f3a0009"), running).decision
    assert other.reason == f"command cancel: no job whose id ends with 7f3a0009 is open on this thread: {ANSWERED}"


def test_the_newest_job_that_ended_badly_is_retried() -> None:
    old, failed = job("0001", Status.CANCELLED), job("0002", Status.FAILED)
    result = commanded(written("retry"), failed, old)
    assert (result.decision.verdict, result.job_id, result.action) == (Verdict.ALLOWED, failed.id, "retry")
    newer = commanded(written("retry"), job("0003", Status.COMPLETED), failed, old).decision
    assert (newer.verdict, newer.reason) == (
        Verdict.DENIED,
        "there is a newer job mend on this thread: name one by the end of its id",
    )
    assert commanded(written("retry", "7f3a0001"), job("0003", Status.COMPLETED), failed, old).job_id == old.id
    assert commanded(written("retry", "7f3a0001"), job("0003", Status.COMPLETED), old).job_id == old.id
    assert commanded(written("retry"), job("0003", Status.RUNNING)).decision.reason == (
        f"command retry: no job failed or was cancelled on this thread: {ANSWERED}"
    )


def test_only_those_who_can_have_such_a_job_change_it() -> None:
    mend, paint = job("0001", Status.RUNNING), job("0001", Status.RUNNING, "paint")
    for login in ("forge:eve", "forge:zoe", "mirror:ann"):
        denied = commanded(written("cancel", login=login), mend)
        assert (denied.decision.verdict, denied.action) == (Verdict.DENIED, None)
        assert denied.decision.reason == f"who: command cancel: {login} is in none of crew"
    assert commanded(written("cancel"), paint).decision.verdict is Verdict.DENIED
    assert commanded(written("cancel"), paint, known=facts()).asks == {"1": "forge:ann"}
    assert commanded(written("cancel"), paint, known=facts(id1="write")).action == "cancel"
    gone = commanded(written("cancel"), replace(paint, type="gone")).decision
    assert (gone.verdict, gone.reason) == (
        Verdict.DENIED,
        "the rails no longer have the trigger that job 7f3a0001 came from: ask the operator",
    )
    unknown = commanded(replace(written("cancel"), author=None), mend).decision
    assert unknown.reason == "who: command cancel: it is not known who wrote it"


def test_whom_another_trigger_for_such_a_job_admits_changes_nothing() -> None:
    second = "{id: elsewhere, repos: [acme/docs], on: [issue.comment], command: docs, from: [chiefs], job: mend}"
    book = parse_rails(TEXT.replace("report:", f"  - {second}\nreport:"))
    trigger, known = written("cancel", login="forge:zoe"), facts(id3="read")
    running = job("0001", Status.RUNNING)

    def decided(came_from: str) -> Verdict:
        found = [ThreadJob(running, "forge", came_from)]
        return decide_transition(trigger.commands[0], trigger, book, found, known).decision.verdict

    assert decided("word") is Verdict.DENIED
    assert decided("elsewhere") is Verdict.ALLOWED


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_an_id_that_several_jobs_end_with_names_none(verb: str) -> None:
    status = Status.RUNNING if verb == "cancel" else Status.FAILED
    newer, older = job("0001", status), replace(job("0001", status), id="0199f3a1-0000-7a60-8e21-5b1f7f3a0001")
    result = commanded(written(verb, "7f3a0001"), newer, older)
    assert (result.decision.verdict, result.job_id) == (Verdict.DENIED, None)
    assert result.decision.reason == "the ids of 2 jobs end with 7f3a0001: write more of the id"
    assert commanded(written(verb, older.id), newer, older).job_id == older.id
