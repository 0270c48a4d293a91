"""Where an answer may follow its issue to."""

from pathlib import Path
from typing import Any

import pytest

from stitcherd.config.load import load_settings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.forges.connections import ForgeConnections
from stitcherd.jobs.accounts import KeptAccounts
from stitcherd.jobs.known_access import KnownAccess
from stitcherd.reporting.reporter import Reporter
from stitcherd.store import outbox
from stitcherd.store.answers import begin_reporting, put_answers
from tests.stitcherd.reporting.outbox_harness import OutboxHarness

SETTINGS = """
[sources.github]
kind = "github"
secrets = [{env = "SECRET"}]
api = "https://api.github.com"
token = {env = "SECRET"}

[repositories."octo-org/*"]
clone = "https://github.com/{owner}/{name}.git"

[repositories."acme/*"]
clone = "https://github.com/{owner}/{name}.git"
workspace = "other"
"""


@pytest.mark.parametrize(
    ("repository", "number", "allowed"),
    [
        ("octo-org/other", 3, True),
        ("octo-org/api", 479, True),  # back again
        ("acme/api", 3, False),
        ("elsewhere/api", 3, False),
        ("octo-org/Other", 4, False),  # which has a comment about its own jobs
    ],
)
async def test_an_answer_follows_within_its_workspace_to_where_no_other_is(
    github: OutboxHarness, tmp_path: Path, monkeypatch: Any, repository: str, number: int, allowed: bool
) -> None:
    monkeypatch.setenv("SECRET", "a-webhook-secret")
    (tmp_path / "stitcherd.toml").write_text(SETTINGS)
    settings, store = load_settings(tmp_path, SUPPORTED_KINDS), github.store
    rails: Any = None  # which it only hands to the planner
    forges = ForgeConnections(settings)
    reporter = Reporter(store, settings, rails, forges, KeptAccounts(store), KnownAccess(store, ()), "instance")
    try:
        await github.want_comment()
        taken = await store.write(outbox.take_answer, "github", github.clock.now)
        assert taken is not None
        other = github.wanted("comment", "comment:issue/4", "{}", repository="octo-org/other", job="job-2")
        await store.write(put_answers, (other,), 0, github.clock.now)
        assert await reporter._may_move(taken, repository, f"comment:issue/{number}") is allowed
    finally:
        await forges.close()


async def test_events_are_followed_from_the_moment_at_which_it_begins(
    github: OutboxHarness, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SECRET", "a-webhook-secret")
    (tmp_path / "stitcherd.toml").write_text(SETTINGS)
    settings, store = load_settings(tmp_path, SUPPORTED_KINDS), github.store
    rails: Any = None
    forges = ForgeConnections(settings)
    reporter = Reporter(store, settings, rails, forges, KeptAccounts(store), KnownAccess(store, ()), "instance")
    before = await store.write(lambda db: db.execute("SELECT count(*) FROM events").fetchone()[0])
    await reporter.begin()
    await store.write(outbox.note_held, "github", "default", "an event", github.clock.now, github.clock.now)
    assert await store.write(begin_reporting) == before, "the event is to be followed"
    await forges.close()
