"""What was found when one thing was looked at."""

from enum import StrEnum

from msgspec import Struct


class CheckState(StrEnum):
    """How a thing is; `info` is neither well nor ill, but good to know."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    PROBLEM = "problem"


class CheckResult(Struct, frozen=True):
    """One line of the doctor: what was looked at, how it is, and what helps; all plain text (tui.text.plain)."""

    name: str
    state: CheckState
    detail: str
    remedy: str | None = None


def ok(name: str, detail: str) -> CheckResult:
    """Return that a thing is well."""
    return CheckResult(name, CheckState.OK, detail)


def info(name: str, detail: str, remedy: str | None = None) -> CheckResult:
    """Return what is good to know."""
    return CheckResult(name, CheckState.INFO, detail, remedy)


def warning(name: str, detail: str, remedy: str) -> CheckResult:
    """Return what may be meant, and what helps where it is not."""
    return CheckResult(name, CheckState.WARNING, detail, remedy)


def problem(name: str, detail: str, remedy: str) -> CheckResult:
    """Return what keeps Stitcher from working, and what helps."""
    return CheckResult(name, CheckState.PROBLEM, detail, remedy)
