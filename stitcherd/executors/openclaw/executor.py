"""The executor that has its work done by an agent of an OpenClaw gateway."""

import asyncio

import msgspec

from shared.models import Failure
from stitcherd.executors import Health, Outcome, Profile, Task, Unavailable, Voice
from stitcherd.executors.openclaw import answers
from stitcherd.executors.openclaw.answers import Interrupted
from stitcherd.executors.openclaw.connection import ADMIN, Address, connect
from stitcherd.executors.openclaw.constraints import NotEnforceable, Terms, terms
from stitcherd.executors.openclaw.faults import Lost, Refused
from stitcherd.executors.openclaw.meter import BudgetSpent
from stitcherd.executors.openclaw.preparing import prepare
from stitcherd.executors.openclaw.reference import Reference
from stitcherd.executors.openclaw.run import ENDING_SECONDS, Run

LATE_SECONDS = 60.0  # beyond a run's own time: the gateway ends it, and only where it does not, we do


class OpenClawExecutor:
    """Drives one gateway; an attempt is a session of it, and a try a run in that session.

    `adopt` says what becomes of a run that the gateway resumed by itself after a crash: it goes on as ours, or it is
    ended, and the try is interrupted.
    """

    def __init__(self, address: Address, *, adopt: bool = True) -> None:
        self._address = address
        self._adopt = adopt
        self._configuring = asyncio.Lock()
        self._ending: set[asyncio.Task[None]] = set()  # what could not be ended yet

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
                raise Unavailable(_sentence(refused)) from refused
            return Outcome(failure=Failure("executor_refused", _sentence(refused), _hint(refused)))
        except Lost as gone:
            raise Unavailable(_sentence(gone)) from gone
        except msgspec.ValidationError as odd:
            detail = f"The gateway answers as this version of Stitcher does not know it: {odd}."
            return Outcome(failure=Failure("executor_refused", detail, "see docs/openclaw.md"))
        except Interrupted as gone:
            return Outcome(failure=Failure("interrupted", str(gone)))

    async def resume(self, task: Task, reference: dict[str, str], voice: Voice) -> Outcome | None:
        """Stay with a try that an earlier daemon began, to its end; None where it is over and its end is not known.

        `reference` is what `remember` was last given. In either case nothing of it runs any more afterwards.
        """
        try:
            return await self._follow(task, voice, Reference.of(reference))
        except (Interrupted, msgspec.ValidationError):
            return None
        except Refused as refused:
            return Outcome(failure=Failure("executor_refused", _sentence(refused), _hint(refused)))

    async def health(self) -> Health:
        """Say whether the gateway is there and takes our token."""
        try:
            async with connect(self._address) as gateway:
                return Health(ok=True, detail=f"OpenClaw {gateway.version}", version=gateway.version)
        except (Lost, Refused) as fault:
            return Health(ok=False, detail=_sentence(fault))

    async def _prepare(self, bounds: Terms, key: str, task: Task, model: str | None) -> str:
        async with self._configuring, connect(self._address, ADMIN) as gateway:
            return await prepare(gateway, bounds, key, task.cwd, model)

    async def _follow(self, task: Task, voice: Voice, reference: Reference) -> Outcome:
        run = Run(self._address, task, voice, reference, adopt=self._adopt)
        try:
            async with asyncio.timeout(None if task.timeout is None else task.timeout + LATE_SECONDS):
                return await run.follow()
        except TimeoutError:
            return answers.timed_out(task.timeout)
        except BudgetSpent as spent:
            return Outcome(failure=Failure("budget_exceeded", str(spent), "see limits.budget in rails.yaml"))
        finally:
            if not run.over:
                # A gateway that is down would go on with it when it is back.
                ending = asyncio.create_task(run.end())
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
                await asyncio.wait({ending}, timeout=ENDING_SECONDS)


def _sentence(fault: Exception) -> str:
    text = str(fault).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}."


def _hint(refused: Refused) -> str | None:
    if refused.code.startswith("AUTH_") or refused.code == "DEVICE_IDENTITY_REQUIRED":
        return "see token in [executors] of stitcherd.toml"
    return "see docs/openclaw.md"
