"""One run in a session of the gateway: starts it, follows it across broken connections and restarts, and ends it."""

import asyncio
import logging
from contextlib import nullcontext, suppress

from shared.backoff import backoff_delays
from shared.models import Usage
from stitcherd.budget import Budget
from stitcherd.executors.base import ExecutionResult, OutputSink, Task
from stitcherd.executors.openclaw.connection import (
    END_OF_EVENTS,
    REQUEST_TIMEOUT_SECONDS,
    GatewayAddress,
    GatewayConnection,
    connect,
)
from stitcherd.executors.openclaw.events import (
    EventHandler,
    RunInterrupted,
    UsageMeter,
    result_of_session,
    result_of_wait,
)
from stitcherd.executors.openclaw.protocol import (
    ChatHistory,
    GatewayLost,
    GatewaySession,
    RequestRefused,
    RunReference,
    TranscriptRow,
    convert_or_none,
)
from stitcherd.executors.openclaw.setup import describe_session, end_run

HISTORY_ROWS_MAX = 1000  # of a transcript
WAIT_CALL_SECONDS = 20.0  # of one agent.wait
FIND_SECONDS = 3.0  # for a gateway that did not restart to know a run that it may not have received
FIND_KNOWN_SECONDS = 60.0  # a killed gateway resumes a turn 5 to 15 s after its start; a busy one begins late
FIND_POLL_SECONDS = 0.5

log = logging.getLogger(__name__)


class GatewayRun:
    """A run from before its start to its end; once `detaching` is set, a cancellation leaves it running.

    `without_programs` says that the agent cannot start any, so that nothing is left once it has finished.
    """

    def __init__(
        self,
        address: GatewayAddress,
        task: Task,
        tracker: "RunTracker",
        detaching: asyncio.Event,
        *,
        without_programs: bool = False,
    ) -> None:
        self._address = address
        self._task = task
        self._tracker = tracker
        self._detaching = detaching
        self._without_programs = without_programs
        self._requested = False
        self._accepted = bool(tracker.reference.boot)
        self._acknowledged = False  # the gateway said so to us
        self.ended = False  # nothing of it is running, nor will be resumed
        self.is_over = False  # nothing of it is running, but its session is still open

    async def follow(self, gateway: GatewayConnection | None = None) -> ExecutionResult:
        """Start the run if it was not, and follow it to its end, however often the connection breaks.

        An open connection is used first. Raises RunInterrupted, RunBudgetExceeded, and if nothing was started
        GatewayLost and RequestRefused.
        """
        logged = ""
        opened = connect(self._address) if gateway is None else nullcontext(gateway)
        for delay in backoff_delays():
            try:
                async with opened as current:
                    return await self._follow_and_end(current)
            except RequestRefused as refused:
                if not refused.retryable or not self._may_be_running:
                    raise
                reason = str(refused)
            except GatewayLost as lost:
                if not self._may_be_running:
                    raise
                reason = str(lost)
            if reason != logged:
                log.warning("%s; trying again", reason)
            logged = reason
            await asyncio.sleep(delay)
            opened = connect(self._address)
        raise AssertionError  # there is no last delay

    @property
    def is_detached(self) -> bool:
        """Whether a cancellation leaves the run to the next daemon."""
        return self._detaching.is_set() and self._may_be_running

    @property
    def _may_be_running(self) -> bool:
        return self._requested or self._accepted

    async def _follow_and_end(self, gateway: GatewayConnection) -> ExecutionResult:
        """Follow the run, and end it on the same connection: a gateway that is stopping accepts no new one."""
        try:
            result = await self._handle_events(gateway)
        except (GatewayLost, RequestRefused):
            raise  # the run may still be running
        except asyncio.CancelledError:
            if not self.is_detached:
                await self._try_to_end(gateway)
            raise
        except BaseException:
            await self._try_to_end(gateway)
            raise
        if result.ok and self._without_programs:
            self.is_over = True
            await self._report_final_usage(gateway)
        else:
            await asyncio.gather(self._report_final_usage(gateway), self._try_to_end(gateway))
        return result

    async def _handle_events(self, gateway: GatewayConnection) -> ExecutionResult:
        """Handle the events of the run until it is over, and return its result."""
        await gateway.request("sessions.messages.subscribe", {"key": self._tracker.reference.key})
        waiting = asyncio.create_task(self._wait(gateway))
        waiting.add_done_callback(lambda _: gateway.events.put_nowait(END_OF_EVENTS))
        try:
            while (event := await gateway.events.get()) is not END_OF_EVENTS:
                await self._tracker.handler.handle(event, self._tracker.runs)
            return await waiting
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _wait(self, gateway: GatewayConnection) -> ExecutionResult:
        """Start the run, or find it again, and return its result."""
        result = None
        if self._accepted or (self._requested and gateway.boot != self._tracker.reference.boot):
            result = await self._find(gateway)
        else:
            await self._start(gateway)
        while result is None:
            result = await self._wait_for_end(gateway, WAIT_CALL_SECONDS) or await self._find(gateway)
        return result

    async def _start(self, gateway: GatewayConnection) -> None:
        """Request the run; a gateway that has it already, and has not restarted since, starts no second one."""
        task, run = self._task, self._tracker.runs[-1]
        await self._tracker.save(gateway.boot)
        limit = {} if task.timeout is None else {"timeout": max(1, round(task.timeout))}
        self._requested = True
        await gateway.request(
            "agent",
            {
                "message": task.prompt.encode(errors="replace").decode(),
                "agentId": self._tracker.reference.key.split(":")[1],
                "sessionKey": self._tracker.reference.key,
                "idempotencyKey": run,
                "deliver": False,
                **limit,
            },
        )
        self._accepted = self._acknowledged = True

    async def _wait_for_end(self, gateway: GatewayConnection, seconds: float) -> ExecutionResult | None:
        params = {"runId": self._tracker.runs[-1], "timeoutMs": round(seconds * 1000)}
        answer = await gateway.request("agent.wait", params, seconds + REQUEST_TIMEOUT_SECONDS)
        return result_of_wait(answer, self._task.timeout)

    async def _find(self, gateway: GatewayConnection) -> ExecutionResult | None:
        """Return the result of the run, or None while it is running, perhaps resumed under another id.

        Raises RunInterrupted if the gateway does not know the run.
        """
        restarted, began = gateway.boot != self._tracker.reference.boot, asyncio.get_running_loop().time()
        while True:
            _, active = await self._tracker.read_history(gateway)
            result = await self._wait_for_end(gateway, FIND_POLL_SECONDS)
            if result is not None or active:
                return result
            session = await self._tracker.describe_session(gateway)
            if session.last_run_id and not self._tracker.is_earlier_try(session.last_run_id):
                rows, _ = await self._tracker.read_history(gateway)  # again: it may have ended since
                result = result_of_session(session, rows)
            if result is not None:
                return result
            known = restarted or self._acknowledged or session.status == "running"
            limit = FIND_KNOWN_SECONDS if known else FIND_SECONDS
            if asyncio.get_running_loop().time() - began > limit:
                raise RunInterrupted("The gateway does not know the run: it was restarted, or never received it.")

    async def _report_final_usage(self, gateway: GatewayConnection) -> None:
        """Report the usage of a finished run that its transcript lacks."""
        if self._tracker.meter.is_complete:
            return  # the gateway is slow to describe a session that has just ended
        with suppress(GatewayLost):
            session = await self._tracker.describe_session(gateway)
            if session.status == "done" and session.last_run_id in self._tracker.runs:
                await self._tracker.handler.report_usage(session)

    async def _try_to_end(self, gateway: GatewayConnection) -> None:
        with suppress(GatewayLost, RequestRefused):
            await end_run(gateway, self._tracker.reference)
            self.ended = True


