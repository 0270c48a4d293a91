"""Simulations are few at once and take a bounded time, and nothing else waits for them."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from stitcherd.http import simulations
from tests.stitcherd.http.conftest import RAILS, HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook


@pytest.fixture
def parsing(api: HttpHarness, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Make every simulation wait until the event is set."""
    goes_on = threading.Event()
    parse = api.state.rails.parse

    def wait_and_parse(text: str) -> Any:
        assert goes_on.wait(20)
        return parse(text)

    monkeypatch.setattr(api.state.rails, "parse", wait_and_parse)
    yield goes_on
    goes_on.set()


def simulate(api: HttpHarness, token: str | None) -> asyncio.Task[tuple[int, Any]]:
    client = api.local if token is None else api.public
    return asyncio.create_task(client.request("POST", "/rails/simulate", token, json={"text": RAILS}))


async def test_a_token_has_one_simulation_and_all_tokens_two(api: HttpHarness, parsing: threading.Event) -> None:
    running = [simulate(api, "writer")]
    await asyncio.sleep(0.1)
    status, problem = await simulate(api, "writer")
    assert (status, problem["code"]) == (429, "throttled")
    assert problem["detail"] == "token:writer has 1 simulations at once, which is the limit"
    running.append(simulate(api, "other"))
    await asyncio.sleep(0.1)
    status, problem = await simulate(api, "third")
    assert (status, problem["detail"]) == (429, "there are 2 simulations at once, which is the limit")
    running += [simulate(api, None), simulate(api, None)]  # the operator has a share of his own
    await asyncio.sleep(0.1)
    assert (await simulate(api, None))[0] == 429
    parsing.set()
    assert [status for status, _ in await asyncio.gather(*running)] == [200] * 4
    assert (await simulate(api, "writer"))[0] == 200


async def test_webhooks_and_jobs_go_on_during_simulations(api: HttpHarness, parsing: threading.Event) -> None:
    running = [simulate(api, token) for token in ("writer", "other", None, None)]
    await asyncio.sleep(0.1)
    started = time.monotonic()
    status, response = await send_webhook(api, "near", comment_body("@mosaic hello", repository="near-org/nowhere"))
    assert status == 202
    await api.wait_until_ended(response["jobId"])
    assert time.monotonic() - started < 10
    parsing.set()
    await asyncio.gather(*running)


@pytest.mark.usefixtures("parsing")
async def test_a_simulation_that_takes_too_long_is_refused(api: HttpHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulations, "SIMULATION_SECONDS", 0.2)
    status, problem = await simulate(api, "writer")
    assert (status, problem["detail"]) == (422, "the simulation took longer than 0.2 s")


@pytest.mark.parametrize(
    "text",
    [
        'version: 1\npaths: {protected: ["' + "*a" * 480_000 + '"]}',
        "version: 1\npaths: {protected: [" + ", ".join(["'" + "*a" * 16 + "'"] * 25_000) + "]}",
        "version: 1\npeople: {" + ", ".join(f"g{n}: {{}}" for n in range(60_000)) + "}",
        "version: 1\n" + "\n".join(f"guard{n}: 1" for n in range(15_000)),
    ],
    ids=["one long glob", "many globs", "many groups", "many unknown keys"],
)
async def test_a_text_that_would_take_long_is_refused_soon(api: HttpHarness, text: str) -> None:
    started = time.process_time()
    status, problem = await api.public.request("POST", "/rails/simulate", "writer", json={"text": text, "limit": 0})
    assert (status, problem["code"]) == (422, "invalid")
    assert time.process_time() - started < 12
