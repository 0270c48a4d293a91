"""Rails over the API of a real daemon: shown, explained and simulated; and replays of deliveries."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.harness import DaemonHarness, wait_until
from tests.e2e.webhooks import comment_body

TOKENS = {"reader": ["rails:read"], "seer": ["deliveries:read"], "doer": ["jobs:dispatch"], "far": ["rails:read"]}
SETTINGS = """
[sources.far]
kind = "github"
secrets = [{env = "E2E_SECRET"}]
workspace = "far"
""" + "\n".join(
    f"[[tokens]]\nname = '{name}'\nsha256 = '{hashlib.sha256(name.encode()).hexdigest()}'\n"
    f"workspace = '{'far' if name == 'far' else 'default'}'\npermissions = {permissions}"
    for name, permissions in TOKENS.items()
)


@pytest.fixture(scope="module")
def daemon() -> Iterator[DaemonHarness]:
    with DaemonHarness(settings=SETTINGS) as built:
        built.start()
        yield built


@pytest.fixture(scope="module")
def text(daemon: DaemonHarness) -> str:
    return daemon.rails.read_text()


def deliver(daemon: DaemonHarness, words: str = "@mosaic free true", **more: Any) -> Any:
    reply = daemon.comment(words, **more)
    assert reply.status in {200, 202}, reply.body
    return reply.json


def post_with_token(daemon: DaemonHarness, path: str, body: Any, token: str, status: int) -> Any:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    reply = daemon.public("POST", path, json.dumps(body).encode(), headers)
    assert reply.status == status, reply.body
    return reply.json


def post(daemon: DaemonHarness, path: str, body: Any, status: int = 200) -> Any:
    reply = daemon.request("POST", path, body)
    assert reply.status == status, reply.body
    return reply.json


def delivery_count(daemon: DaemonHarness) -> int:
    return len(daemon.get("/deliveries?limit=500")["items"])


def test_an_explanation_is_the_decision_and_stores_nothing(daemon: DaemonHarness) -> None:
    first = deliver(daemon, login="drive-by", issue=1)
    kept = daemon.get(f"/deliveries/{first['deliveryId']}")["decision"]
    before = delivery_count(daemon)
    again = post(daemon, "/rails/explain", {"deliveryId": first["deliveryId"][-8:]})
    assert {**again, "micros": 0} == {**kept, "micros": 0}
    assert again["remedy"] == {"text": "add github:drive-by to team", "line": 3}
    invented = {"source": "github", "headers": {"x-github-event": "issue_comment"}}
    for body in (comment_body("@mosaic fix true").decode(), json.loads(comment_body("@mosaic fix true"))):
        answer = post(daemon, "/rails/explain", {**invented, "body": body})
        assert (answer["verdict"], answer["trigger"]) == ("allowed", "fix-on-command")
    assert delivery_count(daemon) == before


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({}, 422, "either deliveryId"),
        ({"deliveryId": "00000000", "source": "github"}, 422, "either deliveryId"),
        ({"source": "github"}, 422, "either deliveryId"),
        ({"deliveryId": "00000000"}, 404, "no delivery"),
        ({"source": "nobody", "body": "{}"}, 404, "no source 'nobody'"),
        ({"source": "github", "headers": {"X-GitHub-Event": "push"}, "body": "{"}, 400, "not JSON"),
        (
            {"source": "github", "headers": {"X-GitHub-Event": "issue_comment"}, "body": '{"action": "created"}'},
            422,
            "missing",
        ),
        ({"source": "github", "body": "{}"}, 422, "X-GitHub-Event"),
        ({"source": "github", "body": "{}", "more": 1}, 422, "unknown field"),
    ],
)
def test_invalid_explain_requests(daemon: DaemonHarness, body: Any, status: int, detail: str) -> None:
    assert detail in post(daemon, "/rails/explain", body, status)["detail"]


def test_a_simulation_lists_what_would_change(daemon: DaemonHarness, text: str) -> None:
    allowed = deliver(daemon, issue=2)
    denied = deliver(daemon, issue=2, login="drive-by")
    other = text.replace("octocat", "drive-by")
    before = delivery_count(daemon)
    answer = post(daemon, "/rails/simulate", {"text": other, "limit": 2})
    assert answer["deliveries"] == 2
    assert answer["counts"] == {"allowed→denied": 1}
    changed = {each["deliveryId"]: each for each in answer["changed"]}
    mine = changed[allowed["deliveryId"]]
    assert (mine["before"], mine["after"]) == ("allowed", "denied")
    assert mine["decision"]["remedy"]["text"] == "add github:octocat to team"
    assert denied["deliveryId"] not in changed  # the issue's author is a stranger then
    assert post(daemon, "/rails/simulate", {"text": text})["changed"] == []
    nothing = post(daemon, "/rails/simulate", {"text": text, "limit": 0})
    assert (nothing["deliveries"], nothing["changed"]) == (0, [])
    assert nothing["warnings"] == daemon.get("/rails")["warnings"]
    assert nothing["revision"] == daemon.get("/rails")["revision"]
    assert post(daemon, "/rails/simulate", {"text": other, "since": "2999-01-01T00:00:00Z"})["deliveries"] == 0
    long_ago = {"text": other, "since": "2001-01-01T00:00:00Z", "limit": 2}
    assert post(daemon, "/rails/simulate", long_ago)["counts"] == answer["counts"]
    assert delivery_count(daemon) == before
    assert daemon.get("/rails")["text"] == text


def test_a_text_that_does_not_load_is_refused_with_its_line(daemon: DaemonHarness, text: str) -> None:
    broken = text.replace("executor: missing", "executer: missing")
    problem = post(daemon, "/rails/simulate", {"text": broken}, 422)
    line = broken[: broken.index("executer")].count("\n") + 1
    assert (problem["code"], problem["line"]) == ("invalid", line)
    assert problem["detail"] == f"rails.yaml:{line}:{problem['column']}: {problem['message']}"
    assert problem["faults"][0]["line"] == line
    for body in ({}, {"text": text, "limit": -1}, {"text": text, "limit": 10_001}, {"text": text, "since": "today"}):
        post(daemon, "/rails/simulate", body, 422)


def test_each_route_needs_its_permission(daemon: DaemonHarness, text: str) -> None:
    invented = {"source": "github", "headers": {"X-GitHub-Event": "issue_comment"}, "body": comment_body("hi").decode()}
    stored = {"deliveryId": deliver(daemon, issue=3, words="hello")["deliveryId"]}
    post_with_token(daemon, "/rails/explain", invented, "reader", 200)
    post_with_token(daemon, "/rails/explain", stored, "reader", 403)
    post_with_token(daemon, "/rails/explain", stored, "seer", 200)
    post_with_token(daemon, "/rails/explain", invented, "seer", 403)
    post_with_token(daemon, "/rails/simulate", {"text": text}, "seer", 403)
    post_with_token(daemon, f"/deliveries/{stored['deliveryId']}/replay", {}, "reader", 403)
    post_with_token(daemon, f"/deliveries/{stored['deliveryId']}/replay", {"dryRun": True}, "doer", 200)
    assert post_with_token(daemon, "/rails/simulate", {"text": text}, "far", 200)["deliveries"] == 0
    post_with_token(daemon, "/rails/explain", invented, "far", 404)
    post_with_token(daemon, "/rails/explain", {**invented, "source": "far"}, "far", 200)


def test_a_replay_is_answered_like_the_webhook(daemon: DaemonHarness) -> None:
    first = deliver(daemon, issue=4)
    daemon.wait(first["jobId"])
    path, before = f"/deliveries/{first['deliveryId']}/replay", delivery_count(daemon)
    dry = post(daemon, path, {"dryRun": True})
    assert (dry["verdict"], dry["jobId"], dry["decision"]["verdict"]) == ("allowed", None, "allowed")
    assert delivery_count(daemon) == before
    again = post(daemon, path, {}, 202)
    assert again["verdict"] == "allowed"
    assert again["jobId"] != first["jobId"]
    delivery = daemon.get(f"/deliveries/{again['deliveryId']}")
    assert delivery["replayOf"] == first["deliveryId"]
    assert daemon.request("GET", f"/deliveries/{again['deliveryId']}/body").body
    assert daemon.wait(again["jobId"])["actor"].startswith("uid:")
    post(daemon, path, {"dryrun": True}, 422)
    post(daemon, "/deliveries/00000000/replay", {}, 404)


def test_a_replay_makes_no_second_job_on_a_thread(daemon: DaemonHarness) -> None:
    first = deliver(daemon, "@mosaic free sleep 60", issue=5)
    path = f"/deliveries/{first['deliveryId']}/replay"
    for body in ({"dryRun": True}, {}):
        answer = post(daemon, path, body)
        assert (answer["verdict"], answer["jobId"]) == ("duplicate", first["jobId"])
        assert "already" in answer["reason"]
    daemon.request("POST", f"/runner-jobs/{first['jobId']}/cancel", {})
    daemon.wait(first["jobId"], "CANCELLED")


def test_the_schema_and_the_effective_rails(daemon: DaemonHarness) -> None:
    version = daemon.get("/rails/schema")["properties"]["version"]
    assert version == {"description": "the version of the format", "maximum": 1, "minimum": 1, "type": "integer"}
    plain, full = daemon.get("/rails"), daemon.get("/rails?effective=true")
    assert {**plain, "effective": full["effective"]} == full
    assert full["effective"]["jobs"]["fix"]["on_interrupt"] == "fail"
    assert daemon.request("GET", "/rails?effective=maybe").status == 422


def test_an_edit_applies_to_the_next_webhook_and_a_broken_one_does_not(daemon: DaemonHarness, text: str) -> None:
    def revision() -> Any:
        return daemon.get("/rails")["revision"]

    try:
        before = revision()
        daemon.rails.write_text(text.replace("octocat", "newcomer"))
        wait_until(lambda: revision() != before or None, "the new rails")
        assert deliver(daemon, issue=6, login="octocat")["verdict"] == "denied"
        daemon.rails.write_text("version: 1\npeople: [")
        wait_until(lambda: daemon.get("/rails")["error"], "the fault")
        daemon.rails.unlink()
        gone = wait_until(
            lambda: (error := daemon.get("/rails")["error"]) and "is gone" in error["message"], "the deletion"
        )
        assert gone
        assert deliver(daemon, issue=6, login="octocat")["verdict"] == "denied"
    finally:
        daemon.rails.write_text(text)
        wait_until(lambda: revision() == before or None, "the old rails")
    assert daemon.get("/rails")["error"] is None


def test_observe_mode_records_decisions_and_runs_nothing(daemon: DaemonHarness, text: str) -> None:
    jobs = daemon.get("/runner-jobs")["counts"]
    try:
        daemon.rails.write_text(text.replace("version: 1", "version: 1\nmode: observe"))
        wait_until(lambda: daemon.get("/rails")["mode"] == "observe" or None, "mode: observe")
        allowed, denied = deliver(daemon, issue=7), deliver(daemon, issue=7, login="drive-by")
        assert (allowed["verdict"], allowed["jobId"]) == ("ignored", None)
        assert allowed["reason"] == "observe: would have been allowed: trigger free-on-command"
        assert denied["reason"].startswith("observe: would have been denied: who:")
        decision = daemon.get(f"/deliveries/{allowed['deliveryId']}")["decision"]
        assert [each["outcome"] for each in decision["checks"]].count("fail") == 1  # fix-on-command, a near miss
        answer = post(daemon, "/rails/simulate", {"text": text, "limit": 2})
        assert answer["counts"] == {"ignored→allowed": 1, "ignored→denied": 1}
        assert daemon.request("POST", "/runner-jobs", {"type": "free"}).status == 403
    finally:
        daemon.rails.write_text(text)
        wait_until(lambda: daemon.get("/rails")["mode"] == "enforce" or None, "mode: enforce")
    assert daemon.get("/runner-jobs")["counts"] == jobs


def test_the_command_line(daemon: DaemonHarness, text: str) -> None:
    good, bad = daemon.root / "good.yaml", daemon.root / "bad.yaml"
    good.write_text(text.replace("octocat", "somebody"))
    bad.write_text(text.replace("version: 1", "version: 1\nmode: dry"))
    deliver(daemon, issue=8)
    checked = daemon.cli("rails", "check", str(good))
    assert checked.returncode == 0
    said = "warning: paths are not enforced for job fix: it has no required gate with builtin: diff-rules"
    assert checked.stdout.splitlines()[0] == f"{good}:10:3: {said}"
    refused = daemon.cli("rails", "check", str(bad))
    assert refused.returncode == 2
    assert refused.stdout == f"{bad}:2:7: mode must be enforce or observe, not 'dry'\n"
    assert daemon.cli("--config", str(daemon.config), "rails", "check").returncode == 0
    shown = daemon.cli("rails", "show")
    assert (shown.returncode, shown.stdout) == (0, text)
    simulated = daemon.cli("rails", "simulate", str(good), "--since", "1h")
    assert simulated.returncode == 0
    assert "allowed → denied" in simulated.stdout
    assert "now denied" in simulated.stderr
    schema = daemon.cli("rails", "schema")
    assert json.loads(schema.stdout)["title"]
    assert json.loads(daemon.cli("rails", "show", "--effective").stdout)["mode"] == "enforce"


def test_differences_from_the_rails_of_a_job(daemon: DaemonHarness, text: str) -> None:
    job = deliver(daemon, issue=77)["jobId"]
    found = daemon.get(f"/runner-jobs/{job}")
    revision, digest = found["railsRevision"], found["railsDigest"]
    try:
        daemon.rails.write_text(text + "\nmode: observe\n")
        wait_until(lambda: daemon.get("/rails")["mode"] == "observe" or None, "mode: observe")
        state = daemon.get("/rails")
        wanted = [{"what": "mode", "change": "changed", "keys": [], "line": text.count("\n") + 2}]
        assert (state["before"], state["changes"], "beforeText" in state) == (revision, wanted, False)
        assert state["beforeDigest"] == digest
        for name in (revision, f"r-{digest}"):
            against = daemon.get(f"/rails?against={name}")
            assert (against["changes"], against["beforeText"]) == (wanted, text)
        for unknown in ("r-00000000", "%ed%a0%80"):
            reply = daemon.request("GET", f"/rails?against={unknown}")
            assert (reply.status, reply.json["code"]) == (404, "not_found")
    finally:
        daemon.rails.write_text(text)
        wait_until(lambda: daemon.get("/rails")["mode"] == "enforce" or None, "mode: enforce")
