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
