"""What is to be at a forge: reactions, the comment of a thread, statuses, explanations of denials and hints."""

from typing import Any

import msgspec
import pytest

from shared.ids import format_timestamp
from shared.models import Failure, PendingApproval, Result, Status, StepStatus, StepType, Thread, Tries, Verdict
from stitcherd.rails.compiled import ReportRules
from stitcherd.rails.load import parse_rails
from stitcherd.reporting.contents import (
    ChangeContent,
    CommentContent,
    DenialReport,
    FailedOutput,
    GateReport,
    HintReport,
    StatusContent,
    decode_content,
    encode_content,
)
from stitcherd.reporting.desired import (
    HINT_INTERVAL,
    JOBS_SHOWN,
    ReportedJob,
    change_for,
    denial_of,
    hint_for,
    job_report,
    reaction_to,
    statuses_of,
    thread_comment,
)
from stitcherd.store.answers import DesiredAnswer
from tests.stitcherd.rails.contexts import CONTEXT
from tests.stitcherd.reporting.reports import (
    CREATED,
    JOB_ID,
    PLACE,
    RULES,
    THREAD,
    make_delivery,
    make_job,
    make_step,
    make_trigger,
)

RAILS = parse_rails(
    """\
version: 1
profiles: {careful: {capabilities: [repo:read], executor: smith, sandbox: none}}
jobs: {fix: {profile: careful, gates: [scope, lint, tests]}}
gates:
  scope: {builtin: diff-rules}
  lint: {run: [make], required: false}
  tests: {run: [make]}
""",
    CONTEXT,
)
GATES = RAILS.jobs["fix"].gates
RESULT = Result("4be1" * 10, 3, 34, 6, "+34 -6 in 3 files")
DENIAL = DenialReport("delivery-1", "octocat", "no", None, CREATED)
HINT = HintReport("octocat", "fxi", ("fix",), CREATED)


def comment_of(answer: DesiredAnswer | None) -> CommentContent:
    assert answer is not None
    content = decode_content(answer.kind, answer.desired)
    assert isinstance(content, CommentContent)
    return content


@pytest.mark.parametrize(
    ("verdict", "more", "slot", "priority"),
    [
        (Verdict.ALLOWED, {}, "reaction:comment/991/eyes", 1),
        (Verdict.WAITING, {}, "reaction:comment/991/eyes", 1),
        (Verdict.DUPLICATE, {}, "reaction:comment/991/eyes", 1),
        (Verdict.DENIED, {}, "reaction:comment/991/-1", -1),
        (Verdict.THROTTLED, {}, "reaction:comment/991/-1", -1),
        (Verdict.ALLOWED, {"comment_id": None}, "reaction:issue/479/eyes", 1),
    ],
)
def test_a_request_is_acknowledged_where_it_was_made(
    verdict: Verdict, more: dict[str, Any], slot: str, priority: int
) -> None:
    answer = reaction_to(PLACE, make_delivery(verdict), make_trigger("fix", **more), RULES)
    assert answer is not None
    assert (answer.kind, answer.slot, answer.priority) == ("reaction", slot, priority)
    assert (answer.source, answer.repository, answer.delivery_id) == ("github", "octo-org/api", "delivery-1")


@pytest.mark.parametrize(
    ("verdict", "more", "rules"),
    [
        (Verdict.IGNORED, {}, RULES),
        (Verdict.DECIDING, {}, RULES),
        (Verdict.ALLOWED, {"thread": None}, RULES),
        (Verdict.ALLOWED, {}, ReportRules(comment=True)),
    ],
)
def test_there_is_no_other_reaction(verdict: Verdict, more: dict[str, Any], rules: ReportRules) -> None:
    assert reaction_to(PLACE, make_delivery(verdict), make_trigger("fix", **more), rules) is None


def test_a_denial_is_explained_to_members_only() -> None:
    denied = make_delivery(Verdict.DENIED)
    expected = DenialReport("delivery-1", "octocat", denied.reason, "add github:octocat to team", CREATED)
    assert denial_of(denied, RULES, CREATED, informed=True) == expected
    assert denial_of(denied, RULES, CREATED, informed=False) is None
    assert denial_of(denied, ReportRules(acknowledge=True), CREATED, informed=True) is None
    assert denial_of(make_delivery(), RULES, CREATED, informed=True) is None


