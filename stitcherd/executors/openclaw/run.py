"""One run in a session of the gateway: started, heard, found again after a broken connection, and ended."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat

from shared.models import Usage
from stitcherd.executors import Budget, Outcome, Task, Voice
from stitcherd.executors.openclaw import answers
from stitcherd.executors.openclaw.answers import History, Interrupted, Row, Session
from stitcherd.executors.openclaw.connection import ANSWER_SECONDS, END, Address, Connection, connect
from stitcherd.executors.openclaw.faults import Lost, Refused
from stitcherd.executors.openclaw.hearing import Hearing
from stitcherd.executors.openclaw.meter import Meter
from stitcherd.executors.openclaw.preparing import archive
from stitcherd.executors.openclaw.reference import Reference

WAIT_SECONDS = 20.0  # of one agent.wait
FOUND_SECONDS = 60.0  # after a reconnect: a gateway that was killed resumes a turn 5 to 15 s after its start, or later
LOOK_SECONDS = 0.5
ENDING_SECONDS = 0.7  # that the end of a run is waited for; twice, if the connection is bad, within two seconds
FORGETTING_SECONDS = 600.0  # after which a run that cannot be ended is left to the gateway
PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)  # seconds between two tries to connect; the last one repeats
HISTORY = 1000  # lines of a transcript

log = logging.getLogger(__name__)


class Run:
    """A run, from before its start to its end; `adopt` says whether one that the gateway resumed is still ours."""

    def __init__(self, address: Address, task: Task, voice: Voice, reference: Reference, *, adopt: bool) -> None:
        self._address = address
        self._task = task
        self._voice = voice
        self._reference = reference
        self._adopt = adopt
        self._runs = reference.runs.split()
        before = Usage(reference.input, reference.output, reference.usd)
        self._meter = Meter(task.profile.budget if task.profile else Budget(), before)
        self._hearing = Hearing(voice, self._meter)
        self._sent = False
        self._taken = bool(reference.boot)  # the gateway said that it has the run
        self.over = False  # nothing of it runs any more, nor will

    async def follow(self) -> Outcome:
        """Start the run, unless it was, and stay with it to its end, however often the connection breaks.

        Raises Lost and Refused only before anything was started, and Interrupted and BudgetSpent.
        """
        for pause in _pauses():
            try:
                async with connect(self._address) as gateway:
                    return await self._attend_and_end(gateway)
            except Refused as refused:
                if not refused.passing or not self._begun:
                    raise
                log.warning("%s", refused)
            except Lost as gone:
                if not self._begun:
                    raise
                log.warning("%s; trying again", gone)
            await asyncio.sleep(pause)
        raise AssertionError  # the pauses have no end

    @property
    def _begun(self) -> bool:
        return self._sent or self._taken

    async def end(self) -> None:
        """End whatever of it still runs, as soon as the gateway is there."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FORGETTING_SECONDS):
                for pause in _pauses():
                    try:
                        async with connect(self._address) as gateway:
                            await self._end(gateway)
                            return
                    except (Lost, Refused) as fault:
                        log.warning("run %s is not ended yet: %s", self._runs[-1], fault)
                    await asyncio.sleep(pause)

    async def _end(self, gateway: Connection) -> None:
        await archive(gateway, self._reference.key, self._reference.session, ENDING_SECONDS)
        self.over = True

    async def _attend_and_end(self, gateway: Connection) -> Outcome:
        """Attend the run, and end it on the same connection: a gateway that is about to stop takes no new one."""
        try:
            outcome = await self._attend(gateway)
        except (Lost, Refused):
            raise  # the run may go on
        except BaseException:
            await self._try_to_end(gateway)
            raise
        await self._try_to_end(gateway)
        return outcome

    async def _try_to_end(self, gateway: Connection) -> None:
        with suppress(Lost, Refused):
            await self._end(gateway)

    async def _attend(self, gateway: Connection) -> Outcome:
        """Hear the run until it is over, and return how it ended."""
        await gateway.request("sessions.messages.subscribe", {"key": self._reference.key})
        waiting = asyncio.create_task(self._wait(gateway))
        waiting.add_done_callback(lambda _: gateway.events.put_nowait(END))
        try:
            while (event := await gateway.events.get()) is not END:
                if await self._hearing.take(event, self._runs):
                    await self._remember(gateway.boot)
            outcome = await waiting
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        with suppress(Lost):
            session = await self._describe(gateway)
            if session.status == "done" and session.last_run_id in self._runs:
                await self._hearing.report(session)
        return outcome

    async def _wait(self, gateway: Connection) -> Outcome:
        """Start the run, or find it again, and return how it ended."""
        outcome = None
        if self._taken or (self._sent and gateway.boot != self._reference.boot):
            outcome = await self._find(gateway)
        else:
            await self._start(gateway)
        while outcome is None:
            outcome = await self._ask(gateway, WAIT_SECONDS) or await self._find(gateway)
        return outcome

    async def _start(self, gateway: Connection) -> None:
        """Ask for the run; a gateway that has it already, and has not restarted since, starts no second one."""
        task, run = self._task, self._runs[-1]
        await self._remember(gateway.boot)
        limit = {} if task.timeout is None else {"timeout": max(1, round(task.timeout))}
        self._sent = True
        await gateway.request(
            "agent",
            {
                "message": task.prompt.encode(errors="replace").decode(),
                "agentId": self._reference.key.split(":")[1],
                "sessionKey": self._reference.key,
                "idempotencyKey": run,
                "deliver": False,
                **limit,
            },
        )
        self._taken = True

    async def _ask(self, gateway: Connection, seconds: float) -> Outcome | None:
        asked = {"runId": self._runs[-1], "timeoutMs": round(seconds * 1000)}
        return answers.outcome(await gateway.request("agent.wait", asked, seconds + ANSWER_SECONDS), self._task.timeout)

    async def _find(self, gateway: Connection) -> Outcome | None:
        """Return how the run ended, or None while it goes on, perhaps resumed under another id.

        Raises Interrupted where the gateway knows nothing of it.
        """
        until = asyncio.get_running_loop().time() + FOUND_SECONDS
        while asyncio.get_running_loop().time() < until:
            rows, active = await self._read(gateway)
            outcome = await self._ask(gateway, LOOK_SECONDS)
            if outcome is not None or active:
                return outcome
            session = await self._describe(gateway)
            if session.last_run_id and not self._earlier(session.last_run_id):
                outcome = answers.settled(session, rows)
            if outcome is not None:
                return outcome
        raise Interrupted("The gateway was restarted, or ended, and knows nothing of the run.")

    async def _read(self, gateway: Connection) -> tuple[list[Row], bool]:
        """Read the transcript for what was missed of the run; return it, and whether the run goes on."""
        found = await gateway.request("chat.history", {"sessionKey": self._reference.key, "limit": HISTORY})
        history = answers.read(found, History) or History()
        if history.in_flight_run:
            await self._take_over(gateway, history.in_flight_run.run_id)
        rows = history.rows()
        for row in rows:
            if row.marks.run_id in self._runs:
                self._meter.count(row)
        if await self._hearing.report():
            await self._remember(gateway.boot)
        return rows, history.in_flight_run is not None

    async def _take_over(self, gateway: Connection, active: str) -> None:
        """Take what runs in our session for our run: after a crash the gateway goes on with it under a new id."""
        if active in self._runs:
            return
        if not self._adopt:
            raise Interrupted("The gateway was restarted amid the run.")
        log.info("run %s goes on as %s", self._runs[-1], active)
        self._runs.append(active)
        await self._remember(gateway.boot)

    def _earlier(self, run: str) -> bool:
        """Say whether a run of this session is an earlier try's: the names of ours differ in their last part only."""
        return run not in self._runs and run.rpartition("-")[0] == self._runs[0].rpartition("-")[0]

    async def _describe(self, gateway: Connection) -> Session:
        answer = await gateway.request("sessions.describe", {"key": self._reference.key})
        return answers.read(answer.get("session"), Session) or Session()

    async def _remember(self, boot: str) -> None:
        reported = self._meter.reported
        self._reference = Reference(
            self._reference.key,
            self._reference.session,
            " ".join(self._runs),
            boot,
            reported.input_tokens,
            reported.output_tokens,
            reported.cost_usd,
        )
        await self._voice.remember(self._reference.remembered())


def _pauses() -> Iterator[float]:
    return chain(PAUSES, repeat(PAUSES[-1]))
