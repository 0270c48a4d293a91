"""The demo's scenario: three webhooks, and what must be true after each."""

import subprocess
import sys
from collections.abc import Callable

from msgspec import Struct

from shared import ids
from shared.deliveries import WebhookResponse
from shared.models import Decision, RunnerJob, Status, StepStatus, StepType, Verdict
from tui.cli.demo.environment import BOT, MEMBER, STRANGER, TRIES, DemoEnvironment, DemoFailed, run_git
from tui.cli.demo.progress import follow_job
from tui.cli.demo.webhooks import IssueComment, send_comment
from tui.client import api
from tui.client.http import DaemonClient
from tui.text.decisions import Paint, near_misses
from tui.text.plain import plain

WriteLine = Callable[[str], None]

_BY_MEMBER = IssueComment(479, "Pagination drops the last row", MEMBER, f"@{BOT} fix the last row of a page is missing")
_BY_STRANGER = IssueComment(480, "Pages are miscounted", STRANGER, f"@{BOT} fix this one too, and quickly")
_QUOTED = IssueComment(
    481, "Thanks", MEMBER, f"> @{BOT} fix the last row\n\nThat worked: all it takes is to say @{BOT} fix it."
)


class DemoCheck(Struct, frozen=True):
    """An expectation of the demo, and whether it was met."""

    name: str
    ok: bool


def run_scenario(environment: DemoEnvironment, write: WriteLine, paint: Paint) -> list[DemoCheck]:
    """Run all acts and return what was checked; raises DemoFailed if one cannot continue."""
    client = DaemonClient(environment.socket)
    return [
        *_member_asks(environment, client, write, paint),
        *_stranger_asks(environment, client, write),
        *_quoted_command(environment, client, write),
        DemoCheck("three webhooks made one job", len(api.list_jobs(client).value.items) == 1),
    ]


def _member_asks(environment: DemoEnvironment, client: DaemonClient, write: WriteLine, paint: Paint) -> list[DemoCheck]:
    status, response = act(2, "A member of the team asks for a fix", environment, _BY_MEMBER, write)
    if response.verdict is not Verdict.ALLOWED or response.job_id is None:
        raise DemoFailed(f"the webhook should have been allowed, and was {response.verdict.value}")
    job = follow_job(client, response.job_id, write, paint)
    if job.error:
        write(f"   {plain(job.error.code)}: {plain(job.error.detail)}")
    gates = [step.status for step in job.steps or () if step.type is StepType.GATE and step.name == "tests"]
    return [
        DemoCheck("the webhook was answered 202, allowed", status == 202),
        DemoCheck("the job is COMPLETED", job.status is Status.COMPLETED),
        DemoCheck(f"it took 2 of {TRIES} tries", (job.tries.used, job.tries.max) == (2, TRIES)),
        DemoCheck(
            "the gate failed the first try and passed the second",
            gates == [StepStatus.FAILED, StepStatus.COMPLETED],
        ),
        *check_branch(environment, job, write),
    ]


def check_branch(environment: DemoEnvironment, job: RunnerJob, write: WriteLine) -> list[DemoCheck]:
    """Write what is on the branch of a job, and return what was checked of it."""
    bare = f"--git-dir={environment.bare}"
    if not run_git(bare, "for-each-ref", f"refs/heads/{job.branch}"):
        return [DemoCheck(f"branch {plain(job.branch)} is in the repository", False)]
    write("")
    write(f"   $ git log --oneline --stat main..{plain(job.branch)}")
    for line in run_git(bare, "log", "--oneline", "--stat", "--no-ext-diff", f"main..{job.branch}").splitlines():
        write(f"   {plain(line)}")
    trailer = run_git(bare, "log", "-1", "--format=%(trailers:key=Stitcher-Job,valueonly)", job.branch).strip()
    write(f"   Stitcher-Job: {plain(trailer)}")
    return [
        DemoCheck(f"branch {plain(job.branch)} has a commit that names its job", trailer == job.id),
        DemoCheck("a fresh clone of that branch passes its tests", _passes_tests(environment, job.branch)),
        DemoCheck("main is unchanged", run_git(bare, "rev-parse", "main").strip() == environment.base),
    ]


def _passes_tests(environment: DemoEnvironment, branch: str) -> bool:
    clone = environment.root / "clone"
    run_git("clone", "--quiet", "--template=", f"--branch={branch}", str(environment.bare), str(clone))
    tests = [sys.executable, "-m", "unittest"]
    return subprocess.run(tests, cwd=clone, capture_output=True, check=False).returncode == 0


def _stranger_asks(environment: DemoEnvironment, client: DaemonClient, write: WriteLine) -> list[DemoCheck]:
    status, response = act(3, "A stranger asks for the same", environment, _BY_STRANGER, write)
    remedy = _decision(client, response).remedy
    if remedy:
        where = f" (rails.yaml:{remedy.line})" if remedy.line else ""
        write(f"   To allow it: {plain(remedy.text)}{where}")
    denied = (status, response.verdict, response.job_id) == (200, Verdict.DENIED, None)
    return [
        DemoCheck("the stranger was denied, and nothing ran", denied),
        DemoCheck("the decision says what would allow it", remedy is not None),
    ]


def _quoted_command(environment: DemoEnvironment, client: DaemonClient, write: WriteLine) -> list[DemoCheck]:
    title = "The command appears, but only in a quote and inside a sentence"
    status, response = act(4, title, environment, _QUOTED, write)
    misses = near_misses(_decision(client, response))
    for miss in misses:
        write(f"   Near miss: {miss}")
    ignored = (status, response.verdict, response.job_id) == (200, Verdict.IGNORED, None)
    return [
        DemoCheck("the quoted command was ignored, and nothing ran", ignored),
        DemoCheck("the decision names the trigger that nearly matched", bool(misses)),
    ]


def act(
    number: int, title: str, environment: DemoEnvironment, comment: IssueComment, write: WriteLine
) -> tuple[int, WebhookResponse]:
    """Write what happens, send the webhook of a comment, and return the status and the response."""
    write("")
    write(f"{number}. {title}")
    write(f"   {comment.login} comments on #{comment.issue}:")
    for line in comment.text.splitlines():
        write(f"      {line}".rstrip())
    status, response = send_comment(environment, comment)
    job = f", job {ids.short_id(response.job_id)}" if response.job_id else ""
    write(f"   Answer: {status} {response.verdict.value}{job} ({plain(response.reason)})")
    return status, response


def _decision(client: DaemonClient, response: WebhookResponse) -> Decision:
    decision = api.get_delivery(client, response.delivery_id).value.decision
    if not decision:
        raise DemoFailed(f"delivery {plain(response.delivery_id)} has no decision")
    return decision
