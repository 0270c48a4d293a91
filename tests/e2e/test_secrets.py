"""Agents that print, encode and commit the values that rails pass to them, and secrets of the daemon."""

import base64
import json
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.git_repository import git
from tests.e2e.harness import DaemonHarness, agent_output, wait_until
from tests.e2e.webhooks import OLD_SECRET

KEY = 'k/ey+of:the agent "7f3a" 0123456789-0123456789-0123456789'
GATES_KEY = "the-key-of-a-gate-0123"
RAILS = """\
version: 1
profiles:
  keeper: {capabilities: [repo:read, repo:write, git:commit], executor: agent, env: [AGENT_KEY, AGENT_MODE]}
jobs:
  free: {profile: keeper, needs: [repo:write, git:commit]}
  scoped: {profile: keeper, needs: [repo:write, git:commit], gates: [scope]}
  checked: {profile: keeper, needs: [repo:write, git:commit], gates: [leak]}
gates:
  scope: {builtin: diff-rules}
  leak: {run: [sh, -c, 'echo "$GATES_KEY"; echo "$GATES_KEY" | base64; exit 1'], env: [GATES_KEY]}
"""
AROUND = ("env", f"AGENT_KEY={KEY}", f"GATES_KEY={GATES_KEY}", "AGENT_MODE=production")


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    with DaemonHarness(rails=RAILS) as built:
        built.start(around=AROUND)
        yield built


def assert_unknown(daemon: DaemonHarness, job_id: str, *values: str) -> None:
    """Assert that no value is in a job's document, its events, logs and diff."""
    job = daemon.job(job_id)
    texts = [json.dumps(job, ensure_ascii=False), daemon.request("GET", f"/runner-jobs/{job_id}/diff").body.decode()]
    texts += [path.read_text() for path in (daemon.state / "logs" / job_id).rglob("*") if path.is_file()]
    for value in values:
        for form in (value, base64.b64encode(value.encode()).decode()[:-4], value.encode().hex()):
            assert not [text for text in texts if form in text or json.dumps(form)[1:-1] in text]
            assert not [text for text in texts if form in text.replace("\n", "")]


def test_values_of_the_environment_are_masked_everywhere(daemon: DaemonHarness) -> None:
    script = (
        'echo "key $AGENT_KEY in mode $AGENT_MODE"; printf %s "$AGENT_KEY" | base64 -w 24;'
        ' printf "x%s" "$AGENT_KEY" | base64; printf %s "$AGENT_KEY" | od -An -v -tx1 | tr -d " \\n"; echo; touch made'
    )
    job = daemon.run("free", script)
    assert job["status"] == "COMPLETED", job["error"]
    output = agent_output(job)
    assert output.startswith("key [secret] in mode production\n[secret]")
    assert output.count("[secret]") == 4
    assert_unknown(daemon, job["id"], KEY)
    judged = daemon.run("checked", "touch made")
    assert (judged["status"], judged["error"]["code"]) == ("FAILED", "gates_failed")
    assert_unknown(daemon, judged["id"], GATES_KEY)


LEAKS = {
    "plain": 'echo "key = $AGENT_KEY" > leaked',
    "in a name": 'printf %s "$AGENT_KEY" | od -An -v -tx1 | tr -d " \\n" | xargs touch',
    "base64": 'printf "key=%s" "$AGENT_KEY" | base64 > leaked',
    "base64 in short lines": 'printf "ab%s" "$AGENT_KEY" | base64 -w 16 | sed "s/^/  /" > leaked',
    "hex in lines": 'printf %s "$AGENT_KEY" | od -An -v -tx1 | tr -d " " > leaked',
    "in a binary file": 'printf "\\0\\1\\0%s\\0" "$AGENT_KEY" > leaked',
    "in a link": 'ln -s "$AGENT_KEY" leaked',
    "of a gate": "cp {root}/gates-key leaked",
    "of the daemon": "base64 < {root}/old-secret > leaked",
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_commit_with_a_secret_is_not_published(daemon: DaemonHarness, leak: str) -> None:
    type_ = "checked" if leak == "of a gate" else "free"
    if type_ == "checked":
        daemon.rails.write_text(RAILS.replace("exit 1", "exit 0"))
        wait_until(lambda: "exit 0" in daemon.get("/rails")["text"], "the new rails are in force")
        (daemon.root / "gates-key").write_text(GATES_KEY)
    job = daemon.run(type_, LEAKS[leak].format(root=daemon.root))
    assert (job["status"], job["error"]["code"]) == ("FAILED", "secret_in_commit")
    assert daemon.git("branch", "--list", job["branch"]) == ""
    assert_unknown(daemon, job["id"], KEY, GATES_KEY, OLD_SECRET)


def test_the_rules_for_diffs_find_an_encoded_secret_too(daemon: DaemonHarness) -> None:
    job = daemon.run("scoped", LEAKS["base64 in short lines"])
    assert (job["status"], job["error"]["code"]) == ("FAILED", "gates_failed")
    gate = next(step for step in job["steps"] if step["name"] == "scope")
    assert "leaked:1: secret: a secret of stitcherd.toml, or a value passed by `env`, is written here" in gate["output"]


def test_a_commit_that_removes_a_secret_is_published(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS)
    seed = daemon.root / "seed"
    here = (f"--git-dir={daemon.repository}", f"--work-tree={seed}")
    (seed / "config").write_text(f"one\n{KEY}\ntwo\n")
    git(*here, "add", "-A")
    git(*here, "commit", "-qm", "A mistake")
    daemon.start(around=AROUND)
    job = daemon.run("free", "printf 'one\\ntwo\\n' > config; git rm -qf readme; echo $AGENT_MODE > mode")
    assert job["status"] == "COMPLETED", job["error"]
    assert daemon.git("show", f"{job['branch']}:mode") == "production"
    assert_unknown(daemon, job["id"], KEY)


def test_what_is_masked_follows_the_rails(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS.replace("env: [AGENT_KEY, AGENT_MODE]", "env: []"))
    daemon.start(around=AROUND)
    script = f"printf '%s' '{KEY}'"
    job = daemon.run("free", script)
    assert agent_output(job) == KEY
    daemon.rails.write_text(RAILS)
    wait_until(lambda: "AGENT_KEY" in daemon.get("/rails")["text"], "the new rails are in force")
    job = daemon.run("free", script)
    assert agent_output(job) == "[secret]"
