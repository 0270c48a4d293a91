"""How a job fails that an exception has ended: through its surroundings, or through a bug of ours."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

from shared.models import Failure
from stitcherd.errors import internal_failure
from stitcherd.executors.base import ExecutorUnavailable

STORAGE_UNAVAILABLE = "storage_unavailable"  # the code of a job that failed for it
_STORAGE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
_TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE}


def is_too_many_files(error: Exception) -> TypeGuard[OSError]:
    """Say whether no more files can be opened, in the daemon or on its machine: that may pass."""
    return isinstance(error, OSError) and error.errno in _TOO_MANY_FILES


@contextmanager
def before_start() -> Iterator[None]:
    """Raise ExecutorUnavailable in place of an error that may pass: nothing was started yet."""
    try:
        yield
    except OSError as error:
        if is_too_many_files(error):
            raise ExecutorUnavailable(error.strerror) from error
        raise


def unexpected_failure(job_id: str, error: Exception) -> Failure:
    """Describe why a job ended; a bug is logged."""
    if is_too_many_files(error):
        return storage_failure(error.strerror, "let the daemon open more files (LimitNOFILE=), then retry it")
    if isinstance(error, OSError) and error.errno in _STORAGE_ERRNOS:
        return storage_failure(error.strerror)
    return internal_failure(job_id, error)


def storage_failure(reason: object, hint: str = "free space, then retry it") -> Failure:
    """Describe that what a job did could not be stored."""
    return Failure(STORAGE_UNAVAILABLE, f"what it did could not be stored: {reason}", hint)
