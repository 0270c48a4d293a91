"""Both HTTP apps in this process, with a real store, queue and runner, and an agent that does nothing."""

import asyncio
import hashlib
import socket
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
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.executors import build_executors
from stitcherd.executors.health import HealthMonitor
from stitcherd.forges.connections import ForgeConnections
from stitcherd.git.checkout import Checkouts
from stitcherd.http.apps import local_app, public_app
from stitcherd.http.feed import EventFeed
from stitcherd.http.server import listen, listen_locally
from stitcherd.http.state import AppState
from stitcherd.jobs.accounts import KeptAccounts
from stitcherd.jobs.approvals import Approvals
from stitcherd.jobs.commands import JobCommands
from stitcherd.jobs.dispatch import Dispatcher
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.jobs.intake import Intake
from stitcherd.jobs.known_access import KnownAccess
from stitcherd.jobs.outputs import FileOutputs
from stitcherd.jobs.reevaluation import Reevaluator
from stitcherd.jobs.runner import Runner
from stitcherd.jobs.thread_commands import ThreadCommands
from stitcherd.polling.pollers import Pollers
from stitcherd.queue.messages import Queue
from stitcherd.rails.live import LiveRails
from stitcherd.reporting.reporter import Reporter
from stitcherd.store.events import add_events, new_event, newest_event
from stitcherd.store.revisions import StoredRevisions
from tests.stitcherd.rails.contexts import CONTEXT
from tests.stores import open_store

TOKENS = {
    "reader": ("default", ["jobs:read"]),
    "writer": ("default", ["jobs:read", "jobs:write", "jobs:dispatch", "deliveries:read", "rails:read"]),
    "approver": ("default", ["jobs:read", "jobs:approve"]),
    "third": ("default", ["rails:read"]),
    "scraper": ("default", ["metrics:read"]),
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
SECRET = "a webhook secret"  # of both sources: `near` in workspace default, and `far` in elsewhere


class ApiClient:
    """A client of one app."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def request(self, method: str, path: str, token: str | None = None, **options: Any) -> tuple[int, Any]:
        """Return the status and the JSON of a response."""
        headers = {**options.pop("headers", {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        async with self.session.request(method, self.base + path, headers=headers, **options) as response:
            return response.status, await response.json(content_type=None)


class HttpHarness:
    """A client of each app, and the state behind both."""

    def __init__(self, state: AppState, local: ApiClient, public: ApiClient) -> None:
        self.state = state
        self.local = local
        self.public = public

    async def add_event(self, type_: str = "step.progress", workspace: str | None = "default", **payload: Any) -> int:
        new = new_event(type_, actor="stitcherd", now=now_ms(), workspace=workspace, payload=payload)
        await self.state.store.write(add_events, new)
        async with self.state.store.reading() as db:
            return await newest_event(db)

    async def wait_until_ended(self, job_id: str) -> Any:
        """Return a job once it has ended."""
        async with asyncio.timeout(20):
            while True:
                _, job = await self.local.request("GET", f"/runner-jobs/{job_id}")
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
async def api(tmp_path: Path) -> AsyncIterator[HttpHarness]:
    tokens = "".join(
        f'[[tokens]]\nname = "{name}"\nsha256 = "{hashlib.sha256(name.encode()).hexdigest()}"\n'
        f'workspace = "{workspace}"\npermissions = {permissions}\n'
        for name, (workspace, permissions) in TOKENS.items()
    )
    (tmp_path / "stitcherd.toml").write_text(
        f'[daemon]\nstate_dir = "{tmp_path}/state"\n[http]\nlisten = "127.0.0.1:0"\n'
        'hosts = ["stitcher.example", "Other.Example.", "[2001:DB8:0::1]"]\n'
        f'[executors.agent]\nkind = "command"\nargv = ["true"]\n{tokens}{_source_settings(tmp_path)}'
    )
    (tmp_path / "rails.yaml").write_text(RAILS)
    (tmp_path / "state").mkdir()
    settings = load_settings(tmp_path, SUPPORTED_KINDS)
    async with AsyncExitStack() as closing:
        store = await open_store(tmp_path / "state" / "stitcher.db")
        closing.push_async_callback(store.close)
        rails = LiveRails(tmp_path / "rails.yaml", StoredRevisions(store), CONTEXT)
        await rails.reload()
        accounts = KeptAccounts(store)
        evaluator, executors = Evaluator(settings, accounts.ids), build_executors(settings.executors)
        rule, outputs = Reevaluator(store, rails, evaluator).rule, FileOutputs(tmp_path / "state")
        runner = Runner(store, settings, rails.at, rule, executors, Checkouts(tmp_path / "state"), outputs, "me")
        queue = Queue(tmp_path / "state" / "queue.db", 2, runner.run)
        feed = EventFeed(store)
        forges = ForgeConnections(settings)
        meta = Meta("0", "1", "instance", 1, "2026-01-01T00:00:00.000Z")
        approvals = Approvals(store, rails, evaluator, queue.put_job)
        thread_commands = ThreadCommands(store, approvals, queue.put_job, runner.cancel)
        state = AppState(
            settings=settings,
            store=store,
            rails=rails,
            evaluator=evaluator,
            intake=Intake(store, settings, rails, evaluator, thread_commands, accounts, queue),
            dispatcher=Dispatcher(store, settings, rails, evaluator, queue),
            approvals=approvals,
            accounts=accounts,
            commands=JobCommands(store, queue, runner, rails),
            outputs=outputs,
            feed=feed,
            meta=meta,
            health=HealthMonitor({}),
            pollers=Pollers(store, settings, forges),
            reporter=Reporter(store, settings, rails, forges, accounts, KnownAccess(store, ()), "instance"),
        )
        runners = [web.AppRunner(app(state)) for app in (local_app, public_app)]
        for app_runner in runners:
            await app_runner.setup()
            closing.push_async_callback(app_runner.cleanup)
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(tmp_path / "s"))
        closing.callback((await listen_locally(runners[0], bound)).close)
        server = await listen(runners[1], "127.0.0.1", 0)
        closing.callback(server.close)
        await queue.start()
        closing.push_async_callback(queue.stop)
        feeding = asyncio.create_task(feed.run())
        closing.callback(feeding.cancel)
        closing.push_async_callback(runner.stop, 5.0)
        closing.callback(feed.close)
        local = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(tmp_path / "s")))
        public = aiohttp.ClientSession()
        for session in (local, public):
            closing.push_async_callback(session.close)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield HttpHarness(state, ApiClient(local, "http://d"), ApiClient(public, address))
