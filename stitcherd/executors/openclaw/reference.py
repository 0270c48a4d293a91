"""What is remembered of a run, so that a later daemon finds it again."""

import msgspec
from msgspec import Struct


class Reference(Struct):
    """What finds a run again: `runs` are its ids, the newest last; the numbers are what of it was reported."""

    key: str  # of the session
    session: str
    runs: str  # separated by blanks
    boot: str = ""  # of the gateway that has it
    input: int = 0
    output: int = 0
    usd: float = 0.0
    turns: int = 0

    @classmethod
    def of(cls, remembered: dict[str, str]) -> "Reference":
        """Return what was remembered; raises msgspec.ValidationError."""
        return msgspec.convert(remembered, cls, strict=False)

    def remembered(self) -> dict[str, str]:
        """Return it as it is kept."""
        return {name: str(value) for name, value in msgspec.structs.asdict(self).items()}
