"""Commits: they hold what the agent changed, and the agent is told what cannot be committed."""

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.git_repository import git
from tests.e2e.harness import DaemonHarness

RAILS = """\
version: 1
profiles:
  weaver: {capabilities: [repo:read, repo:write, git:commit, exec:run], executor: agent, timeout: 1m}
jobs:
  fix: {profile: weaver, needs: [repo:write, git:commit], gates: [scope], tries: 2}
paths: {protected: [".github/**"], max_diff: {files: 2}}
gates: {scope: {builtin: diff-rules}}
"""
INSTALL = "echo l > package-lock.json; echo m >> readme; rm check.sh; mkdir -p dist && echo d > dist/x"


def changed(daemon: DaemonHarness, job: Any) -> list[str]:
    return daemon.git("diff-tree", "-r", "--name-only", "main", job["branch"]).split()


def seed(daemon: DaemonHarness, files: dict[str, str]) -> None:
    """Commit files to the repository of the daemon as they are, without any filter."""
    here, index = f"--git-dir={daemon.repository}", []
    for name, content in files.items():
        words = ["git", here, "hash-object", "-w", "--no-filters", "--stdin"]
        done = subprocess.run(words, input=content.encode(), capture_output=True, check=True)
        index += ["--cacheinfo", f"100644,{done.stdout.decode().strip()},{name}"]
    git(here, "read-tree", "main")
    git(here, "update-index", "--add", *index)
    tree = git(here, "write-tree")
    git(here, "update-ref", "refs/heads/main", git(here, "commit-tree", "-p", "main", "-m", "more", tree))


def test_an_agent_that_did_nothing_publishes_nothing_of_what_was_prepared(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS, prepare=json.dumps([["sh", "-c", INSTALL]]))
    daemon.start()
    idle = daemon.run("fix", "true")
    assert (idle["status"], idle["result"]["commit"], idle["result"]["summary"]) == ("COMPLETED", None, "no changes")
    assert daemon.git("branch", "--list", idle["branch"]) == ""
    job = daemon.run("fix", "echo x > made; echo changed > dist/x")
    assert (job["status"], changed(daemon, job)) == ("COMPLETED", ["dist/x", "made"])
    assert daemon.git("show", f"{job['branch']}:readme") == "one"


def test_a_further_try_leaves_out_what_was_prepared_too(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS, prepare=json.dumps([["sh", "-c", INSTALL]]))
    daemon.start()
    job = daemon.run(
        "fix", "mkdir -p .github; if [ $STITCHER_TRY = 1 ]; then touch .github/x; else rm .github/x; touch made; fi"
    )
    assert (job["status"], job["tries"]["used"], changed(daemon, job)) == ("COMPLETED", 2, ["made"])


@pytest.mark.parametrize(
    ("line", "content"), [("* text", "a\r\nb\r\n"), ("* ident", "$Id: old$\n"), ("* text=auto eol=lf", "a\r\n")]
)
def test_what_git_converts_is_no_change(build: BuildDaemon, line: str, content: str) -> None:
    daemon = build(rails=RAILS)
    seed(daemon, {".gitattributes": f"{line}\n", ".github/ci.yml": content, "other.txt": content})
    daemon.start()
    assert daemon.run("fix", "true")["result"]["commit"] is None
    job = daemon.run("fix", "echo x > made")
    assert (job["status"], changed(daemon, job)) == ("COMPLETED", ["made"])


@pytest.mark.parametrize(
    ("damage", "repair", "told"),
    [
        ("git init -q vendor", "rm -rf vendor", "git repositories of its own, which cannot be committed: vendor."),
        ("git clone -q . vendor", "rm -rf vendor", "git repositories of its own, which cannot be committed: vendor."),
        ("rm readme; mkfifo readme", "rm readme; echo two > readme", "readme"),
        ("mkdir .GIT; touch .GIT/config", "rm -r .GIT", "invalid path '.GIT/config'"),
        ("mkdir git~1; touch git~1/config", "rm -r git~1", "invalid path 'git~1/config'"),
        ("mkdir .g\u200cit; touch .g\u200cit/config", "rm -r .g\u200cit", "invalid path '.g\u200cit/config'"),
        ("rm -rf .git; ln -s /etc .git", "rm .git", "symbolic link"),
    ],
)
def test_what_cannot_be_committed_is_told_to_the_next_try(
    daemon: DaemonHarness, damage: str, repair: str, told: str
) -> None:
    script = f"if [ $STITCHER_TRY = 1 ]; then {damage}; else {repair}; cat > told; fi"
    job = daemon.run("fix", script)
    assert (job["status"], job["tries"]["used"]) == ("COMPLETED", 2)
    text = daemon.git("show", f"{job['branch']}:told")
    assert "they could not be committed" in text
    assert told in text
    commits = [(it["try"], it["status"]) for it in job["steps"] if it["name"] == "commit"]
    assert commits == [(1, "FAILED"), (2, "COMPLETED")]


def test_a_tree_that_can_never_be_committed_fails_after_all_tries(daemon: DaemonHarness) -> None:
    job = daemon.run("fix", "git init -q vendor")
    assert (job["status"], job["error"]["code"], job["tries"]["used"]) == ("FAILED", "commit_failed", 3)
    assert "vendor" in job["error"]["detail"]


def test_pointers_of_lfs_are_told_and_never_replaced(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS)
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 3\n"
    seed(daemon, {".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n", "a.bin": pointer})
    daemon.start()
    job = daemon.run(
        "fix", "if [ $STITCHER_TRY = 1 ]; then seq 900 > a.bin; else git checkout -q a.bin; cat > told; fi"
    )
    assert (job["status"], job["tries"]["used"], changed(daemon, job)) == ("COMPLETED", 2, ["told"])
    assert "a.bin" in daemon.git("show", f"{job['branch']}:told")
    checkout = next(step for step in job["steps"] if step["name"] == "checkout")
    assert "Git LFS pointers instead of their files: 1. Stitcher does not speak LFS" in checkout["output"]
    lost = daemon.run("fix", "seq 900 > new.bin")
    assert (lost["status"], lost["error"]["code"]) == ("FAILED", "commit_failed")
    assert "Git LFS" in lost["error"]["detail"]


def test_names_in_diffs_are_readable(daemon: DaemonHarness) -> None:
    name = "\u00fcn\u00ef \u65e5\u672c.txt"
    job = daemon.run("free", f"echo x > '{name}'")
    diff = daemon.request("GET", f"/runner-jobs/{job['id']}/diff").body.decode()
    assert f"+++ b/{name}" in diff
    shown = daemon.cli("show", "--diff", job["id"])
    assert f"+++ b/{name}" in shown.stdout
    assert "\\303" not in shown.stdout + diff
