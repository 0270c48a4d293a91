"""One step of a run as it happens: its row, its log file and its output events."""

import asyncio
import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from shared.ids import now_ms
from shared.models import Phase, StepStatus, StepType, Usage
from stitcherd.budget import Budget
from stitcherd.jobs.logs import StepLog, diff_path, log_path, write_diff
from stitcherd.jobs.redaction import RedactedStream, Redaction
from stitcherd.store import limits, steps
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable

OUTPUT_EVENT_BYTES = 4096  # of output in one event
REDACTION_CHUNK_BYTES = 256 * 1024  # bytes of a diff that are cleaned at once
OUTPUT_EVENT_INTERVAL = 0.12  # between two output events of a step: nine a second, which leaves room for its last


class StepRecorder:
    """Where an attempt writes down what it does."""

    def __init__(self, store: Store, fence: steps.Fence, state: Path, log_max: int, redaction: Redaction) -> None:
        self._store = store
        self._fence = fence
        self._state = state
        self._log_max = log_max
        self.redaction = redaction

    async def begin_try(self, number: int, base: str | None = None, *, resumable: bool = False) -> None:
        """Write down that the executor is about to be started for this try, on a checkout of `base`.

        `resumable` says that it gives a reference before it begins. Raises Superseded.
        """
        await self._store.write(steps.begin_try, self._fence, number, now_ms(), base, resumable=resumable)

    async def budget(self, number: int, job: Budget, day: Budget) -> Budget:
        """Return what a try may use of the budgets of its job and of the day; raises UsedUp where that is nothing."""
        place = (self._fence.key, self._fence.attempt, number)
        return (
            await self._store.write(limits.remaining_budget, place, job, day, now_ms())
            if job.limits or day.limits
            else job
        )

    async def open(self, phase: Phase, type_: StepType, name: str, number: int | None = None) -> "RunningStep":
        """Begin a step; `number` is the try it belongs to. Raises Superseded."""
        place = await self._store.write(
            steps.open_step, self._fence, now_ms(), phase=phase, type_=type_, name=name, number=number
        )
        log = StepLog(log_path(self._state, self._fence.job_id, self._fence.attempt, place.ordinal), self._log_max)
        return RunningStep(self._store, self._fence, place, log, self.redaction)

    async def save_diff(self, diff: Path | bytes) -> None:
        """Keep what the attempt has changed up to now, without the secrets in it: a file, or what is said instead."""
        path = diff_path(self._state, self._fence.job_id, self._fence.attempt)
        await asyncio.to_thread(write_diff, path, _redacted(diff, self.redaction), self._log_max)


