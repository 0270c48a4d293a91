"""Records the steps of an attempt: their rows, log files and output events."""

import asyncio
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from shared.ids import now_ms
from shared.models import Phase, Result, Start, StepStatus, StepType, Usage
from shared.output import activity_line, last_line
from stitcherd import crash_points
from stitcherd.budget import Budget
from stitcherd.jobs.conversation import SentPrompt, append_prompt
from stitcherd.jobs.failures import before_start
from stitcherd.jobs.logs import StepLog, diff_path, log_path, prompts_path, raw_log_path, write_diff
from stitcherd.jobs.outputs import Outputs
from stitcherd.jobs.redaction import RedactedStream, Redaction
from stitcherd.rails.limits import remaining_budget
from stitcherd.store import limits, publications, steps
from stitcherd.store.deferred import DeferredWrites
from stitcherd.store.store import Store

OUTPUT_EVENT_BYTES = 4096  # at most, of output in one event
REDACTION_CHUNK_BYTES = 256 * 1024  # of a diff, redacted at once
OUTPUT_EVENT_INTERVAL = 0.12  # seconds between two output events of a step: nine a second, and its last one


class StepRecorder:
    """Records what an attempt does, as long as its fence holds."""

    def __init__(
        self,
        store: Store,
        writes: DeferredWrites,
        fence: steps.Fence,
        outputs: Outputs,
        log_max: int,
        redaction: Redaction,
    ) -> None:
        self._store = store
        self._writes = writes
        self._fence = fence
        self._outputs = outputs
        self._log_max = log_max
        self.redaction = redaction

    async def save_start(self, start: Start) -> None:
        """Store what the checkout of the attempt starts from. Raises Superseded."""
        await self._writes.write(steps.save_start, self._fence, start)

    async def budget(self, number: int, job: Budget, day: Budget) -> Budget:
        """Return what a try may use of the budgets of its job and of the day.

        Raises BudgetExceeded and DailyBudgetExceeded where nothing is left.
        """
        if not (job.limits or day.limits):
            return job
        place = (self._fence.key, self._fence.attempt, number)
        now = now_ms()
        async with self._store.reading() as db:
            by_job, today = await limits.spent_before(db, place, now)
        return remaining_budget(job, day, by_job, today, now)

    async def published_commits(self) -> tuple[str, ...]:
        """Return the commits that the attempts of the job set out to publish."""
        async with self._store.reading() as db:
            return await publications.published_commits(db, self._fence.key)

    async def begin_publication(self, result: Result, rails_digest: str | None) -> bool:
        """Record that a commit is about to be pushed; return False where a cancel came first.

        `rails_digest` is that of the rails in force. Raises Superseded, OtherRails.
        """
        return await self._writes.write(publications.begin_publication, self._fence, result, now_ms(), rails_digest)

    async def check_fence(self) -> None:
        """Raise Superseded unless the job still belongs to this attempt."""
        async with self._store.reading() as db:
            await steps.read_fence(db, self._fence)

    async def open(
        self,
        phase: Phase,
        type_: StepType,
        name: str,
        number: int | None = None,
        time_limit: float | None = None,
        start: steps.TryStart | None = None,
    ) -> "RunningStep":
        """Begin a step; `number` is the try it belongs to, `time_limit` is in seconds. Raises Superseded.

        With a `start` the executor of the try is about to be started: that is recorded with the step.
        """
        timeout_ms = None if time_limit is None else round(1000 * time_limit)
        place = await self._writes.write(
            steps.open_step,
            self._fence,
            now_ms(),
            phase=phase,
            type_=type_,
            name=name,
            number=number,
            timeout_ms=timeout_ms,
            start=start,
        )
        if start is not None:
            crash_points.reach("before_start")
        return self.running(place)

    def running(self, place: steps.StepPlace) -> "RunningStep":
        """Return a step that has begun."""
        names = (self._outputs.state, self._fence.job_id, self._fence.attempt, place.ordinal)
        paths = StepPaths(log_path(*names), raw_log_path(*names), prompts_path(*names))
        return RunningStep(self._writes, self._fence, place, self._outputs, paths, self._log_max, self.redaction)

    async def save_diff(self, diff: Path | bytes) -> None:
        """Save what the attempt has changed up to now, redacted: a file, or the text to show in its place."""
        path = diff_path(self._outputs.state, self._fence.job_id, self._fence.attempt)
        write = partial(write_diff, path, _redacted(diff, self.redaction), self._log_max)
        await self._outputs.replace(path, write)


