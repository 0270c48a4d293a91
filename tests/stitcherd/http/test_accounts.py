"""The accounts over HTTP: lists for the workspace of a token, and acceptance by the operator alone."""

import json
from itertools import count
from typing import Any

import pytest

from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook

ISSUES = count(1)  # a thread of its own for each comment
CHANGED = "who: account_changed: near:octocat has the id 9, and 1 is kept for this login"


async def comment(api: HttpHarness, number: int, source: str = "near") -> Any:
    document = json.loads(comment_body("@mosaic hello", repository=f"{source}-org/api", issue=next(ISSUES)))
    user = {"login": "octocat", "id": number}
    document["issue"]["user"] = document["comment"]["user"] = document["sender"] = user
    return (await send_webhook(api, source, json.dumps(document).encode()))[1]


async def test_another_id_is_denied_until_the_operator_accepts_it(api: HttpHarness) -> None:
    assert (await comment(api, 1))["verdict"] == "allowed"
    denied = await comment(api, 9)
    assert (denied["verdict"], denied["reason"]) == ("denied", CHANGED)
    _, listed = await api.local.request("GET", "/accounts")
    (account,) = listed["items"]
    assert (account["account"], account["id"], account["changedId"]) == ("near:octocat", "1", "9")
    body = {"account": "near:Octocat", "id": "9"}
    status, accepted = await api.local.request("POST", "/accounts/accept", json=body)
    assert (status, accepted["id"]) == (200, "9")
    assert accepted["acceptedBy"].startswith("uid:")
    assert (await comment(api, 9))["verdict"] == "allowed"
    assert (await comment(api, 1))["verdict"] == "denied"


async def test_a_token_sees_the_accounts_of_its_workspace_and_accepts_none(api: HttpHarness) -> None:
    await comment(api, 1)
    await comment(api, 2, "far")
    await comment(api, 9)
    _, all_ = await api.local.request("GET", "/accounts")
    assert [each["account"] for each in all_["items"]] == ["near:octocat", "far:octocat"]
    for token, account in (("writer", "near:octocat"), ("other", "far:octocat")):
        _, listed = await api.public.request("GET", "/accounts", token)
        assert [each["account"] for each in listed["items"]] == [account]
    assert (await api.public.request("GET", "/accounts", "reader"))[0] == 403
    status, problem = await api.public.request("POST", "/accounts/accept", "writer", json={"account": "near:octocat"})
    assert (status, problem["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"account": "near:eve"}, 404, "not_found"),
        ({"account": "near:octocat"}, 409, "conflict"),
        ({"account": "near:octocat", "id": "5"}, 409, "conflict"),
        ({"account": 1}, 422, "invalid"),
        ({}, 422, "invalid"),
    ],
)
async def test_only_an_id_that_was_seen_is_accepted(
    api: HttpHarness, body: dict[str, Any], status: int, code: str
) -> None:
    await comment(api, 1)
    answer, problem = await api.local.request("POST", "/accounts/accept", json=body)
    assert (answer, problem["code"]) == (status, code)


async def test_decisions_use_the_ids_that_are_kept(api: HttpHarness) -> None:
    await comment(api, 1)
    delivery = (await comment(api, 9))["deliveryId"]
    _, decision = await api.local.request("POST", "/rails/explain", json={"deliveryId": delivery})
    assert decision["reason"] == CHANGED
    api.state.accounts.ids.clear()  # as if the first id had been kept while this one was decided
    assert (await comment(api, 9))["reason"] == CHANGED
    _, listed = await api.local.request("GET", "/accounts")
    assert [(each["id"], each["changedId"]) for each in listed["items"]] == [("1", "9")]
