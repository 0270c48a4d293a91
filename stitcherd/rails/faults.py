"""What is wrong with a rails file, said with the place where it stands."""

from collections.abc import Iterable

from shared.house import RailsFault


class RailsError(Exception):
    """A rails file that cannot come into force; reads `rails.yaml:34:17: what is wrong`.

    `line`, `column` (both from 1) and `message` are those of the first fault; `others` holds all of them, in
    the order of the file.
    """

    def __init__(self, name: str, faults: Iterable[RailsFault]) -> None:
        self.name = name
        self.others = sorted(faults, key=lambda fault: (fault.line, fault.column))
        first = self.others[0]
        self.line = first.line
        self.column = first.column
        self.message = first.message
        super().__init__(f"{name}:{first.line}:{first.column}: {first.message}")


class BeingWritten(RailsError):
    """The file is open for writing, so what it holds may be half of what it will."""


class Misread(Exception):
    """The one fault that ends reading: the text is not the YAML that rails are written in."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.fault = RailsFault(line, column, message)
        super().__init__(message)
