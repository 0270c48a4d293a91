"""Two workspaces in one house: whatever either of them asks, it learns nothing of the other."""

import asyncio
import itertools
import json
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from stitcherd.http import events
from tests.stitcherd.http.conftest import RAILS
from tests.stitcherd.http.webhooks import comment_body, send_webhook


class Tenant(NamedTuple):
    """A workspace, who may use it, and the word that stands in all that belongs to it."""

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
)


class Two:
    """Both tenants at the public door; `owned` is whose each id is, as the operator sees it."""

    def __init__(self, doors: Any) -> None:
        self._doors = doors
        self._numbers = itertools.count(1)
        self.owned: dict[str, str] = {}  # an id of a job, a delivery or a step, and its workspace
        self.jobs: list[Any] = []
        self.deliveries: list[Any] = []

    async def look(self) -> None:
        """Learn what there is, from the operator's door."""
        self.jobs = (await self._doors.socket.say("GET", "/runner-jobs?limit=500"))[1]["items"]
        self.deliveries = (await self._doors.socket.say("GET", "/deliveries?limit=500"))[1]["items"]
        self.owned |= {each["id"]: each["workspaceId"] for each in (*self.jobs, *self.deliveries)}

    async def creates(self, who: Tenant, pick: int, flag: bool) -> None:
        key = {"idempotencyKey": f"key-{pick % 3}"} if flag else {}
        new = {"type": "hello", "prompt": who.word, "agentTaskId": who.word, "priority": pick % 11, **key}
        await self._asks(who, "POST", ("/runner-jobs", "/stitcher/dispatch")[pick % 2], new)

    async def comments(self, who: Tenant, _pick: int, _flag: bool) -> None:
        body = comment_body(f"@mosaic hello {who.word} {next(self._numbers)}", repository=f"{who.source}-org/x")
        _, told = await send_webhook(self._doors, who.source, body)
        await self.look()
        self._innocent(who, json.dumps(told))

    async def lists(self, who: Tenant, pick: int, _flag: bool) -> None:
        page = await self._asks(who, "GET", LISTS[pick % len(LISTS)])
        if "counts" in page:
            assert sum(page["counts"].values()) <= sum(each["workspaceId"] == who.workspace for each in self.jobs)

    async def lists_a_workspace(self, who: Tenant, pick: int, _flag: bool) -> None:
        whose = (NEAR, FAR)[pick % 2]
        await self._asks(who, "GET", f"/runner-jobs?workspaceId={whose.workspace}", foreign=whose is not who)

    async def turns_a_page(self, who: Tenant, pick: int, flag: bool) -> None:
        path, of = ("/runner-jobs", self._job(pick)) if flag else ("/deliveries", self._delivery(pick))
        await self._asks(who, "GET", f"{path}?before={of['id']}", foreign=_foreign(of, who))

    async def looks_at_a_job(self, who: Tenant, pick: int, flag: bool) -> None:
        job, what = self._job(pick), ("", "/events", "/events?limit=1")[pick % 3]
        name = job["id"] if flag else job["id"][-12:]
        await self._asks(who, "GET", f"/runner-jobs/{name}{what}", foreign=_foreign(job, who))

    async def changes_a_job(self, who: Tenant, pick: int, flag: bool) -> None:
        job = self._job(pick)
        path = f"/runner-jobs/{job['id']}/{'cancel' if flag else 'retry'}"
        await self._asks(who, "POST", path, {}, foreign=_foreign(job, who))

    async def reads_a_log(self, who: Tenant, pick: int, _flag: bool) -> None:
        job = self._job(pick)
        _, whole = await self._doors.socket.say("GET", f"/runner-jobs/{job['id']}")
        for step in whole["steps"][:1]:
            path = f"/runner-jobs/{job['id']}/steps/{step['id']}/log"
            await self._asks(who, "GET", path, foreign=_foreign(job, who))

    async def changes_many(self, who: Tenant, pick: int, flag: bool) -> None:
        q = ("is:over", "hemlock", "marigold", "is:open", "type:hello")[pick % 5]
        asked = {"action": ("retry", "cancel")[pick % 2], "q": q, "dryRun": flag}
        found = await self._asks(who, "POST", "/runner-jobs/bulk", asked)
        assert found["matched"] == len(found["items"])

    async def looks_at_a_delivery(self, who: Tenant, pick: int, flag: bool) -> None:
        delivery = self._delivery(pick)
        path = f"/deliveries/{delivery['id']}{'/body' if flag else ''}"
        await self._asks(who, "GET", path, foreign=_foreign(delivery, who))

    async def replays(self, who: Tenant, pick: int, flag: bool) -> None:
        delivery = self._delivery(pick)
        path = f"/deliveries/{delivery['id']}/replay"
        await self._asks(who, "POST", path, {"dryRun": flag}, foreign=_foreign(delivery, who))

    async def asks_why(self, who: Tenant, pick: int, _flag: bool) -> None:
        delivery = self._delivery(pick)
        await self._asks(who, "POST", "/rails/explain", {"deliveryId": delivery["id"]}, foreign=_foreign(delivery, who))

    async def makes_one_up(self, who: Tenant, _pick: int, flag: bool) -> None:
        whose = NEAR if flag else FAR
        asked = {"source": whose.source, "headers": {"X-GitHub-Event": "ping"}, "body": {}}
        await self._asks(who, "POST", "/rails/explain", asked, foreign=whose is not who)

    async def simulates(self, who: Tenant, _pick: int, _flag: bool) -> None:
        changed = RAILS.replace("command: hello", "command: other")
        await self._asks(who, "POST", "/rails/simulate", {"text": changed})

    async def listens(self, who: Tenant, pick: int, flag: bool) -> None:
        job = self._job(pick)
        if flag:
            await self._hears(who, f"/events?after=0&job={job['id']}", foreign=_foreign(job, who))
        else:
            await self._hears(who, "/events?after=0")

    def _job(self, pick: int) -> Any:
        return self.jobs[pick % len(self.jobs)]

    def _delivery(self, pick: int) -> Any:
        return self.deliveries[pick % len(self.deliveries)]

    async def _asks(self, who: Tenant, method: str, path: str, body: Any = None, *, foreign: bool = False) -> Any:
        """Ask at the public door; what is the other's must be as if it were not there."""
        given = {"json": body} if body is not None else {}
        headers = {"Authorization": f"Bearer {who.token}"}
        session, base = self._doors.tcp.session, self._doors.tcp.base
        async with session.request(method, base + path, headers=headers, **given) as answer:
            text = await answer.text()
        await self.look()
        if foreign:
            assert answer.status == 404, (who.workspace, method, path, text)
            assert json.loads(text)["code"] == "not_found"
        else:
            assert answer.status < 500
            self._innocent(who, text)
        return json.loads(text) if answer.content_type.endswith("json") else text

    async def _hears(self, who: Tenant, path: str, *, foreign: bool = False) -> None:
        """Read a stream until it has nothing more to say."""
        headers = {"Authorization": f"Bearer {who.token}"}
        async with self._doors.tcp.session.get(self._doors.tcp.base + path, headers=headers) as answer:
            assert answer.status == (404 if foreign else 200)
            heard = b""
            async with asyncio.timeout(20):
                while not foreign and b"\ndata:\n\n" not in heard:
                    heard += await answer.content.readany()
        await self.look()
        self._innocent(who, heard.decode())

    def _innocent(self, who: Tenant, text: str) -> None:
        other = FAR if who is NEAR else NEAR
        assert other.word not in text
        assert f"{other.source}-org" not in text
        assert f'"{other.workspace}"' not in text
        seen = [each for each, workspace in self.owned.items() if workspace == other.workspace and each in text]
        assert not seen


