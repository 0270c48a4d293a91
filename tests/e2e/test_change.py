"""The whole way at each kind of forge: a comment, the permission, the job, a pushed branch, the change, the answers."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from stitcherd.forges import FORGES
from tests.e2e.conftest import BuildDaemon
from tests.e2e.forge import ThreadedForge
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.process_watch import ProcessWatch
from tests.e2e.test_change_head import set_head
from tests.e2e.test_reports import RAILS
from tests.forges.fake import Answer, FakeAccount
from tests.forges.harness import FAKES, TOKEN
from tests.stitcherd.git.http_repositories import GitServer

NAME = "remote-org/api"
REPOSITORY = '[repositories."remote-org/*"]\nclone = "{url}/{{owner}}/{{name}}.git"\n'
BY_PERMISSION = RAILS.replace('{users: ["hub:octocat"]}', "{permission: write}\n  readers: {permission: read}").replace(
    "explain_denials_to: [team]", "explain_denials_to: [readers]"
)
DRAFT_PREFIXES = {"gitea": "WIP: ", "github": "", "gitlab": "Draft: "}


class Walk:
    """A daemon, and a forge with its API and its repositories at one origin."""

    def __init__(self, daemon: DaemonHarness, forge: ThreadedForge, served: Path, rails: str) -> None:
        self.daemon, self.forge, self.processes = daemon, forge, ProcessWatch()
        self.git = GitServer(served, FORGES[forge.kind].git_username, TOKEN)
        repository = (served / NAME).with_suffix(".git")
        repository.parent.mkdir(parents=True)
        daemon.repository = daemon.repository.rename(repository)
        daemon.git("config", "http.receivepack", "true")
        daemon.rails.write_text(rails)
        daemon._pieces["settings"] = forge.settings(daemon) + REPOSITORY.format(url=forge.fake.url)
        forge.fake.repository.name = NAME
        forge.fake.git = self.answer_git
        daemon.start()

    async def answer_git(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of git, while the processes of git that wait for it are looked at."""
        assert self.daemon.process
        self.processes.look(self.daemon.process.pid)
        return await self.git.answer(request)

    def decided(self, answer: Any) -> Any:
        """Return a delivery that a permission was asked for, when it is decided."""
        assert answer["verdict"] == "deciding", answer

        def found() -> Any:
            delivery = self.daemon.get(f"/deliveries/{answer['deliveryId']}")
            return None if delivery["verdict"] == "deciding" else delivery

        return wait_until(found, "the delivery is decided")

    def decisions(self) -> list[tuple[str, str]]:
        """Return the verdict and the job of each delivery that was decided after the forge was asked."""
        with self.daemon.database() as db:
            found = db.execute("SELECT payload FROM events WHERE type = 'delivery.decided' ORDER BY id").fetchall()
        payloads = [json.loads(payload) for (payload,) in found]
        return [(each["verdict"], each["jobId"]) for each in payloads]

    def assert_the_token_is_nowhere(self) -> None:
        """Stop the daemon, and look for its token in all that it has left and in all that it has run."""
        self.daemon.stop()
        (self.daemon.root / "forge-token").unlink()
        basic = base64.b64encode(f"{FORGES[self.forge.kind].git_username}:{TOKEN}".encode()).decode()
        for secret in (TOKEN, basic):
            assert self.processes.finds(secret) == []
            for path in (each for each in self.daemon.root.rglob("*") if each.is_file()):
                assert secret.encode() not in path.read_bytes(), path


@pytest.fixture
def forge(request: pytest.FixtureRequest) -> Iterator[ThreadedForge]:
    running = ThreadedForge(request.param)
    yield running
    running.close()


def with_change(wanted: str) -> str:
    """Return rails that want a change for what was pushed."""
    granted = BY_PERMISSION.replace("status:set]", "status:set, change:open]")
    return granted.replace("report:\n", f"report:\n  change: {wanted}\n")


each_forge = pytest.mark.parametrize("forge", FAKES, indirect=True)


