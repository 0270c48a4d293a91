"""The demo's three acts, and what has to be true after each."""

import subprocess
import sys
from collections.abc import Callable

from msgspec import Struct

from shared import ids
from shared.api import JobPage, WebhookResponse
from shared.models import Decision, Delivery, RunnerJob, Status, StepStatus, StepType, Verdict
from tui.cli.demo.daemon import DemoFailed
from tui.cli.demo.environment import BOT, MEMBER, TRIES, DemoEnvironment, run_git
from tui.cli.demo.progress import follow_job
from tui.cli.demo.webhooks import IssueComment, send_comment
from tui.client.http import DaemonClient, decode, delivery_path
from tui.text import decisions
from tui.text.decisions import Paint
from tui.text.plain import plain

WriteLine = Callable[[str], None]

_WANTED = IssueComment(479, "Pagination drops the last row", MEMBER, f"@{BOT} fix the last row of a page is missing")
_STRANGER = IssueComment(480, "Pages are miscounted", "drive-by", f"@{BOT} fix this one too, and quickly")
_QUOTED = IssueComment(
    481, "Thanks", MEMBER, f"> @{BOT} fix the last row\n\nThat worked: all it takes is to say @{BOT} fix it."
)


class DemoCheck(Struct, frozen=True):
    """One thing that had to come out, and whether it did."""

    name: str
    ok: bool


def run_scenario(stage: DemoEnvironment, say: WriteLine, paint: Paint) -> list[DemoCheck]:
    """Play all acts and return what was found; raises DidNotHappen where one cannot go on."""
    daemon = DaemonClient(stage.socket)
    return [
        *_fix(stage, daemon, say, paint),
        *_stranger(stage, daemon, say),
        *_quote(stage, daemon, say),
        DemoCheck("three webhooks made one job", len(decode(daemon.get("/runner-jobs"), JobPage).items) == 1),
    ]


def _fix(stage: DemoEnvironment, daemon: DaemonClient, say: WriteLine, paint: Paint) -> list[DemoCheck]:
    status, answer = _act(2, "Somebody of the team asks", stage, _WANTED, say)
    if answer.verdict is not Verdict.ALLOWED or answer.job_id is None:
        raise DemoFailed(f"the webhook should have been allowed, and was {answer.verdict.value}")
    job = follow_job(daemon, answer.job_id, say, paint)
    if job.error:
        say(f"   {plain(job.error.code)}: {plain(job.error.detail)}")
    gates = [step.status for step in job.steps or () if step.type is StepType.GATE]
    return [
        DemoCheck("the webhook was answered 202, allowed", status == 202),
        DemoCheck("the job is COMPLETED", job.status is Status.COMPLETED),
        DemoCheck(f"it took 2 of {TRIES} tries", (job.tries.used, job.tries.max) == (2, TRIES)),
        DemoCheck(
            "the gate failed the first try and passed the second", gates == [StepStatus.FAILED, StepStatus.COMPLETED]
        ),
        *_branch(stage, job, say),
    ]


def _branch(stage: DemoEnvironment, job: RunnerJob, say: WriteLine) -> list[DemoCheck]:
    bare = f"--git-dir={stage.bare}"
    if not run_git(bare, "for-each-ref", f"refs/heads/{job.branch}"):
        return [DemoCheck(f"branch {plain(job.branch)} is in the repository", False)]
    say("")
    say(f"   $ git log --oneline --stat main..{plain(job.branch)}")
    for line in run_git(bare, "log", "--oneline", "--stat", "--no-ext-diff", f"main..{job.branch}").splitlines():
        say(f"   {plain(line)}")
    trailer = run_git(bare, "log", "-1", "--format=%(trailers:key=Stitcher-Job,valueonly)", job.branch).strip()
    say(f"   Stitcher-Job: {plain(trailer)}")
    return [
        DemoCheck(f"branch {plain(job.branch)} holds a commit that names its job", trailer == job.id),
        DemoCheck("a fresh clone of that branch passes its tests", _passes(stage, job.branch)),
        DemoCheck("main is as it was", run_git(bare, "rev-parse", "main").strip() == stage.base),
    ]


def _passes(stage: DemoEnvironment, branch: str) -> bool:
    clone = stage.root / "look"
    run_git("clone", "--quiet", "--template=", f"--branch={branch}", str(stage.bare), str(clone))
    tests = [sys.executable, "-m", "unittest"]
    return subprocess.run(tests, cwd=clone, capture_output=True, check=False).returncode == 0


def _stranger(stage: DemoEnvironment, daemon: DaemonClient, say: WriteLine) -> list[DemoCheck]:
    status, answer = _act(3, "A stranger asks the same", stage, _STRANGER, say)
    remedy = _decision(daemon, answer).remedy
    if remedy:
        where = f" (rails.yaml:{remedy.line})" if remedy.line else ""
        say(f"   To allow it: {plain(remedy.text)}{where}")
    denied = (status, answer.verdict, answer.job_id) == (200, Verdict.DENIED, None)
    return [
        DemoCheck("the stranger was denied, and nothing ran", denied),
        DemoCheck("the decision says what would allow it", remedy is not None),
    ]


def _quote(stage: DemoEnvironment, daemon: DaemonClient, say: WriteLine) -> list[DemoCheck]:
    status, answer = _act(4, "The words appear, but only in a quote and inside a sentence", stage, _QUOTED, say)
    misses = decisions.near_misses(_decision(daemon, answer))
    for miss in misses:
        say(f"   Near miss: {miss}")
    ignored = (status, answer.verdict, answer.job_id) == (200, Verdict.IGNORED, None)
    return [
        DemoCheck("the quoted command was ignored, and nothing ran", ignored),
        DemoCheck("the decision names the trigger that came near", bool(misses)),
    ]


def _act(
    number: int, title: str, stage: DemoEnvironment, comment: IssueComment, say: WriteLine
) -> tuple[int, WebhookResponse]:
    say("")
    say(f"{number}. {title}")
    say(f"   {comment.login} comments on #{comment.issue}:")
    for line in comment.text.splitlines():
        say(f"      {line}".rstrip())
    status, answer = send_comment(stage, comment)
    job = f", job {ids.short_id(answer.job_id)}" if answer.job_id else ""
    say(f"   Answer: {status} {answer.verdict.value}{job} ({plain(answer.reason)})")
    return status, answer


def _decision(daemon: DaemonClient, answer: WebhookResponse) -> Decision:
    decision = decode(daemon.get(delivery_path(answer.delivery_id)), Delivery).decision
    if not decision:
        raise DemoFailed(f"delivery {plain(answer.delivery_id)} has no decision")
    return decision
