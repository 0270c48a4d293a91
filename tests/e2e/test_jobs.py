"""Jobs from checkout to branch: tries, gates, agents of many kinds, logs and events."""

import os
import re

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.git_repository import git
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.webhooks import OLD_SECRET, SECRETS

FIRST = "[ $STITCHER_TRY = 1 ]"


def files(daemon: DaemonHarness, branch: str) -> list[str]:
    return daemon.git("ls-tree", "-r", "--name-only", branch).split()


def test_a_commit_that_passed_is_on_its_branch(daemon: DaemonHarness) -> None:
    main = daemon.git("rev-parse", "main")
    job = daemon.run("fix", "echo x > made; echo two >> readme")
    assert (job["status"], job["tries"]) == ("COMPLETED", {"used": 1, "max": 3})
    assert daemon.git("rev-parse", job["branch"]) == job["result"]["commit"]
    assert daemon.git("log", "--format=%P", "-1", job["branch"]) == main
    assert daemon.git("log", "-1", "--format=%(trailers:key=Stitcher-Job,valueonly)", job["branch"]) == job["id"]
    assert files(daemon, job["branch"]) == ["check.sh", "made", "readme"]
    assert daemon.git("rev-parse", "main") == main
    assert (job["result"]["files"], job["result"]["additions"], job["result"]["deletions"]) == (2, 2, 0)
    assert not (daemon.state / "checkouts" / job["id"]).exists()


def test_the_next_try_gets_the_output_of_a_failed_gate(daemon: DaemonHarness) -> None:
    job = daemon.run("fix", f"if {FIRST}; then touch broken; else rm broken; cat > made; fi")
    assert (job["status"], job["tries"]["used"]) == ("COMPLETED", 2)
    prompt = daemon.git("show", f"{job['branch']}:made")
    assert "broken is there" in prompt
    assert files(daemon, job["branch"]) == ["check.sh", "made", "readme"]


def test_gates_that_never_pass_fail_the_job(daemon: DaemonHarness) -> None:
    job = daemon.run("fix", "touch broken")
    assert (job["status"], job["error"]["code"], job["tries"]["used"]) == ("FAILED", "gates_failed", 3)
    assert "tests" in job["error"]["detail"]
    assert daemon.git("branch", "--list", job["branch"]) == ""
    assert (daemon.state / "checkouts" / job["id"]).exists()


def test_a_gate_that_is_not_required_only_warns(daemon: DaemonHarness) -> None:
    job = daemon.run("lenient", "touch made")
    assert job["status"] == "COMPLETED"
    assert [(it["name"], it["exitCode"]) for it in job["steps"] if it["type"] == "GATE"] == [("tests", 0), ("audit", 3)]


def test_a_gate_can_be_taken_from_the_base(daemon: DaemonHarness) -> None:
    weakened = "touch broken; echo 'exit 0' > check.sh"
    assert daemon.run("fix", weakened)["status"] == "COMPLETED"
    assert daemon.run("strict", weakened)["status"] == "FAILED"


def test_attributes_of_the_commit_do_not_convert_what_a_gate_takes_from_the_base(daemon: DaemonHarness) -> None:
    # With CRLF the script would test for a file whose name ends with a carriage return.
    job = daemon.run("strict", "touch broken; echo '* text eol=crlf' > .gitattributes")
    assert (job["status"], job["error"]["code"]) == ("FAILED", "gates_failed")


def test_a_gate_that_cannot_be_started_fails_the_job(daemon: DaemonHarness) -> None:
    job = daemon.run("nogate", "touch made")
    assert (job["status"], job["error"]["code"]) == ("FAILED", "gate_unavailable")
    gate = next(step for step in job["steps"] if step["type"] == "GATE")
    assert gate["status"] == "FAILED"
    reasons = [it["payload"]["reason"] for it in job["events"] if it["type"] == "gate.failed"]
    assert reasons == ["no-such-gate cannot be started: there is no such program."]


def test_a_gate_has_a_time_limit(daemon: DaemonHarness) -> None:
    job = daemon.run("hurried", "touch made")
    assert job["status"] == "FAILED"
    failed = next(it for it in job["events"] if it["type"] == "gate.failed")
    assert "still running after 1 s" in failed["payload"]["reason"]


@pytest.mark.parametrize(
    ("type_", "script", "code", "says"),
    [
        ("free", "echo half > made; exit 7", "executor_failed", "exit code 7"),
        ("free", "kill -SEGV $$", "executor_failed", "SIGSEGV"),
        ("hasty", "sleep 60", "executor_timeout", "after 1 s"),
        ("orphan", "true", "executor_cannot_start", "there is no such program"),
    ],
)
def test_an_agent_that_fails_fails_the_job(
    daemon: DaemonHarness, type_: str, script: str, code: str, says: str
) -> None:
    job = daemon.run(type_, script)
    assert (job["status"], job["error"]["code"]) == ("FAILED", code)
    assert says in job["error"]["detail"]
    assert daemon.git("branch", "--list", job["branch"]) == ""


