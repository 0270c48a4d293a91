"""Agents in the sandbox, and the rules for diffs, with a real daemon."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from time import monotonic

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import ROOT, DaemonHarness, agent_output, wait_until
from tests.stitcherd.sandbox.sandbox_host import needs_sandbox

RAILS = """\
version: 1
profiles:
  caged:
    capabilities: [repo:read, repo:write, git:commit, exec:run]
    executor: agent
    timeout: 1m
    sandbox: bwrap
    network: none
  free: {capabilities: [repo:read, repo:write, git:commit, exec:run], executor: agent, timeout: 1m}
jobs:
  caged: {profile: caged, needs: [repo:write], gates: [scope, look], tries: 2}
  free: {profile: free, needs: [repo:write], gates: [scope], tries: 2}
  empty: {profile: caged, needs: []}
gates:
  scope: {builtin: diff-rules}
  look: {run: [sh, -c, "ls ..; ls; cd ../stitcher.git; ls; touch objects/x || (cd ../gates-1; git log --format=%s);
    find / -xdev -name left"], sandbox: bwrap, network: none}
paths:
  protected: [check.sh]
  max_diff: {lines: 20}
"""
PLACES = "{state}/lock {config}/rails.yaml {root}/old-secret {repository}/HEAD {socket} /etc/shadow ../stitcher.git"
SECRETS = "cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -ao ^E2E_SECRET="
LOOK = f"for place in {PLACES}; do if [ -e $place ]; then echo $place; fi; done; {SECRETS}; :"


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    with DaemonHarness(rails=RAILS) as built:
        built.start()
        yield built


@needs_sandbox
def test_an_agent_in_the_sandbox_sees_only_its_checkout(daemon: DaemonHarness) -> None:
    script = f"touch made; ({LOOK.format(**vars(daemon))}) > seen; :"
    free, caged = daemon.run("free", script), daemon.run("caged", script)
    seen = {job["type"]: daemon.git("show", f"{job['branch']}:seen").split() for job in (free, caged)}
    assert seen["caged"] == []
    assert seen["free"][:4] == [
        f"{daemon.state}/lock",
        *(str(daemon.root / it) for it in ("config/rails.yaml", "old-secret", "api.git/HEAD")),
    ]
    assert ("E2E_SECRET=" in seen["free"]) == (
        os.geteuid() == 0
    )  # the daemon is not dumpable, which does not stop root
    assert (free["decision"]["sandbox"], caged["decision"]["sandbox"]) == ("none", "bwrap")


@needs_sandbox
def test_a_gate_in_the_sandbox_sees_only_the_commit(daemon: DaemonHarness) -> None:
    job = daemon.run("caged", "touch made ~/left /tmp/left $TMPDIR/left .git/left; :")
    assert job["status"] == "COMPLETED", job["error"]
    gate = next(step for step in job["steps"] if step["name"] == "look")
    directories, files, shown = ["gates-1", "stitcher.git", "tmp-gates"], ["check.sh", "made", "readme"], ["objects"]
    *listed, refused, newest, first = gate["output"].splitlines()
    assert listed == directories + files + shown
    assert refused.endswith("Read-only file system")
    assert (newest, first) == ("octo-org/api: caged", "Initial commit")


@needs_sandbox
def test_a_job_without_a_repository_is_sandboxed_too(daemon: DaemonHarness) -> None:
    job = daemon.run("empty", f"{LOOK.format(**vars(daemon))}; echo over", repository=None)
    assert job["status"] == "COMPLETED"
    assert agent_output(job) == "over\n"


def test_findings_of_the_rules_go_back_to_the_agent(daemon: DaemonHarness) -> None:
    script = (
        "if [ $STITCHER_TRY = 1 ]; then touch made; echo : > check.sh; else cat > prompt; git checkout -q check.sh; fi"
    )
    job = daemon.run("free", script)
    assert (job["status"], job["tries"]["used"]) == ("COMPLETED", 2)
    prompt = daemon.git("show", f"{job['branch']}:prompt")
    assert "check.sh: protected: the rails protect this path, and it is changed" in prompt
    reasons = [it["payload"]["reason"] for it in job["events"] if it["type"] == "gate.failed"]
    assert reasons == ["The change breaks the rules, 1 times: protected."]


def test_a_change_that_violates_the_rules_is_not_published(daemon: DaemonHarness) -> None:
    job = daemon.run("free", "seq 30 > long; ln -s /etc/passwd way; mkdir -p .git/hooks; chmod +x readme")
    assert (job["status"], job["error"]["code"]) == ("FAILED", "gates_failed")
    assert daemon.git("branch", "--list", job["branch"]) == ""
    gate = next(step for step in job["steps"] if step["name"] == "scope")
    assert gate["output"].splitlines()[1:] == [
        ".: max_diff: 31 lines are changed, and the rails allow 20",
        "readme: mode: the mode of the file goes from 644 to 755",
        "way: symlink: a symbolic link to '/etc/passwd' is added; links are made by people",
    ]


FLEEING = "trap '' TERM; (setsid sh -c 'trap \"\" TERM; cd /; sleep 300; :' &) ; touch up; sleep 300; :"


@needs_sandbox
def test_a_cancel_kills_everything_in_the_sandbox(daemon: DaemonHarness) -> None:
    job = daemon.dispatch("caged", FLEEING)
    wait_until(lambda: list((daemon.state / "checkouts" / job).glob("*/work/up")), "the agent is up")
    asked = monotonic()
    assert daemon.request("POST", f"/runner-jobs/{job}/cancel", {}).status == 202
    daemon.wait(job, "CANCELLED")
    assert monotonic() - asked < 2.0
    daemon.wait_until_clean()


@needs_sandbox
def test_the_sandbox_dies_with_the_daemon(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS)
    daemon.start()
    job = daemon.dispatch("caged", FLEEING)
    wait_until(lambda: list((daemon.state / "checkouts" / job).glob("*/work/up")), "the agent is up")
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()
    wait_until(lambda: not daemon.processes(), "all processes of the job are gone")
    daemon.start()
    assert daemon.wait(job)["error"]["code"] == "interrupted"


def test_a_job_is_denied_if_the_sandbox_does_not_work(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS)
    fake = daemon.root / "bin" / "bwrap"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'bwrap: not here' >&2\nexit 1\n")
    fake.chmod(0o755)
    daemon.start(around=("env", f"PATH={fake.parent}:{os.environ['PATH']}"))
    reply = daemon.request("POST", "/runner-jobs", {"type": "caged", "repository": "octo-org/api"})
    assert reply.status == 403
    assert reply.json["detail"] == "capability: sandbox bwrap cannot be used here: bwrap: not here"
    assert daemon.run("free", "touch made")["status"] == "COMPLETED"


def test_rails_that_mount_sensitive_directories_are_refused(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    daemon.stop()
    mounts = [
        str(place) for place in (daemon.config, daemon.root, daemon.state / "mirrors", daemon.root / "old-secret", "~")
    ]
    daemon.rails.write_text(RAILS.replace("network: none\n", f"network: none\n    mounts: {json.dumps(mounts)}\n", 1))
    argv = [sys.executable, "-m", "stitcherd", "--config", str(daemon.config), "--check"]
    environ = {**os.environ, "E2E_SECRET": "first-secret"}
    done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert [line.split(": ")[1].partition(" would expose ")[0] for line in done.stderr.splitlines()] == mounts
