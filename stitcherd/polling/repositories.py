"""The repositories that a source is asked about: those with an entry of their own, and those that a pattern selects."""

import logging
from collections.abc import Callable, Iterable

from msgspec import Struct

from stitcherd.config.settings import RepositorySettings, Settings, SourceSettings

LISTED_MAX = 200  # of a source, by its patterns: each costs requests in every interval

log = logging.getLogger(__name__)


class PolledRepositories(Struct, frozen=True):
    """The entries of `[repositories]` that a source is asked about.

    `named` are names of repositories; `selects` says of a repository that the forge lists whether one of the `patterns`
    is its entry.
    """

    named: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    selects: Callable[[str], bool] = lambda _name: False

    def includes(self, name: str) -> bool:
        """Say whether the source is asked about a repository that it reaches."""
        return name.lower() in {each.lower() for each in self.named} or self.selects(name)

    def select(self, listed: Iterable[str]) -> tuple[str, ...]:
        """Return those of the listed repositories that a pattern selects, at most LISTED_MAX."""
        named = {each.lower() for each in self.named}
        found = [name for name in dict.fromkeys(listed) if name.lower() not in named and self.selects(name)]
        if len(found) > LISTED_MAX:
            log.warning("of the %d repositories of %s, %d are polled", len(found), self.patterns, LISTED_MAX)
        return tuple(found[:LISTED_MAX])


def polled_repositories(
    settings: Settings, source: SourceSettings, serves: Callable[[str], bool]
) -> PolledRepositories:
    """Return the repositories that a source is asked about: those of its workspace that may be at its forge.

    One that is cloned from a path may be at any forge; one that is cloned from a URL is at the forge of that host, as
    `serves` says of the URL. An App has no patterns: each of its tokens is for one repository, and lists none.
    """

    def is_here(entry: RepositorySettings | None) -> bool:
        return entry is not None and entry.workspace == source.workspace and (entry.is_path or serves(entry.clone))

    def selects(name: str) -> bool:
        entry = settings.repository(name)
        return entry is not None and entry.pattern in patterns and is_here(entry)

    patterns = [
        entry.pattern
        for entry in settings.repositories
        if entry.is_pattern and entry.workspace == source.workspace and source.app is None
    ]
    named = [
        entry.pattern
        for entry in settings.repositories
        if not entry.is_pattern and entry.workspace == source.workspace and is_here(settings.repository(entry.pattern))
    ]
    return PolledRepositories(tuple(named), tuple(patterns), selects)
