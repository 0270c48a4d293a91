"""The event stream as seen from here: Server-Sent Events over the Unix socket, resumed by cursor."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse

from shared.models import JobEvent, Status
from tui.client.http import DaemonClient, DaemonUnreachable, decode

STREAM_TIMEOUT = 45.0  # seconds without a sign of life; the daemon sends a beat every 15
RETRY_DELAYS = (0.25, 0.5, 1.0, 2.0, 5.0)  # seconds before each further try to reach the daemon again; the last repeats

FINAL_EVENTS = {f"job.{status.lower()}": status for status in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)}


class EventStream:
    """An open stream; `cursor` is the id of the newest event that it has handed on, also by a beat."""

    def __init__(self, daemon: DaemonClient, response: HTTPResponse, cursor: int | None) -> None:
        self._daemon = daemon
        self._response = response
        self._rest = b""
        self.cursor = cursor

    def batches(self) -> Iterator[list[JobEvent]]:
        """Yield what has come, as it comes, an empty list for a beat; ends where the daemon ends the stream.

        Raises Unreachable where the connection is lost, Unintelligible.
        """
        while True:
            try:
                data = self._response.read1(65536)
            except (OSError, HTTPException) as error:
                raise DaemonUnreachable(self._daemon.path, str(error) or "the connection was lost") from error
            if not data:
                return
            *frames, self._rest = (self._rest + data).split(b"\n\n")
            if frames:
                yield [event for event in map(self._read, frames) if event is not None]

    def _read(self, frame: bytes) -> JobEvent | None:
        fields = dict(line.split(b":", 1) for line in frame.split(b"\n") if b":" in line)
        if b"id" in fields:
            self.cursor = int(fields[b"id"])
        data = fields.get(b"data", b"").strip()
        return decode(data, JobEvent) if data else None


@contextmanager
def open_stream(
    daemon: DaemonClient, after: int | None, job: str | None = None, patience: float = STREAM_TIMEOUT
) -> Iterator[EventStream]:
    """Open the stream behind a cursor (None: from now on), of one job or of all; raises Refused, Unreachable."""
    query = [] if after is None else [("after", str(after))]
    if job is not None:
        query.append(("job", job))
    with daemon.open("/events", query, patience) as response:
        yield EventStream(daemon, response, after)


def follow_events(
    daemon: DaemonClient, after: int, job: str | None, on_lost: Callable[[DaemonUnreachable, float], None]
) -> Iterator[list[JobEvent]]:
    """Yield every event behind a cursor, as they come, for ever: whenever the daemon is lost, come back without a gap.

    `on_lost` is told why, and how many seconds pass before the next try. Raises Refused.
    """
    failures = 0
    while True:
        why = DaemonUnreachable(daemon.path, "the daemon ended the stream")
        try:
            with open_stream(daemon, after, job) as stream:
                for batch in stream.batches():
                    failures = 0
                    after = stream.cursor or after
                    if batch:
                        yield batch
        except DaemonUnreachable as lost:
            why = lost
        pause = RETRY_DELAYS[min(failures, len(RETRY_DELAYS) - 1)]
        failures += 1
        on_lost(why, pause)
        time.sleep(pause)
