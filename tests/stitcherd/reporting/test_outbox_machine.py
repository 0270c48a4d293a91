"""The outbox under crashes at every point, lost responses and refusals: one comment at most, and the last state.

Every write to the store and every request is a point before and after which the daemon may end.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shared.models import Status
from stitcherd.store import outbox
from tests.forges.fake import Answer
from tests.stitcherd.reporting.outbox_harness import Lost, OutboxHarness, outbox_on

CUT = b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{"
FAULTS: dict[str, Any] = {
    "broken": Answer(500),
    "limited": Answer(429, headers={"Retry-After": "7"}),
    "cut": CUT,
    "lost": Lost(CUT),
    "done but broken": Lost(Answer(502)),
}
REFUSED = ("locked", "deleted", "gone", "gave_up")
Value = TypeVar("Value")


class Crashed(BaseException):
    """The daemon has ended."""


class OutboxMachine(RuleBasedStateMachine):
    """What may happen to an outbox, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.closing = AsyncExitStack()
        self.points: int | None = None  # that are passed before the daemon ends
        self.job = 1
        self.wanted: Status | None = None

    @initialize(kind=st.sampled_from(["gitea", "github", "gitlab"]))
    def start(self, kind: str) -> None:
        path = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        self.harness: OutboxHarness = self.run(self.closing.enter_async_context(outbox_on(path, kind)))
        self.endanger(self.harness.store, "write")
        self.endanger(self.harness.api, "perform")
        self.want(Status.QUEUED, another=False)

    def endanger(self, owner: Any, name: str) -> None:
        """Let the daemon end before or after a method."""
        method: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def endangered(*arguments: Any, **options: Any) -> Any:
            self.pass_point()
            result = await method(*arguments, **options)
            self.pass_point()
            return result

        setattr(owner, name, endangered)

    def pass_point(self) -> None:
        if self.points is not None:
            self.points -= 1
            if self.points < 0:
                self.points = None
                raise Crashed

    def run(self, work: Awaitable[Value]) -> Value:
        async def wait() -> Value:
            return await work

        return self.runner.run(wait())

    @rule(state=st.sampled_from([Status.QUEUED, Status.RUNNING, Status.COMPLETED]), another=st.booleans())
    def want(self, state: Status, another: bool) -> None:
        self.job += another
        self.run(self.harness.want_comment(state, job=f"job-{self.job}"))
        self.wanted = state

    @rule(seconds=st.sampled_from([0, 5, 30]))
    def send(self, seconds: int) -> None:
        self.harness.clock.now += seconds * 1000
        self.run(self.harness.outbox.send_next())

    @rule(points=st.integers(0, 5), seconds=st.sampled_from([0, 10, 30]))
    def crash(self, points: int, seconds: int) -> None:
        self.points = points
        try:
            self.run(self.harness.outbox.send_next())
        except Crashed:
            self.harness.clock.now += seconds * 1000
            self.run(self.harness.restart())
        self.points = None

    @rule(name=st.sampled_from(sorted(FAULTS)))
    def fail(self, name: str) -> None:
        self.harness.fake.faults[:] = [FAULTS[name]]
        self.run(self.harness.outbox.send_next())

    @rule(what=st.sampled_from(["lock", "unlock", "delete"]))
    def disturb(self, what: str) -> None:
        thread = self.harness.fake.thread()
        if what == "delete":
            thread.comments.clear()
        else:
            thread.locked = what == "lock"

    @rule()
    def let_the_operator_retry(self) -> None:
        async def retry() -> None:
            row = await self.harness.row()
            if row["state"] in {"failed", "pending"}:
                await self.harness.store.write(outbox.retry_answer, row["id"], self.harness.clock.now)

        self.run(retry())

    @invariant()
    def there_is_one_comment_at_most(self) -> None:
        assert len(self.harness.ours()) <= 1

    def teardown(self) -> None:
        if not hasattr(self, "harness"):
            return
        try:
            self.harness.fake.faults.clear()
            if self.wanted is not None:
                self.run(self.harness.send_all())
                self.check_the_end(self.run(self.harness.row()))
        finally:
            self.run(self.closing.aclose())
            self.runner.close()

    def check_the_end(self, row: dict[str, Any]) -> None:
        """The comment shows the last state, unless the forge has refused it for good."""
        comments = self.harness.ours()
        assert len(comments) <= 1
        if row["state"] == "failed":
            assert any(f'"code":"{code}"' in row["error"] for code in REFUSED), row["error"]
            return
        assert row["state"] == "delivered"
        if comments:  # it may have been deleted after that
            words = {Status.QUEUED: "is queued", Status.RUNNING: "is running", Status.COMPLETED: "is done"}
            assert words[self.wanted or Status.QUEUED] in comments[0].body


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(
    max_examples=100, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
