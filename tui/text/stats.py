"""Text for statistics: shares, times and dollars, and the name of a group."""

from shared.stats import Grouping, StatsItem
from tui.text.jobs import DASH
from tui.text.plain import plain
from tui.text.times import duration

NO_NAME = "(none)"  # the group of jobs without a repository


def ended(item: StatsItem) -> int:
    """Return how many attempts of jobs ended in a group."""
    return item.jobs.completed + item.jobs.failed + item.jobs.cancelled


def share(part: int, whole: int) -> str:
    """Return a part of a whole in percent, a dash for a part of nothing; only all is 100 %, and only nothing 0 %."""
    if not whole:
        return DASH
    percent = round(100 * part / whole)
    return f"{min(max(percent, int(part > 0)), 100 if part == whole else 99)} %"


def brief_duration(length: int | None) -> str:
    """Return milliseconds as `12ms`, `0.4s` or `6m02s`, a dash for None."""
    if length is None:
        return DASH
    return f"{length}ms" if length < 100 else duration(length)


def dollars(amount: float) -> str:
    """Return an amount of dollars: `$0.21`, `$131`, or a dash for nothing."""
    if not amount:
        return DASH
    return f"${amount:.2f}" if amount < 100 else f"${amount:,.0f}"


def group_name(by: Grouping, key: str) -> str:
    """Return the name of a group for people: hours without the letters of a timestamp."""
    if by is Grouping.HOUR:
        return key.removesuffix("Z").replace("T", " ")
    return plain(key) or NO_NAME


def group_filter(by: Grouping, key: str, since: str) -> str:
    """Return the filter for the jobs that a group counts, from the begin of its period on."""
    if by is Grouping.DAY:
        return f"ended:{key}"
    if by is Grouping.HOUR:
        return f"ended:{key[:13]}"
    name = {Grouping.TYPE: "type", Grouping.REPOSITORY: "repo", Grouping.EXECUTOR: "executor"}[by]
    return f"{f'{name}:{_quoted(key)}' if key else f'-{name}:*'} ended:>={since[:10]}"


def _quoted(value: str) -> str:
    """Return a value as a filter takes it."""
    if any(character.isspace() or character in ',"' for character in value):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return value
