"""One run in a session of the gateway: started, heard, found again after a broken connection, and ended."""

import asyncio
import logging
from contextlib import suppress

from shared.backoff import backoff_delays
from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult, OutputSink, Task
from stitcherd.executors.openclaw import events, protocol
from stitcherd.executors.openclaw.connection import (
    END_OF_EVENTS,
    REQUEST_TIMEOUT_SECONDS,
    GatewayAddress,
    GatewayConnection,
    connect,
)
from stitcherd.executors.openclaw.events import EventHandler, RunInterrupted, UsageMeter
from stitcherd.executors.openclaw.protocol import (
    ChatHistory,
    ConnectionLost,
    GatewaySession,
    RequestRefused,
    RunReference,
    TranscriptRow,
)
from stitcherd.executors.openclaw.setup import end_run

# merged from stitcherd.executors.openclaw.trail: What is known of a run: what finds it again, and what of it
# was heard and counted.
# merged from stitcherd.executors.openclaw.reference: What is remembered of a run, so that a later daemon
# finds it again.


HISTORY_LINES_MAX = 1000  # lines of a transcript


class RunTracker:
    """Follows a run through connections and restarts; `adopt` says whether one that the gateway resumed is still it."""

    def __init__(self, sink: OutputSink, reference: RunReference, budget: Budget, *, adopt: bool) -> None:
        self.reference = reference
        self.runs = reference.runs.split()  # its ids, the newest last
        self.meter = UsageMeter(budget, Usage(reference.input, reference.output, reference.usd, reference.turns))
        self.hearing = EventHandler(sink, self.meter, self._renewed)
        self._sink = sink
        self._adopt = adopt

    async def begin(self, boot: str) -> None:
        """Remember the run, which is about to begin, or goes on, in the gateway of this boot."""
        await self._sink.save_reference(self._renewed(boot))

    async def read(self, gateway: GatewayConnection) -> tuple[list[TranscriptRow], bool]:
        """Read the transcript for what was missed of the run; return it, and whether the run goes on.

        Raises Interrupted where it goes on under another id, and is not to be adopted.
        """
        found = await gateway.request("chat.history", {"sessionKey": self.reference.key, "limit": HISTORY_LINES_MAX})
        history = protocol.convert_or_none(found, ChatHistory) or ChatHistory()
        if history.in_flight_run:
            await self._take_over(gateway, history.in_flight_run.run_id)
        rows = history.rows()
        for row in rows:
            if row.marks.run_id in self.runs:
                self.meter.count(row)
        await self.hearing.report()
        return rows, history.in_flight_run is not None

    async def describe(self, gateway: GatewayConnection) -> GatewaySession:
        """Return the session as the gateway has it."""
        answer = await gateway.request("sessions.describe", {"key": self.reference.key})
        return protocol.convert_or_none(answer.get("session"), GatewaySession) or GatewaySession()

    def is_earlier(self, run: str) -> bool:
        """Say whether a run of this session is an earlier try's: the names of ours differ in their last part only."""
        return run not in self.runs and run.rpartition("-")[0] == self.runs[0].rpartition("-")[0]

    async def _take_over(self, gateway: GatewayConnection, active: str) -> None:
        """Take what runs in our session for our run: after a crash the gateway goes on with it under a new id."""
        if active in self.runs:
            return
        if not self._adopt:
            raise RunInterrupted("The gateway was restarted amid the run.")
        log.info("run %s goes on as %s", self.runs[-1], active)
        self.runs.append(active)
        await self.begin(gateway.boot)

    def _renewed(self, boot: str = "") -> dict[str, str]:
        """Bring the reference up to date, and return it as it is remembered; `boot` is of the gateway that has it."""
        reported = self.meter.reported
        self.reference = RunReference(
            self.reference.key,
            self.reference.session,
            " ".join(self.runs),
            boot or self.reference.boot,
            reported.input_tokens,
            reported.output_tokens,
            reported.cost_usd,
            reported.turns,
        )
        return self.reference.remembered()


WAIT_CALL_SECONDS = 20.0  # of one agent.wait
FIND_AFTER_RESTART_SECONDS = (
    60.0  # after a restart: a gateway that was killed resumes a turn 5 to 15 s after its start, or later
)
FIND_SECONDS = 3.0  # for a gateway that did not restart to know a run that it was asked for
FIND_POLL_SECONDS = 0.5

log = logging.getLogger(__name__)


