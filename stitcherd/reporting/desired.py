"""Decides what is to be at a forge of a delivery or a job, by the report rules of the rails; pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct, structs

from shared.deliveries import Delivery
from shared.models import JobStep, Result, RunnerJob, Status, StepStatus, StepType, Thread, Verdict
from stitcherd.rails.compiled import GateRule, ReportRules
from stitcherd.reporting.contents import (
    ChangeContent,
    CommentContent,
    DenialReport,
    FailedOutput,
    GateOutcome,
    GateReport,
    HintReport,
    JobReport,
    ReactionContent,
    Reply,
    StatusContent,
    encode_content,
)
from stitcherd.sources.trigger import Trigger
from stitcherd.store.answers import DesiredAnswer

JOBS_SHOWN = 5  # of a thread, in its comment
HINT_INTERVAL = 86_400_000  # milliseconds between two hints about commands on a thread
_EYES, _REFUSAL = 1, -1  # priorities: strangers who are refused delay nobody
_ACCEPTED = frozenset({Verdict.ALLOWED, Verdict.WAITING, Verdict.DUPLICATE})
_REFUSED = frozenset({Verdict.DENIED, Verdict.THROTTLED})
_GATE_OUTCOMES: dict[StepStatus, GateOutcome] = {
    StepStatus.PENDING: "pending",
    StepStatus.RUNNING: "running",
    StepStatus.COMPLETED: "passed",
    StepStatus.FAILED: "failed",
    StepStatus.SKIPPED: "skipped",
}


class Place(Struct, frozen=True, kw_only=True):
    """Where something is reported: a repository of a source, in a workspace."""

    source: str
    workspace: str
    repository: str


class ReportedJob(Struct, frozen=True, kw_only=True):
    """A job with all that is said of it: the steps of its current attempt, and its gates as the rails have them."""

    job: RunnerJob
    steps: tuple[JobStep, ...] = ()
    result: Result | None = None
    gates: tuple[GateRule, ...] = ()


def reaction_to(
    place: Place, delivery: Delivery, trigger: Trigger, rules: ReportRules, *, answered: bool = False
) -> DesiredAnswer | None:
    """Return the reaction to a decided delivery, at the comment or the thread that it is about.

    `answered`: it is a question, which is answered on the thread.
    """
    thread = trigger.thread
    accepted = answered or delivery.verdict in _ACCEPTED
    if not rules.acknowledge or thread is None or not (accepted or delivery.verdict in _REFUSED):
        return None
    content = ReactionContent(
        thread_kind=thread.kind,
        thread_number=thread.number,
        comment=trigger.comment_id,
        review=trigger.name == "change.review_comment",
        reaction="eyes" if accepted else "-1",
    )
    at = f"comment/{content.comment}" if content.comment else f"{thread.kind}/{thread.number}"
    return DesiredAnswer(
        **structs.asdict(place),
        slot=f"reaction:{at}/{content.reaction}",
        kind="reaction",
        desired=encode_content(content),
        job_id=delivery.job_id,
        delivery_id=delivery.id,
        priority=_EYES if accepted else _REFUSAL,
    )


def denial_of(delivery: Delivery, rules: ReportRules, at: int, *, informed: bool) -> DenialReport | None:
    """Return the explanation of a denial, to somebody who is to be informed; `at` is in milliseconds."""
    if not informed or not rules.comment or delivery.verdict not in _REFUSED:
        return None
    remedy = delivery.decision.remedy if delivery.decision else None
    return DenialReport(delivery.id, login_of(delivery.sender), delivery.reason, remedy.text if remedy else None, at)


def hint_for(
    trigger: Trigger, rules: ReportRules, verbs: Sequence[str], at: int, last: HintReport | None, *, informed: bool
) -> HintReport | None:
    """Return the hint that a comment has only unknown commands, unless the thread got one within a day.

    `verbs` are the commands that comments may have, `last` is the last hint on the thread.
    """
    written = [command.verb for command in trigger.commands]
    if not informed or not rules.comment or not written or set(written) & set(verbs):
        return None
    if last is not None and at - last.at < HINT_INTERVAL:
        return None
    return HintReport(login_of(trigger.sender), written[0], tuple(verbs), at)


def thread_comment(
    place: Place,
    thread: Thread,
    jobs: Sequence[ReportedJob],
    before: CommentContent | None,
    now: int,
    *,
    denial: DenialReport | None = None,
    hint: HintReport | None = None,
    reply: Reply | None = None,
) -> DesiredAnswer | None:
    """Return the one comment on a thread: about its newest jobs, the newest first, the last denial, hint and reply.

    `before` is what the comment had to say before. A denial goes when a job is created after it, a hint and a reply
    after a day.
    """
    if before is not None:
        denial, hint, reply = denial or before.denial, hint or before.hint, reply or before.reply
    newest = jobs[0].job if jobs else None
    if denial is not None and newest is not None and _milliseconds(newest.created_at) > denial.at:
        denial = None
    if hint is not None and now - hint.at >= HINT_INTERVAL:
        hint = None
    if reply is not None and now - reply.at >= HINT_INTERVAL:
        reply = None
    reports = tuple(job_report(each) for each in jobs[:JOBS_SHOWN])
    if not reports and denial is None and hint is None and reply is None:
        return None
    content = CommentContent(
        thread_kind=thread.kind, thread_number=thread.number, jobs=reports, denial=denial, hint=hint, reply=reply
    )
    about_job = newest if newest is not None and denial is None else None
    return DesiredAnswer(
        **structs.asdict(place),
        slot=f"comment:{thread.kind}/{thread.number}",
        kind="comment",
        desired=encode_content(content),
        job_id=about_job.id if about_job else None,
        delivery_id=about_job.delivery_id if about_job else denial.delivery if denial else None,
    )


def statuses_of(
    place: Place, reported: ReportedJob, rules: ReportRules, *, head_sha: str | None, published: bool, check: bool
) -> list[DesiredAnswer]:
    """Return the statuses that a job has at commits: at the head of its change, and at its own commit.

    `published`: its commit is at the forge. With `check` they are check runs, which only a GitHub App may create.
    """
    job, result = reported.job, reported.result
    if rules.status is None:
        return []
    commits: dict[str, str | None] = {head_sha: None} if head_sha else {}
    if published and result is not None and result.commit is not None:
        commits[result.commit] = job.branch
    context = rules.status.replace("{job}", job.type)
    kind = "check" if check else "status"
    return [
        DesiredAnswer(
            **structs.asdict(place),
            slot=f"{kind}:{sha}/{context}",
            kind=kind,
            desired=encode_content(
                StatusContent(
                    sha=sha,
                    context=context,
                    job=job.id,
                    state=job.status,
                    error=job.error.code if job.error and job.status is Status.FAILED else None,
                    branch=branch,
                )
            ),
            job_id=job.id,
            delivery_id=job.delivery_id,
        )
        for sha, branch in commits.items()
    ]


def change_for(
    place: Place, reported: ReportedJob, rules: ReportRules, *, base: str, published: bool
) -> DesiredAnswer | None:
    """Return the change to open for the commit of a completed job, onto the branch `base`.

    `published`: its branch is at the forge. It is a draft also where a gate that is not required has failed.
    """
    job, report = reported.job, job_report(reported)
    if rules.change is None or not published or job.status is not Status.COMPLETED or report.commit is None:
        return None
    issue = job.thread.number if job.thread is not None and job.thread.kind == "issue" else None
    content = ChangeContent(
        job=report,
        head=job.branch,
        base=base,
        draft=rules.change == "draft" or any(gate.outcome == "failed" for gate in report.gates),
        about=issue,
        closes=rules.change == "closes",
    )
    return DesiredAnswer(
        **structs.asdict(place),
        slot=f"change:{job.branch}",
        kind="change",
        desired=encode_content(content),
        job_id=job.id,
        delivery_id=job.delivery_id,
    )


def job_report(reported: ReportedJob) -> JobReport:
    """Return what is said of a job."""
    job, result = reported.job, reported.result
    failed = job.status is Status.FAILED
    waiting = job.waiting if job.status is Status.PENDING else None
    return JobReport(
        id=job.id,
        type=job.type,
        status=job.status,
        asker=login_of(job.actor),
        attempt=job.attempt,
        try_=job.tries.used,
        tries_max=job.tries.max,
        gates=_gates(reported.gates, reported.steps),
        held=job.held,
        waiting=waiting.guards if waiting else (),
        approvers=waiting.by if waiting else (),
        expires_at=waiting.expires_at if waiting else None,
        commit=result.commit if result else None,
        branch=job.branch if result and result.commit else None,
        summary=result.summary if result else None,
        error=f"{job.error.code}: {job.error.detail}" if failed and job.error else None,
        hint=job.error.hint if failed and job.error else None,
        output=_failed_output(reported.steps) if failed else None,
    )


def _gates(rules: Iterable[GateRule], steps: Sequence[JobStep]) -> tuple[GateReport, ...]:
    """Return each gate with what it said last in this attempt."""
    newest = {step.name: step for step in steps if step.type is StepType.GATE}
    return tuple(
        GateReport(
            rule.name,
            _GATE_OUTCOMES[newest[rule.name].status] if rule.name in newest else "pending",
            rule.required,
        )
        for rule in rules
    )


def _failed_output(steps: Sequence[JobStep]) -> FailedOutput | None:
    failed = [step for step in steps if step.status is StepStatus.FAILED and step.output.strip()]
    return FailedOutput(failed[-1].name, failed[-1].output) if failed else None


def login_of(account: str | None) -> str:
    """Return the login of `source:login`, or of the actor `source:name/login`."""
    if account is None:
        return "a deleted account"
    name = account.partition(":")[2] or account
    return name.rpartition("/")[2] if account.startswith("source:") else name


def _milliseconds(timestamp: str) -> int:
    return int(datetime.fromisoformat(timestamp).timestamp() * 1000)
