"""The whole way at one forge: a comment, the job, a pushed branch, and the change that is opened for it."""

from pathlib import Path

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.forge import ThreadedForge
from tests.e2e.harness import wait_until
from tests.e2e.test_reports import RAILS
from tests.e2e.webhooks import comment_body
from tests.forges.harness import TOKEN
from tests.stitcherd.git.http_repositories import GitServer

NAME = "remote-org/api"
REPOSITORY = '[repositories."remote-org/*"]\nclone = "{url}/{{owner}}/{{name}}.git"\n'


@pytest.mark.parametrize("wanted", ["open", "draft"])
def test_a_pushed_commit_gets_a_change(build: BuildDaemon, tmp_path: Path, wanted: str) -> None:
    rails = RAILS.replace("status:set]", "status:set, change:open]").replace(
        "report:\n", f"report:\n  change: {wanted}\n"
    )
    daemon = build(rails=rails, files={"check.sh": "test ! -e broken\n"})
    served = tmp_path / NAME
    served.parent.mkdir()
    daemon.repository = daemon.repository.rename(served.with_suffix(".git"))
    daemon.git("config", "http.receivepack", "true")
    forge = ThreadedForge()
    try:
        forge.fake.repository.name = NAME
        forge.fake.git = GitServer(tmp_path, "x-access-token", TOKEN).answer
        daemon._pieces["settings"] = forge.settings(daemon) + REPOSITORY.format(url=forge.fake.url)
        daemon.start()
        reply = forge.comment(daemon, comment_body("", repository=NAME), "@mosaic fix touch made")
        assert reply.json["verdict"] == "allowed", reply.body
        job = daemon.wait(reply.json["jobId"], "COMPLETED")
        assert daemon.git("rev-parse", job["branch"]) == job["result"]["commit"]
        change = wait_until(lambda: daemon.job(job["id"])["change"], "a change is opened")
        (sent,) = forge.sent("POST", "/pulls")
        assert (sent.body["head"], sent.body["base"], sent.body.get("draft", False)) == (
            job["branch"],
            "main",
            wanted == "draft",
        )
        assert change["url"].endswith(f"/{change['number']}")
        wait_until(lambda: "is done" in forge.ours()[0].body, "the comment shows the end", 15)
        assert len(forge.ours()) == 1
        daemon.stop()
        assert TOKEN.encode() not in daemon.log.read_bytes()
        assert TOKEN.encode() not in (daemon.state / "stitcher.db").read_bytes()
    finally:
        forge.close()
