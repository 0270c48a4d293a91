"""The error that is reported to a caller; every other exception that reaches one is our own bug."""

from typing import Any


class Refusal(Exception):
    """A request that is refused: a code of shared.protocol, a sentence, and a hint on what to do.

    `more` is added to the problem document (a decision, a column); `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        hint: str | None = None,
        *,
        retry_after: int | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.hint = hint
        self.retry_after = retry_after
        self.more = more or {}
