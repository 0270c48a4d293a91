"""What a gate says of a commit."""

from msgspec import Struct


class GateResult(Struct, frozen=True):
    """The verdict of one gate; `reason` is a sentence, `flaky` that it passed only when asked again.

    With `asks` it passes if a person approves of the commit.
    """

    ok: bool
    reason: str
    exit_code: int | None = None  # negative: ended by that signal
    flaky: bool = False
    asks: bool = False


class Finding(Struct, frozen=True):
    """One thing that a rule says of a change; `line` is None for the whole file.

    A `note` fails nothing, and what `asks` fails nothing that a person approves of.
    """

    path: bytes
    line: int | None
    rule: str
    sentence: str
    note: bool = False
    asks: bool = False

    def __str__(self) -> str:
        text = self.path.decode("utf-8", "backslashreplace")
        shown = text if text.isprintable() else ascii(text)  # a name may hold line breaks, to look like a finding
        place = shown if self.line is None else f"{shown}:{self.line}"
        return f"{place}: {'note: ' if self.note else ''}{self.rule}: {self.sentence}"
