"""What is said to whoever asked; every other exception is our own bug."""

from typing import Any


class Refusal(Exception):
    """A request that is not carried out: a code of shared.protocol, a sentence, and what to do about it.

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