def _foreign(noun: Any, who: Tenant) -> bool:
    return bool(noun["workspaceId"] != who.workspace)


ACTIONS = (
    *(Two.creates, Two.comments, Two.lists, Two.lists_a_workspace, Two.turns_a_page, Two.looks_at_a_job),
    *(Two.changes_a_job, Two.reads_a_log, Two.changes_many, Two.looks_at_a_delivery, Two.replays, Two.asks_why),
    *(Two.makes_one_up, Two.simulates, Two.listens),
)
NUMBERS = st.integers(0, 10_000)
# What happened before is part of every example, so that a smaller one would show another thing.
UNSHRUNK = settings(
    max_examples=40,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


async def test_neither_learns_anything_of_the_other(doors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.02)
    two, loop = Two(doors), asyncio.get_running_loop()
    for who in (NEAR, FAR):  # somebody is there before anything is asked
        body = comment_body(f"@mosaic hello {who.word}", repository=f"{who.source}-org/x")
        assert (await send_webhook(doors, who.source, body))[0] == 202
    await two.look()
    taken = set[Any]()

    @UNSHRUNK
    @given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.sampled_from([NEAR, FAR]), NUMBERS, st.booleans())))
    def walk(steps: list[tuple[Any, Tenant, int, bool]]) -> None:
        for action, who, pick, flag in steps:
            taken.add(action)
            asyncio.run_coroutine_threadsafe(action(two, who, pick, flag), loop).result(60)

    await asyncio.to_thread(walk)
    assert taken == set(ACTIONS)