class RunningStep:
    """A running step. Its output is redacted, logged whole, and shown in events of at most 4 KiB, ten a second.

    Used as `async with`: it ends COMPLETED, unless `failed` was called or an exception passes through it.
    """

    def __init__(
        self, store: Store, fence: steps.Fence, place: steps.StepPlace, log: StepLog, redaction: Redaction
    ) -> None:
        self.place = place
        self._store = store
        self._fence = fence
        self._log = log
        self._redaction = redaction
        self._stream = RedactedStream(redaction)
        self._tail = b""  # the newest output, for the row and for feedback
        self._unshown = b""  # the newest output that no event has shown yet
        self._status = StepStatus.COMPLETED
        self._exit_code: int | None = None
        self._reason: str | None = None
        self._spoke = asyncio.Event()
        self._shower = asyncio.create_task(self._show_as_it_comes())

    def write(self, data: bytes) -> None:
        """Take a piece of output."""
        self._take(self._stream.feed(data))

    def ended(self, exit_code: int | None, failure: str | None = None, *, reason: str | None = None) -> None:
        """Say how the step's command ended; with a `failure` the step ends FAILED."""
        self._exit_code = exit_code
        self._reason = failure or reason
        if failure is not None:
            self._status = StepStatus.FAILED

    def tail(self, size: int) -> str:
        """Return the newest output as text, at most `size` bytes of it."""
        return _last_bytes(self._tail, size).decode("utf-8", "replace")

    async def record_event(self, type_: str, payload: dict[str, Any]) -> None:
        """Note something that happened in the step, without the secrets in it; raises Superseded."""
        clean = self._redaction.payload(payload)
        await self._store.write(steps.record_event, self._fence, type_, now_ms(), self.place.id, clean)

    async def save_reference(self, reference: dict[str, str]) -> None:
        """Keep what the executor needs to find the run of this step's try again; raises Superseded."""
        await self._store.write(steps.save_reference, self._fence, self.place.number or 0, reference)

    async def add_usage(self, usage: Usage, reference: dict[str, str] | None = None) -> None:
        """Add what the executor used to the step and to the job, and keep a new reference with it.

        Raises Superseded.
        """
        await self._store.write(steps.add_usage, self._fence, self.place, usage, now_ms(), reference)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self.ended(None, str(error) or "cancelled")
        elif error is not None:
            self.ended(self._exit_code, str(error))
        try:
            self._shower.cancel()
            await asyncio.wait({self._shower})
            self._take(self._stream.end())
            await self._show(self._unshown)
        finally:
            self._log.close()
        await self._store.write(
            steps.close_step,
            self._fence,
            self.place,
            now_ms(),
            status=self._status,
            exit_code=self._exit_code,
            output=self.tail(steps.STEP_OUTPUT_MAX),
            output_bytes=self._log.size,
            reason=self._redaction.text(self._reason) if self._reason else None,
        )

    def _take(self, data: bytes) -> None:
        if not data:
            return
        self._log.write(data)
        self._tail = _last_bytes(self._tail + data, 4 * OUTPUT_EVENT_BYTES)
        self._unshown = _last_bytes(self._unshown + data, OUTPUT_EVENT_BYTES)
        self._spoke.set()

    async def _show_as_it_comes(self) -> None:
        while True:
            await self._spoke.wait()
            self._spoke.clear()
            ready = len(self._unshown) - _incomplete_suffix(self._unshown)
            shown, self._unshown = self._unshown[:ready], self._unshown[ready:]
            await self._show(shown, behind=len(self._unshown))
            await asyncio.sleep(OUTPUT_EVENT_INTERVAL)

    async def _show(self, shown: bytes, behind: int = 0) -> None:
        """Note output; `offset` and `length` are bytes of the log, and what no event shows is only there."""
        text = shown.decode("utf-8", "replace")
        if len(text.encode()) > OUTPUT_EVENT_BYTES:  # a byte that is no text takes three to say so
            shown = _last_bytes(shown, OUTPUT_EVENT_BYTES // 3)
            text = shown.decode("utf-8", "replace")
        if not shown:
            return
        payload = {"offset": self._log.size - behind - len(shown), "length": len(shown), "text": text}
        # Output is in the log in any case; that the job was taken away is learnt from what is written next.
        with contextlib.suppress(steps.Superseded, StorageUnavailable):
            await self._store.write(steps.record_event, self._fence, "step.output", now_ms(), self.place.id, payload)


def _redacted(diff: Path | bytes, redaction: Redaction) -> Iterator[bytes]:
    stream = RedactedStream(redaction)
    with io.BytesIO(diff) if isinstance(diff, bytes) else diff.open("rb") as file:
        while piece := file.read(REDACTION_CHUNK_BYTES):
            yield stream.feed(piece)
    yield stream.end()


def _last_bytes(data: bytes, size: int) -> bytes:
    """Return the end of the data, at most `size` bytes; what is cut off is cut between UTF-8 characters."""
    if len(data) <= size:
        return data
    end = data[len(data) - size :]
    return end[next((index for index, byte in enumerate(end[:4]) if byte & 0xC0 != 0x80), 0) :]


def _incomplete_suffix(data: bytes) -> int:
    """Return how many bytes at the end begin a UTF-8 character that is not whole yet."""
    for back in range(1, min(4, len(data) + 1)):
        byte = data[-back]
        if byte & 0xC0 == 0x80:  # a continuation: its first byte stands further left
            continue
        needed = 2 if byte >> 5 == 0b110 else 3 if byte >> 4 == 0b1110 else 4 if byte >> 3 == 0b11110 else 1
        return back if needed > back else 0
    return 0
