"""A login that passes to another account: its webhooks are denied until the operator accepts the new id."""

import json

from tests.e2e.conftest import BuildDaemon
from tests.e2e.webhooks import comment_body


def comment(number: int, issue: int, **changed: object) -> bytes:
    document = json.loads(comment_body("@mosaic free true", issue=issue))
    user = {"login": "octocat", "id": number}
    document["issue"]["user"] = document["comment"]["user"] = document["sender"] = user
    for name, value in changed.items():
        if name == "sender":
            document["sender"] = value
        else:
            document["comment"]["user"] = value
    return json.dumps(document).encode()


def test_another_account_with_the_same_login_has_no_rights_until_it_is_accepted(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    assert daemon.github(comment(583231, 1)).json["verdict"] == "allowed"
    denied = daemon.github(comment(999, 2)).json
    reason = "account_changed: github:octocat has the id 999, and 583231 is kept for this login"
    assert (denied["verdict"], denied["reason"]) == ("denied", f"who: {reason}")
    why = daemon.cli("why", denied["deliveryId"]).stdout
    assert "run stitcher accounts accept github:octocat#999 if it is the same person" in why
    listed = json.loads(daemon.cli("accounts", "--json").stdout)["items"]
    assert [(each["account"], each["id"], each["changedId"]) for each in listed] == [
        ("github:octocat", "583231", "999")
    ]
    assert daemon.cli("accounts", "accept", "github:octocat#999").stdout == "github:octocat#999\n"
    assert daemon.github(comment(999, 3)).json["verdict"] == "allowed"
    assert daemon.github(comment(583231, 4)).json["verdict"] == "denied"
    daemon.stop()
    daemon.start()
    assert daemon.github(comment(999, 5)).json["verdict"] == "allowed"
    assert daemon.github(comment(583231, 6)).json["verdict"] == "denied"


def test_a_command_in_a_text_of_somebody_else_does_not_count(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    reply = daemon.github(comment(583231, 1, author={"login": "mallory", "id": 666})).json
    reason = "who: github:mallory wrote the command that github:octocat sent"
    assert (reply["verdict"], reply["reason"]) == ("denied", reason)


def test_a_deleted_account_is_denied(build: BuildDaemon) -> None:
    daemon = build()
    daemon.start()
    missing = "who: the account that sent this, or wrote its text, is missing (deleted)"
    deleted: list[dict[str, object]] = [{"sender": None}, {"author": None}, {"sender": {"login": "ghost", "id": 10137}}]
    for issue, changed in enumerate(deleted, 1):
        reply = daemon.github(comment(583231, issue, **changed)).json
        assert (reply["verdict"], reply["reason"]) == ("denied", missing)
