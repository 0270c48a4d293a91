"""A repository over HTTP: fetched and pushed with the token of a source, through outages of its forge."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stitcherd.forges import FORGES
from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, agent_output, wait_until
from tests.loop_thread import LoopThread
from tests.stitcherd.git.http_repositories import GitServer, serve_repositories

TOKEN = "a-token-of-the-forge-3f9c"
SETTINGS = """
[sources.forge]
kind = "{kind}"
secrets = [{{env = "E2E_SECRET"}}]
api = "{origin}/api"
token = {{file = "{token}"}}
[repositories."remote-org/*"]
clone = "{origin}/{{name}}.git"
"""


class ThreadedServer:
    """Repositories over HTTP, served by a thread."""

    def __init__(self, root: Path, username: str) -> None:
        self._loop = LoopThread()
        self._serving = serve_repositories(root, username, TOKEN)
        self.server: GitServer = self._loop.run(self._serving.__aenter__())

    def close(self) -> None:
        self._loop.run(self._serving.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture
def forge(
    build: BuildDaemon, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[DaemonHarness, GitServer]]:
    """A daemon, and the server of its repository, by default of Gitea; the daemon is not started yet."""
    kind = getattr(request, "param", "gitea")
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    served = tmp_path / "served"
    served.mkdir()
    server = ThreadedServer(served, FORGES[kind].git_username)
    daemon = build(settings=SETTINGS.format(kind=kind, origin=server.server.origin, token=token))
    daemon.repository.rename(served / "api.git")
    daemon.repository = served / "api.git"
    daemon.git("config", "http.receivepack", "true")
    yield daemon, server.server
    server.close()


def run(daemon: DaemonHarness, script: str = "touch made") -> str:
    return daemon.dispatch("free", script, repository="remote-org/api")


def test_a_commit_is_pushed_with_the_token_that_nothing_else_gets(forge: tuple[DaemonHarness, GitServer]) -> None:
    daemon, server = forge
    daemon.start()
    job = daemon.wait(run(daemon, "touch made; env; cat .git/config"), "COMPLETED")
    assert daemon.git("rev-parse", job["branch"]) == job["result"]["commit"]
    assert any(each.path.endswith("git-receive-pack") and each.authorization for each in server.requests)
    assert TOKEN not in agent_output(job)
    daemon.stop()
    for path in (each for each in daemon.root.rglob("*") if each.is_file()):
        assert TOKEN.encode() not in path.read_bytes(), path


def test_an_outage_delays_the_push_and_starts_no_agent_again(forge: tuple[DaemonHarness, GitServer]) -> None:
    daemon, server = forge
    daemon.start()
    job_id = run(
        daemon, f"echo run >> {daemon.root}/runs; touch made; while [ ! -e {daemon.root}/go ]; do sleep .1; done"
    )
    daemon.step(job_id, "agent")
    server.down = True
    (daemon.root / "go").touch()
    held = wait_until(lambda: daemon.job(job_id) if daemon.job(job_id)["held"] else None, "the push is delayed")
    assert (held["status"], held["attempt"], held["tries"]["used"]) == ("QUEUED", 1, 1)
    assert held["held"].startswith("the repository cannot be reached: git push failed: ")
    assert "502" in held["held"]
    daemon.kill()
    daemon.start()
    assert daemon.job(job_id)["status"] == "QUEUED"
    server.down = False
    job = daemon.wait(job_id, "COMPLETED")
    assert (job["attempt"], job["tries"]["used"]) == (1, 1)
    assert daemon.git("rev-parse", job["branch"]) == job["result"]["commit"]
    assert (daemon.root / "runs").read_text() == "run\n"


def test_a_push_whose_end_is_unknown_is_pushed_again(forge: tuple[DaemonHarness, GitServer]) -> None:
    daemon, server = forge
    daemon.set_hook(f"touch {daemon.root}/pushing; sleep 60")
    daemon.start()
    job_id = run(daemon)
    wait_until((daemon.root / "pushing").exists, "the commit is pushed")
    daemon.kill()
    server.down = True
    daemon.set_hook("exit 0")
    daemon.start()
    held = daemon.job(job_id)
    assert (held["status"], held["attempt"], held["tries"]["used"]) == ("QUEUED", 1, 1)
    assert held["held"].startswith("the repository cannot be reached: git fetch failed: ")
    server.down = False
    job = daemon.wait(job_id, "COMPLETED")
    assert (job["attempt"], job["tries"]["used"]) == (1, 1)
    assert daemon.git("rev-parse", job["branch"]) == job["result"]["commit"]


def test_an_outage_before_the_agent_delays_the_job(forge: tuple[DaemonHarness, GitServer]) -> None:
    daemon, server = forge
    server.down = True
    daemon.start()
    job_id = run(daemon)
    held = wait_until(lambda: daemon.job(job_id) if daemon.job(job_id)["held"] else None, "the job is delayed")
    assert held["held"].startswith("the repository cannot be reached: git clone failed: ")
    assert held["tries"]["used"] == 0
    server.down = False
    assert daemon.wait(job_id, "COMPLETED")["tries"]["used"] == 1


@pytest.mark.parametrize("forge", FORGES, indirect=True)
def test_a_refused_push_ends_the_job(forge: tuple[DaemonHarness, GitServer]) -> None:
    daemon, _ = forge
    daemon.set_hook("echo protected >&2; exit 1")
    daemon.start()
    job = daemon.wait(run(daemon), "FAILED")
    assert job["error"]["code"] == "push_refused"
    assert "protected" in job["error"]["detail"]


@pytest.mark.parametrize("forge", FORGES, indirect=True)
def test_a_branch_that_a_person_moved_is_not_replaced(forge: tuple[DaemonHarness, GitServer]) -> None:
    daemon, _ = forge
    daemon.start()
    job_id = run(daemon, f"touch made; while [ ! -e {daemon.root}/go ]; do sleep .1; done")
    daemon.step(job_id, "agent")
    branch = daemon.job(job_id)["branch"]
    daemon.git("branch", branch, "main")
    (daemon.root / "go").touch()
    assert daemon.wait(job_id, "FAILED")["error"]["code"] == "branch_moved"
    assert daemon.git("rev-parse", branch) == daemon.git("rev-parse", "main")