def test_an_unknown_command_gets_one_hint_a_day() -> None:
    def hint(*written: str, last: HintReport | None = None, at: int = CREATED, informed: bool = True) -> Any:
        return hint_for(make_trigger(*written), RULES, ("fix", "look"), at, last, informed=informed)

    first = hint("fxi")
    assert first == HintReport("octocat", "fxi", ("fix", "look"), CREATED)
    assert hint("fxi", last=first, at=CREATED + HINT_INTERVAL - 1) is None
    assert hint("fxi", last=first, at=CREATED + HINT_INTERVAL) is not None
    assert hint("fxi", informed=False) is None
    assert hint("fxi", "fix") is None
    assert hint() is None


def test_a_thread_has_one_comment_with_all_its_jobs() -> None:
    jobs = [ReportedJob(job=make_job(id=f"job-{number}", type=f"t{number}")) for number in range(JOBS_SHOWN + 2)]
    answer = thread_comment(PLACE, THREAD, jobs, None, CREATED)
    assert [job.type for job in comment_of(answer).jobs] == [f"t{number}" for number in range(JOBS_SHOWN)]
    assert answer is not None
    assert (answer.kind, answer.slot) == ("comment", "comment:issue/479")
    assert (answer.job_id, answer.delivery_id) == ("job-0", "delivery-1")
    assert thread_comment(PLACE, THREAD, [], None, CREATED) is None


def test_equal_states_are_equal_answers() -> None:
    same = [ReportedJob(job=make_job(version=version)) for version in (1, 2)]
    first, second = (thread_comment(PLACE, THREAD, [each], None, CREATED) for each in same)
    assert first == second


def test_a_denial_stays_until_a_newer_job() -> None:
    older = ReportedJob(job=make_job(created_at=format_timestamp(CREATED - 1)))
    newer = ReportedJob(job=make_job(id="job-2", created_at=format_timestamp(CREATED + 1)))
    shown = thread_comment(PLACE, THREAD, [older], None, CREATED, denial=DENIAL)
    assert shown is not None
    assert (shown.job_id, shown.delivery_id) == (None, "delivery-1")
    before = comment_of(shown)
    assert before.denial == DENIAL
    assert comment_of(thread_comment(PLACE, THREAD, [older], before, CREATED)).denial == DENIAL
    assert comment_of(thread_comment(PLACE, THREAD, [newer, older], before, CREATED)).denial is None
    assert comment_of(thread_comment(PLACE, THREAD, [], None, CREATED, denial=DENIAL)).jobs == ()


def test_a_hint_goes_after_a_day() -> None:
    before = comment_of(thread_comment(PLACE, THREAD, [], None, CREATED, hint=HINT))
    jobs = [ReportedJob(job=make_job())]
    assert comment_of(thread_comment(PLACE, THREAD, jobs, before, CREATED + 1)).hint == HINT
    assert comment_of(thread_comment(PLACE, THREAD, jobs, before, CREATED + HINT_INTERVAL)).hint is None


def test_a_job_is_reported_with_what_its_gates_said_last() -> None:
    steps = (
        make_step("agent", StepStatus.COMPLETED, StepType.AI_ACTION),
        make_step("scope", StepStatus.COMPLETED),
        make_step("tests", StepStatus.FAILED, output="1 failed\n"),
        make_step("scope", StepStatus.COMPLETED, try_=2),
        make_step("tests", StepStatus.RUNNING, try_=2),
    )
    report = job_report(ReportedJob(job=make_job(tries=Tries(2, 3)), steps=steps, gates=GATES))
    assert (report.asker, report.try_, report.tries_max, report.output) == ("octocat", 2, 3, None)
    assert report.gates == (
        GateReport("scope", "passed"),
        GateReport("lint", "pending", required=False),
        GateReport("tests", "running"),
    )


def test_a_failed_job_is_reported_with_the_output_of_its_last_failure() -> None:
    steps = (
        make_step("tests", StepStatus.FAILED, output="first\n"),
        make_step("tests", StepStatus.FAILED, output="second\n", try_=2),
        make_step("cleanup", StepStatus.FAILED, output=" "),
    )
    job = make_job(status=Status.FAILED, error=Failure("gates_failed", "gate tests failed", "see its log"))
    report = job_report(ReportedJob(job=job, steps=steps))
    assert (report.error, report.hint) == ("gates_failed: gate tests failed", "see its log")
    assert report.output == FailedOutput("tests", "second\n")


