"""Calls to make once the transaction of the writer is on disk, and not at all for what was rolled back.

A function of the writer may run twice, and nothing of it may be stored: what is counted outside the store waits here.
"""

import threading
from collections.abc import Callable


class _Waiting(threading.local):
    """The calls that wait for the transaction of this thread, which is the writer's."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []


_waiting = _Waiting()


def after_commit(call: Callable[[], None]) -> None:
    """Make a call, which must not fail, after the commit of the open transaction."""
    _waiting.calls.append(call)


def waiting_calls() -> int:
    """Return how many calls wait."""
    return len(_waiting.calls)


def forget_calls(after: int = 0) -> None:
    """Forget the calls that wait, but for the first ones: what they are about was rolled back."""
    del _waiting.calls[after:]


def make_calls() -> None:
    """Make the calls that wait: their transaction was committed."""
    calls, _waiting.calls = _waiting.calls, []
    for call in calls:
        call()
