"""An intake whose source has a fake forge that tells permissions, with a clock that tests move."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct
from multidict import CIMultiDict

from shared.deliveries import Delivery, WebhookResponse
from shared.ids import now_ms
from shared.models import Check, RunnerJob, Verdict
from stitcherd.forges import FORGES
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.client import ForgeClient
from stitcherd.forges.credentials import FixedToken
from stitcherd.store import deliveries, events, jobs
from tests.forges.fake import FakeAccount, FakeForge
from tests.forges.harness import FAKES, TOKEN
from tests.forges.webhooks import comment_webhook, signature
from tests.stitcherd.jobs.intake_harness import RAILS, SECRET, IntakeHarness, open_harness

SOURCES = {"github": "hub", "gitea": "tea", "gitlab": "lab"}
BY_PERMISSION = RAILS.replace(
    '{users: ["mosaic:ann", "hub:octocat"]}', "{permission: write}\n  chiefs: {permission: admin}"
)
OUTSIDER_TEXT = """
guards:
  - {id: outsider, if: {author_of: [issue], not_in: [team]}, then: require-approval, by: [chiefs]}
"""
REPOSITORY = "octo-org/api"


class MovedClock:
    """A clock that stands still but for `sleep` and `pass_time`, which do not wait."""

    def __init__(self) -> None:
        self.now = now_ms()

    def __call__(self) -> int:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += int(seconds * 1000)
        await asyncio.sleep(0)

    def pass_time(self, seconds: float) -> None:
        self.now += int(seconds * 1000)


class DecidingHarness(Struct):
    """The intake of a source of one kind, and its forge."""

    intake: IntakeHarness
    fake: FakeForge
    kind: str
    clock: MovedClock
    api: ForgeApi

    @property
    def source(self) -> str:
        return SOURCES[self.kind]

    async def comment(
        self,
        sender: FakeAccount,
        text: str = "@mosaic fix it",
        *,
        author: FakeAccount | None = None,
        number: int = 479,
        repository: str = REPOSITORY,
        association: str = "NONE",
    ) -> WebhookResponse:
        """Deliver a new comment on an issue, by default one of its sender."""
        body, headers = comment_webhook(
            self.kind,
            sender,
            text,
            author=author,
            number=number,
            repository=repository,
            association=association,
        )
        settings = self.intake.settings.sources[self.source]
        signed = CIMultiDict(headers | signature(self.kind, body, SECRET))
        return await self.intake.intake.deliver(settings, signed, body, form=False)

    async def event(self, name: str, **fields: Any) -> WebhookResponse:
        """Deliver an event of GitHub without a thread."""
        body = json.dumps({"action": "removed", "sender": {"id": 1, "login": "mosaic"}, **fields}).encode()
        headers = CIMultiDict({"X-GitHub-Event": name} | signature("github", body, SECRET))
        return await self.intake.intake.deliver(self.intake.settings.sources["hub"], headers, body, form=False)

    async def decided(self, answer: WebhookResponse) -> Delivery:
        """Wait until a delivery is decided."""
        async with asyncio.timeout(20):
            while (delivery := await self.intake.delivery(answer)).verdict is Verdict.DECIDING:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return delivery

    async def who(self, answer: WebhookResponse) -> Check:
        delivery = await self.decided(answer)
        assert delivery.decision
        (check,) = (check for check in delivery.decision.checks if check.id == "who")
        return check

    async def change_rails(self, text: str) -> None:
        (self.intake.directory / "rails.yaml").write_text(text)
        assert await self.intake.rails.reload()

    def asked(self) -> list[str]:
        """Return the requests for permissions that the forge has got."""
        return [
            each.path for each in self.fake.log if each.path.endswith("/permission") or "/members/all/" in each.path
        ]

    async def body(self, delivery: Delivery) -> bytes:
        async with self.intake.store.reading() as db:
            return await deliveries.get_body(db, delivery.id, None)

    async def job(self, delivery: Delivery) -> RunnerJob:
        assert delivery.job_id
        async with self.intake.store.reading() as db:
            return await jobs.get_job(db, delivery.job_id, None)

    async def events(self, type_: str) -> list[dict[str, Any]]:
        async with self.intake.store.reading() as db:
            return [event.payload for event, _ in await events.events_after(db, 0, 10_000) if event.type == type_]

    async def verdicts(self) -> list[str]:
        async with self.intake.store.reading() as db:
            page = await deliveries.delivery_page(db, deliveries.DeliveryFilter(), 500)
        return [str(each.verdict) for each in reversed(page.items)]


@asynccontextmanager
async def open_deciding(
    tmp_path: Path,
    fake: FakeForge,
    kind: str = "github",
    *,
    rails: str = BY_PERMISSION,
    clock: MovedClock | None = None,
) -> AsyncIterator[DecidingHarness]:
    """Yield an intake that is connected to a fake that is being served."""
    clock = clock or MovedClock()
    async with ForgeClient(FORGES[kind], fake.api) as client:
        api = ForgeApi(client, FixedToken(client.forge, TOKEN), clock)
        apis = {SOURCES[kind]: api}
        async with open_harness(tmp_path, rails_text=rails, apis=apis, now=clock, sleep=clock.sleep) as intake:
            yield DecidingHarness(intake, fake, kind, clock, api)


def new_fake(kind: str) -> FakeForge:
    return FAKES[kind]()
