"""The types of the fixtures in conftest, and what reads their results."""

from typing import Protocol

from shared.checks import CheckResult, CheckState

Results = dict[str, list[CheckResult]]


class Examine(Protocol):
    """Runs the doctor with more arguments; returns its exit code and its results by name."""

    def __call__(self, *argv: str) -> tuple[int, Results]: ...


class Complete(Protocol):
    """Returns the candidates for the last word of a line."""

    def __call__(self, *words: str) -> list[str]: ...


def states(results: Results, name: str) -> list[CheckState]:
    return [result.state for result in results[name]]