def test_a_job_without_a_change(daemon: DaemonHarness) -> None:
    job = daemon.run("fix", "echo nothing to do")
    assert (job["status"], job["result"]["commit"], job["result"]["files"]) == ("COMPLETED", None, 0)
    assert daemon.git("branch", "--list", job["branch"]) == ""


@pytest.mark.parametrize(
    "script",
    [
        "echo x > made; git add -A; git -c user.name=a -c user.email=a@b commit -qm mine; git tag mine",
        "rm -rf .git; git init -q; echo x > made; git add -A; git -c user.name=a -c user.email=a@b commit -qm own",
        "rm -rf .git; echo x > made",
        "echo x > made; git checkout -q --orphan away; git branch -D main; echo gc > .git/HEAD",
        "echo x > made; git config core.fsmonitor 'touch hooked'; git config filter.f.clean 'touch hooked'",
        "echo x > made; mkdir -p .git/hooks; cd .git/hooks; echo touch hooked > pre-commit; chmod +x pre-commit",
        "echo x > made; chmod -R a-w .git",
    ],
)
def test_what_an_agent_does_to_git_does_not_matter(daemon: DaemonHarness, script: str) -> None:
    main, tags = daemon.git("rev-parse", "main"), daemon.git("tag")
    job = daemon.run("fix", script)
    assert (job["status"], job["error"]) == ("COMPLETED", None)
    assert files(daemon, job["branch"]) == ["check.sh", "made", "readme"]
    assert daemon.git("log", "--format=%P", "-1", job["branch"]) == main
    assert (daemon.git("rev-parse", "main"), daemon.git("tag")) == (main, tags)
    daemon.wait_until_clean()
    assert list(daemon.root.rglob("hooked")) == []


def test_a_job_without_a_repository_has_an_empty_directory(daemon: DaemonHarness) -> None:
    job = daemon.run("free", "ls -A; pwd", repository=None)
    assert (job["status"], job["ref"], job["result"]["commit"]) == ("COMPLETED", None, None)
    agent = next(step for step in job["steps"] if step["name"] == "agent")
    assert agent["output"].splitlines() == [str(daemon.state / "checkouts" / job["id"] / "1" / "work")]


def test_a_missing_ref_fails_the_checkout(daemon: DaemonHarness) -> None:
    for ref in ("nowhere", "--upload-pack=touch hooked", "a..b"):
        job = daemon.run("free", ref=ref)
        assert (job["status"], job["error"]["code"]) == ("FAILED", "checkout_failed")
        assert ref in job["error"]["detail"]


def test_a_partial_clone_is_completed_by_the_command_in_the_error(build: BuildDaemon) -> None:
    daemon = build()
    whole = daemon.root / "whole.git"
    daemon.repository.rename(whole)
    git(f"--git-dir={whole}", "config", "uploadpack.allowFilter", "true")
    git("clone", "-q", "--bare", "--filter=blob:none", f"file://{whole}", str(daemon.repository))
    daemon.start()
    error = daemon.run("free")["error"]
    assert error["code"] == "checkout_failed"
    assert error["detail"].startswith(f"{daemon.repository} is a partial clone")
    found = re.search("`git (.*)`", error["detail"])
    assert found
    daemon.git(*found[1].split())
    assert daemon.run("free", "touch made")["status"] == "COMPLETED"


def test_a_retry_is_a_new_attempt_under_the_first_decision(daemon: DaemonHarness) -> None:
    first = daemon.run("free", '[ "$STITCHER_ATTEMPT" = 2 ] && echo x > made')
    assert first["status"] == "FAILED"
    reply = daemon.request("POST", f"/runner-jobs/{first['id']}/retry", {})
    assert (reply.status, reply.json["status"], reply.json["attempt"], reply.json["error"]) == (202, "QUEUED", 2, None)
    job = daemon.wait(first["id"], "COMPLETED")
    assert (job["attempt"], job["tries"]["used"], job["decision"]) == (2, 1, first["decision"])
    assert [step["attempt"] for step in job["steps"] if step["name"] == "agent"] == [1, 2]
    again = daemon.request("POST", f"/runner-jobs/{first['id']}/retry", {})
    assert (again.status, again.json["code"]) == (409, "not_retryable")