@each_forge
@pytest.mark.parametrize("wanted", ["open", "draft"])
def test_a_comment_becomes_a_change(build: BuildDaemon, tmp_path: Path, forge: ThreadedForge, wanted: str) -> None:
    walk = Walk(build(), forge, tmp_path, with_change(wanted))
    daemon, fake = walk.daemon, forge.fake
    delivery = walk.decided(forge.command(daemon, "@mosaic fix touch made; env; cat .git/config"))
    assert delivery["verdict"] == "allowed", delivery["reason"]
    job = daemon.wait(delivery["jobId"], "COMPLETED")
    commit = job["result"]["commit"]
    assert daemon.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/stitcher") == (
        f"refs/heads/{job['branch']} {commit}"
    )
    assert daemon.git("rev-parse", f"{commit}^") == daemon.git("rev-parse", "main")
    number = wait_until(lambda: daemon.job(job["id"])["change"], "a change is opened")["number"]
    statuses = wait_until(lambda: fake.repository.statuses.get(commit), "the commit has a status", 15)
    wait_until(lambda: forge.ours() and "is done" in forge.ours()[0].body, "the comment shows the end", 15)

    (comment,) = forge.ours()
    assert comment.body.count("<!-- stitcher:t:") == 1
    assert forge.reactions() == {(fake.bot.id, "eyes")}
    assert [(each["state"], each.get("context", each.get("name"))) for each in statuses] == [
        ("success", "stitcher/fix")
    ]
    (opened,) = (each for each in fake.repository.threads.values() if each.number > 480)
    assert (opened.number, opened.kind, opened.head, opened.base) == (number, "change", job["branch"], "main")
    assert (opened.draft, opened.author.id) == (wanted == "draft", fake.bot.id)
    assert opened.title == f"{DRAFT_PREFIXES[forge.kind] if wanted == 'draft' else ''}fix for #479"
    permission, reaction, first_comment = (
        next(index for index, sent in enumerate(fake.log) if part in sent.path and sent.method == method)
        for method, part in _steps(forge.kind)
    )
    assert permission < min(reaction, first_comment)
    assert walk.decisions() == [("allowed", job["id"])]
    assert walk.processes.has_run("git", "push")
    walk.assert_the_token_is_nowhere()


@each_forge
def test_an_outage_during_the_run_delays_everything_and_repeats_nothing(
    build: BuildDaemon, tmp_path: Path, forge: ThreadedForge
) -> None:
    walk, fake = Walk(build(), forge, tmp_path, with_change("open")), forge.fake
    go = tmp_path / "go"
    answer = forge.command(walk.daemon, f"@mosaic fix touch made; while [ ! -e {go} ]; do sleep .1; done")
    job_id = walk.decided(answer)["jobId"]
    walk.daemon.step(job_id, "agent")
    walk.git.down = True
    forge.fail(*[Answer(502, b"<html>bad gateway</html>")] * 1000)
    go.touch()
    held = wait_until(lambda: walk.daemon.job(job_id)["held"], "the push is delayed")
    assert "502" in held
    forge.fail()
    walk.git.down = False
    job = walk.daemon.wait(job_id, "COMPLETED", limit=60)
    assert (job["attempt"], job["tries"]["used"]) == (1, 1)
    assert walk.daemon.git("rev-parse", job["branch"]) == job["result"]["commit"]
    wait_until(lambda: walk.daemon.job(job_id)["change"], "a change is opened", 60)
    wait_until(lambda: forge.ours() and "is done" in forge.ours()[0].body, "the comment shows the end", 60)
    wait_until(lambda: forge.reactions() == {(fake.bot.id, "eyes")}, "the reaction", 60)
    assert len(forge.ours()) == 1
    assert [each.head for each in fake.repository.threads.values() if each.number > 480] == [job["branch"]]


@each_forge
def test_a_denial_is_explained_to_those_who_may_read(build: BuildDaemon, tmp_path: Path, forge: ThreadedForge) -> None:
    walk, fake = Walk(build(), forge, tmp_path, BY_PERMISSION), forge.fake
    thumbs_down = "thumbsdown" if forge.kind == "gitlab" else "-1"
    stranger = walk.decided(forge.command(walk.daemon, "@mosaic fix touch made", by=3))
    wait_until(lambda: forge.reactions() == {(fake.bot.id, thumbs_down)}, "the reaction to the stranger")
    fake.accounts[4] = FakeAccount(4, "reader")
    fake.repository.levels[4] = "read"
    reader = walk.decided(forge.command(walk.daemon, "@mosaic fix touch made", by=4))
    for delivery in (stranger, reader):
        assert (delivery["verdict"], delivery["jobId"]) == ("denied", None)
    wait_until(forge.ours, "the explanation")
    body = forge.ours()[0].body
    assert "Nothing runs for `reader`: `who: hub:reader is in none of team`" in body
    assert "drive-by" not in body
    comments = [each for each in fake.thread().comments if each.author.id != fake.bot.id]
    wait_until(lambda: all(each.reactions == {(fake.bot.id, thumbs_down)} for each in comments), "both reactions")
    assert walk.daemon.get("/runner-jobs")["items"] == []
    assert walk.git.requests == []


@each_forge
def test_a_dispatched_job_gets_a_status_and_a_change(build: BuildDaemon, tmp_path: Path, forge: ThreadedForge) -> None:
    walk = Walk(build(), forge, tmp_path, with_change("open"))
    daemon, fake = walk.daemon, forge.fake
    for ref in ("main", daemon.git("rev-parse", "main")):
        job = daemon.wait(daemon.dispatch("fix", "touch made", repository=NAME, ref=ref), "COMPLETED")
        number = wait_until(lambda: daemon.job(job["id"])["change"], "a change is opened")["number"]  # noqa: B023
        opened = fake.repository.threads[number]
        assert (opened.head, opened.base, opened.title) == (job["branch"], "main", "fix")
        statuses = wait_until(lambda: fake.repository.statuses.get(job["result"]["commit"]), "a status", 15)  # noqa: B023
        assert statuses[0]["state"] == "success"
    assert not any(each.comments for each in fake.repository.threads.values())


