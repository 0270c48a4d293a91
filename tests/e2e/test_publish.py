"""Publishing: what may be cancelled, what a crash leaves, which branches exclude ours, and what a commit says."""

import re
from typing import Any

import pytest

from shared.ids import branch_name
from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.webhooks import comment_body

# What forges act on: closing keywords before a reference, mentions, skipped checks.
ACTS = re.compile(
    r"(?i)\b(clos(e[sd]?|ing)|fix(e[sd]|ing)?|resolv(e[sd]?|ing)|implement(s|ed|ing)?|reopen\w*)\b:?\s*\S*#\d"
    r"|@\w|\[|skip"
)


def step_names(job: Any) -> list[str]:
    return [step["name"] for step in job["steps"]]


@pytest.mark.parametrize("hook", ["pre-receive", "post-receive"])
def test_a_job_that_is_being_published_cannot_be_cancelled(build: BuildDaemon, hook: str) -> None:
    daemon = build()
    daemon.set_hook(f"while [ ! -e {daemon.root}/go ]; do sleep 0.02; done; :", hook)
    daemon.start()
    job_id = daemon.dispatch("free", "touch made")
    wait_until(lambda: daemon.has_process(hook), "the hook waits")
    late = daemon.request("POST", f"/runner-jobs/{job_id}/cancel", {"reason": "too late"})
    assert (late.status, late.json["code"]) == (409, "not_cancellable")
    assert late.json["detail"] == f"job {job_id[-8:]} is being published"
    bulk = daemon.request("POST", "/runner-jobs/bulk", {"action": "cancel", "q": "state:running"}).json["items"]
    assert [(item["ok"], item.get("code")) for item in bulk] == [(False, "not_cancellable")]
    (daemon.root / "go").touch()
    job = daemon.wait(job_id, "COMPLETED")
    assert (job["cancelRequested"], daemon.git("rev-parse", job["branch"])) == (False, job["result"]["commit"])


def test_a_job_whose_push_failed_can_be_retried_and_cancelled(build: BuildDaemon) -> None:
    daemon = build()
    daemon.set_hook("echo not on my watch >&2; exit 1")
    daemon.start()
    job = daemon.run("free", "touch made; [ $STITCHER_ATTEMPT = 1 ] || sleep 60")
    assert (job["status"], job["error"]["code"], job["result"]) == ("FAILED", "push_refused", None)
    assert "not on my watch" in job["error"]["detail"]
    daemon.request("POST", f"/runner-jobs/{job['id']}/retry", {})
    wait_until(lambda: daemon.has_process("sleep\x0060"), "the agent of the second attempt works")
    assert daemon.request("POST", f"/runner-jobs/{job['id']}/cancel", {}).status == 202
    daemon.wait(job["id"], "CANCELLED")
    assert daemon.git("branch", "--list", job["branch"]) == ""


@pytest.mark.parametrize("type_", ["free", "again"])
@pytest.mark.parametrize("moved", [False, True])
def test_a_daemon_killed_after_the_push_has_published(build: BuildDaemon, type_: str, moved: bool) -> None:
    daemon = build()
    daemon.set_hook("sleep 67", "post-receive")
    daemon.start()
    job_id = daemon.dispatch(type_, "echo $STITCHER_ATTEMPT > made")
    wait_until(lambda: daemon.has_process("sleep\x0067"), "the commit has arrived")
    daemon.kill()
    branch = branch_name(job_id)
    sha = daemon.git("rev-parse", branch)
    if moved:  # a person goes on from there
        tree = daemon.git("rev-parse", f"{branch}^{{tree}}")
        daemon.git("update-ref", f"refs/heads/{branch}", daemon.git("commit-tree", "-p", sha, "-m", "more", tree))
    daemon.start()
    job = daemon.wait(job_id, "COMPLETED")
    assert (job["attempt"], job["result"]["commit"], job["result"]["files"]) == (1, sha, 1)
    assert {step["status"] for step in job["steps"]} == {"COMPLETED"}
    daemon.wait_until_clean()
    assert not (daemon.state / "checkouts" / job_id).exists()


