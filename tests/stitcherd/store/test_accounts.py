"""The ids of accounts: the first one is kept with its delivery, another one is recorded, and an operator accepts it."""

import pytest

from shared.models import Decision, Verdict
from stitcherd.errors import Refusal
from stitcherd.policy import AccountSighting
from stitcherd.store import accounts, deliveries
from stitcherd.store.store import Store
from tests.stitcherd.store.factories import add_delivery, deliver, new_delivery, new_job

ANN = "forge:ann"
DENIED = Decision(Verdict.DENIED, "who", "r1")


async def see(store: Store, number: str, kept: str | None, now: int = 1000) -> None:
    seen = (AccountSighting(ANN, number, kept),)
    await add_delivery(store, new_delivery(accounts=seen, received_at=now, decision=DENIED))


async def known(store: Store) -> dict[str, str]:
    async with store.reading() as db:
        return await accounts.kept_ids(db)


async def count(store: Store) -> int:
    async with store.reading() as db:
        return len((await deliveries.delivery_page(db, deliveries.DeliveryFilter(), 100)).items)


async def test_the_first_id_is_kept_and_another_one_is_recorded(store: Store) -> None:
    await see(store, "1", None)
    await see(store, "1", "1")
    await see(store, "2", "1", 2000)
    assert await known(store) == {ANN: "1"}
    async with store.reading() as db:
        (account,) = await accounts.list_accounts(db, None)
        assert await accounts.list_accounts(db, {"other"}) == ()
        assert await accounts.list_accounts(db, {"forge"}) == (account,)
    assert (account.account, account.id, account.since) == (ANN, "1", "1970-01-01T00:00:01.000Z")
    assert (account.changed_id, account.changed_at) == ("2", "1970-01-01T00:00:02.000Z")


@pytest.mark.parametrize(("number", "kept"), [("1", None), ("2", None), ("2", "2"), ("1", "2")])
async def test_nothing_is_stored_of_a_delivery_decided_with_another_id(
    store: Store, number: str, kept: str | None
) -> None:
    await see(store, "1", None)
    seen = (AccountSighting(ANN, number, kept),)
    with pytest.raises(accounts.AccountTaken):
        await see(store, number, kept)
    job = new_job()
    with pytest.raises(accounts.AccountTaken):
        await deliver(store, new_delivery(accounts=seen), job)
    assert await count(store) == 1
    assert await known(store) == {ANN: "1"}


async def test_an_operator_accepts_the_other_id(store: Store) -> None:
    await see(store, "1", None)
    with pytest.raises(Refusal, match="no other id than 1 was seen for forge:ann"):
        await store.write(accounts.accept_change, ANN, None, "uid:1000", "default", 3000)
    await see(store, "2", "1")
    with pytest.raises(Refusal, match="seen last for forge:ann is 2, not 3"):
        await store.write(accounts.accept_change, ANN, "3", "uid:1000", "default", 3000)
    with pytest.raises(Refusal, match="no id is kept for 'forge:eve'"):
        await store.write(accounts.accept_change, "forge:eve", None, "uid:1000", "default", 3000)
    accepted = await store.write(accounts.accept_change, ANN, "2", "uid:1000", "default", 3000)
    assert (accepted.id, accepted.accepted_by, accepted.changed_id) == ("2", "uid:1000", None)
    assert await known(store) == {ANN: "2"}
    async with store.reading() as db:
        (row,) = await db.execute_fetchall("SELECT * FROM events WHERE type = 'account.accepted'")
    assert (row["actor"], row["workspace"]) == ("uid:1000", "default")
    assert row["payload"] == '{"account":"forge:ann","before":"1","id":"2"}'