@each_forge
def test_nothing_is_sent_to_another_host(build: BuildDaemon, tmp_path: Path, forge: ThreadedForge) -> None:
    stranger = ThreadedForge(forge.kind)
    try:
        walk = Walk(build(), forge, tmp_path, BY_PERMISSION)
        wait_until(lambda: forge.sent("GET", "/user"), "the daemon knows its account")
        walk.git.redirect = stranger.fake.url
        answer = forge.command(walk.daemon, "@mosaic fix touch made")
        job_id = walk.decided(answer)["jobId"]
        assert "302" in walk.daemon.wait(job_id, "FAILED")["error"]["detail"]
        wait_until(forge.ours, "the comment")
        elsewhere = Answer(307, {}, {"Location": f"{stranger.fake.api}/user"})
        forge.fail(*[elsewhere] * 20)
        assert walk.daemon.request("POST", f"/runner-jobs/{job_id}/retry", {}).status == 202  # so that it is told anew
        wait_until(lambda: walk.daemon.get("/answers?state=failed")["items"], "an answer is refused", 15)
        forge.fail()
        (check,) = (each for each in walk.daemon.get("/readyz", 503)["checks"] if each["name"] == "forge:hub")
        assert f"redirects to {stranger.fake.url}: not followed" in check["detail"]
        assert (stranger.fake.log, walk.git.requests[-1].method) == ([], "GET")
        walk.assert_the_token_is_nowhere()
    finally:
        stranger.close()


@each_forge
def test_a_change_whose_head_was_replaced_gets_no_push(
    build: BuildDaemon, tmp_path: Path, forge: ThreadedForge
) -> None:
    walk = Walk(build(), forge, tmp_path, BY_PERMISSION)
    refs = f"refs/{'merge-requests' if forge.kind == 'gitlab' else 'pull'}"
    seen = set_head(walk.daemon, {"feature": "seen\n"}, ref=f"{refs}/480/head")
    other = set_head(walk.daemon, {"feature": "other\n"}, ref=f"{refs}/481/head")
    forge.fake.thread(480).head_sha = other
    move = f"git -C {walk.daemon.repository} update-ref {refs}/480/head {other}"
    answer = forge.command(walk.daemon, f"@mosaic fix touch made && {move}", number=480)
    job = walk.daemon.wait(walk.decided(answer)["jobId"], "FAILED")
    assert (job["error"]["code"], job["start"]["sha"]) == ("head_moved", seen)
    assert forge.sent("GET", "/merge_requests/480" if forge.kind == "gitlab" else "/pulls/480")
    assert not walk.daemon.git("branch", "--list", job["branch"])
    wait_until(lambda: any("head_moved" in each.body for each in forge.ours(480)), "the comment says it", 15)


@pytest.mark.parametrize("forge", ["gitlab"], indirect=True)
def test_a_commit_for_a_branch_that_was_deleted_is_pushed_and_its_branch_is_named(
    build: BuildDaemon, tmp_path: Path, forge: ThreadedForge
) -> None:
    walk, repository = Walk(build(), forge, tmp_path, with_change("open")), forge.fake.repository
    repository.deleted_branches.add("main")
    delete = f"git -C {walk.daemon.repository} update-ref -d refs/heads/main"
    answer = forge.command(walk.daemon, f"@mosaic fix touch made && {delete}")
    job = walk.daemon.wait(walk.decided(answer)["jobId"], "COMPLETED")
    (refused,) = wait_until(lambda: walk.daemon.get("/answers?state=failed")["items"], "no change is opened", 15)
    assert refused["error"]["detail"] == "gitlab answered 400: target_branch: does not exist"
    wait_until(lambda: repository.statuses.get(job["result"]["commit"]), "the commit has a status", 15)
    wait_until(lambda: forge.ours() and f" on `{job['branch']}`" in forge.ours()[0].body, "the comment names it", 15)
    assert walk.daemon.git("rev-parse", job["branch"]) == job["result"]["commit"]
    assert len(forge.sent("POST", "/merge_requests")) == 1


def _steps(kind: str) -> list[tuple[str, str]]:
    """Return the requests for a permission, a reaction and a comment."""
    if kind == "gitlab":
        return [("GET", "/members/all/2"), ("POST", "/award_emoji"), ("POST", "/issues/479/notes")]
    return [
        ("GET", "/collaborators/octocat/permission"),
        ("POST", "/reactions"),
        ("POST", "/issues/479/comments"),
    ]