class RunTracker:
    """The ids and the usage of a run, kept current across connections and restarts of the gateway.

    `take_over` says whether a run that the gateway resumed under a new id after a crash is still this run.
    """

    def __init__(self, sink: OutputSink, reference: RunReference, budget: Budget, *, take_over: bool) -> None:
        self.reference = reference
        self.runs = reference.runs.split()  # its ids, the newest last
        self.meter = UsageMeter(budget, Usage(reference.input, reference.output, reference.usd, reference.turns))
        self.handler = EventHandler(sink, self.meter, self._update_reference)
        self._sink = sink
        self._take_over_resumed = take_over

    async def save(self, boot: str) -> None:
        """Save the reference of the run, which is about to start, or runs, in the gateway with this boot id."""
        await self._sink.save_reference(self._update_reference(boot))

    async def read_history(self, gateway: GatewayConnection) -> tuple[list[TranscriptRow], bool]:
        """Report the usage in the transcript; return its rows, and whether a run is active.

        Raises RunInterrupted if the run was resumed under another id, and is not to be taken over.
        """
        answer = await gateway.request("chat.history", {"sessionKey": self.reference.key, "limit": HISTORY_ROWS_MAX})
        history = convert_or_none(answer, ChatHistory) or ChatHistory()
        if history.in_flight_run:
            await self._take_over(gateway, history.in_flight_run.run_id)
        rows = history.rows()
        for row in rows:
            if row.ids.run_id in self.runs:
                self.meter.count(row)
        await self.handler.report_usage()
        return rows, history.in_flight_run is not None

    async def describe_session(self, gateway: GatewayConnection) -> GatewaySession:
        """Return the gateway's description of the session."""
        return await describe_session(gateway, self.reference.key)

    def is_earlier_try(self, run: str) -> bool:
        """Return whether a run of this session is that of an earlier try: our ids differ in their last part only."""
        return run not in self.runs and run.rpartition("-")[0] == self.runs[0].rpartition("-")[0]

    async def _take_over(self, gateway: GatewayConnection, active: str) -> None:
        """Treat the active run of our session as our run: after a crash the gateway resumes it under a new id."""
        if active in self.runs:
            return
        if not self._take_over_resumed:
            raise RunInterrupted("The gateway was restarted during the run.")
        log.info("run %s was resumed as %s", self.runs[-1], active)
        self.runs.append(active)
        await self.save(gateway.boot)

    def _update_reference(self, boot: str = "") -> dict[str, str]:
        """Update the reference, and return it in its saved form; an empty `boot` leaves the boot id as it is."""
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
        return self.reference.to_saved()
