"""The routes of the outbox: pages of answers, and sending one again."""

from typing import Any

from shared.models import Failure
from stitcherd.store import answers, outbox
from tests.stitcherd.http.conftest import HttpHarness
from tests.stitcherd.store.test_outbox import take, wish


async def put(api: HttpHarness, **more: Any) -> str:
    """Store an answer that the forge has refused; return its id."""
    store = api.state.store
    await store.write(answers.put_answers, (wish(**more),), 0, 0)
    taken = await take(store)
    await store.write(outbox.note_failed, taken, Failure("locked", "the conversation is locked"), 0)
    return taken.id


async def test_answers_are_listed_by_state_for_the_workspace_of_a_token(api: HttpHarness) -> None:
    near, far = await put(api), await put(api, workspace="elsewhere", slot="comment:issue/8")
    status, page = await api.local.request("GET", "/answers?state=failed&limit=1")
    assert (status, [each["id"] for each in page["items"]], page["next"]) == (200, [far], far)
    _, page = await api.local.request("GET", f"/answers?before={far[-8:]}")
    assert [each["id"] for each in page["items"]] == [near]
    assert page["items"][0] | {"createdAt": "", "id": ""} == {
        "id": "",
        "source": "forge",
        "kind": "comment",
        "repository": "acme/roof",
        "slot": "comment:issue/7",
        "jobId": "job-1",
        "deliveryId": None,
        "state": "failed",
        "url": None,
        "tries": 1,
        "dueAt": None,
        "error": {"code": "locked", "detail": "the conversation is locked", "hint": None},
        "createdAt": "",
    }
    for token, expected in (("writer", [near]), ("other", [far])):
        _, page = await api.public.request("GET", "/answers", token)
        assert [each["id"] for each in page["items"]] == expected
    assert (await api.local.request("GET", "/answers?state=lost"))[0] == 422


async def test_an_answer_is_sent_again_by_who_may_write(api: HttpHarness) -> None:
    near = await put(api)
    status, answer = await api.public.request("POST", f"/answers/{near[-8:]}/retry", "writer", json={})
    assert (status, answer["state"], answer["tries"]) == (202, "pending", 0)
    assert answer["dueAt"] is not None
    assert (await api.public.request("POST", f"/answers/{near}/retry", "reader", json={}))[0] == 403
    assert (await api.public.request("POST", f"/answers/{near}/retry", "other", json={}))[0] == 404
    await take(api.state.store, 10**15)
    status, problem = await api.local.request("POST", f"/answers/{near}/retry", json={})
    assert (status, problem["code"]) == (409, "conflict")
    assert (await api.local.request("POST", "/answers/0000000000/retry", json={}))[0] == 404
