"""Rails over the API of a real daemon: shown, explained, simulated; and deliveries put through them again."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.webhooks import comment_body

pytestmark = pytest.mark.walk

TOKENS = {"reader": ["rails:read"], "seer": ["deliveries:read"], "doer": ["jobs:dispatch"], "far": ["rails:read"]}
SETTINGS = """
[sources.far]
kind = "github"
secrets = [{env = "WALK_SECRET"}]
workspace = "far"
""" + "\n".join(
    f"[[tokens]]\nname = '{name}'\nsha256 = '{hashlib.sha256(name.encode()).hexdigest()}'\n"
    f"workspace = '{'far' if name == 'far' else 'default'}'\npermissions = {permissions}"
    for name, permissions in TOKENS.items()
)


@pytest.fixture(scope="module")
def house() -> Iterator[DaemonHarness]:
    built = DaemonHarness(settings=SETTINGS)
    try:
        built.start()
        yield built
    finally:
        built.remove()


@pytest.fixture(scope="module")
def text(house: DaemonHarness) -> str:
    return house.rails.read_text()


def delivered(house: DaemonHarness, words: str = "@mosaic free true", **more: Any) -> Any:
    reply = house.comment(words, **more)
    assert reply.status in {200, 202}, reply.body
    return reply.json


def asked(house: DaemonHarness, path: str, body: Any, token: str, status: int) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    reply = house.public("POST", path, json.dumps(body).encode(), headers)
    assert reply.status == status, reply.body
    return reply.json


def posted(house: DaemonHarness, path: str, body: Any, status: int = 200) -> Any:
    reply = house.ask("POST", path, body)
    assert reply.status == status, reply.body
    return reply.json


def count(house: DaemonHarness) -> int:
    return len(house.get("/deliveries?limit=500")["items"])


def test_an_explanation_is_the_decision_and_stores_nothing(house: DaemonHarness) -> None:
    first = delivered(house, login="drive-by", issue=1)
    kept = house.get(f"/deliveries/{first['deliveryId']}")["decision"]
    before = count(house)
    again = posted(house, "/rails/explain", {"deliveryId": first["deliveryId"][-8:]})
    assert {**again, "micros": 0} == {**kept, "micros": 0}
    assert again["remedy"] == {"text": "add github:drive-by to team", "line": 3}
    made_up = {"source": "github", "headers": {"x-github-event": "issue_comment"}}
    for body in (comment_body("@mosaic fix true").decode(), json.loads(comment_body("@mosaic fix true"))):
        said = posted(house, "/rails/explain", {**made_up, "body": body})
        assert (said["verdict"], said["trigger"]) == ("allowed", "fix-on-command")
    assert count(house) == before


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "either deliveryId"),
        ({"deliveryId": "00000000", "source": "github"}, 422, "either deliveryId"),
        ({"source": "github"}, 422, "either deliveryId"),
        ({"deliveryId": "00000000"}, 404, "no delivery"),
        ({"source": "nobody", "body": "{}"}, 404, "no source 'nobody'"),
        ({"source": "github", "headers": {"X-GitHub-Event": "push"}, "body": "{"}, 400, "not JSON"),
        ({"source": "github", "headers": {"X-GitHub-Event": "push"}, "body": "{}"}, 422, "missing"),
        ({"source": "github", "body": "{}"}, 422, "X-GitHub-Event"),
        ({"source": "github", "body": "{}", "more": 1}, 422, "unknown field"),
    ],
)
def test_what_cannot_be_explained(house: DaemonHarness, body: Any, status: int, said: str) -> None:
    assert said in posted(house, "/rails/explain", body, status)["detail"]


def test_a_simulation_says_what_would_change(house: DaemonHarness, text: str) -> None:
    allowed = delivered(house, issue=2)
    denied = delivered(house, issue=2, login="drive-by")
    other = text.replace("octocat", "drive-by")
    before = count(house)
    said = posted(house, "/rails/simulate", {"text": other, "limit": 2})
    assert said["deliveries"] == 2
    assert said["counts"] == {"allowed→denied": 1}
    changed = {each["deliveryId"]: each for each in said["changed"]}
    mine = changed[allowed["deliveryId"]]
    assert (mine["before"], mine["after"]) == ("allowed", "denied")
    assert mine["decision"]["remedy"]["text"] == "add github:octocat to team"
    assert denied["deliveryId"] not in changed  # the issue's author is a stranger then
    assert posted(house, "/rails/simulate", {"text": text})["changed"] == []
    nothing = posted(house, "/rails/simulate", {"text": text, "limit": 0})
    assert (nothing["deliveries"], nothing["changed"], nothing["warnings"]) == (0, [], [])
    assert nothing["revision"] == house.get("/rails")["revision"]
    assert posted(house, "/rails/simulate", {"text": other, "since": "2999-01-01T00:00:00Z"})["deliveries"] == 0
    long_ago = {"text": other, "since": "2001-01-01T00:00:00Z", "limit": 2}
    assert posted(house, "/rails/simulate", long_ago)["counts"] == said["counts"]
    assert count(house) == before
    assert house.get("/rails")["text"] == text


def test_a_text_that_does_not_load_is_refused_with_its_place(house: DaemonHarness, text: str) -> None:
    broken = text.replace("executor: missing", "executer: missing")
    problem = posted(house, "/rails/simulate", {"text": broken}, 422)
    line = broken[: broken.index("executer")].count("\n") + 1
    assert (problem["code"], problem["line"]) == ("invalid", line)
    assert problem["detail"] == f"rails.yaml:{line}:{problem['column']}: {problem['message']}"
    assert problem["faults"][0]["line"] == line
    for body in ({}, {"text": text, "limit": -1}, {"text": text, "limit": 10_001}, {"text": text, "since": "today"}):
        posted(house, "/rails/simulate", body, 422)


def test_each_question_needs_its_permission(house: DaemonHarness, text: str) -> None:
    made_up = {"source": "github", "headers": {"X-GitHub-Event": "issue_comment"}, "body": comment_body("hi").decode()}
    stored = {"deliveryId": delivered(house, issue=3, words="hello")["deliveryId"]}
    asked(house, "/rails/explain", made_up, "reader", 200)
    asked(house, "/rails/explain", stored, "reader", 403)
    asked(house, "/rails/explain", stored, "seer", 200)
    asked(house, "/rails/explain", made_up, "seer", 403)
    asked(house, "/rails/simulate", {"text": text}, "seer", 403)
    asked(house, f"/deliveries/{stored['deliveryId']}/replay", {}, "reader", 403)
    asked(house, f"/deliveries/{stored['deliveryId']}/replay", {"dryRun": True}, "doer", 200)
    assert asked(house, "/rails/simulate", {"text": text}, "far", 200)["deliveries"] == 0
    asked(house, "/rails/explain", made_up, "far", 404)
    asked(house, "/rails/explain", {**made_up, "source": "far"}, "far", 200)


def test_a_replay_is_answered_like_the_webhook(house: DaemonHarness) -> None:
    first = delivered(house, issue=4)
    house.wait(first["jobId"])
    path, before = f"/deliveries/{first['deliveryId']}/replay", count(house)
    dry = posted(house, path, {"dryRun": True})
    assert (dry["verdict"], dry["jobId"], dry["decision"]["verdict"]) == ("allowed", None, "allowed")
    assert count(house) == before
    again = posted(house, path, {}, 202)
    assert again["verdict"] == "allowed"
    assert again["jobId"] != first["jobId"]
    delivery = house.get(f"/deliveries/{again['deliveryId']}")
    assert delivery["replayOf"] == first["deliveryId"]
    assert house.ask("GET", f"/deliveries/{again['deliveryId']}/body").body
    assert house.wait(again["jobId"])["actor"].startswith("uid:")
    posted(house, path, {"dryrun": True}, 422)
    posted(house, "/deliveries/00000000/replay", {}, 404)


def test_a_replay_makes_no_second_job_on_a_thread(house: DaemonHarness) -> None:
    first = delivered(house, "@mosaic free sleep 60", issue=5)
    path = f"/deliveries/{first['deliveryId']}/replay"
    for body in ({"dryRun": True}, {}):
        said = posted(house, path, body)
        assert (said["verdict"], said["jobId"]) == ("duplicate", first["jobId"])
        assert "already" in said["reason"]
    house.ask("POST", f"/runner-jobs/{first['jobId']}/cancel", {})
    house.wait(first["jobId"], "CANCELLED")


def test_the_schema_and_the_effective_rails(house: DaemonHarness) -> None:
    assert house.get("/rails/schema")["properties"]["version"] == {"maximum": 1, "minimum": 1, "type": "integer"}
    plain, full = house.get("/rails"), house.get("/rails?effective=true")
    assert {**plain, "effective": full["effective"]} == full
    assert full["effective"]["jobs"]["fix"]["on_interrupt"] == "fail"
    assert house.ask("GET", "/rails?effective=maybe").status == 422


def test_an_edit_is_in_force_for_the_next_webhook_and_a_broken_one_is_not(house: DaemonHarness, text: str) -> None:
    def revision() -> Any:
        return house.get("/rails")["revision"]

    try:
        before = revision()
        house.rails.write_text(text.replace("octocat", "newcomer"))
        wait_until(lambda: revision() != before or None, "the new rails")
        assert delivered(house, issue=6, login="octocat")["verdict"] == "denied"
        house.rails.write_text("version: 1\npeople: [")
        wait_until(lambda: house.get("/rails")["error"], "the fault")
        house.rails.unlink()
        gone = wait_until(
            lambda: (error := house.get("/rails")["error"]) and "is gone" in error["message"], "the deletion"
        )
        assert gone
        assert delivered(house, issue=6, login="octocat")["verdict"] == "denied"
    finally:
        house.rails.write_text(text)
        wait_until(lambda: revision() == before or None, "the old rails")
    assert house.get("/rails")["error"] is None


def test_observing_decides_and_records_and_runs_nothing(house: DaemonHarness, text: str) -> None:
    jobs = house.get("/runner-jobs")["counts"]
    try:
        house.rails.write_text(text.replace("version: 1", "version: 1\nmode: observe"))
        wait_until(lambda: house.get("/rails")["mode"] == "observe" or None, "mode: observe")
        allowed, denied = delivered(house, issue=7), delivered(house, issue=7, login="drive-by")
        assert (allowed["verdict"], allowed["jobId"]) == ("ignored", None)
        assert allowed["reason"] == "observe: would have been allowed: trigger free-on-command"
        assert denied["reason"].startswith("observe: would have been denied: who:")
        decision = house.get(f"/deliveries/{allowed['deliveryId']}")["decision"]
        assert [each["outcome"] for each in decision["checks"]].count("fail") == 1  # fix-on-command, a near miss
        said = posted(house, "/rails/simulate", {"text": text, "limit": 2})
        assert said["counts"] == {"ignored→allowed": 1, "ignored→denied": 1}
        assert house.ask("POST", "/runner-jobs", {"type": "free"}).status == 403
    finally:
        house.rails.write_text(text)
        wait_until(lambda: house.get("/rails")["mode"] == "enforce" or None, "mode: enforce")
    assert house.get("/runner-jobs")["counts"] == jobs


def test_the_command_line(house: DaemonHarness, text: str) -> None:
    good, bad = house.root / "good.yaml", house.root / "bad.yaml"
    good.write_text(text.replace("octocat", "somebody"))
    bad.write_text(text.replace("version: 1", "version: 1\nmode: dry"))
    delivered(house, issue=8)
    checked = house.cli("rails", "check", str(good))
    assert (checked.returncode, checked.stdout) == (0, "")
    refused = house.cli("rails", "check", str(bad))
    assert refused.returncode == 2
    assert refused.stdout == f"{bad}:2:7: mode must be enforce or observe, not 'dry'\n"
    assert house.cli("--config", str(house.config), "rails", "check").returncode == 0
    shown = house.cli("rails", "show")
    assert (shown.returncode, shown.stdout) == (0, text)
    simulated = house.cli("rails", "simulate", str(good), "--since", "1h")
    assert simulated.returncode == 0
    assert "allowed → denied" in simulated.stdout
    assert "now denied" in simulated.stderr
    schema = house.cli("rails", "schema")
    assert json.loads(schema.stdout)["title"]
    assert json.loads(house.cli("rails", "show", "--effective").stdout)["mode"] == "enforce"


def test_the_rails_say_how_they_differ_from_those_of_a_job(house: DaemonHarness, text: str) -> None:
    job = delivered(house, issue=77)["jobId"]
    revision = house.get(f"/runner-jobs/{job}")["railsRevision"]
    try:
        house.rails.write_text(text + "\nmode: observe\n")
        wait_until(lambda: house.get("/rails")["mode"] == "observe" or None, "mode: observe")
        state = house.get("/rails")
        wanted = [{"what": "mode", "change": "changed", "keys": [], "line": text.count("\n") + 2}]
        assert (state["before"], state["changes"], "beforeText" in state) == (revision, wanted, False)
        against = house.get(f"/rails?against={revision}")
        assert (against["changes"], against["beforeText"]) == (wanted, text)
        for unknown in ("r-00000000", "%ed%a0%80"):
            reply = house.ask("GET", f"/rails?against={unknown}")
            assert (reply.status, reply.json["code"]) == (404, "not_found")
    finally:
        house.rails.write_text(text)
        wait_until(lambda: house.get("/rails")["mode"] == "enforce" or None, "mode: enforce")
