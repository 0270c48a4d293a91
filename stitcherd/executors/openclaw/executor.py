"""Has the work done by an agent of an OpenClaw gateway: an attempt is a session of it, a try a run in that session."""

import asyncio
import logging
from collections.abc import Collection
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from shared.models import Failure
from stitcherd.budget import Budget
from stitcherd.config.settings import ExecutorSettings
from stitcherd.executors.base import (
    AgentProfile,
    ExecutionResult,
    Executor,
    ExecutorHealth,
    ExecutorUnavailable,
    OutputSink,
    ProfileConstraints,
    Task,
)
from stitcherd.executors.openclaw.connection import ADMIN_SCOPES, GatewayAddress, GatewayConnection, connect
from stitcherd.executors.openclaw.events import RunInterrupted
from stitcherd.executors.openclaw.permissions import AgentPermissions, NotEnforceable, agent_permissions
from stitcherd.executors.openclaw.protocol import PROTOCOL_VERSION, GatewayLost, RequestRefused, RunReference
from stitcherd.executors.openclaw.run import GatewayRun, RunTracker
from stitcherd.executors.openclaw.setup import (
    check_tools,
    configure_agent,
    count_configured,
    has_transcript,
    prepare_session,
)
from stitcherd.executors.openclaw.terminator import RunTerminator
from stitcherd.executors.results import interrupted, over_budget, timed_out
from stitcherd.executors.run_budget import RunBudgetExceeded
from stitcherd.executors.sessions import record_lost, record_resumed

OVERRUN_SECONDS = 60.0  # after a run's own timeout: normally the gateway ends it, and only if it does not, we do
_DOCUMENTATION = "see docs/openclaw.md"

log = logging.getLogger(__name__)


