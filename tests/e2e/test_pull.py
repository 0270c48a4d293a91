"""A source without secrets, whose forge is asked what happened: no webhook reaches the daemon."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.forge import ThreadedForge
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.test_reports import RAILS
from tests.e2e.webhooks import comment_body, signed_headers

BY_PERMISSION = RAILS.replace('{users: ["hub:octocat"]}', "{permission: write}")
REPOSITORY = '[repositories."octo-org/api"]\nclone = "{path}"\n'
LISTS = {"github": 3, "gitlab": 4, "gitea": 2}  # of a repository
COMMENTS = {"github": "/issues/comments", "gitlab": "/events", "gitea": "/issues/comments"}


@pytest.fixture(params=LISTS)
def forge(request: pytest.FixtureRequest) -> Iterator[ThreadedForge]:
    running = ThreadedForge(request.param)
    running.fake._times = (datetime.now(UTC) for _ in count())
    yield running
    running.close()


@pytest.fixture
def daemon(build: BuildDaemon, forge: ThreadedForge) -> DaemonHarness:
    """A daemon that has asked once, and so takes what happens from now on."""
    built = build(rails=BY_PERMISSION)
    polled = forge.settings(built).replace('secrets = [{env = "E2E_SECRET"}]', 'pull = "10s"')
    assert "secrets" not in polled
    built._pieces["settings"] = polled + REPOSITORY.format(path=built.repository)
    old = write(forge, "@mosaic fix touch before-the-first-poll")
    # forges tell times in seconds, so what happens in the second of the first poll counts
    old.created = old.updated = old.created - timedelta(minutes=1)
    built.start()
    wait_until(lambda: len(cursors(built)) == LISTS[forge.kind] + 1, "the repositories and each list were read")
    return built


def test_a_comment_becomes_one_job_through_a_kill(daemon: DaemonHarness, forge: ThreadedForge) -> None:
    before = cursors(daemon)
    comment = write(forge, "@mosaic fix touch made")
    write(forge, "@mosaic fix touch made", by=3)
    job = daemon.wait(wait_until(lambda: jobs(daemon), "a job", 20)[0]["id"], "COMPLETED")
    wait_until(lambda: forge.ours() and "is done" in forge.ours()[0].body, "the comment shows the end", 15)
    wait_until(lambda: len(deliveries(daemon)) == 2, "both comments are decided")
    allowed, denied = sorted(deliveries(daemon), key=lambda each: str(each["verdict"]))
    assert (allowed["via"], allowed["sender"], allowed["jobId"]) == ("pull", "hub:octocat", job["id"])
    assert allowed["subject"] == f"comment:{comment.id}"
    assert (denied["verdict"], denied["jobId"]) == ("denied", None)

    # As a kill after the comment was stored, and before the position in the list was: it is read again.
    daemon.kill()
    restore(daemon, before)
    forge.fake.log.clear()
    comment.body, comment.updated = "@mosaic fix touch edited", forge.fake.now()
    second = write(forge, "@mosaic fix touch another")
    daemon.start()
    wait_until(lambda: len(jobs(daemon)) == 2, "the second comment becomes a job", 20)
    assert [each.etag for each in forge.sent("GET", COMMENTS[forge.kind])][:1] == [None]
    wait_until(lambda: cursors(daemon) != before, "the position is stored")
    assert {each["subject"] for each in deliveries(daemon) if each["jobId"]} == {
        f"comment:{comment.id}",
        f"comment:{second.id}",
    }
    for each in jobs(daemon):
        daemon.wait(each["id"], "COMPLETED")
    assert len(jobs(daemon)) == 2
    wait_until(lambda: (forge.fake.bot.id, "eyes") in second.reactions, "the reaction", 15)
    assert (forge.fake.bot.id, "eyes") in comment.reactions
    assert len(forge.ours()) == 1


def test_a_repository_of_a_pattern_is_asked_about(build: BuildDaemon, forge: ThreadedForge) -> None:
    built = build(rails=BY_PERMISSION)
    built._pieces["settings"] = forge.settings(built).replace('secrets = [{env = "E2E_SECRET"}]', 'pull = "10s"')
    built.start()
    wait_until(lambda: len(cursors(built)) == LISTS[forge.kind] + 1, "the repositories and each list were read")
    write(forge, "@mosaic fix touch made")
    job = built.wait(wait_until(lambda: jobs(built), "a job", 20)[0]["id"], "COMPLETED")
    assert (job["repository"], len(jobs(built))) == ("octo-org/api", 1)


def test_a_comment_that_a_source_with_webhooks_missed_becomes_one_job(build: BuildDaemon, forge: ThreadedForge) -> None:
    built = build(rails=BY_PERMISSION)
    built._pieces["settings"] = forge.settings(built) + REPOSITORY.format(path=built.repository)
    built.start()
    wait_until(lambda: cursors(built), "it is stored that the daemon runs")
    built.kill()
    write(forge, "@mosaic fix touch made")
    built.start()
    job = built.wait(wait_until(lambda: jobs(built), "a job", 20)[0]["id"], "COMPLETED")
    [taken] = deliveries(built)
    assert (taken["via"], taken["verdict"], taken["jobId"]) == ("catch-up", "allowed", job["id"])


def test_a_source_without_secrets_takes_no_webhooks(daemon: DaemonHarness) -> None:
    body = comment_body("@mosaic fix touch made", repository="octo-org/api")
    reply = daemon.public("POST", "/stitcher/webhook/hub", body, signed_headers(body))
    assert reply.status == 404
    assert "has no secrets" in reply.body.decode()
    assert deliveries(daemon) == []


def write(forge: ThreadedForge, text: str, by: int = 2) -> Any:
    return forge.fake.add_comment(forge.fake.thread(), forge.fake.accounts[by], text)


def jobs(daemon: DaemonHarness) -> Any:
    return daemon.get("/runner-jobs")["items"]


def deliveries(daemon: DaemonHarness) -> Any:
    """Return what was decided about the comments of people."""
    found = daemon.get("/deliveries")["items"]
    return [each for each in found if each["verdict"] in {"allowed", "denied"}]


def cursors(daemon: DaemonHarness) -> list[tuple[Any, ...]]:
    """Return the stored position of each list."""
    with daemon.database() as db:
        return [tuple(row) for row in db.execute("SELECT name, value FROM cursors ORDER BY name")]


def restore(daemon: DaemonHarness, positions: list[tuple[Any, ...]]) -> None:
    """Put the stored positions back; each list is to be read at once."""
    with daemon.database() as db:
        for name, value in positions:
            db.execute("UPDATE cursors SET value = ?, etag = NULL, next_at = 0 WHERE name = ?", (value, name))
