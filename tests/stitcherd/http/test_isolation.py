"""Isolation of workspaces: whatever a tenant requests, it learns nothing of another."""

import asyncio
import itertools
import json
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from stitcherd.http import events
from tests.stitcherd.http.conftest import RAILS, HttpHarness
from tests.stitcherd.http.webhooks import comment_body, send_webhook


class Tenant(NamedTuple):
    """A workspace, its token and source, and a word that marks everything in it."""

    token: str
    workspace: str
    source: str
    word: str


NEAR = Tenant("writer", "default", "near", "marigold")
FAR = Tenant("other", "elsewhere", "far", "hemlock")

LISTS = (
    "/runner-jobs",
    "/runner-jobs?limit=1",
    "/runner-jobs?q=marigold",
    "/runner-jobs?q=hemlock",
    "/runner-jobs?agentTaskId=hemlock",
    "/runner-jobs?agentTaskId=marigold",
    "/runner-jobs?q=-state:completed",
    "/deliveries",
    "/deliveries?source=near",
    "/deliveries?source=far",
    "/deliveries?limit=1",
    "/stats",
    "/stats?by=repository",
)


class Tenants:
    """Both tenants at the public app; `owned` maps each id to its workspace, as the operator sees it."""

    def __init__(self, api: HttpHarness) -> None:
        self._api = api
        self._numbers = itertools.count(1)
        self.owned: dict[str, str] = {}  # an id of a job, a delivery or a step, and its workspace
        self.jobs: list[Any] = []
        self.deliveries: list[Any] = []

    async def look(self) -> None:
        """List everything there is, as the operator."""
        self.jobs = (await self._api.local.request("GET", "/runner-jobs?limit=500"))[1]["items"]
        self.deliveries = (await self._api.local.request("GET", "/deliveries?limit=500"))[1]["items"]
        self.owned |= {each["id"]: each["workspaceId"] for each in (*self.jobs, *self.deliveries)}

    async def creates(self, who: Tenant, pick: int, flag: bool) -> None:
        key = {"idempotencyKey": f"key-{pick % 3}"} if flag else {}
        new = {"type": "hello", "prompt": who.word, "agentTaskId": who.word, "priority": pick % 11, **key}
        await self._request(who, "POST", ("/runner-jobs", "/stitcher/dispatch")[pick % 2], new)

    async def comments(self, who: Tenant, _pick: int, _flag: bool) -> None:
        body = comment_body(f"@mosaic hello {who.word} {next(self._numbers)}", repository=f"{who.source}-org/x")
        _, response = await send_webhook(self._api, who.source, body)
        await self.look()
        self._check_leaks(who, json.dumps(response))

    async def lists(self, who: Tenant, pick: int, _flag: bool) -> None:
        page = await self._request(who, "GET", LISTS[pick % len(LISTS)])
        if "counts" in page:
            assert sum(page["counts"].values()) <= sum(each["workspaceId"] == who.workspace for each in self.jobs)

    async def lists_a_workspace(self, who: Tenant, pick: int, _flag: bool) -> None:
        whose = (NEAR, FAR)[pick % 2]
        await self._request(who, "GET", f"/runner-jobs?workspaceId={whose.workspace}", foreign=whose is not who)

    async def turns_a_page(self, who: Tenant, pick: int, flag: bool) -> None:
        path, of = ("/runner-jobs", self._job(pick)) if flag else ("/deliveries", self._delivery(pick))
        await self._request(who, "GET", f"{path}?before={of['id']}", foreign=_foreign(of, who))

    async def looks_at_a_job(self, who: Tenant, pick: int, flag: bool) -> None:
        job, what = self._job(pick), ("", "/events", "/events?limit=1")[pick % 3]
        name = job["id"] if flag else job["id"][-12:]
        await self._request(who, "GET", f"/runner-jobs/{name}{what}", foreign=_foreign(job, who))

    async def changes_a_job(self, who: Tenant, pick: int, flag: bool) -> None:
        job = self._job(pick)
        path = f"/runner-jobs/{job['id']}/{'cancel' if flag else 'retry'}"
        await self._request(who, "POST", path, {}, foreign=_foreign(job, who))

    async def reads_a_log(self, who: Tenant, pick: int, _flag: bool) -> None:
        job = self._job(pick)
        _, whole = await self._api.local.request("GET", f"/runner-jobs/{job['id']}")
        for step in whole["steps"][:1]:
            path = f"/runner-jobs/{job['id']}/steps/{step['id']}/log"
            await self._request(who, "GET", path, foreign=_foreign(job, who))

    async def changes_many(self, who: Tenant, pick: int, flag: bool) -> None:
        q = ("is:over", "hemlock", "marigold", "is:open", "type:hello")[pick % 5]
        asked = {"action": ("retry", "cancel")[pick % 2], "q": q, "dryRun": flag}
        found = await self._request(who, "POST", "/runner-jobs/bulk", asked)
        assert found["matched"] == len(found["items"])

    async def looks_at_a_delivery(self, who: Tenant, pick: int, flag: bool) -> None:
        delivery = self._delivery(pick)
        path = f"/deliveries/{delivery['id']}{'/body' if flag else ''}"
        await self._request(who, "GET", path, foreign=_foreign(delivery, who))

    async def replays(self, who: Tenant, pick: int, flag: bool) -> None:
        delivery = self._delivery(pick)
        path = f"/deliveries/{delivery['id']}/replay"
        await self._request(who, "POST", path, {"dryRun": flag}, foreign=_foreign(delivery, who))

    async def asks_why(self, who: Tenant, pick: int, _flag: bool) -> None:
        delivery = self._delivery(pick)
        await self._request(
            who, "POST", "/rails/explain", {"deliveryId": delivery["id"]}, foreign=_foreign(delivery, who)
        )

    async def explains_an_invented_one(self, who: Tenant, _pick: int, flag: bool) -> None:
        whose = NEAR if flag else FAR
        asked = {"source": whose.source, "headers": {"X-GitHub-Event": "ping"}, "body": {}}
        await self._request(who, "POST", "/rails/explain", asked, foreign=whose is not who)

    async def simulates(self, who: Tenant, _pick: int, _flag: bool) -> None:
        changed = RAILS.replace("command: hello", "command: other")
        await self._request(who, "POST", "/rails/simulate", {"text": changed})

    async def streams(self, who: Tenant, pick: int, flag: bool) -> None:
        job = self._job(pick)
        if flag:
            await self._reads_stream(who, f"/events?after=0&job={job['id']}", foreign=_foreign(job, who))
        else:
            await self._reads_stream(who, "/events?after=0")

    def _job(self, pick: int) -> Any:
        return self.jobs[pick % len(self.jobs)]

    def _delivery(self, pick: int) -> Any:
        return self.deliveries[pick % len(self.deliveries)]

    async def _request(self, who: Tenant, method: str, path: str, body: Any = None, *, foreign: bool = False) -> Any:
        """Send a request; an object of the other tenant must be answered as missing."""
        given = {"json": body} if body is not None else {}
        headers = {"Authorization": f"Bearer {who.token}"}
        session, base = self._api.public.session, self._api.public.base
        async with session.request(method, base + path, headers=headers, **given) as answer:
            text = await answer.text()
        await self.look()
        if foreign:
            assert answer.status == 404, (who.workspace, method, path, text)
            assert json.loads(text)["code"] == "not_found"
        else:
            assert answer.status < 500
            self._check_leaks(who, text)
        return json.loads(text) if answer.content_type.endswith("json") else text

    async def _reads_stream(self, who: Tenant, path: str, *, foreign: bool = False) -> None:
        """Read a stream up to its first heartbeat."""
        headers = {"Authorization": f"Bearer {who.token}"}
        async with self._api.public.session.get(self._api.public.base + path, headers=headers) as answer:
            assert answer.status == (404 if foreign else 200)
            received = b""
            async with asyncio.timeout(20):
                while not foreign and b"\ndata:\n\n" not in received:
                    received += await answer.content.readany()
        await self.look()
        self._check_leaks(who, received.decode())

    def _check_leaks(self, who: Tenant, text: str) -> None:
        other = FAR if who is NEAR else NEAR
        assert other.word not in text
        assert f"{other.source}-org" not in text
        assert f'"{other.workspace}"' not in text
        leaked = [each for each, workspace in self.owned.items() if workspace == other.workspace and each in text]
        assert not leaked


