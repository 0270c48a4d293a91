"""The executor that has its work done by an agent of an OpenClaw gateway."""

import asyncio
from collections.abc import Collection

import msgspec

from shared.models import Failure
from stitcherd.budget import Budget
from stitcherd.executors import INTERRUPTED, Asked, Health, Outcome, Profile, Task, Unavailable, Voice
from stitcherd.executors.openclaw import answers
from stitcherd.executors.openclaw.answers import Interrupted
from stitcherd.executors.openclaw.connection import ADMIN, Address, connect
from stitcherd.executors.openclaw.constraints import NotEnforceable, Terms, terms
from stitcherd.executors.openclaw.ending import Ending
from stitcherd.executors.openclaw.faults import Lost, Refused
from stitcherd.executors.openclaw.frames import PROTOCOL
from stitcherd.executors.openclaw.meter import BudgetSpent
from stitcherd.executors.openclaw.preparing import in_place, prepare
from stitcherd.executors.openclaw.reference import Reference
from stitcherd.executors.openclaw.run import Run
from stitcherd.executors.openclaw.trail import Trail

LATE_SECONDS = 60.0  # beyond a run's own time: the gateway ends it, and only where it does not, we do


class OpenClawExecutor:
    """Drives one gateway; an attempt is a session of it, and a try a run in that session.

    `adopt` says what becomes of a run that the gateway resumed by itself after a crash: it goes on as ours, or it is
    ended, and the try is interrupted.
    """

    remembers = True

    def __init__(self, address: Address, *, adopt: bool = True) -> None:
        self._address = address
        self._adopt = adopt
        self._configuring = asyncio.Lock()
        self._leaving = asyncio.Event()
        self._ending = Ending(address)

    async def run(self, task: Task, voice: Voice) -> Outcome:
        """Have the task done.

        Failures are `constraints_not_enforced`, `executor_refused`, `executor_timeout`, `executor_failed`,
        `budget_exceeded` and `interrupted`. Raises Unavailable where the gateway is not there.
        """
        profile = task.profile or Profile(name="")
        try:
            bounds = terms(profile)
            key = f"agent:{bounds.agent}:stitcher:{task.job_id}-{task.attempt}"
            session = await self._prepare(bounds, key, task, profile.model)
            reference = Reference(key, session, f"{task.job_id}-{task.attempt}-{task.number}")
            return await self._follow(task, voice, reference)
        except NotEnforceable as fault:
            detail = f"Profile {profile.name} cannot be enforced in OpenClaw: {fault}."
            return Outcome(failure=Failure("constraints_not_enforced", detail, "see docs/openclaw.md"))
        except Refused as refused:
            if refused.passing:
                raise Unavailable(str(refused)) from refused
            return _refused(refused)
        except Lost as gone:
            raise Unavailable(str(gone)) from gone
        except msgspec.ValidationError as odd:
            detail = f"The gateway answers as this version of Stitcher does not know it: {odd}."
            return Outcome(failure=Failure("executor_refused", detail, "see docs/openclaw.md"))
        except Interrupted as gone:
            return _interrupted(str(gone))

    async def resume(self, task: Task, reference: dict[str, str], voice: Voice) -> Outcome:
        """Stay with a try that an earlier daemon began, to its end; what cannot be found again is ended.

        Failures are those of `run`.
        """
        try:
            return await self._follow(task, voice, Reference.of(reference))
        except Interrupted as gone:
            return _interrupted(str(gone))
        except msgspec.ValidationError:
            return _interrupted("What was kept of the run does not find it again.")
        except Refused as refused:
            return _refused(refused) if refused.at_the_door else _interrupted(_sentence(refused))

    async def abandon(self, reference: dict[str, str]) -> None:
        """End a try that an earlier daemon began."""
        try:
            await self._ending.end(Reference.of(reference))
        except msgspec.ValidationError:
            return  # it was never begun

    def leave(self) -> None:
        """From now on leave a run that is cancelled to the next daemon: in the gateway it goes on."""
        self._leaving.set()

    async def health(self, profiles: Collection[Asked]) -> Health:
        """Say whether the gateway is there and takes our token, and how many of the profiles' agents it has."""
        try:
            async with connect(self._address, ADMIN) as gateway:
                wanted = {bounds.agent: bounds for bounds in filter(None, map(_terms, profiles))}
                there = await in_place(gateway, wanted.values())
                return Health(
                    ok=True,
                    detail=f"OpenClaw {gateway.version}, protocol {PROTOCOL}, {there} of {len(wanted)} agents in place",
                    version=gateway.version,
                    protocol=PROTOCOL,
                    agents=(there, len(wanted)),
                )
        except Lost as gone:
            return Health(ok=False, detail=str(gone), away=True)
        except Refused as refused:
            return Health(ok=False, detail=str(refused), away=refused.passing)

    async def _prepare(self, bounds: Terms, key: str, task: Task, model: str | None) -> str:
        async with self._configuring, connect(self._address, ADMIN) as gateway:
            return await prepare(gateway, bounds, key, task.cwd, model, again=task.number > 1)

    async def _follow(self, task: Task, voice: Voice, reference: Reference) -> Outcome:
        trail = Trail(voice, reference, task.profile.budget if task.profile else Budget(), adopt=self._adopt)
        run = Run(self._address, task, trail, self._leaving)
        over = False
        try:
            async with asyncio.timeout(None if task.timeout is None else task.timeout + LATE_SECONDS):
                return await run.follow()
        except asyncio.CancelledError:
            over = run.is_left
            raise
        except TimeoutError:
            return answers.timed_out(task.timeout)
        except BudgetSpent as spent:
            return Outcome(failure=Failure("budget_exceeded", str(spent), "see limits.budget in rails.yaml"))
        finally:
            if not (run.over or over):
                await self._ending.end(trail.reference)


def _terms(profile: Asked) -> Terms | None:
    """Return what holds an agent to a profile; None where nothing does, which the rails' own check tells."""
    try:
        return terms(profile)
    except NotEnforceable:
        return None


def _interrupted(why: str) -> Outcome:
    return Outcome(failure=Failure(INTERRUPTED, why))


def _refused(refused: Refused) -> Outcome:
    hint = "see token in [executors] of stitcherd.toml" if refused.about_us else "see docs/openclaw.md"
    return Outcome(failure=Failure("executor_refused", _sentence(refused), hint))


def _sentence(fault: Exception) -> str:
    text = str(fault).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."
