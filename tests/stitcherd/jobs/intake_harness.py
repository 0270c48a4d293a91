"""An intake and a dispatcher on a real store, queue, settings and rails."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from msgspec import Struct
from multidict import CIMultiDict

from shared.deliveries import Delivery, WebhookResponse
from shared.ids import now_ms
from shared.models import RunnerJob
from stitcherd.config.load import load_settings
from stitcherd.config.settings import Settings
from stitcherd.configuration import SUPPORTED_KINDS
from stitcherd.forges.api import ForgeApi
from stitcherd.jobs.accounts import KeptAccounts
from stitcherd.jobs.approvals import Approvals
from stitcherd.jobs.deciding import Deciding
from stitcherd.jobs.dispatch import Dispatcher
from stitcherd.jobs.evaluator import Evaluator
from stitcherd.jobs.intake import Intake
from stitcherd.jobs.permissions import Permissions
from stitcherd.jobs.thread_commands import ThreadCommands
from stitcherd.queue.messages import Queue
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.live import LiveRails
from stitcherd.store import deliveries, jobs
from stitcherd.store.revisions import StoredRevisions
from stitcherd.store.store import Store
from tests.stitcherd.rails.contexts import CONTEXT
from tests.stores import open_store

SETTINGS = """
[daemon]
state_dir = "{place}/state"
[retention]
dedupe = "10d"
[sources.mosaic]
kind = "mosaic"
secrets = [{{file = "{place}/secret"}}]
[sources.hub]
kind = "github"
secrets = [{{file = "{place}/other"}}, {{file = "{place}/secret"}}]
[sources.tea]
kind = "gitea"
secrets = [{{file = "{place}/secret"}}]
[sources.lab]
kind = "gitlab"
secrets = [{{file = "{place}/secret"}}]
[repositories."octo-org/*"]
clone = "{place}/{{name}}.git"
[repositories."acme/*"]
clone = "{place}/{{name}}.git"
[executors.agent]
kind = "command"
argv = ["true"]
"""
RAILS = """
version: 1
mode: enforce
people:
  team: {users: ["mosaic:ann", "hub:octocat"]}
profiles:
  weaver: {capabilities: [repo:read, repo:write], executor: agent}
jobs:
  fix: {profile: weaver, needs: [repo:write], tries: 2, on_interrupt: retry}
triggers:
  - {id: on-command, on: [issue.comment], command: fix, from: [team], job: fix}
"""
SECRET = b"it is a secret"
DAY = 86_400_000


class IntakeHarness(Struct):
    """An intake and a dispatcher with all they need; `queued` are the attempts that the queue passed to a worker."""

    store: Store
    settings: Settings
    rails: LiveRails
    intake: Intake
    dispatcher: Dispatcher
    queued: list[tuple[str, int]]
    directory: Path
    approvals: Approvals
    evaluator: Evaluator
    permissions: Permissions
    cancelled: list[str]  # the jobs whose runs were to be ended
    queue: Queue

    async def mosaic(self, comment: str = "@mosaic fix it", key: str | None = None, **more: Any) -> WebhookResponse:
        about = {"author": more.pop("author", "ann"), "title": "It leaks"}
        usual = {"issueNumber": "7", "repository": "acme/roof", "action": "commented", "metadata": about}
        body = json.dumps({**usual, "comment": comment, **more}).encode()
        return await self.deliver("mosaic", body, {"X-Mosaic-Delivery": key} if key else {})

    async def deliver(
        self, source: str, body: bytes, headers: Mapping[str, str], *, secret: bytes = SECRET
    ) -> WebhookResponse:
        name = "X-Mosaic-Signature" if source == "mosaic" else "X-Hub-Signature-256"
        signed = CIMultiDict({**headers, name: "sha256=" + hmac.new(secret, body, "sha256").hexdigest()})
        return await self.intake.deliver(self.settings.sources[source], signed, body, form=False)

    async def job(self, answer: WebhookResponse) -> RunnerJob:
        assert answer.job_id
        async with self.store.reading() as db:
            return await jobs.get_job_detail(db, answer.job_id, None)

    async def delivery(self, answer: WebhookResponse) -> Delivery:
        async with self.store.reading() as db:
            return await deliveries.get_delivery(db, answer.delivery_id, None)

    async def stored(self) -> tuple[int, ...]:
        """Return how many deliveries, bodies, decisions and jobs there are."""
        async with self.store.reading() as db:
            tables = ("deliveries", "delivery_bodies", "decisions", "jobs")
            counts = [await db.execute_fetchall(f"SELECT count(*) FROM {table}") for table in tables]
        return tuple(next(iter(count))[0] for count in counts)

    async def put_in_force_elsewhere(self, text: str) -> CompiledRails:
        """Put other rails in force as another daemon does, of which this one has not heard yet; return them."""
        path = self.directory / "elsewhere.yaml"
        path.write_text(text)
        other = LiveRails(path, StoredRevisions(self.store), CONTEXT)
        await other.reload()
        assert other.current is not None
        return other.current

    async def expect_queued(self, *wanted: tuple[str, int]) -> None:
        """Wait until the queue has passed these to its workers, and nothing else."""
        async with asyncio.timeout(20):
            while len(self.queued) < len(wanted):  # noqa: ASYNC110 (they come from another thread)
                await asyncio.sleep(0.005)
        assert self.queued == list(wanted)


@asynccontextmanager
async def open_harness(
    tmp_path: Path,
    *,
    rails_text: str = RAILS,
    settings_text: str = SETTINGS,
    apis: Mapping[str, ForgeApi] = MappingProxyType({}),
    now: Callable[[], int] = now_ms,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    approval_clock: Callable[[], int] = now_ms,
) -> AsyncIterator[IntakeHarness]:
    """Yield an intake in a directory, which may be that of an earlier one; `apis` are those of sources."""
    (tmp_path / "stitcherd.toml").write_text(settings_text.format(place=tmp_path))
    (tmp_path / "rails.yaml").write_text(rails_text)
    for name, secret in (("secret", SECRET), ("other", b"another secret")):
        (tmp_path / name).write_bytes(secret)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "state").mkdir(exist_ok=True)
    settings = load_settings(tmp_path, SUPPORTED_KINDS, socket=str(tmp_path / "socket"))
    store = await open_store(tmp_path / "state" / "stitcher.db")
    rails = LiveRails(tmp_path / "rails.yaml", StoredRevisions(store), CONTEXT)
    await rails.reload()
    queued: list[tuple[str, int]] = []

    async def run(job_id: str, attempt: int) -> None:
        queued.append((job_id, attempt))

    queue = Queue(tmp_path / "state" / "queue.db", 1, run)
    await queue.start()
    accounts = KeptAccounts(store)
    permissions = await Permissions.open(store, apis, now)
    evaluator = Evaluator(settings, accounts.ids, known_access=permissions.known)
    approvals = Approvals(store, rails, evaluator, queue.put_job, permissions, approval_clock)
    cancelled: list[str] = []
    thread_commands = ThreadCommands(store, approvals, queue.put_job, cancelled.append)
    deciding = Deciding(store, settings, permissions, now, sleep)
    intake = Intake(store, settings, rails, evaluator, thread_commands, accounts, queue, deciding)
    dispatcher = Dispatcher(store, settings, rails, evaluator, queue)
    async with deciding.running(intake.decide):
        yield IntakeHarness(
            store,
            settings,
            rails,
            intake,
            dispatcher,
            queued,
            tmp_path,
            approvals,
            evaluator,
            permissions,
            cancelled,
            queue,
        )
    await queue.stop()
    await store.close()
