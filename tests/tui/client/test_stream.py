"""Reconnecting to the event stream."""

from collections.abc import Iterator
from pathlib import Path

from shared.models import JobEvent
from tui.client.http import DaemonUnreachable
from tui.client.stream import STREAM_ENDED, reconnecting

Attempt = list[list[JobEvent]] | DaemonUnreachable


def test_delays_grow_and_start_again_after_a_batch() -> None:
    attempts: Iterator[Attempt] = iter([[], DaemonUnreachable(Path("s"), "gone"), [[], []], [], []])
    lost: list[tuple[str, int, float]] = []

    def connect() -> Iterator[list[JobEvent]]:
        attempt = next(attempts)
        if isinstance(attempt, DaemonUnreachable):
            raise attempt
        yield from attempt

    waits = iter([True] * 4 + [False])
    batches = reconnecting(
        connect,
        lambda reason, failures, pause: lost.append((reason, failures, pause)),
        delays=lambda: iter((1.0, 2.0, 3.0)),
        wait=lambda _seconds: next(waits),
    )
    assert list(batches) == [[], []]
    assert [(failures, pause) for _, failures, pause in lost] == [(1, 1.0), (2, 2.0), (1, 1.0), (2, 2.0), (3, 3.0)]
    assert lost[0][0] == STREAM_ENDED
    assert "gone" in lost[1][0]
