"""The error that is reported to a caller; every other exception that reaches one is our own bug."""

import logging
from typing import Any

from shared.ids import new_id, short_id
from shared.models import Failure

log = logging.getLogger(__name__)


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


def internal_failure(job_id: str, error: Exception) -> Failure:
    """Log an exception that ended the run of a job, with an id; return the failure of the job, which has the id."""
    error_id = new_id()
    log.error("job %s failed through a bug in Stitcher (%s)", short_id(job_id), error_id, exc_info=error)
    return Failure("internal", f"a bug in Stitcher; the daemon's log has it under {error_id}")
