"""Groups by permission, with a forge that tells it: asked after the answer, and decided once, through crashes."""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import BuildDaemon
from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.webhooks import comment_body, signed_headers
from tests.forges.fake import Answer, FakeAccount, Sent
from tests.forges.fake_github import FakeGitHub
from tests.forges.harness import TOKEN
from tests.forges.threaded import ThreadedForge

KILLS = int(os.environ.get("E2E_PERMISSION_KILLS", "5"))
SLOWNESS = 0.1  # seconds that the forge takes for an answer
SETTINGS = """
[sources.forge]
kind = "github"
secrets = [{{env = "E2E_SECRET"}}]
api = "{api}"
token = {{file = "{token}"}}
patience = "{patience}"
"""
RAILS = """\
version: 1
people: {team: {permission: write}}
profiles: {weaver: {capabilities: [repo:read], executor: agent, timeout: 1m}}
jobs: {once: {profile: weaver}}
triggers:
  - {id: once-on-command, on: [issue.comment], command: once, from: [team], job: once}
"""


class SlowForge(FakeGitHub):
    """GitHub with members of write access, whose answers take a moment."""

    def __init__(self) -> None:
        super().__init__()
        for number in range(100, 200):
            self.accounts[number] = FakeAccount(number, f"member-{number}")
            self.repository.levels[number] = "write"

    def answer(self, sent: Sent) -> Answer:
        time.sleep(SLOWNESS)
        return super().answer(sent)


class Setup:
    """A daemon, and the forge of its source."""

    def __init__(self, daemon: DaemonHarness, forge: SlowForge) -> None:
        self.daemon = daemon
        self.forge = forge

    def comment(self, number: int, *, issue: int) -> Any:
        """Deliver a comment of an account; return the answer."""
        document = json.loads(comment_body("@mosaic once true", issue=issue, login=self.forge.accounts[number].login))
        for user in (document["sender"], document["comment"]["user"]):
            user["id"] = number
        body = json.dumps(document).encode()
        reply = self.daemon.public("POST", "/stitcher/webhook/forge", body, signed_headers(body))
        assert reply.status in {200, 202}, reply.body
        return reply.json

    def decided(self, delivery_id: str) -> Any:
        def found() -> Any:
            delivery = self.daemon.get(f"/deliveries/{delivery_id}")
            return None if delivery["verdict"] == "deciding" else delivery

        return wait_until(found, f"delivery {delivery_id} is decided")

    def events(self, type_: str) -> list[Any]:
        with self.daemon.database() as db:
            found = db.execute("SELECT payload FROM events WHERE type = ? ORDER BY id", (type_,)).fetchall()
        return [json.loads(payload) for (payload,) in found]


@pytest.fixture
def setup(request: pytest.FixtureRequest, build: BuildDaemon, tmp_path: Path) -> Iterator[Setup]:
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    served = ThreadedForge(SlowForge())
    patience = getattr(request, "param", "10m")
    settings = SETTINGS.format(api=served.fake.api, token=token, patience=patience)
    daemon = build(settings=settings, rails=RAILS)
    daemon.start()
    yield Setup(daemon, served.fake)
    daemon.kill()
    served.close()


def test_a_permission_is_asked_after_the_answer(setup: Setup) -> None:
    daemon = setup.daemon
    assert not any("permission" in warning["message"] for warning in daemon.get("/rails")["warnings"])
    answer = setup.comment(100, issue=1)
    assert answer == {
        "deliveryId": answer["deliveryId"],
        "verdict": "deciding",
        "jobId": None,
        "status": None,
        "reason": "asking forge for the permission of forge:member-100 on octo-org/api",
    }
    delivery = setup.decided(answer["deliveryId"])
    assert (delivery["verdict"], delivery["reason"]) == ("allowed", "trigger once-on-command")
    (who,) = (check for check in delivery["decision"]["checks"] if check["id"] == "who")
    asked = who.pop("seen")
    assert asked.startswith("forge:member-100#100 has write (asked ")
    assert who == {
        "id": "who",
        "kind": "who",
        "outcome": "pass",
        "line": 2,
        "wanted": "team (permission write)",
        "because": "permission",
    }
    assert setup.events("delivery.decided") == [
        {
            "deliveryId": answer["deliveryId"],
            "source": "forge",
            "verdict": "allowed",
            "reason": "trigger once-on-command",
            "jobId": delivery["jobId"],
        }
    ]
    assert asked in daemon.cli("why", answer["deliveryId"]).stdout
    assert daemon.wait(delivery["jobId"])["status"] == "COMPLETED"
    denied = setup.decided(setup.comment(3, issue=2)["deliveryId"])
    assert (denied["verdict"], denied["jobId"]) == ("denied", None)
    assert denied["reason"] == "who: forge:drive-by is in none of team"


@pytest.mark.parametrize("setup", ["6s"], indirect=True)
def test_a_delivery_that_no_forge_decides_in_time_is_denied(setup: Setup) -> None:
    setup.forge.faults = [Answer(503, {}) for _ in range(100)]
    answer = setup.comment(100, issue=1)
    shown = setup.daemon.cli("deliveries", "ls").stdout
    assert "deciding" in shown
    assert "asking forge for the permission of forge:member-100" in " ".join(shown.split())
    started = time.monotonic()
    delivery = setup.decided(answer["deliveryId"])
    assert (delivery["verdict"], delivery["jobId"]) == ("denied", None)
    assert delivery["reason"] == "who: forge_unreachable: github answered 503"
    assert time.monotonic() - started < 10


def test_kills_while_deciding_leave_one_decision_and_one_job(setup: Setup) -> None:
    daemon, chance = setup.daemon, random.Random(os.environ.get("E2E_SEED"))
    deliveries = []
    for number in range(100, 100 + KILLS):
        deliveries.append(setup.comment(number, issue=number)["deliveryId"])
        time.sleep(chance.uniform(0, 2.5 * SLOWNESS))
        daemon.kill()
        daemon.start()
    found = [setup.decided(each) for each in deliveries]
    assert [each["verdict"] for each in found] == ["allowed"] * KILLS
    decisions = Counter(each["deliveryId"] for each in setup.events("delivery.decided"))
    assert decisions == Counter(deliveries)
    jobs = daemon.get("/runner-jobs?limit=500")["items"]
    assert Counter(job["deliveryId"] for job in jobs) == Counter(deliveries)
    for job in jobs:
        daemon.wait(job["id"], "COMPLETED", "FAILED")  # one that had started may have been interrupted


def test_the_file_is_warned_of_where_nothing_can_be_asked(build: BuildDaemon) -> None:
    daemon = build(rails=RAILS)
    daemon.start()
    (warning,) = (each for each in daemon.get("/rails")["warnings"] if "permission" in each["message"])
    assert warning["message"] == "no source has an api and a token to ask for this permission: team has no members"
