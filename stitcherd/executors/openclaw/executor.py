"""The executor that has its work done by an agent of an OpenClaw gateway."""

import asyncio
import logging
from collections.abc import Collection
from contextlib import suppress

import msgspec

from shared.backoff import backoff_delays
from shared.models import Failure
from stitcherd.budget import Budget
from stitcherd.executors.base import (
    INTERRUPTED,
    AgentProfile,
    ExecutionResult,
    ExecutorHealth,
    ExecutorUnavailable,
    OutputSink,
    ProfileConstraints,
    Task,
)
from stitcherd.executors.openclaw import events
from stitcherd.executors.openclaw.connection import ADMIN_SCOPES, GatewayAddress, connect
from stitcherd.executors.openclaw.events import BudgetExceeded, RunInterrupted
from stitcherd.executors.openclaw.permissions import AgentPermissions, NotEnforceable, agent_permissions
from stitcherd.executors.openclaw.protocol import PROTOCOL_VERSION, ConnectionLost, RequestRefused, RunReference
from stitcherd.executors.openclaw.run import GatewayRun, RunTracker
from stitcherd.executors.openclaw.setup import END_TIMEOUT_SECONDS, count_configured, end_run, prepare_session

# merged from stitcherd.executors.openclaw.ending: Ends what runs in sessions of the gateway, now or as soon
# as the gateway is there.
END_GIVE_UP_SECONDS = 600.0  # after which a run that cannot be ended is left to the gateway

log = logging.getLogger(__name__)


class RunTerminator:
    """Keeps at what could not be ended yet: a gateway that is down would go on with it when it is back."""

    def __init__(self, address: GatewayAddress) -> None:
        self._address = address
        self._left: set[asyncio.Task[None]] = set()

    async def end(self, reference: RunReference) -> None:
        """End a run; where the gateway does not do it at once, go on behind."""
        ending = asyncio.create_task(self._end(reference))
        self._left.add(ending)
        ending.add_done_callback(self._left.discard)
        await asyncio.wait({ending}, timeout=END_TIMEOUT_SECONDS)

    async def _end(self, reference: RunReference) -> None:
        said = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_GIVE_UP_SECONDS):
                for pause in backoff_delays():
                    try:
                        async with connect(self._address) as gateway:
                            await end_run(gateway, reference)
                            return
                    except (ConnectionLost, RequestRefused) as fault:
                        if str(fault) != said:
                            log.warning("what runs in %s is not ended yet: %s; trying again", reference.key, fault)
                        said = str(fault)
                    await asyncio.sleep(pause)


OVERRUN_SECONDS = 60.0  # beyond a run's own time: the gateway ends it, and only where it does not, we do


