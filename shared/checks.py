"""The result of one check of `stitcher doctor`, also of those that the daemon's side runs for it."""

from enum import StrEnum

from shared.models import WireStruct


class CheckState(StrEnum):
    """The state of a checked thing; `info` is neither good nor bad."""

    OK = "ok"
    INFO = "info"
    WARNING = "warning"
    PROBLEM = "problem"


class CheckResult(WireStruct, frozen=True):
    """One line of the doctor: what was checked, its state, and a remedy; what is printed is plain (tui.text.plain)."""

    name: str
    state: CheckState
    detail: str
    remedy: str | None = None


def ok(name: str, detail: str) -> CheckResult:
    """Return a result for something that works."""
    return CheckResult(name, CheckState.OK, detail)


def info(name: str, detail: str, remedy: str | None = None) -> CheckResult:
    """Return a result that is only information."""
    return CheckResult(name, CheckState.INFO, detail, remedy)


def warning(name: str, detail: str, remedy: str) -> CheckResult:
    """Return a result for something that may be intended, with a remedy if it is not."""
    return CheckResult(name, CheckState.WARNING, detail, remedy)


def problem(name: str, detail: str, remedy: str) -> CheckResult:
    """Return a result for something that keeps Stitcher from working, with a remedy."""
    return CheckResult(name, CheckState.PROBLEM, detail, remedy)