class GatewayRun:
    """A run, from before its start to its end; once `leaving` is set, a cancel leaves it to whoever resumes it."""

    def __init__(self, address: GatewayAddress, task: Task, trail: RunTracker, leaving: asyncio.Event) -> None:
        self._address = address
        self._task = task
        self._trail = trail
        self._leaving = leaving
        self._sent = False
        self._taken = bool(trail.reference.boot)  # the gateway said that it has the run
        self.over = False  # nothing of it runs any more, nor will

    async def follow(self) -> ExecutionResult:
        """Start the run, unless it was, and stay with it to its end, however often the connection breaks.

        Raises Lost and Refused only before anything was started, and Interrupted and BudgetSpent.
        """
        said = ""
        for pause in backoff_delays():
            try:
                async with connect(self._address) as gateway:
                    return await self._attend_and_end(gateway)
            except RequestRefused as refused:
                if not refused.passing or not self._begun:
                    raise
                why = str(refused)
            except ConnectionLost as gone:
                if not self._begun:
                    raise
                why = str(gone)
            if why != said:
                log.warning("%s; trying again", why)
            said = why
            await asyncio.sleep(pause)
        raise AssertionError  # the pauses have no end

    @property
    def is_detached(self) -> bool:
        """Whether a cancel leaves it to whoever resumes it."""
        return self._leaving.is_set() and self._begun

    @property
    def _begun(self) -> bool:
        return self._sent or self._taken

    async def _attend_and_end(self, gateway: GatewayConnection) -> ExecutionResult:
        """Attend the run, and end it on the same connection: a gateway that is about to stop takes no new one."""
        try:
            outcome = await self._attend(gateway)
        except (ConnectionLost, RequestRefused):
            raise  # the run may go on
        except asyncio.CancelledError:
            if not self.is_detached:
                await self._try_to_end(gateway)
            raise
        except BaseException:
            await self._try_to_end(gateway)
            raise
        await asyncio.gather(self._account(gateway), self._try_to_end(gateway))
        return outcome

    async def _account(self, gateway: GatewayConnection) -> None:
        """Report what the transcript left out of a run that came to its end."""
        if self._trail.meter.is_complete:
            return  # the gateway takes its time to describe a session that has just ended
        with suppress(ConnectionLost):
            session = await self._trail.describe(gateway)
            if session.status == "done" and session.last_run_id in self._trail.runs:
                await self._trail.hearing.report(session)

    async def _try_to_end(self, gateway: GatewayConnection) -> None:
        with suppress(ConnectionLost, RequestRefused):
            await end_run(gateway, self._trail.reference)
            self.over = True

    async def _attend(self, gateway: GatewayConnection) -> ExecutionResult:
        """Hear the run until it is over, and return how it ended."""
        await gateway.request("sessions.messages.subscribe", {"key": self._trail.reference.key})
        waiting = asyncio.create_task(self._wait(gateway))
        waiting.add_done_callback(lambda _: gateway.events.put_nowait(END_OF_EVENTS))
        try:
            while (event := await gateway.events.get()) is not END_OF_EVENTS:
                await self._trail.hearing.take(event, self._trail.runs)
            return await waiting
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _wait(self, gateway: GatewayConnection) -> ExecutionResult:
        """Start the run, or find it again, and return how it ended."""
        outcome = None
        if self._taken or (self._sent and gateway.boot != self._trail.reference.boot):
            outcome = await self._find(gateway)
        else:
            await self._start(gateway)
        while outcome is None:
            outcome = await self._ask(gateway, WAIT_CALL_SECONDS) or await self._find(gateway)
        return outcome

    async def _start(self, gateway: GatewayConnection) -> None:
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

    async def _ask(self, gateway: GatewayConnection, seconds: float) -> ExecutionResult | None:
        asked = {"runId": self._trail.runs[-1], "timeoutMs": round(seconds * 1000)}
        return events.result_of_wait(
            await gateway.request("agent.wait", asked, seconds + REQUEST_TIMEOUT_SECONDS), self._task.timeout
        )

    async def _find(self, gateway: GatewayConnection) -> ExecutionResult | None:
        """Return how the run ended, or None while it goes on, perhaps resumed under another id.

        Raises Interrupted where the gateway knows nothing of it.
        """
        restarted, begun = gateway.boot != self._trail.reference.boot, asyncio.get_running_loop().time()
        while True:
            rows, active = await self._trail.read(gateway)
            outcome = await self._ask(gateway, FIND_POLL_SECONDS)
            if outcome is not None or active:
                return outcome
            session = await self._trail.describe(gateway)
            if session.last_run_id and not self._trail.is_earlier(session.last_run_id):
                outcome = events.result_of_session(session, rows)
            if outcome is not None:
                return outcome
            patience = FIND_AFTER_RESTART_SECONDS if restarted or session.status == "running" else FIND_SECONDS
            if asyncio.get_running_loop().time() - begun > patience:
                raise RunInterrupted(
                    "The gateway knows nothing of the run: it was restarted, or was never asked for it."
                )
