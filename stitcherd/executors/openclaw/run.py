"""One run in a session of the gateway: started, heard, found again after a broken connection, and ended."""

import asyncio
import logging
from contextlib import suppress

from stitcherd.executors import Outcome, Task
from stitcherd.executors.openclaw import answers
from stitcherd.executors.openclaw.answers import Interrupted
from stitcherd.executors.openclaw.connection import ANSWER_SECONDS, END, Address, Connection, connect
from stitcherd.executors.openclaw.ending import end, pauses
from stitcherd.executors.openclaw.faults import Lost, Refused
from stitcherd.executors.openclaw.trail import Trail

WAIT_SECONDS = 20.0  # of one agent.wait
FOUND_SECONDS = 60.0  # after a restart: a gateway that was killed resumes a turn 5 to 15 s after its start, or later
KNOWN_SECONDS = 3.0  # for a gateway that did not restart to know a run that it was asked for
LOOK_SECONDS = 0.5

log = logging.getLogger(__name__)


class Run:
    """A run, from before its start to its end; once `leaving` is set, a cancel leaves it to whoever resumes it."""

    def __init__(self, address: Address, task: Task, trail: Trail, leaving: asyncio.Event) -> None:
        self._address = address
        self._task = task
        self._trail = trail
        self._leaving = leaving
        self._sent = False
        self._taken = bool(trail.reference.boot)  # the gateway said that it has the run
        self.over = False  # nothing of it runs any more, nor will

    async def follow(self) -> Outcome:
        """Start the run, unless it was, and stay with it to its end, however often the connection breaks.

        Raises Lost and Refused only before anything was started, and Interrupted and BudgetSpent.
        """
        said = ""
        for pause in pauses():
            try:
                async with connect(self._address) as gateway:
                    return await self._attend_and_end(gateway)
            except Refused as refused:
                if not refused.passing or not self._begun:
                    raise
                why = str(refused)
            except Lost as gone:
                if not self._begun:
                    raise
                why = str(gone)
            if why != said:
                log.warning("%s; trying again", why)
            said = why
            await asyncio.sleep(pause)
        raise AssertionError  # the pauses have no end

    @property
    def is_left(self) -> bool:
        """Whether a cancel leaves it to whoever resumes it."""
        return self._leaving.is_set() and self._begun

    @property
    def _begun(self) -> bool:
        return self._sent or self._taken

    async def _attend_and_end(self, gateway: Connection) -> Outcome:
        """Attend the run, and end it on the same connection: a gateway that is about to stop takes no new one."""
        try:
            outcome = await self._attend(gateway)
        except (Lost, Refused):
            raise  # the run may go on
        except asyncio.CancelledError:
            if not self.is_left:
                await self._try_to_end(gateway)
            raise
        except BaseException:
            await self._try_to_end(gateway)
            raise
        await asyncio.gather(self._account(gateway), self._try_to_end(gateway))
        return outcome

    async def _account(self, gateway: Connection) -> None:
        """Report what the transcript left out of a run that came to its end."""
        if self._trail.meter.is_whole:
            return  # the gateway takes its time to describe a session that has just ended
        with suppress(Lost):
            session = await self._trail.describe(gateway)
            if session.status == "done" and session.last_run_id in self._trail.runs:
                await self._trail.hearing.report(session)

    async def _try_to_end(self, gateway: Connection) -> None:
        with suppress(Lost, Refused):
            await end(gateway, self._trail.reference)
            self.over = True

    async def _attend(self, gateway: Connection) -> Outcome:
        """Hear the run until it is over, and return how it ended."""
        await gateway.request("sessions.messages.subscribe", {"key": self._trail.reference.key})
        waiting = asyncio.create_task(self._wait(gateway))
        waiting.add_done_callback(lambda _: gateway.events.put_nowait(END))
        try:
            while (event := await gateway.events.get()) is not END:
                await self._trail.hearing.take(event, self._trail.runs)
            return await waiting
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _wait(self, gateway: Connection) -> Outcome:
        """Start the run, or find it again, and return how it ended."""
        outcome = None
        if self._taken or (self._sent and gateway.boot != self._trail.reference.boot):
            outcome = await self._find(gateway)
        else:
            await self._start(gateway)
        while outcome is None:
            outcome = await self._ask(gateway, WAIT_SECONDS) or await self._find(gateway)
        return outcome

    async def _start(self, gateway: Connection) -> None:
        """Ask for the run; a gateway that has it already, and has not restarted since, starts no second one."""
        task, run = self._task, self._trail.runs[-1]
        await self._trail.begin(gateway.boot)
        limit = {} if task.timeout is None else {"timeout": max(1, round(task.timeout))}
        self._sent = True
        await gateway.request(
            "agent",
            {
                "message": task.prompt.encode(errors="replace").decode(),
                "agentId": self._trail.reference.key.split(":")[1],
                "sessionKey": self._trail.reference.key,
                "idempotencyKey": run,
                "deliver": False,
                **limit,
            },
        )
        self._taken = True

    async def _ask(self, gateway: Connection, seconds: float) -> Outcome | None:
        asked = {"runId": self._trail.runs[-1], "timeoutMs": round(seconds * 1000)}
        return answers.outcome(await gateway.request("agent.wait", asked, seconds + ANSWER_SECONDS), self._task.timeout)

    async def _find(self, gateway: Connection) -> Outcome | None:
        """Return how the run ended, or None while it goes on, perhaps resumed under another id.

        Raises Interrupted where the gateway knows nothing of it.
        """
        restarted, begun = gateway.boot != self._trail.reference.boot, asyncio.get_running_loop().time()
        while True:
            rows, active = await self._trail.read(gateway)
            outcome = await self._ask(gateway, LOOK_SECONDS)
            if outcome is not None or active:
                return outcome
            session = await self._trail.describe(gateway)
            if session.last_run_id and not self._trail.is_earlier(session.last_run_id):
                outcome = answers.settled(session, rows)
            if outcome is not None:
                return outcome
            patience = FOUND_SECONDS if restarted or session.status == "running" else KNOWN_SECONDS
            if asyncio.get_running_loop().time() - begun > patience:
                raise Interrupted("The gateway knows nothing of the run: it was restarted, or was never asked for it.")