def test_a_log_is_complete_and_can_be_read_in_ranges(daemon: DaemonHarness) -> None:
    job = daemon.run("free", "seq 1 20000")
    step = next(step for step in job["steps"] if step["name"] == "agent")
    path = f"/runner-jobs/{job['id']}/steps/{step['id']}/log"
    whole = daemon.request("GET", path)
    assert whole.body == b"".join(b"%d\n" % number for number in range(1, 20001))
    assert whole.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert step["outputBytes"] == len(whole.body)
    part = daemon.request("GET", path, headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert daemon.request("GET", path, headers={"Range": "bytes=-4"}).body == whole.body[-4:]
    assert daemon.request("GET", path, headers={"Range": "bytes=99999999-"}).status == 416
    assert daemon.request("GET", f"/runner-jobs/{job['id']}/steps/{job['id']}/log").status == 404


def test_the_log_of_a_step_that_prints_nothing_is_empty(daemon: DaemonHarness) -> None:
    job = daemon.run("free", "true")
    step = next(step for step in job["steps"] if step["name"] == "agent")
    path = f"/runner-jobs/{job['id']}/steps/{step['id']}/log"
    whole = daemon.request("GET", path)
    assert (whole.status, whole.body, whole.headers["Content-Type"]) == (200, b"", "text/plain; charset=utf-8")
    part = daemon.request("GET", path, headers={"Range": "bytes=0-"})
    assert (part.status, part.headers["Content-Range"]) == (416, "bytes */0")


def test_the_diff_is_what_the_last_commit_changed(daemon: DaemonHarness) -> None:
    secret = SECRETS["github"]
    job = daemon.run("free", f"printf '* -diff\\n' > .gitattributes; echo {secret} > made; printf 'a\\0b' > blob")
    reply = daemon.request("GET", f"/runner-jobs/{job['id'][-8:]}/diff")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    text = reply.body.decode()
    assert "3 files changed, 2 insertions(+)" in text
    assert "+++ b/made\n@@ -0,0 +1 @@\n+[secret]\n" in text
    assert "Binary files /dev/null and b/blob differ" in text
    part = daemon.request("GET", f"/runner-jobs/{job['id']}/diff", headers={"Range": "bytes=0-5"})
    assert (part.status, part.body) == (206, reply.body[:6])
    assert daemon.request("GET", f"/runner-jobs/{job['id']}/diff?attempt=2").status == 404
    assert daemon.request("GET", f"/runner-jobs/{job['id']}/diff?attempt=0").status == 422


def test_a_rejected_change_has_a_diff_and_no_change_has_an_empty_one(daemon: DaemonHarness) -> None:
    lost = daemon.run("free", "exit 1")
    assert daemon.request("GET", f"/runner-jobs/{lost['id']}/diff").json["code"] == "not_found"
    failed = daemon.run("lenient", "touch broken")
    assert failed["status"] == "FAILED"
    assert b"broken | 0" in daemon.request("GET", f"/runner-jobs/{failed['id']}/diff").body
    idle = daemon.run("free", "true")
    assert daemon.request("GET", f"/runner-jobs/{idle['id']}/diff").body == b""


def test_output_is_streamed(daemon: DaemonHarness) -> None:
    job_id = daemon.dispatch("free", "echo early; sleep 30")

    def seen() -> list[str]:
        said = [it["payload"] for it in daemon.job(job_id)["events"] if it["type"] == "step.output"]
        return [payload["text"] for payload in said if payload["text"] == "early\n"]

    wait_until(seen, "the first line of output")
    assert daemon.job(job_id)["status"] == "RUNNING"
    daemon.request("POST", f"/runner-jobs/{job_id}/cancel")
    daemon.wait(job_id, "CANCELLED")


def test_the_environment_of_an_agent_has_no_secret(daemon: DaemonHarness) -> None:
    pry = "cat /proc/$PPID/environ | tr '\\0' '\\n'" if os.getuid() else "true"  # root can read everything
    job = daemon.run("free", f"env; {pry}")
    agent = next(step for step in job["steps"] if step["name"] == "agent")
    log = daemon.request("GET", f"/runner-jobs/{job['id']}/steps/{agent['id']}/log").body.decode()
    known = dict(line.split("=", 1) for line in log.splitlines() if "=" in line)
    assert known["STITCHER_JOB_ID"] == job["id"]
    assert (known["STITCHER_ATTEMPT"], known["STITCHER_TRY"], known["TERM"]) == ("1", "1", "dumb")
    assert (known["TMPDIR"], known["E2E_ALLOWED"]) == (
        str(daemon.state / "checkouts" / job["id"] / "1" / "tmp"),
        "yes",
    )
    usual = {"PATH", "HOME", "USER", "LANG", "PWD", "OLDPWD", "SHLVL", "_", "TMPDIR", "TERM", "E2E_ALLOWED"}
    assert {name for name in known if not name.startswith("STITCHER_")} <= usual


def test_a_secret_that_an_agent_prints_is_masked_everywhere(daemon: DaemonHarness) -> None:
    secret = SECRETS["github"]
    job = daemon.run("free", f"printf %s {secret[:9]}; sleep 0.2; echo {secret[9:]} {OLD_SECRET}; exit 1")
    agent = next(step for step in job["steps"] if step["name"] == "agent")
    log = daemon.request("GET", f"/runner-jobs/{job['id']}/steps/{agent['id']}/log").body.decode()
    assert log == "[secret] [secret]\n"
    assert agent["output"] == log
    outputs = [it for it in job["events"] if (it["stepId"], it["type"]) == (agent["id"], "step.output")]
    assert "".join(it["payload"]["text"] for it in outputs) == log
    assert OLD_SECRET not in daemon.log.read_text()
