"""Jobs on a change: they start from its head, which is pinned, and are judged by the files of its target branch."""

import hmac
import json
from collections.abc import Mapping
from typing import Any

import pytest

from shared.ids import new_id, short_sha
from tests.e2e.conftest import BuildDaemon
from tests.e2e.git_repository import git
from tests.e2e.harness import ROOT, DaemonHarness, agent_output, wait_until
from tests.e2e.webhooks import SECRETS, change_comment_body

REVIEW = {"X_GitHub_Event": "pull_request_review_comment"}
COMMENT = "@mosaic fix cat feature > made"
RAILS = """
version: 1
people:
  team: {users: ["github:octocat"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write, git:commit, exec:run], executor: agent, timeout: 1m}
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit], tries: 2}
  checked: {profile: weaver, needs: [repo:write, git:commit], gates: [judge]}
  scoped: {profile: weaver, needs: [repo:write, git:commit], gates: [scope]}
triggers:
  - {id: fix, on: [change.comment, change.review_comment], command: fix, from: [team], job: fix}
  - {id: checked, on: [change.comment, change.review_comment], command: checked, from: [team], job: checked}
  - {id: scoped, on: [change.comment, change.review_comment], command: scoped, from: [team], job: scoped}
gates:
  judge: {run: [sh, check.sh], from_base: [check.sh]}
  scope: {builtin: diff-rules}
"""


@pytest.fixture
def daemon(build: BuildDaemon) -> DaemonHarness:
    built = build(rails=RAILS)
    built.start()
    return built


def set_head(
    daemon: DaemonHarness, files: Mapping[str, str], parent: str = "main", *, ref: str = "refs/pull/7/head"
) -> str:
    """Set the head of a change to a new commit with these files; return its sha."""
    fork = daemon.root / f"fork-{new_id()}"
    git("clone", "-q", str(daemon.repository), str(fork))
    git("-C", str(fork), "fetch", "-q", "origin", parent)
    git("-C", str(fork), "checkout", "-q", "FETCH_HEAD")
    for name, text in files.items():
        (fork / name).write_text(text)
    git("-C", str(fork), "add", "-A")
    git("-C", str(fork), "commit", "-qm", "by the author of the change")
    git("-C", str(fork), "push", "-q", "origin", f"+HEAD:{ref}")
    return git("-C", str(fork), "rev-parse", "HEAD")


def ask(daemon: DaemonHarness, text: str, *, number: int = 7, head: str | None = None, target: str = "main") -> Any:
    """Deliver a comment on a change, in the conversation or, with a head, on its diff; return the answer."""
    body = change_comment_body(f"@mosaic {text}", number=number, head=head, target=target)
    reply = daemon.github(body, **(REVIEW if head else {}))
    assert reply.json["verdict"] == "allowed", reply.body
    return reply.json


def checkout_log(job: Any) -> str:
    return str(next(step["output"] for step in reversed(job["steps"]) if step["name"] == "checkout"))


def start_check(job: Any) -> Any:
    return next(check for check in job["decision"]["checks"] if check["id"] == "start")


def test_both_kinds_of_comments_start_from_the_head(daemon: DaemonHarness) -> None:
    head = set_head(daemon, {"feature": "theirs\n"})
    daemon.git("branch", "release", "main")
    base = daemon.git("rev-parse", "main")
    for named in (None, head):
        asked = ask(daemon, "fix cat feature > made", head=named, target="release")
        job = daemon.wait(asked["jobId"], "COMPLETED")
        assert (job["ref"], job["headSha"]) == ("refs/pull/7/head", named)
        assert job["start"] == {"ref": "refs/pull/7/head", "sha": head, "gateBase": base}
        assert checkout_log(job) == f"base {head} of refs/pull/7/head\nfiles that decide gates: those of {base}\n"
        assert daemon.git("log", "--format=%P", "-1", job["branch"]) == head
        assert (daemon.git("show", f"{job['branch']}:made"), job["result"]["files"]) == ("theirs", 1)
        assert daemon.git("rev-parse", "refs/pull/7/head") == head, "nothing is pushed to the change itself"
        at = f" at {short_sha(head)}" if named else ""
        assert start_check(job) | {"because": None} == {
            "id": "start",
            "kind": "guard",
            "outcome": "pass",
            "line": None,
            "seen": f"refs/pull/7/head{at}",
            "wanted": None,
            "because": None,
        }
        assert f"from refs/pull/7/head at {short_sha(head)}" in daemon.cli("show", job["id"]).stdout