class OpenClawExecutor:
    """Drives one gateway; an attempt is a session of it, and a try a run in that session.

    `adopt` says what becomes of a run that the gateway resumed by itself after a crash: it goes on as ours, or it is
    ended, and the try is interrupted.
    """

    resumable = True

    def __init__(self, address: GatewayAddress, *, adopt: bool = True) -> None:
        self._address = address
        self._adopt = adopt
        self._configuring = asyncio.Lock()
        self._leaving = asyncio.Event()
        self._ending = RunTerminator(address)

    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        """Have the task done.

        Failures are `constraints_not_enforced`, `executor_refused`, `executor_timeout`, `executor_failed`,
        `budget_exceeded` and `interrupted`. Raises Unavailable where the gateway is not there.
        """
        profile = task.profile or AgentProfile(name="")
        try:
            bounds = agent_permissions(profile)
            key = f"agent:{bounds.agent}:stitcher:{task.job_id}-{task.attempt}"
            session = await self._prepare(bounds, key, task, profile.model)
            reference = RunReference(key, session, f"{task.job_id}-{task.attempt}-{task.number}")
            return await self._follow(task, sink, reference)
        except NotEnforceable as fault:
            detail = f"Profile {profile.name} cannot be enforced in OpenClaw: {fault}."
            return ExecutionResult(failure=Failure("constraints_not_enforced", detail, "see docs/openclaw.md"))
        except RequestRefused as refused:
            if refused.passing:
                raise ExecutorUnavailable(str(refused)) from refused
            return _refused_result(refused)
        except ConnectionLost as gone:
            raise ExecutorUnavailable(str(gone)) from gone
        except msgspec.ValidationError as odd:
            detail = f"The gateway answers as this version of Stitcher does not know it: {odd}."
            return ExecutionResult(failure=Failure("executor_refused", detail, "see docs/openclaw.md"))
        except RunInterrupted as gone:
            return _interrupted_result(str(gone))

    async def resume(self, task: Task, reference: dict[str, str], sink: OutputSink) -> ExecutionResult:
        """Stay with a try that an earlier daemon began, to its end; what cannot be found again is ended.

        Failures are those of `run`.
        """
        try:
            return await self._follow(task, sink, RunReference.of(reference))
        except RunInterrupted as gone:
            return _interrupted_result(str(gone))
        except msgspec.ValidationError:
            return _interrupted_result("What was kept of the run does not find it again.")
        except RequestRefused as refused:
            return _refused_result(refused) if refused.during_connect else _interrupted_result(_sentence(refused))

    async def terminate(self, reference: dict[str, str]) -> None:
        """End a try that an earlier daemon began."""
        try:
            await self._ending.end(RunReference.of(reference))
        except msgspec.ValidationError:
            return  # it was never begun

    def detach(self) -> None:
        """From now on leave a run that is cancelled to the next daemon: in the gateway it goes on."""
        self._leaving.set()

    async def health(self, profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        """Say whether the gateway is there and takes our token, and how many of the profiles' agents it has."""
        try:
            async with connect(self._address, ADMIN_SCOPES) as gateway:
                wanted = {bounds.agent: bounds for bounds in filter(None, map(_permissions_or_none, profiles))}
                there = await count_configured(gateway, wanted.values())
                return ExecutorHealth(
                    ok=True,
                    detail=f"OpenClaw {gateway.version}, protocol {PROTOCOL_VERSION}, {there} of {len(wanted)} agents"
                    " in place",
                    version=gateway.version,
                    protocol=PROTOCOL_VERSION,
                    agents=(there, len(wanted)),
                )
        except ConnectionLost as gone:
            return ExecutorHealth(ok=False, detail=str(gone), away=True)
        except RequestRefused as refused:
            return ExecutorHealth(ok=False, detail=str(refused), away=refused.passing)

    async def _prepare(self, bounds: AgentPermissions, key: str, task: Task, model: str | None) -> str:
        async with self._configuring, connect(self._address, ADMIN_SCOPES) as gateway:
            return await prepare_session(gateway, bounds, key, task.cwd, model, again=task.number > 1)

    async def _follow(self, task: Task, sink: OutputSink, reference: RunReference) -> ExecutionResult:
        trail = RunTracker(sink, reference, task.profile.budget if task.profile else Budget(), adopt=self._adopt)
        run = GatewayRun(self._address, task, trail, self._leaving)
        over = False
        try:
            async with asyncio.timeout(None if task.timeout is None else task.timeout + OVERRUN_SECONDS):
                return await run.follow()
        except asyncio.CancelledError:
            over = run.is_detached
            raise
        except TimeoutError:
            return events.timed_out(task.timeout)
        except BudgetExceeded as spent:
            return ExecutionResult(failure=Failure("budget_exceeded", str(spent), "see limits.budget in rails.yaml"))
        finally:
            if not (run.over or over):
                await self._ending.end(trail.reference)


def _permissions_or_none(profile: ProfileConstraints) -> AgentPermissions | None:
    """Return what holds an agent to a profile; None where nothing does, which the rails' own check tells."""
    try:
        return agent_permissions(profile)
    except NotEnforceable:
        return None


def _interrupted_result(why: str) -> ExecutionResult:
    return ExecutionResult(failure=Failure(INTERRUPTED, why))


def _refused_result(refused: RequestRefused) -> ExecutionResult:
    hint = "see token in [executors] of stitcherd.toml" if refused.is_authentication else "see docs/openclaw.md"
    return ExecutionResult(failure=Failure("executor_refused", _sentence(refused), hint))


def _sentence(fault: Exception) -> str:
    text = str(fault).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
