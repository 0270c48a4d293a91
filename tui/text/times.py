"""Text for times and durations."""

from datetime import datetime

_DAY = 86_400


def milliseconds(stamp: str) -> int:
    """Return an RFC 3339 time as milliseconds since 1970."""
    return round(datetime.fromisoformat(stamp).timestamp() * 1000)


def duration(length: int) -> str:
    """Return milliseconds as `0.4s`, `6m02s`, `3h05m` or `2d04h`; negative ones count as 0."""
    seconds = max(length, 0) / 1000
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    if whole < _DAY:
        return f"{whole // 3600}h{whole % 3600 // 60:02}m"
    return f"{whole // _DAY}d{whole % _DAY // 3600:02}h"


def span(length: int) -> str:
    """Return milliseconds in whole units, as `12s`, `14m`, `3h` or `2d`; negative ones count as 0."""
    seconds = max(length, 0) // 1000
    for size, unit in ((_DAY, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def age(length: int) -> str:
    """Return milliseconds as `12s ago`, `14m ago`, `3h ago` or `2d ago`."""
    return f"{span(length)} ago"


def time_left(length: int) -> str:
    """Return milliseconds as `23h left`, `40s left` or `no time left`."""
    return f"{span(length)} left" if length > 0 else "no time left"


def time_of_day(stamp: str) -> str:
    """Return the time of day of an RFC 3339 UTC time, `14:02:11.284`."""
    return stamp[11:23]