@pytest.mark.parametrize("kind", ["gitlab", "gitea"])
def test_other_forges_keep_the_head_elsewhere(build: BuildDaemon, kind: str) -> None:
    """A comment in a conversation, which names the head only at GitLab."""
    rails = RAILS.replace("github:octocat", "forge:hubot")
    settings = f'[sources.forge]\nkind = "{kind}"\nsecrets = [{{env = "E2E_SECRET"}}]\n'
    daemon = build(rails=rails, settings=settings)
    daemon.start()
    ref = f"refs/{'merge-requests' if kind == 'gitlab' else 'pull'}/480/head"
    head = set_head(daemon, {"feature": "theirs\n"}, ref=ref)
    name = "note.merge_request.json" if kind == "gitlab" else "pull_request_comment.created.json"
    document = json.loads((ROOT / "tests" / "deliveries" / kind / name).read_text())
    document["object_attributes" if kind == "gitlab" else "comment"] |= dict.fromkeys(("note", "body"), COMMENT)
    if kind == "gitlab":
        document["merge_request"]["last_commit"]["id"] = head
    body = json.dumps(document).encode()
    secret = SECRETS["github"].encode()
    proof = {
        "gitlab": {"X-Gitlab-Event": "Note Hook", "X-Gitlab-Token": SECRETS["github"]},
        "gitea": {
            "X-Gitea-Event": "issue_comment",
            "X-Gitea-Event-Type": "pull_request_comment",
            "X-Gitea-Signature": hmac.digest(secret, body, "sha256").hex(),
        },
    }[kind]
    reply = daemon.public("POST", "/stitcher/webhook/forge", body, {"Content-Type": "application/json", **proof})
    job = daemon.wait(reply.json["jobId"], "COMPLETED")
    assert (job["ref"], job["start"]["sha"], job["headSha"]) == (ref, head, head if kind == "gitlab" else None)
    assert daemon.git("show", f"{job['branch']}:made") == "theirs"


def test_the_agent_is_told_what_its_checkout_has(daemon: DaemonHarness) -> None:
    head = set_head(daemon, {"feature": "theirs\n"})
    job = daemon.wait(ask(daemon, "fix tail -n +2")["jobId"], "COMPLETED")
    assert f"This checkout is at {head}, the head of change #7." in agent_output(job)


def test_without_the_ref_the_job_starts_from_the_base_and_says_so(daemon: DaemonHarness) -> None:
    base = daemon.git("rev-parse", "main")
    job = daemon.wait(ask(daemon, "fix tail -n +2; touch made")["jobId"], "COMPLETED")
    assert job["start"] == {"ref": "main", "sha": base, "gateBase": base}
    missing = "commits of change #7 are not in this checkout"
    assert f"The {missing}, which is at {base}." in agent_output(job)
    reason = f"{daemon.repository} has no ref refs/pull/7/head"
    assert checkout_log(job) == f"base {base} of main\nthe {missing}: {reason}\n"
    shown = daemon.cli("show", job["id"]).stdout
    assert f"from main at {short_sha(base)} (there is no refs/pull/7/head)" in shown


def test_a_head_that_got_more_commits_is_the_one_that_was_named(daemon: DaemonHarness) -> None:
    named = set_head(daemon, {"feature": "seen\n"})
    set_head(daemon, {"feature": "not seen\n"}, named)
    job = daemon.wait(ask(daemon, "fix cat feature > made", head=named)["jobId"], "COMPLETED")
    assert job["start"]["sha"] == named
    assert daemon.git("show", f"{job['branch']}:made") == "seen"


def test_a_head_that_was_replaced_starts_nothing(daemon: DaemonHarness) -> None:
    named = set_head(daemon, {"feature": "seen\n"})
    other = set_head(daemon, {"feature": "not seen\n"})
    job = daemon.wait(ask(daemon, "fix touch made", head=named)["jobId"], "FAILED")
    assert (job["error"]["code"], job["tries"]["used"], job["start"]) == ("head_moved", 0, None)
    assert named in job["error"]["detail"]
    assert other in job["error"]["detail"]
    assert "ask for a new one" in job["error"]["hint"]
    new = daemon.wait(ask(daemon, "fix touch made", head=other)["jobId"], "COMPLETED")
    assert new["start"]["sha"] == other


@pytest.mark.parametrize("replaced", [True, False])
def test_a_head_that_is_replaced_while_the_agent_works_is_not_published(daemon: DaemonHarness, replaced: bool) -> None:
    named = set_head(daemon, {"feature": "seen\n"})
    asked = ask(daemon, f"fix touch made; until test -e {daemon.root}/go; do sleep 0.05; done", head=named)
    daemon.wait(asked["jobId"], "RUNNING")
    wait_until(lambda: daemon.job(asked["jobId"])["start"], "the job has started from the head")
    other = set_head(daemon, {"feature": "not seen\n"}, *(() if replaced else (named,)))
    (daemon.root / "go").touch()
    job = daemon.wait(asked["jobId"], "FAILED", "COMPLETED")
    branches = daemon.git("for-each-ref", "--format=%(refname)", "refs/heads/stitcher/")
    assert (job["branch"] in branches) is not replaced
    if replaced:
        assert job["error"]["code"] == "head_moved"
        assert named in job["error"]["detail"]
        assert other in job["error"]["detail"]


