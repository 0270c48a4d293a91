"""What the daemon says on the threads of a forge: reaction, one comment, edits, statuses; through kills and outages."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.forge import ThreadedForge
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.test_change_head import set_head
from tests.e2e.webhooks import change_comment_body, comment_body, signed_headers
from tests.stitcherd.reporting.outbox_harness import Lost

RAILS = """
version: 1
people:
  team: {users: ["hub:octocat"]}
profiles:
  weaver:
    capabilities: [repo:read, repo:write, git:commit, exec:run, issue:comment, status:set]
    executor: agent
    timeout: 1m
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit], gates: [tests], tries: 2}
triggers:
  - {id: fix, on: [issue.comment, change.comment], command: fix, from: [team], job: fix}
guards:
  - {id: freeze, if: {labels_any: [freeze]}, then: deny, because: release freeze}
gates:
  tests: {run: [sh, -c, "echo checking; sh check.sh || { echo '@mosaic fix ![x](http://evil/x)'; exit 1; }"]}
report:
  acknowledge: reaction
  thread: single-comment
  status: "stitcher/{job}"
  explain_denials_to: [team]
"""


@pytest.fixture
def forge() -> Iterator[ThreadedForge]:
    running = ThreadedForge()
    yield running
    running.close()


@pytest.fixture
def daemon(build: BuildDaemon, forge: ThreadedForge) -> DaemonHarness:
    built = build(rails=RAILS, files={"check.sh": "test ! -e broken\n"})
    built._pieces["settings"] = forge.settings(built)
    built.start()
    return built


def ask(daemon: DaemonHarness, forge: ThreadedForge, text: str, verdict: str = "allowed", **more: Any) -> str:
    reply = forge.comment(daemon, comment_body(text), text, **more)
    assert reply.json["verdict"] == verdict, reply.body
    return str(reply.json["jobId"])


def delivered(daemon: DaemonHarness, job_id: str) -> Any:
    """Wait until all answers about a job have been delivered; return the job."""

    def found() -> Any:
        job = daemon.job(job_id)
        states = {each["state"] for each in job["answers"]}
        return job if job["answers"] and states == {"delivered"} else None

    return wait_until(found, "all answers are delivered")


def test_a_command_gets_a_reaction_and_one_comment_that_is_edited(daemon: DaemonHarness, forge: ThreadedForge) -> None:
    began = time.monotonic()
    shown = daemon.root / "shown"
    job_id = ask(daemon, forge, f"@mosaic fix until test -e {shown}; do sleep 0.05; done; touch made")
    wait_until(lambda: forge.reactions() == {(1, "eyes")}, "the reaction", 2.0)
    assert time.monotonic() - began < 2
    wait_until(forge.ours, "the comment", 15)
    shown.touch()  # the job ends only now, so that the comment has to be edited
    daemon.wait(job_id, "COMPLETED")
    job = delivered(daemon, job_id)
    wait_until(lambda: "is done" in forge.ours()[0].body, "the comment shows the end", 15)
    (comment,) = forge.ours()
    assert f"| `{job_id[-8:]}` | `fix` | `octocat` | ✓ completed | 1 of 2 | ✓ `tests` |" in comment.body
    assert [each["kind"] for each in job["answers"]] == ["reaction", "comment"]
    assert job["answers"][1]["url"].endswith(f"#issuecomment-{comment.id}")
    assert len(forge.sent("POST", "/issues/479/comments")) == 1
    assert 1 <= len(forge.sent("PATCH", "")) <= 2
    types = [each["type"] for each in job["events"]]
    assert types.count("answer.sent") >= 2
    assert "forge:hub" in [each["name"] for each in daemon.get("/readyz")["checks"]]


def test_a_failure_shows_harmless_output_and_our_own_comment_starts_nothing(
    daemon: DaemonHarness, forge: ThreadedForge
) -> None:
    job_id = ask(daemon, forge, "@mosaic fix touch broken")
    daemon.wait(job_id, "FAILED")
    wait_until(lambda: forge.ours() and "gates_failed" in forge.ours()[0].body, "the comment shows the failure", 15)
    body = forge.ours()[0].body
    assert "@\u200bmosaic fix !\u200b[x]" in body
    assert "@mosaic" not in body
    document = json.loads(comment_body(body, login="renamed-bot"))
    for user in (document["sender"], document["comment"]["user"]):
        user |= {"id": forge.fake.bot.id}
    document["comment"]["body"] = "@mosaic fix again"
    encoded = json.dumps(document).encode()
    reply = daemon.public("POST", "/stitcher/webhook/hub", encoded, signed_headers(encoded))
    assert (reply.json["verdict"], reply.json["reason"]) == ("ignored", "written by mosaic itself")


def test_a_change_gets_a_status_at_its_head(daemon: DaemonHarness, forge: ThreadedForge) -> None:
    head = set_head(daemon, {"feature": "theirs\n"}, ref="refs/pull/480/head")
    text = "@mosaic fix touch made"
    reply = forge.comment(daemon, change_comment_body(text, number=480), text, number=480)
    job_id = reply.json["jobId"]
    daemon.wait(job_id, "COMPLETED")
    statuses = wait_until(lambda: forge.fake.repository.statuses.get(head), "the status")
    wait_until(lambda: statuses[-1]["state"] == "success", "the last status", 15)
    assert {each["context"] for each in statuses} == {"stitcher/fix"}
    assert len(forge.ours(480)) == 1


def test_a_denial_is_explained_to_a_member_and_not_to_a_stranger(daemon: DaemonHarness, forge: ThreadedForge) -> None:
    ask(daemon, forge, "@mosaic fix it", "denied", by=3)
    wait_until(lambda: (1, "-1") in forge.reactions(), "the reaction to the stranger")
    time.sleep(1)
    assert forge.ours() == []
    document = json.loads(comment_body("@mosaic fix it"))
    document["issue"]["labels"] = [{"name": "freeze"}]
    reply = forge.comment(daemon, json.dumps(document).encode(), "@mosaic fix it")
    assert reply.json["verdict"] == "denied"
    wait_until(forge.ours, "the explanation")
    assert "Nothing runs for `octocat`: `guard freeze: release freeze" in forge.ours()[0].body


def test_an_unknown_command_of_a_member_gets_one_hint(daemon: DaemonHarness, forge: ThreadedForge) -> None:
    ask(daemon, forge, "@mosaic fxi it", "ignored", by=3)
    ask(daemon, forge, "@mosaic fxi it", "ignored")
    wait_until(forge.ours, "the hint")
    verbs = "`fix`, `approve`, `deny`, `cancel`, `retry`, `status`, `why`, `help`"
    assert f"`octocat`: there is no command `fxi`; there are {verbs}." in forge.ours()[0].body
    ask(daemon, forge, "@mosaic fxi more", "ignored")
    time.sleep(1)
    assert len(forge.sent("POST", "/issues/479/comments")) == 1
    assert forge.sent("PATCH", "") == []


def test_commands_on_the_thread_cancel_retry_and_answer(daemon: DaemonHarness, forge: ThreadedForge) -> None:
    job_id = ask(daemon, forge, "@mosaic fix sleep 30")
    daemon.wait(job_id, "RUNNING")
    ask(daemon, forge, "@mosaic cancel", "denied", by=3)
    assert ask(daemon, forge, "@mosaic cancel not now") == job_id
    events = daemon.wait(job_id, "CANCELLED")["events"]
    (told,) = (each for each in events if each["type"] == "job.cancelled")
    assert (told["actor"], told["payload"]["reason"]) == ("source:hub/octocat", "not now")
    assert ask(daemon, forge, "@mosaic retry") == job_id
    wait_until(lambda: daemon.job(job_id)["attempt"] == 2, "the second attempt")
    ask(daemon, forge, "@mosaic cancel")
    daemon.wait(job_id, "CANCELLED")
    wait_until(forge.ours, "the comment")
    ask(daemon, forge, "@mosaic why", "ignored")
    wait_until(lambda: "the last request was `allowed`" in forge.ours()[0].body, "the answer to why", 15)
    ask(daemon, forge, "@mosaic help", "ignored")
    wait_until(lambda: "- `fix` starts a job fix" in forge.ours()[0].body, "the answer to help", 15)
    ask(daemon, forge, "@mosaic status", "ignored")
    wait_until(lambda: "these are the jobs of this thread" in forge.ours()[0].body, "the answer to status", 15)
    assert f"`{job_id[-8:]}`" in forge.ours()[0].body
    assert len(forge.sent("POST", "/issues/479/comments")) == 1


def test_a_failed_job_is_retried_by_a_member_only(daemon: DaemonHarness, forge: ThreadedForge) -> None:
    failed = ask(daemon, forge, "@mosaic fix touch broken")
    assert daemon.wait(failed, "FAILED")["attempt"] == 1
    ask(daemon, forge, "@mosaic retry", "denied", by=3)
    ask(daemon, forge, "@mosaic help", "denied", by=3)
    assert ask(daemon, forge, "@mosaic retry") == failed
    assert daemon.wait(failed, "FAILED")["attempt"] == 2
    wait_until(lambda: forge.ours() and "gates_failed" in forge.ours()[0].body, "the comment shows the failure", 15)
    assert "drive-by" not in forge.ours()[0].body


def test_a_kill_after_a_cancel_on_the_thread_loses_and_repeats_nothing(
    daemon: DaemonHarness, forge: ThreadedForge
) -> None:
    job_id = ask(daemon, forge, "@mosaic fix sleep 30")
    daemon.wait(job_id, "RUNNING")
    assert ask(daemon, forge, "@mosaic cancel it is wrong") == job_id
    daemon.kill()
    daemon.start()
    job = daemon.wait(job_id, "CANCELLED")
    told = [(each["actor"], each["payload"]["reason"]) for each in job["events"] if each["type"] == "job.cancelled"]
    assert told == [("source:hub/octocat", "it is wrong")]
    assert job["attempt"] == 1


def test_a_kill_while_the_comment_is_made_leaves_one_comment(daemon: DaemonHarness, forge: ThreadedForge) -> None:
    wait_until(lambda: forge.sent("GET", "/user"), "the daemon knows its account")
    forge.fail(Lost(0.0))  # the reaction, whose response does not come
    job_id = ask(daemon, forge, "@mosaic fix touch made; sleep 1")
    wait_until(lambda: forge.sent("POST", "/reactions"), "the reaction")
    forge.fail(Lost(5.0))
    wait_until(forge.ours, "the comment is made, and the daemon waits for the response")
    daemon.kill()
    daemon.start()
    daemon.wait(job_id, *("COMPLETED", "FAILED"))
    wait_until(lambda: not any(word in forge.ours()[0].body for word in ("is queued", "is running")), "the end", 40)
    assert len(forge.ours()) == 1
    assert len(forge.sent("POST", "/issues/479/comments")) == 1
    assert forge.reactions() == {(1, "eyes")}
    delivered(daemon, job_id)


def test_an_operator_sees_a_refused_answer_and_lets_it_be_sent_again(
    daemon: DaemonHarness, forge: ThreadedForge
) -> None:
    forge.fake.thread().locked = True
    job_id = ask(daemon, forge, "@mosaic fix touch made")
    failed = wait_until(lambda: daemon.get("/answers?state=failed")["items"], "the refusal")[0]
    assert (failed["kind"], failed["slot"], failed["jobId"]) == ("comment", "comment:issue/479", job_id)
    assert (failed["error"]["code"], failed["dueAt"], failed["tries"]) == ("locked", None, 1)
    daemon.wait(job_id, "COMPLETED")
    forge.fake.thread().locked = False
    done = daemon.cli("answers", "retry", failed["id"][-8:])
    assert done.returncode == 0, done.stderr
    wait_until(forge.ours, "the comment")
    assert "delivered" in daemon.cli("answers").stdout
