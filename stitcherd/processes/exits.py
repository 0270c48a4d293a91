"""How a command came to its end, and why."""

import signal
from contextlib import suppress
from enum import Enum, auto

from msgspec import Struct


class Exit(Struct, frozen=True):
    """How a command ended: `code` is negative for a signal, None for what even SIGKILL did not end.

    `over` says what it took too much of, and was ended for.
    """

    code: int | None
    timed_out: bool = False
    over: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it came to its own end, and said that all is well."""
        return self.code == 0 and not self.timed_out and self.over is None

    def __str__(self) -> str:
        if self.over is not None:
            return f"was ended: {self.over}"
        if self.code is None:
            return "could not be ended"
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        with suppress(ValueError):
            return f"was ended by {signal.Signals(-self.code).name}"
        return f"was ended by signal {-self.code}"


class Why(Enum):
    """Why a command is at its end."""

    BY_ITSELF = auto()
    OUT_OF_TIME = auto()
    OVER = auto()  # it took too much of something
    TOLD_TO = auto()  # it was cancelled
