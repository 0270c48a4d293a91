"""The results of the checks of `stitcher doctor` and of the cases of `stitcher rails test`, from the daemon's side."""

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


class CaseResult(WireStruct, frozen=True):
    """One case of rails.test.yaml, at a line of it: the verdict that it expects, and the one that the rails give."""

    name: str
    line: int
    ok: bool
    expected: str
    found: str


class CaseReport(WireStruct, frozen=True):
    """The results of all cases of a file, in their order."""

    file: str
    revision: str
    items: tuple[CaseResult, ...]


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
