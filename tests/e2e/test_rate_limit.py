"""A forge that limits requests is asked nothing until its limit has passed, and holds up no other source."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.forge import ThreadedForge
from tests.e2e.harness import wait_until
from tests.e2e.test_reports import RAILS
from tests.forges.fake import Answer
from tests.forges.harness import FAKES

RETRY_AFTER = 4
BOTH = RAILS.replace('"hub:octocat"', '"hub:octocat", "other:octocat"')


@pytest.fixture(params=FAKES)
def forges(request: pytest.FixtureRequest) -> Iterator[tuple[ThreadedForge, ThreadedForge]]:
    both = ThreadedForge(request.param), ThreadedForge("gitea", "other")
    yield both
    for each in both:
        each.close()


def test_a_limit_is_waited_for_and_holds_up_no_other_source(
    build: BuildDaemon, forges: tuple[ThreadedForge, ThreadedForge]
) -> None:
    limited, other = forges
    daemon = build(rails=BOTH)
    daemon._pieces["settings"] = limited.settings(daemon) + other.settings(daemon)
    daemon.start()
    for each in forges:
        wait_until(lambda: each.sent("GET", "/user"), "the account of the source is known")  # noqa: B023
    limited.fail(Answer(429, {"message": "slow down"}, {"Retry-After": str(RETRY_AFTER)}))
    before = len(limited.fake.log)
    began = time.monotonic()
    job_id = limited.command(daemon, "@mosaic fix touch made")["jobId"]
    wait_until(lambda: len(limited.fake.log) > before, "the forge limits requests")
    other.command(daemon, "@mosaic fix touch made", number=480)  # another thread of the same repository
    (held,) = (each for each in daemon.get("/readyz", 503)["checks"] if not each["ok"])
    assert held["name"] == "forge:hub"
    assert "rate limit" in held["detail"]
    wait_until(lambda: other.ours(480) and "is done" in other.ours(480)[0].body, "the other thread is answered", 20)
    wait_until(lambda: len(limited.fake.log) > before + 1, "the forge is asked again", 20)
    assert time.monotonic() - began >= RETRY_AFTER
    wait_until(lambda: limited.ours() and "is done" in limited.ours()[0].body, "the thread is answered", 20)
    assert len(limited.ours()) == 1
    assert daemon.job(job_id)["status"] == "COMPLETED"
    wait_until(lambda: daemon.request("GET", "/readyz").status == 200, "nothing is held any more")
