"""The exit codes of `stitcher`, the same for every verb."""

OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4
NOT_FOUND = 5
PARTLY = 6
TIMED_OUT = 124
INTERRUPTED = 130

_FROM_STATUS = {403: REFUSED, 404: NOT_FOUND, 422: USAGE}


def from_status(status: int) -> int:
    """Return the exit code for an HTTP status of 400 or more."""
    return _FROM_STATUS.get(status, FAILED)


def combine(codes: list[int]) -> int:
    """Return the exit code of a command over several jobs, given the code of each."""
    if OK in codes and any(codes):
        return PARTLY
    return codes[0] if len(set(codes)) == 1 else FAILED
