"""What was found when one thing was looked at."""

from enum import StrEnum

from msgspec import Struct


class State(StrEnum):
    """How a thing is; `info` is neither well nor ill, but good to know."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    PROBLEM = "problem"


class Finding(Struct, frozen=True):
    """One line of the doctor: what was looked at, how it is, and what helps; all of it plain already (tui.plain)."""

    name: str
    state: State
    detail: str
    remedy: str | None = None


def ok(name: str, detail: str) -> Finding:
    """Return that a thing is well."""
    return Finding(name, State.OK, detail)


def info(name: str, detail: str, remedy: str | None = None) -> Finding:
    """Return what is good to know."""
    return Finding(name, State.INFO, detail, remedy)


def warning(name: str, detail: str, remedy: str) -> Finding:
    """Return what may be meant, and what helps where it is not."""
    return Finding(name, State.WARNING, detail, remedy)


def problem(name: str, detail: str, remedy: str) -> Finding:
    """Return what keeps Stitcher from working, and what helps."""
    return Finding(name, State.PROBLEM, detail, remedy)