def _foreign(noun: Any, who: Tenant) -> bool:
    return bool(noun["workspaceId"] != who.workspace)


ACTIONS = (
    *(
        Tenants.creates,
        Tenants.comments,
        Tenants.lists,
        Tenants.lists_a_workspace,
        Tenants.turns_a_page,
        Tenants.looks_at_a_job,
    ),
    *(
        Tenants.changes_a_job,
        Tenants.reads_a_log,
        Tenants.changes_many,
        Tenants.looks_at_a_delivery,
        Tenants.replays,
        Tenants.asks_why,
    ),
    *(Tenants.explains_an_invented_one, Tenants.simulates, Tenants.streams),
)
NUMBERS = st.integers(0, 10_000)
# What happened before is part of every example, so that a smaller one would show another thing.
UNSHRUNK = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


async def test_neither_tenant_learns_anything_of_the_other(api: HttpHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.02)
    tenants, loop = Tenants(api), asyncio.get_running_loop()
    for who in (NEAR, FAR):  # both tenants have a job before the first request
        body = comment_body(f"@mosaic hello {who.word}", repository=f"{who.source}-org/x")
        assert (await send_webhook(api, who.source, body))[0] == 202
    await tenants.look()
    taken = set[Any]()

    @UNSHRUNK
    @example([(action, who, 0, False) for action in ACTIONS for who in (NEAR, FAR)])
    @given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from([NEAR, FAR]), NUMBERS, st.booleans())))
    def run(steps: list[tuple[Any, Tenant, int, bool]]) -> None:
        for action, who, pick, flag in steps:
            taken.add(action)
            asyncio.run_coroutine_threadsafe(action(tenants, who, pick, flag), loop).result(60)

    await asyncio.to_thread(run)
    assert taken == set(ACTIONS)
