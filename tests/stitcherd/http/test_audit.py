"""The export of all events: who may have it, and what is done about clients that do not read it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from shared.audit import verify_export
from stitcherd.http import audit
from stitcherd.store.errors import StorageUnavailable
from tests.stitcherd.http.conftest import HttpHarness


async def export(api: HttpHarness) -> list[bytes]:
    async with api.local.session.get(f"{api.local.base}/audit") as answer:
        assert (answer.status, answer.content_type) == (200, "application/jsonl")
        return (await answer.read()).splitlines()


async def test_the_operator_gets_every_event_and_can_verify_them(api: HttpHarness) -> None:
    for number in range(30):
        await api.add_event(workspace="elsewhere" if number % 2 else "default", n=number)
    report = verify_export(await export(api))
    assert (report.events, report.broken) == (31, None), "with that of the rails"


@pytest.mark.parametrize(("token", "status"), [("writer", 403), ("other", 403), (None, 401)])
async def test_nobody_else_does(api: HttpHarness, token: str | None, status: int) -> None:
    assert (await api.public.request("GET", "/audit", token))[0] == status


async def test_as_many_as_are_allowed_are_answered_at_once(api: HttpHarness) -> None:
    with api.state.exports.take(None), api.state.exports.take(None):
        status, problem = await api.local.request("GET", "/audit")
        assert (status, problem["code"]) == (429, "throttled")
    assert await export(api)


async def test_a_client_that_does_not_read_is_disconnected(api: HttpHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(_db: Any) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 2**20

    monkeypatch.setattr(audit, "EXPORT_SECONDS", 0.2)
    monkeypatch.setattr(audit, "export_events", endless)
    async with api.local.session.get(f"{api.local.base}/audit") as answer, asyncio.timeout(10):
        await asyncio.sleep(0.5)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
    with api.state.exports.take(None), api.state.exports.take(None):
        pass


async def test_an_export_that_cannot_be_read_to_its_end_is_not_ended_as_if_it_were(
    api: HttpHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(_db: Any) -> AsyncIterator[bytes]:
        yield b"{}\n"
        raise StorageUnavailable("database disk image is malformed")

    monkeypatch.setattr(audit, "export_events", unreadable)
    async with api.local.session.get(f"{api.local.base}/audit") as answer:
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
