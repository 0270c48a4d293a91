"""The daemon's house in this process, both doors open: real store, queue and runner, an agent that does nothing."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from shared.api import Meta
from shared.ids import now_ms
from stitcherd.config.load import load_settings
from stitcherd.daemon import SUPPORTED_KINDS
from stitcherd.executors import build_executors
from stitcherd.executors.health import HealthMonitor
from stitcherd.git.checkout import Checkouts
from stitcherd.http.apps import local_app, public_app
from stitcherd.http.feed import EventFeed
from stitcherd.http.state import AppState
from stitcherd.jobs.commands import JobCommands
from stitcherd.jobs.intake import Intake
from stitcherd.jobs.runner import Runner
from stitcherd.queue import Queue
from stitcherd.rails.live import LiveRails
from stitcherd.store.events import add_event
from stitcherd.store.revisions import StoredRevisions
from stitcherd.store.sqlite import Store
from tests.stitcherd.rails.contexts import CONTEXT

TOKENS = {
    "reader": ("default", ["jobs:read"]),
    "writer": ("default", ["jobs:read", "jobs:write", "jobs:dispatch", "deliveries:read", "rails:read"]),
    "approver": ("default", ["jobs:read", "jobs:approve"]),
    "other": ("elsewhere", ["jobs:read", "jobs:write", "jobs:dispatch", "deliveries:read", "rails:read"]),
}
RAILS = """\
version: 1
people:
  team: {users: ["near:octocat", "far:octocat"]}
profiles:
  runner: {capabilities: [repo:read], executor: agent}
jobs:
  hello: {profile: runner, needs: [repo:read], gates: []}
triggers:
  - {id: hello-on-command, on: [issue.comment], command: hello, from: [team], job: hello}
"""
SECRET = "a secret for the doors"  # of both sources: `near`, of default, and `far`, of elsewhere


class ApiClient:
    """One door, as a client sees it; `say` asks and returns the status and the document."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def say(self, method: str, path: str, token: str | None = None, **how: Any) -> tuple[int, Any]:
        headers = {**how.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        async with self.session.request(method, self.base + path, headers=headers, **how) as answer:
            return answer.status, await answer.json(content_type=None)


class HttpHarness:
    """Both doors, and the parts behind them."""

    def __init__(self, house: AppState, socket: ApiClient, tcp: ApiClient, feed: asyncio.Task[None]) -> None:
        self.house = house
        self.socket = socket
        self.tcp = tcp
        self.feed = feed

    async def event(self, type_: str = "step.progress", workspace: str | None = "default", **payload: Any) -> int:
        return await self.house.store.write(
            add_event, type_, actor="stitcherd", now=now_ms(), workspace=workspace, payload=payload
        )

    async def over(self, job_id: str) -> Any:
        """Return a job when it has ended."""
        async with asyncio.timeout(20):
            while True:
                _, job = await self.socket.say("GET", f"/runner-jobs/{job_id}")
                if job["completedAt"]:
                    return job
                await asyncio.sleep(0.01)


def _source_settings(directory: Path) -> str:
    secret = directory / "secret"
    secret.touch(mode=0o600)
    secret.write_text(SECRET)
    return "".join(
        f'[sources.{name}]\nkind = "github"\nsecrets = [{{file = "{secret}"}}]\nworkspace = "{workspace}"\n'
        f'[repositories."{name}-org/*"]\nclone = "{directory}/nowhere.git"\nworkspace = "{workspace}"\n'
        for name, workspace in (("near", "default"), ("far", "elsewhere"))
    )


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[HttpHarness]:
    tokens = "".join(
        f'[[tokens]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        f'workspace = "{workspace}"\npermissions = {permissions}\n'
        for name, (workspace, permissions) in TOKENS.items()
    )
    (tmp_path / "stitcherd.toml").write_text(
        f'[daemon]\nstate_dir = "{tmp_path}/state"\n[http]\nlisten = "127.0.0.1:0"\nhosts = ["stitcher.example"]\n'
        f'[executors.agent]\nkind = "command"\nargv = ["true"]\n{tokens}{_source_settings(tmp_path)}'
    )
    (tmp_path / "rails.yaml").write_text(RAILS)
    (tmp_path / "state").mkdir()
    settings = load_settings(tmp_path, SUPPORTED_KINDS)
    async with AsyncExitStack() as closing:
        store = await Store.open(tmp_path / "state" / "stitcher.db")
        closing.push_async_callback(store.close)
        rails = LiveRails(tmp_path / "rails.yaml", StoredRevisions(store), CONTEXT)
        await rails.reload()
        runner = Runner(
            store, settings, rails.at, build_executors(settings.executors), Checkouts(tmp_path / "state"), "me"
        )
        queue = Queue(tmp_path / "state" / "queue.db", 2, runner.run)
        feed = EventFeed(store)
        meta = Meta("0", "1", "instance", 1, "2026-01-01T00:00:00.000Z")
        intake, bulk = Intake(store, settings, rails, queue, runner), JobCommands(store, queue, runner)
        house = AppState(settings, store, rails, intake, bulk, runner, feed, meta, HealthMonitor({}))
        behind = [web.AppRunner(door(house), auto_decompress=False) for door in (local_app, public_app)]
        for app in behind:
            await app.setup()
            closing.push_async_callback(app.cleanup)
        await web.UnixSite(behind[0], str(tmp_path / "s")).start()
        tcp = web.TCPSite(behind[1], "127.0.0.1", 0)
        await tcp.start()
        queue.start()
        closing.push_async_callback(queue.stop)
        following = asyncio.create_task(feed.run())
        closing.callback(following.cancel)
        closing.push_async_callback(runner.stop, 5.0)
        closing.callback(feed.close)
        local = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "s")))
        remote = aiohttp.ClientSession()
        for session in (local, remote):
            closing.push_async_callback(session.close)
        yield HttpHarness(
            house,
            ApiClient(local, "http://d"),
            ApiClient(remote, f"http://127.0.0.1:{behind[1].addresses[0][1]}"),
            following,
        )
