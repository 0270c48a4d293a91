"""The outbox under crashes at every point, lost responses and refusals: one of each at most, and the last state.

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
from stitcherd.reporting.contents import ChangeContent, StatusContent
from stitcherd.store import outbox
from tests.forges.fake import Answer, FakeThread
from tests.stitcherd.reporting.outbox_harness import Lost, OutboxHarness, outbox_on
from tests.stitcherd.reporting.reports import JOB_ID, PLACE, make_report

CUT = b"HTTP/1.1 201 Created\r\nContent-Length: 900\r\n\r\n{"
FAULTS: dict[str, Any] = {
    "broken": Answer(500),
    "limited": Answer(429, headers={"Retry-After": "7"}),
    "cut": CUT,
    "lost": Lost(CUT),
    "done but broken": Lost(Answer(502)),
}
SHA, CONTEXT, BRANCH = "a" * 40, "stitcher/fix", "stitcher/1"
WORDS = {Status.QUEUED: "is queued", Status.RUNNING: "is running", Status.COMPLETED: "is done"}
STATES = {Status.QUEUED: "pending", Status.RUNNING: "pending", Status.COMPLETED: "success"}
CHECKS = {Status.QUEUED: "queued", Status.RUNNING: "in_progress", Status.COMPLETED: "completed"}
STARTS = [("gitea", ""), ("gitea", "change"), ("github", ""), ("github", "check"), ("gitlab", ""), ("gitlab", "change")]
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
        self.wanted: dict[str, Status] = {}  # by the kind of the answer

    @initialize(start=st.sampled_from(STARTS), fault=st.sampled_from(["", *FAULTS]))
    def start(self, start: tuple[str, str], fault: str) -> None:
        kind, first = start
        path = Path(self.closing.enter_context(tempfile.TemporaryDirectory()))
        self.harness: OutboxHarness = self.run(self.closing.enter_async_context(outbox_on(path, kind)))
        self.endanger(self.harness.store, "write")
        self.endanger(self.harness.api, "perform")
        if first == "check":
            self.want_status(Status.QUEUED, check=True)
        elif first == "change":
            self.want_change()
        self.want(Status.QUEUED, another=False)
        if fault:
            self.fail(fault)

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
        self.wanted["comment"] = state

    @rule(state=st.sampled_from(list(STATES)), check=st.booleans())
    def want_status(self, state: Status, check: bool) -> None:
        kind = "check" if check and self.harness.api.forge.checks else "status"
        content = StatusContent(sha=SHA, context=CONTEXT, job=JOB_ID, state=state)
        self.run(self.harness.want(kind, f"{kind}:{SHA}/{CONTEXT}", content))
        self.wanted[kind] = state

    @rule()
    def want_change(self) -> None:
        content = ChangeContent(job=make_report(), head=BRANCH, base="main", draft=False)
        self.run(self.harness.want("change", f"change:{BRANCH}", content))
        self.wanted["change"] = Status.COMPLETED

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

    @rule(what=st.sampled_from(["lock", "unlock", "delete", "close", "rename"]))
    def disturb(self, what: str) -> None:
        thread, fake = self.harness.fake.thread(), self.harness.fake
        match what:
            case "delete":
                thread.comments.clear()
            case "close":
                for change in self.changes():
                    change.is_open = False
            case "rename":
                fake.renamed[PLACE.repository], fake.repository.name = fake.repository.id, "octo-org/renamed"
            case _:
                thread.locked = what == "lock"

    @rule()
    def let_the_operator_retry(self) -> None:
        async def retry() -> None:
            for row in await self.harness.rows():
                if row["state"] in {"failed", "pending"}:
                    await self.harness.store.write(outbox.retry_answer, row["id"], self.harness.clock.now)

        self.run(retry())

    def changes(self) -> list[FakeThread]:
        threads = self.harness.fake.repository.threads.values()
        return [each for each in threads if (each.kind, each.head) == ("change", BRANCH)]

    @invariant()
    def there_is_one_of_each_at_most(self) -> None:
        assert len(self.harness.ours()) <= 1
        assert len(self.harness.fake.repository.checks) <= 1
        assert len(self.changes()) <= 1

    def teardown(self) -> None:
        if not hasattr(self, "harness"):
            return
        try:
            self.harness.fake.faults.clear()
            if self.wanted:
                self.run(self.harness.send_all())
                self.there_is_one_of_each_at_most()
                self.check_the_end({row["kind"]: row for row in self.run(self.harness.rows())})
        finally:
            self.run(self.closing.aclose())
            self.runner.close()

    def check_the_end(self, rows: dict[str, dict[str, Any]]) -> None:
        """Everything shows the last state, but for a comment that the forge has refused for good."""
        assert rows.keys() == self.wanted.keys()
        fake, comment = self.harness.fake, rows.pop("comment")
        if comment["state"] == "failed":
            assert any(f'"code":"{code}"' in comment["error"] for code in REFUSED), comment["error"]
        elif comments := self.harness.ours():  # it may have been deleted after that
            assert WORDS[self.wanted["comment"]] in comments[0].body
        assert {row["state"] for row in rows.values()} <= {"delivered"}, rows
        if "status" in rows:
            statuses, state = fake.repository.statuses[SHA], self.wanted["status"]
            newest = statuses[0 if self.harness.api.forge.kind == "gitlab" else -1]["state"]
            may_go_back = self.harness.api.forge.kind != "gitlab" or state is Status.COMPLETED
            assert newest == STATES[state] or not may_go_back
        if "check" in rows:
            (check,) = fake.repository.checks.values()
            assert check["status"] == CHECKS[self.wanted["check"]]
        if "change" in rows:
            (change,) = self.changes()
            assert rows["change"]["remote_id"] == str(change.number)


TestOutboxMachine = OutboxMachine.TestCase
TestOutboxMachine.settings = settings(
    max_examples=100, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