class StepPaths(NamedTuple):
    """The files that a step's outputs are written to."""

    log: Path
    raw: Path
    prompts: Path


class RunningStep:
    """A running step. Its output is redacted, logged, and shown in events of at most 4 KiB, at most ten a second.

    Used as `async with`: it ends COMPLETED, unless `finish` got a failure or an exception passes through it.
    """

    def __init__(
        self,
        writes: DeferredWrites,
        fence: steps.Fence,
        place: steps.StepPlace,
        outputs: Outputs,
        paths: StepPaths,
        log_max: int,
        redaction: Redaction,
    ) -> None:
        self.place = place
        self.reference: dict[str, str] | None = None  # the last one that was saved
        self._writes = writes
        self._fence = fence
        self._outputs = outputs
        self._paths = paths
        self._log = StepLog(paths.log, log_max)
        self._raw = StepLog(paths.raw, log_max)
        self._redaction = redaction
        self._stream = RedactedStream(redaction)
        self._raw_stream = RedactedStream(redaction)
        self._tail = b""  # the newest output, for the row and for feedback
        self._pending = b""  # the newest output, not in any event yet
        self._status = StepStatus.COMPLETED
        self._exit_code: int | None = None
        self._reason: str | None = None
        self._has_output = asyncio.Event()
        self._event_task: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> None:
        """Add output to the step."""
        self._append(self._stream.feed(data))
        self._note_output()

    def write_raw(self, data: bytes) -> None:
        """Add to the raw output, which is redacted and logged, and nothing else."""
        self._raw.write(self._raw_stream.feed(data))
        self._note_output()

    def record_prompt(self, text: str) -> None:
        """Keep a prompt that is about to be sent, redacted, with its place; may raise ExecutorUnavailable."""
        with before_start():
            append_prompt(self._paths.prompts, SentPrompt(self._log.size, self._redaction.mask_text(text)))
        self._note_output()

    def finish(self, exit_code: int | None, failure: str | None = None, *, reason: str | None = None) -> None:
        """Set how the step ends: its exit code, and FAILED where there is a `failure`."""
        self._exit_code = exit_code
        self._reason = failure or reason
        if failure is not None:
            self._status = StepStatus.FAILED

    def tail(self, size: int) -> str:
        """Return the newest output as text, at most `size` bytes of it."""
        return _last_bytes(self._tail, size).decode("utf-8", "replace")

    async def record_event(self, type_: str, payload: dict[str, Any]) -> None:
        """Store an event of the step, redacted; raises Superseded."""
        masked = self._redaction.mask_payload(payload)
        line = self._mask_line(activity_line(type_, masked))
        await self._writes.write(steps.record_event, self._fence, type_, now_ms(), self.place.id, masked, line)

    def _mask_line(self, line: str | None) -> str | None:
        """Mask a line again: a secret may have been interrupted by what was removed from it."""
        return self._redaction.mask_text(line) if line else None

    async def save_reference(self, reference: dict[str, str]) -> None:
        """Save what the executor needs to find the run of this step's try, or its session, again; raises Superseded."""
        await self._writes.write(steps.save_reference, self._fence, self.place.number or 0, reference)
        self.reference = reference

    async def add_usage(self, usage: Usage, reference: dict[str, str] | None = None) -> None:
        """Add what the executor used to the step and to the job, and save a new reference in the same write.

        Raises Superseded.
        """
        await self._writes.write(steps.add_usage, self._fence, self.place, usage, now_ms(), reference)
        self.reference = reference or self.reference

    async def __aenter__(self) -> Self:
        self._outputs.begin(self._paths)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.finish(None, str(error) or "cancelled")
        elif error is not None:
            self.finish(self._exit_code, str(error))
        try:
            if self._event_task is not None:
                self._event_task.cancel()
                await asyncio.wait({self._event_task})
            self._append(self._stream.end())
            self._raw.write(self._raw_stream.end())
        finally:
            try:
                self._log.close()
                self._raw.close()
            finally:
                await self._outputs.finish(self._paths)
        self._record_output(self._pending)
        self._writes.defer(
            steps.close_step,
            self._fence,
            self.place,
            now_ms(),
            status=self._status,
            exit_code=self._exit_code,
            output=self.tail(steps.STEP_OUTPUT_MAX),
            output_bytes=self._log.size,
            last_line=self._mask_line(last_line(self.tail(steps.STEP_OUTPUT_MAX))),
            reason=self._redaction.mask_text(self._reason) if self._reason else None,
        )

    def _append(self, data: bytes) -> None:
        if not data:
            return
        self._log.write(data)
        self._tail = _last_bytes(self._tail + data, 4 * OUTPUT_EVENT_BYTES)
        self._pending = _last_bytes(self._pending + data, OUTPUT_EVENT_BYTES)

    def _note_output(self) -> None:
        self._has_output.set()
        if self._event_task is None:
            self._event_task = asyncio.create_task(self._send_events())

    async def _send_events(self) -> None:
        while True:
            await self._has_output.wait()
            self._has_output.clear()
            await self._outputs.update(self._paths)  # who is told of it can read it
            ready = len(self._pending) - _incomplete_suffix(self._pending)
            output, self._pending = self._pending[:ready], self._pending[ready:]
            self._record_output(output, behind=len(self._pending))
            await asyncio.sleep(max(OUTPUT_EVENT_INTERVAL, self._outputs.interval))

    def _record_output(self, output: bytes, behind: int = 0) -> None:
        """Store output as an event; `behind` is how many newer bytes the log has already.

        In the payload `offset` and `length` count bytes of the log; output without an event is only there.
        """
        text = output.decode("utf-8", "replace")
        if len(text.encode()) > OUTPUT_EVENT_BYTES:  # a replacement character takes three bytes
            output = _last_bytes(output, OUTPUT_EVENT_BYTES // 3)
            text = output.decode("utf-8", "replace")
        if not output:
            return
        payload = {"offset": self._log.size - behind - len(output), "length": len(output), "text": text}
        self._writes.defer(
            steps.record_output, self._fence, now_ms(), self.place.id, payload, self._mask_line(last_line(text))
        )


def _redacted(diff: Path | bytes, redaction: Redaction) -> Iterator[bytes]:
    """Yield a diff in redacted pieces."""
    stream = RedactedStream(redaction)
    with io.BytesIO(diff) if isinstance(diff, bytes) else diff.open("rb") as file:
        while piece := file.read(REDACTION_CHUNK_BYTES):
            yield stream.feed(piece)
    yield stream.end()


def _last_bytes(data: bytes, size: int) -> bytes:
    """Return the end of the data, at most `size` bytes, cut between UTF-8 characters."""
    if len(data) <= size:
        return data
    end = data[len(data) - size :]
    return end[next((index for index, byte in enumerate(end[:4]) if byte & 0xC0 != 0x80), 0) :]


def _incomplete_suffix(data: bytes) -> int:
    """Return how many bytes at the end belong to a UTF-8 character that is still incomplete."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:  # a continuation byte: its first byte is further left
            continue
        needed = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
        return back if needed > back else 0
    return 0