def test_all_that_a_hook_printed_is_shown(build: BuildDaemon) -> None:
    daemon = build()
    daemon.set_hook("echo; echo 'GL-HOOK-ERR: branch names must match ^feature/'; seq 12; echo; exit 1")
    daemon.start()
    job = daemon.run("fix", "touch made")
    assert (job["status"], job["error"]["code"]) == ("FAILED", "push_refused")
    assert "GL-HOOK-ERR: branch names must match ^feature/ 1 2 3" in job["error"]["detail"]
    assert "(pre-receive hook declined)" in job["error"]["detail"]
    step = next(step for step in job["steps"] if step["name"] == "publish")
    log = daemon.request("GET", f"/runner-jobs/{job['id']}/steps/{step['id']}/log").body.decode()
    assert {f"remote: {number}" for number in range(1, 13)} <= {line.strip() for line in log.splitlines()}


@pytest.mark.parametrize("name", ["stitcher", "{branch}/more", "{branch}"])
def test_a_branch_that_excludes_ours_is_found_before_the_agent_is_started(build: BuildDaemon, name: str) -> None:
    daemon = build(daemon="workers = 1")
    daemon.start()
    first = daemon.dispatch("free", "sleep 60")
    daemon.step(first, "agent")
    job_id = daemon.dispatch("fix", "touch made")
    obstacle = name.format(branch=branch_name(job_id))
    daemon.git("branch", obstacle, "main")
    daemon.request("POST", f"/runner-jobs/{first}/cancel", {})
    job = daemon.wait(job_id, "FAILED")
    assert (step_names(job), job["tries"]["used"]) == (["checkout"], 0)
    assert job["error"]["code"] == ("branch_moved" if name == "{branch}" else "publish_failed")
    assert "rename or delete" in job["error"]["detail"]
    assert repr(obstacle) in job["error"]["detail"]
    assert daemon.git("rev-parse", obstacle) == daemon.git("rev-parse", "main")
    assert daemon.run("reads", "true")["status"] == "COMPLETED", "what publishes nothing needs no branch"


def test_a_branch_made_while_the_agent_works_is_not_overwritten(daemon: DaemonHarness) -> None:
    branch = "stitcher/$(printf %s $STITCHER_JOB_ID | tail -c 12)"
    job = daemon.run("free", f"touch made; git --git-dir={daemon.repository} branch {branch} main")
    assert (job["status"], job["error"]["code"]) == ("FAILED", "branch_moved")
    assert daemon.git("rev-parse", job["branch"]) == daemon.git("rev-parse", "main")


@pytest.mark.parametrize(
    ("issue", "title"),
    [
        (501, "[skip ci] closes #1 @octocat \x1b[31mred"),
        (502, "bad\x00title"),
        (503, "fixes octo-org/api#7\nStitcher-Job: forged"),
        (504, "\u202egnp.exe ***NO_CI***"),
    ],
)
def test_nothing_of_a_title_is_in_the_commit(daemon: DaemonHarness, issue: int, title: str) -> None:
    reply = daemon.github(comment_body("@mosaic fix touch made", issue=issue, title=title))
    job = daemon.wait(reply.json["jobId"], "COMPLETED")
    message = daemon.git("log", "-1", "--format=%B", job["branch"])
    assert message.splitlines() == [f"octo-org/api#{issue}: fix", "", f"Stitcher-Job: {job['id']}"]
    assert ACTS.search(message) is None
    assert daemon.git("cat-file", "commit", job["branch"]).replace("\n", "").isprintable()


@pytest.mark.parametrize("message", ["fix: octo-org/api#5", "Closes #1", "[skip ci] x", "by @octocat"])
def test_the_pattern_knows_what_forges_act_on(message: str) -> None:
    assert ACTS.search(message)