class OpenClawExecutor(Executor):
    """Drives one gateway.

    `take_over` says what to do with a run that the gateway itself resumed after a crash: follow it, or end it and
    report the try as interrupted.
    """

    resumable = True
    holds_tools = True
    metered = True
    required_keys = frozenset({"url"})
    optional_keys = frozenset({"token"})

    def __init__(self, address: GatewayAddress, *, take_over: bool = True) -> None:
        self._address = address
        self._take_over = take_over
        self._configuring = asyncio.Lock()
        self._detaching = asyncio.Event()
        # By agent: the start of the gateway, its configuration and the model for which the tools were checked last.
        self._checked: dict[str, tuple[str, str, str | None]] = {}
        self._terminator = RunTerminator(address)

    @classmethod
    def from_settings(cls, settings: ExecutorSettings) -> Self:
        """Return the executor of an [executors.NAME] table."""
        return cls(GatewayAddress(str(settings.url), settings.token))

    @classmethod
    def unusable(cls, settings: ExecutorSettings) -> str | None:
        """Return a reason if the gateway is not on this machine: only here can its agents reach the checkout."""
        if _is_loopback(urlsplit(str(settings.url)).hostname or ""):
            return None
        return f"executor {settings.name} is a gateway on another machine, where the checkout is not"

    @classmethod
    def objection(cls, profile: ProfileConstraints) -> str | None:
        """Return which part of a profile the gateway cannot enforce, or None."""
        try:
            agent_permissions(profile)
        except NotEnforceable as error:
            return str(error)
        return None

    async def run(self, task: Task, sink: OutputSink) -> ExecutionResult:
        """Do the task.

        Failures are `constraints_not_enforced`, `executor_refused`, `executor_timeout`, `executor_failed`,
        `budget_exceeded` and `interrupted`. Raises ExecutorUnavailable.
        """
        profile = task.profile or AgentProfile(name="")
        try:
            permissions = agent_permissions(profile)
            return await self._prepare_and_follow(task, sink, permissions, profile.model)
        except NotEnforceable as error:
            detail = f"Profile {profile.name} cannot be enforced in OpenClaw: {error}."
            return ExecutionResult(failure=Failure("constraints_not_enforced", detail, _DOCUMENTATION))
        except RequestRefused as refused:
            if refused.retryable:
                raise ExecutorUnavailable(str(refused)) from refused
            return _refused_result(refused)
        except GatewayLost as lost:
            raise ExecutorUnavailable(str(lost)) from lost
        except msgspec.ValidationError as error:
            detail = f"The gateway's answer is not one that this version of Stitcher understands: {error}."
            return ExecutionResult(failure=Failure("executor_refused", detail, _DOCUMENTATION))
        except RunInterrupted as lost:
            return interrupted(str(lost))

    async def resume(self, task: Task, reference: dict[str, str], sink: OutputSink) -> ExecutionResult:
        """Follow a try that an earlier daemon started to its end; a run that cannot be found again is ended.

        Failures are those of `run`.
        """
        try:
            return await self._follow(task, sink, RunReference.from_saved(reference))
        except RunInterrupted as lost:
            return interrupted(str(lost))
        except msgspec.ValidationError:
            return interrupted("The saved reference of the run is not complete.")
        except RequestRefused as refused:
            return _refused_result(refused) if refused.during_connect else interrupted(_sentence(refused))

    async def terminate(self, reference: dict[str, str]) -> None:
        """End a try that an earlier daemon started."""
        try:
            await self._terminator.end(RunReference.from_saved(reference))
        except msgspec.ValidationError:
            return  # it was never started

    def detach(self) -> None:
        """From now on, leave a run running in the gateway on cancellation; the next daemon resumes it."""
        self._detaching.set()

    async def health(self, profiles: Collection[ProfileConstraints]) -> ExecutorHealth:
        """Return whether the gateway accepts our token, and how many of the profiles' agents it has."""
        try:
            async with connect(self._address, ADMIN_SCOPES) as gateway:
                wanted = {each.agent: each for each in filter(None, map(_permissions_or_none, profiles))}
                configured = await count_configured(gateway, wanted.values())
                about = f"OpenClaw {gateway.version}, protocol {PROTOCOL_VERSION}"
                return ExecutorHealth(
                    ok=True,
                    detail=f"{about}, {configured} of {len(wanted)} agents in place",
                    version=gateway.version,
                    protocol=PROTOCOL_VERSION,
                    agents=(configured, len(wanted)),
                )
        except GatewayLost as lost:
            return ExecutorHealth(ok=False, detail=str(lost), away=True)
        except RequestRefused as refused:
            return ExecutorHealth(ok=False, detail=str(refused), away=refused.retryable)

    async def _prepare_and_follow(
        self, task: Task, sink: OutputSink, permissions: AgentPermissions, model: str | None
    ) -> ExecutionResult:
        key = f"agent:{permissions.agent}:stitcher:{task.job_id}-{task.attempt}"
        await self._terminator.finish(key)  # an end that comes late would end the new run
        async with connect(self._address, ADMIN_SCOPES) as gateway:
            async with self._configuring:
                config = await configure_agent(gateway, permissions)
            reopen = task.number > 1
            session = await prepare_session(gateway, permissions, key, task.cwd, model, reopen=reopen)
            # What a new session is offered follows from these; one of an earlier try may have been changed since.
            facts = (gateway.boot, config, model)
            if reopen or not config or self._checked.get(permissions.agent) != facts:
                await check_tools(gateway, permissions, key, session)
                self._checked[permissions.agent] = facts
            task = await self._resume_session(task, sink, gateway, key, session)
            sink.record_prompt(task.prompt)
            reference = RunReference(key, session, f"{task.job_id}-{task.attempt}-{task.number}")
            return await self._follow(task, sink, reference, gateway, without_programs=not permissions.programs)

    async def _resume_session(
        self, task: Task, sink: OutputSink, gateway: GatewayConnection, key: str, session: str
    ) -> Task:
        """Return the task with only the follow-up as its prompt, if the open session is that of the try before."""
        if task.previous is None:
            return task
        before = task.previous.reference.get("session", "")
        if session != before:
            reason = "the gateway does not have it any more"
        elif not await has_transcript(gateway, key):
            reason = "the gateway has lost its transcript"
        else:
            await record_resumed(sink, before)
            return replace(task, prompt=task.previous.follow_up)
        await record_lost(sink, before, reason)
        return task

    async def _follow(
        self,
        task: Task,
        sink: OutputSink,
        reference: RunReference,
        gateway: GatewayConnection | None = None,
        *,
        without_programs: bool = False,
    ) -> ExecutionResult:
        """Follow a run to its end, first on an open connection if there is one, and end all that it started.

        `without_programs` says that the agent cannot start any: once it has finished, nothing is left.
        """
        budget = task.profile.budget if task.profile else Budget()
        tracker = RunTracker(sink, reference, budget, take_over=self._take_over)
        run = GatewayRun(self._address, task, tracker, self._detaching, without_programs=without_programs)
        detached = False
        try:
            async with asyncio.timeout(None if task.timeout is None else task.timeout + OVERRUN_SECONDS):
                return await run.follow(gateway)
        except asyncio.CancelledError:
            detached = run.is_detached
            raise
        except TimeoutError:
            return timed_out(task.timeout)
        except RunBudgetExceeded as exceeded:
            return over_budget(str(exceeded))
        finally:
            if run.is_over and not detached:
                self._terminator.begin(tracker.reference)
            elif not (run.ended or detached):
                await self._terminator.end(tracker.reference)


def _permissions_or_none(profile: ProfileConstraints) -> AgentPermissions | None:
    """Return the permissions of a profile, or None if it cannot be enforced, which the check of the rails reports."""
    try:
        return agent_permissions(profile)
    except NotEnforceable:
        return None


def _refused_result(refused: RequestRefused) -> ExecutionResult:
    hint = "see token in [executors] of stitcherd.toml" if refused.is_authentication else _DOCUMENTATION
    return ExecutionResult(failure=Failure("executor_refused", _sentence(refused), hint))


def _sentence(error: Exception) -> str:
    text = str(error).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