def test_a_retry_keeps_the_head_of_the_first_attempt(daemon: DaemonHarness) -> None:
    first = set_head(daemon, {"feature": "first\n"})
    job = daemon.wait(ask(daemon, "fix [ $STITCHER_ATTEMPT = 2 ] && cat feature > made")["jobId"], "FAILED")
    set_head(daemon, {"feature": "second\n"}, first)
    daemon.request("POST", f"/runner-jobs/{job['id']}/retry", {})
    job = daemon.wait(job["id"], "COMPLETED")
    assert (job["attempt"], job["start"]["sha"]) == (2, first)
    assert daemon.git("show", f"{job['branch']}:made") == "first"


@pytest.mark.parametrize("review", [False, True])
def test_a_gate_is_judged_with_the_file_of_the_target_branch(daemon: DaemonHarness, review: bool) -> None:
    head = set_head(daemon, {"check.sh": "true\n", ".gitattributes": "check.sh text eol=crlf\n"})
    named = head if review else None
    failed = daemon.wait(ask(daemon, "checked touch broken", head=named)["jobId"], "FAILED")
    assert (failed["error"]["code"], failed["start"]["sha"]) == ("gates_failed", head)
    daemon.wait(ask(daemon, "checked touch made", head=named)["jobId"], "COMPLETED")


def test_what_the_change_edits_of_its_judges_waits_for_an_approval(daemon: DaemonHarness) -> None:
    head = set_head(daemon, {"Makefile": "test:\n\ttrue\n", ".gitattributes": "* -text\n", "feature": "x\n"})
    job = daemon.wait(ask(daemon, "scoped touch made")["jobId"], "PENDING")
    assert job["waiting"]["guards"] == ["paths.gates"]
    scope = next(step["output"] for step in job["steps"] if step["name"] == "scope")
    assert "Makefile: gates: gates or tools load this file by its name; it is added in comparison with" in scope
    assert ".gitattributes: gates: git attributes change what every gate reads" in scope
    assert "feature" not in scope
    daemon.kill()
    daemon.start()
    daemon.git("update-ref", "-d", "refs/pull/7/head")
    assert daemon.cli("approve", job["id"]).returncode == 0
    done = daemon.wait(job["id"], "COMPLETED")
    assert daemon.git("log", "--format=%P", "-1", done["branch"]) == head


def test_a_change_of_other_files_waits_for_nobody_though_its_target_went_on(daemon: DaemonHarness) -> None:
    set_head(daemon, {"feature": "x\n"})
    later = set_head(daemon, {"Makefile": "test:\n\ttrue\n"}, ref="refs/pull/8/head")
    daemon.git("update-ref", "refs/heads/main", later)
    daemon.wait(ask(daemon, "scoped touch made")["jobId"], "COMPLETED")


def test_an_unreviewed_branch_of_a_job_judges_no_change(daemon: DaemonHarness) -> None:
    weak = set_head(daemon, {"check.sh": "true\n"}, ref="refs/pull/8/head")
    daemon.git("update-ref", "refs/heads/stitcher/0123456789ab", weak)
    head = set_head(daemon, {"feature": "x\n"}, weak)
    asked = ask(daemon, "checked touch broken", head=head, target="stitcher/0123456789ab")
    assert daemon.wait(asked["jobId"], "FAILED")["error"]["code"] == "gates_failed"


def test_a_dispatch_starts_from_a_ref_that_is_no_branch(daemon: DaemonHarness) -> None:
    head = set_head(daemon, {"check.sh": "true\n", "feature": "theirs\n"})
    job = daemon.run("fix", "cat feature > made", ref="refs/pull/7/head")
    assert (job["status"], job["start"]["sha"]) == ("COMPLETED", head)
    for ref in ("refs/pull/7/head", head):
        assert daemon.run("checked", "touch broken", ref=ref)["error"]["code"] == "gates_failed"
    assert daemon.run("checked", "touch broken", ref=job["branch"])["error"]["code"] == "gates_failed"
    missing = daemon.run("fix", "touch made", ref="refs/pull/9/head")
    assert missing["error"]["code"] == "checkout_failed"
    assert missing["error"]["detail"] == f"There is no ref 'refs/pull/9/head' in {daemon.repository}."


def test_a_job_that_waits_starts_from_the_head_that_the_approver_saw(build: BuildDaemon) -> None:
    guard = "guards: [{id: asks, if: {change_from_fork: true}, then: require-approval, because: a fork}]\n"
    daemon = build(rails=RAILS + guard)
    daemon.start()
    seen = set_head(daemon, {"feature": "seen\n"})
    body = change_comment_body("@mosaic fix cat feature > made", number=7)
    job_id = daemon.github(body).json["jobId"]
    wait_until(lambda: daemon.job(job_id)["headSha"] == seen, "the head is pinned")
    assert f"from refs/pull/7/head at {short_sha(seen)}" in daemon.cli("show", job_id).stdout
    assert daemon.job(job_id)["events"][-1]["payload"]["reason"] == f"the head of the change is {short_sha(seen)}"
    set_head(daemon, {"feature": "not seen\n"}, seen)
    assert daemon.cli("approve", job_id).returncode == 0
    job = daemon.wait(job_id, "COMPLETED")
    assert (job["start"]["sha"], daemon.git("show", f"{job['branch']}:made")) == (seen, "seen")
