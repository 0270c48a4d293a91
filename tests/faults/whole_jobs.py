"""Crashes while whole jobs run: with a repository that they publish to, and a forge on whose threads they answer."""

import random
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPException
from typing import Any

from stitcherd.crash_points import VARIABLE
from tests.e2e.forge import ThreadedForge
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.webhooks import comment_body
from tests.faults.history import Findings
from tests.faults.under_load import Options, Row, is_ready, row_of, tracebacks, unfinished
from tests.forges.fake import FakeThread

POINTS = ("before_publish", "after_publish", "answer_taken", "answer_sent", "answer_stored")
PASSAGES = 3  # at most; a job publishes once, and has two answers or three
POINT_SECONDS = 30.0
PAUSE_SECONDS = 0.7  # between two comments
WITNESS = "echo $STITCHER_JOB_ID $STITCHER_ATTEMPT $STITCHER_TRY >> {root}/witness"
ANSWER_SECONDS = 3.0  # the forge is written to once a second, and a job has a reaction, a comment and its edit
SEARCH_SECONDS = 60.0  # for answers that may have arrived, which the forge is asked about after ten seconds
RAILS = """
version: 1
people:
  team: {users: ["hub:octocat"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write, git:commit, issue:comment], executor: agent, timeout: 1m}
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit], on_interrupt: retry}
triggers:
  - {id: fix, on: [issue.comment], command: fix, from: [team], job: fix}
report:
  acknowledge: reaction
  thread: single-comment
"""


def crash_points(options: Options) -> list[Row]:
    return [_crash(point, options.times(6), options) for point in POINTS]


def crash_after_publish(options: Options) -> list[Row]:
    return [_crash("after_publish", options.times(6), options)]


def crash_after_answer(options: Options) -> list[Row]:
    return [_crash("answer_sent", options.times(6), options)]


def _crash(point: str, times: int, options: Options) -> Row:
    chance = random.Random(f"{options.seed} {point}")
    fault = f"crash {point}"
    with closing(ThreadedForge()) as forge, DaemonHarness(rails=RAILS) as daemon:
        daemon.configure(forge.settings(daemon))
        daemon.start()
        accepted = dict[int, str]()
        for _ in range(times):
            daemon.kill()
            number = chance.randint(1, PASSAGES)
            crashed = daemon.spawn(("env", f"{VARIABLE}={point}:{number}"))
            _comment_until_crashed(daemon, forge, accepted, crashed)
            daemon.spawn()
        if not is_ready(daemon):
            return Row(fault, times, len(accepted), by_hand=1, notes=[daemon.log_tail()])
        wait_until(lambda: not unfinished(daemon), "every job has ended", SEARCH_SECONDS)
        limit = SEARCH_SECONDS + ANSWER_SECONDS * len(accepted)
        wait_until(lambda: not _unanswered(daemon, accepted), "every thread has its answers", limit)
        found = Findings(len(accepted), broken=tracebacks(daemon.log.read_text()))
        for issue, job_id in accepted.items():
            found.lost += _lost(daemon, forge, issue, job_id)
        found.doubled += _doubled(daemon, forge)
        assert daemon.stop() == 0, daemon.log_tail()
        return row_of(fault, times, found)


def _comment_until_crashed(
    daemon: DaemonHarness, forge: ThreadedForge, accepted: dict[int, str], crashed: subprocess.Popen[bytes]
) -> None:
    """Write comments on new threads, one after the other, until the daemon has crashed."""
    deadline = time.monotonic() + POINT_SECONDS
    while not _is_listening(daemon) and crashed.poll() is None:
        time.sleep(0.02)
    while crashed.poll() is None:
        assert time.monotonic() < deadline, f"the daemon did not crash:\n{daemon.log_tail()}"
        issue = 1000 + len(forge.fake.repository.threads)
        forge.fake.repository.threads[issue] = FakeThread(issue, "issue", forge.fake.accounts[2])
        text = f"@mosaic fix {WITNESS.format(root=daemon.root)}; touch made-{issue}"
        with suppress(OSError, HTTPException):  # unknown; and at the next start the forge is asked what was missed
            reply = forge.comment(daemon, comment_body(text, issue=issue), text, number=issue)
            if reply.status == 202:
                accepted[issue] = reply.json["jobId"]
        with suppress(subprocess.TimeoutExpired):
            crashed.wait(PAUSE_SECONDS)


def _is_listening(daemon: DaemonHarness) -> bool:
    try:
        return daemon.public("GET", "/healthz").status == 200
    except (OSError, HTTPException):
        return False


def _unanswered(daemon: DaemonHarness, accepted: dict[int, str]) -> list[str]:
    """Return the jobs whose answers are not all at the forge."""
    return [
        job_id
        for job_id in accepted.values()
        if not (answers := daemon.job(job_id)["answers"]) or {each["state"] for each in answers} != {"delivered"}
    ]


def _lost(daemon: DaemonHarness, forge: ThreadedForge, issue: int, job_id: str) -> Iterator[str]:
    job = daemon.job(job_id)
    if job["status"] != "COMPLETED":
        yield f"job {job_id} is {job['status']}: {job['error']}"
    elif daemon.git("rev-parse", job["branch"]) != job["result"]["commit"]:
        yield f"job {job_id} is completed, and its commit is not on {job['branch']}"
    ours = forge.ours(issue)
    if not any(job_id[-8:] in each.body and "is done" in each.body for each in ours):
        yield f"no comment on thread {issue} shows the end of job {job_id}"
    if (forge.fake.bot.id, "eyes") not in forge.reactions(issue):
        yield f"the comment on thread {issue} has no reaction"


def _doubled(daemon: DaemonHarness, forge: ThreadedForge) -> Iterator[str]:
    started = Counter((daemon.root / "witness").read_text().splitlines())
    yield from (f"started {times} times: {line}" for line, times in started.items() if times > 1)
    jobs = list(_all_jobs(daemon))
    for issue, number in Counter(job["thread"]["number"] for job in jobs).items():
        if number > 1:
            yield f"the comment on thread {issue} became {number} jobs"
        if (comments := len(forge.ours(issue))) > 1:
            yield f"thread {issue} has {comments} comments of ours"
    for job in jobs:
        commits = daemon.git("rev-list", "--count", f"main..{job['branch']}")
        if commits != "1":
            yield f"{job['branch']} has {commits} commits"


def _all_jobs(daemon: DaemonHarness) -> Iterator[Any]:
    path = "/runner-jobs?limit=100"
    page = daemon.get(path)
    yield from page["items"]
    while page.get("next"):
        page = daemon.get(f"{path}&cursor={page['next']}")
        yield from page["items"]