def test_a_waiting_and_a_completed_job_are_reported() -> None:
    waiting = PendingApproval(("hidden",), ("maintainers",), "2026-11-23T14:00:00.000Z")
    report = job_report(ReportedJob(job=make_job(status=Status.PENDING, waiting=waiting)))
    assert (report.waiting, report.approvers, report.expires_at) == (waiting.guards, waiting.by, waiting.expires_at)
    report = job_report(ReportedJob(job=make_job(status=Status.COMPLETED), result=RESULT))
    assert (report.commit, report.branch) == (RESULT.commit, "stitcher/5b1f7f3a1c9d")
    assert report.summary == "+34 -6 in 3 files"
    nothing = job_report(ReportedJob(job=make_job(status=Status.COMPLETED), result=Result(None, 0, 0, 0, "no changes")))
    assert (nothing.commit, nothing.branch) == (None, None)


def statuses(job: Any = None, **more: Any) -> list[DesiredAnswer]:
    defaults: dict[str, Any] = {"head_sha": None, "published": False, "check": False}
    reported = ReportedJob(job=job or make_job(), result=more.pop("result", None))
    return statuses_of(PLACE, reported, more.pop("rules", RULES), **defaults | more)


def test_a_status_shows_the_job_at_the_head_of_the_change() -> None:
    (answer,) = statuses(head_sha="a" * 40)
    assert (answer.kind, answer.slot, answer.job_id) == ("status", f"status:{'a' * 40}/stitcher/fix", JOB_ID)
    expected = StatusContent(sha="a" * 40, context="stitcher/fix", job=JOB_ID, state=Status.RUNNING)
    assert decode_content("status", answer.desired) == expected
    (check,) = statuses(head_sha="a" * 40, check=True)
    assert (check.kind, check.slot) == ("check", f"check:{'a' * 40}/stitcher/fix")


def test_a_status_shows_the_job_at_its_own_commit_once_that_is_at_the_forge() -> None:
    done = make_job(status=Status.COMPLETED)
    assert statuses(done, result=RESULT) == []
    (answer,) = statuses(done, result=RESULT, published=True)
    content = decode_content("status", answer.desired)
    assert isinstance(content, StatusContent)
    assert (content.sha, content.branch, content.state) == (RESULT.commit, "stitcher/5b1f7f3a1c9d", Status.COMPLETED)
    assert statuses(done, result=RESULT, published=True, rules=ReportRules(comment=True)) == []
    assert len(statuses(done, result=RESULT, published=True, head_sha="a" * 40)) == 2


def test_a_content_of_another_version_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_content("status", encode_content(comment_of(thread_comment(PLACE, THREAD, [], None, 0, hint=HINT))))


def test_a_change_is_a_thread_of_its_own() -> None:
    change = Thread("change", 480)
    answer = thread_comment(PLACE, change, [ReportedJob(job=make_job(thread=change))], None, CREATED)
    assert answer is not None
    assert answer.slot == "comment:change/480"


def change(status: Status = Status.COMPLETED, rule: Any = "open", **more: Any) -> ChangeContent | None:
    steps = more.pop("steps", ())
    job = make_job(status=status, **more.pop("job", {}))
    reported = ReportedJob(job=job, steps=steps, result=more.pop("result", RESULT), gates=GATES)
    rules = ReportRules(change=rule)
    answer = change_for(PLACE, reported, rules, base="main", published=more.pop("published", True))
    if answer is None:
        return None
    assert (answer.kind, answer.slot, answer.job_id) == ("change", f"change:{job.branch}", JOB_ID)
    content = decode_content("change", answer.desired)
    assert isinstance(content, ChangeContent)
    return content


def test_a_change_is_opened_for_a_published_commit() -> None:
    content = change()
    assert content is not None
    assert (content.head, content.base, content.draft) == ("stitcher/5b1f7f3a1c9d", "main", False)
    assert (content.about, content.closes) == (479, False)
    for none in (
        change(published=False),
        change(rule=None),
        change(Status.RUNNING),
        change(result=Result(None, 0, 0, 0, "no changes")),
    ):
        assert none is None


def test_a_change_is_a_draft_or_closes_its_issue_as_the_rails_say() -> None:
    draft, closing = change(rule="draft"), change(rule="closes")
    warned = change(steps=(make_step("lint", StepStatus.FAILED),))
    on_change = change(rule="closes", job={"thread": Thread("change", 480)})
    assert draft is not None
    assert closing is not None
    assert warned is not None
    assert on_change is not None
    assert (draft.draft, closing.draft, warned.draft) == (True, False, True)
    assert (closing.closes, on_change.about) == (True, None)
