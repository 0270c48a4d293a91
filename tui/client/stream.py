"""The event stream: Server-Sent Events over the Unix socket, resumed by cursor after every disconnect."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse

from shared.backoff import backoff_delays
from shared.models import JobEvent, Status
from tui.client import api
from tui.client.http import DaemonClient, DaemonUnreachable, decode

STREAM_TIMEOUT = 45.0  # seconds without data; the daemon sends a heartbeat every 15
STREAM_ENDED = "the daemon ended the stream"

FINAL_EVENTS = {f"job.{status.lower()}": status for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)}


class EventStream:
    """An open stream; `cursor` is the id of the newest event or heartbeat that it has yielded."""

    def __init__(self, client: DaemonClient, response: HTTPResponse, cursor: int | None) -> None:
        self._client = client
        self._response = response
        self._rest = b""
        self.cursor = cursor

    def batches(self) -> Iterator[list[JobEvent]]:
        """Yield events as they arrive, an empty list for a heartbeat, until the daemon ends the stream.

        Raises DaemonUnreachable if the connection is lost, InvalidResponse.
        """
        while True:
            try:
                data = self._response.read1(65536)
            except (OSError, HTTPException) as error:
                raise DaemonUnreachable(self._client.path, str(error) or "the connection was lost") from error
            if not data:
                return
            *frames, self._rest = (self._rest + data).split(b"\n\n")
            if frames:
                yield [event for event in map(self._parse, frames) if event is not None]

    def _parse(self, frame: bytes) -> JobEvent | None:
        fields = dict(line.split(b":", 1) for line in frame.split(b"\n") if b":" in line)
        if b"id" in fields:
            self.cursor = int(fields[b"id"])
        data = fields.get(b"data", b"").strip()
        return decode(data, JobEvent) if data else None


@contextmanager
def open_stream(
    client: DaemonClient, after: int | None, job_id: str | None = None, timeout: float = STREAM_TIMEOUT
) -> Iterator[EventStream]:
    """Open the stream of one job or of all, after a cursor or from now on; raises ApiError, DaemonUnreachable."""
    with api.open_events(client, after, job_id, timeout) as response:
        yield EventStream(client, response, after)


def _sleep(seconds: float) -> bool:
    time.sleep(seconds)
    return True


def reconnecting(
    connect: Callable[[], Iterator[list[JobEvent]]],
    on_lost: Callable[[str, int, float], None],
    *,
    errors: tuple[type[Exception], ...] = (DaemonUnreachable,),
    delays: Callable[[], Iterator[float]] = backoff_delays,
    wait: Callable[[float], bool] = _sleep,
) -> Iterator[list[JobEvent]]:
    """Yield the batches of `connect()`, which is called again with back-off when it ends or raises one of `errors`.

    `on_lost` gets the reason, the number of failures in a row, and the seconds before the next attempt; `wait`
    waits them out and returns whether to continue.
    """
    failures, pauses = 0, delays()
    while True:
        reason = STREAM_ENDED
        try:
            for batch in connect():
                if failures:
                    failures, pauses = 0, delays()
                yield batch
        except errors as error:
            reason = str(error)
        failures += 1
        pause = next(pauses)
        on_lost(reason, failures, pause)
        if not wait(pause):
            return


def follow_events(
    client: DaemonClient, after: int, job_id: str | None, on_lost: Callable[[str, float], None]
) -> Iterator[list[JobEvent]]:
    """Yield all events after a cursor without end and without gaps, across restarts of the daemon.

    `on_lost` gets the reason and the seconds before the next attempt. Raises ApiError.
    """
    cursor = after

    def connect() -> Iterator[list[JobEvent]]:
        nonlocal cursor
        with open_stream(client, cursor, job_id) as stream:
            for batch in stream.batches():
                cursor = stream.cursor or cursor
                yield batch

    for batch in reconnecting(connect, lambda reason, _failures, pause: on_lost(reason, pause)):
        if batch:
            yield batch
