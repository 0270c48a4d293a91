"""Asks forges what accounts may do on repositories: each question once at a time, and failing closed."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Self

from msgspec import Struct

from shared.ids import now_ms
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.base import AccountChanged
from stitcherd.forges.models import Access, AccessLevel, ForgeAccount, RepositoryRef
from stitcherd.forges.outcome import Done, Hold, Outcome, Rejected, RetryAt
from stitcherd.forges.paths import InvalidReference
from stitcherd.jobs.known_access import KnownAccess
from stitcherd.policy import AccountAccess
from stitcherd.rails.accounts import ACCOUNT_CHANGED
from stitcherd.store.store import Store

PERMISSION_UNKNOWN = "permission_unknown"
FORGE_UNREACHABLE = "forge_unreachable"
MAX_ASKED = 8  # accounts that are asked at the same time for one decision
# Events after which what is known of an access may be wrong, as GitHub, Gitea and GitLab call them.
_OF_GITHUB = ("member", "membership", "organization", "public", "repository", "team", "team_add")
_OF_GITLAB = (f"user_{what}_{where}" for what in ("add_to", "update_for", "remove_from") for where in ("group", "team"))
ACCESS_EVENTS = frozenset((*_OF_GITHUB, *_OF_GITLAB, "project_transfer", "project_update"))

log = logging.getLogger(__name__)


class Postponed(Struct, frozen=True):
    """The forge did not answer: it may be asked again at `at` (ms)."""

    at: int
    reason: str


class Answers(Struct, frozen=True):
    """What was learnt besides what KnownAccess has, by account id: what the forge refuses to tell, and what is late."""

    refused: Mapping[str, AccountAccess]
    postponed: Mapping[str, Postponed]

    @property
    def next_try(self) -> Postponed | None:
        """When the first of what is late may be asked again."""
        return min(self.postponed.values(), key=lambda each: each.at, default=None)

    def given_up(self, now: int) -> dict[str, AccountAccess]:
        """Return what is late as refused."""
        return {
            number: AccountAccess(None, now, f"{FORGE_UNREACHABLE}: {each.reason}")
            for number, each in self.postponed.items()
        }


class PermissionsNeeded(Exception):
    """Something cannot be decided before accounts, by id, were asked for on a repository of a source."""

    def __init__(self, source: str, repository: str, asks: Mapping[str, str], reason: str) -> None:
        super().__init__(reason)
        self.source = source
        self.repository = repository
        self.asks = asks


class _Question(Struct, frozen=True):
    """What an account may do on a repository of a source; the repository is in lower case."""

    source: str
    repository: str
    account_id: str


class Permissions:
    """Asks the forges of sources, whose `apis` are by name; `known` is what they have told; `now` is in ms."""

    def __init__(self, apis: Mapping[str, ForgeApi], known: KnownAccess, now: Callable[[], int] = now_ms) -> None:
        self.known = known
        self._apis = apis
        self._now = now
        self._asked: dict[_Question, asyncio.Task[AccountAccess | Postponed | None]] = {}
        self._postponed: dict[_Question, tuple[int, Postponed]] = {}  # with the number of tries

    @classmethod
    async def open(cls, store: Store, apis: Mapping[str, ForgeApi], now: Callable[[], int] = now_ms) -> Self:
        """Begin with what an earlier daemon has been told."""
        known = KnownAccess(store, apis.keys(), now)
        await known.load()
        return cls(apis, known, now)

    async def ask(self, source: str, repository: str, asks: Mapping[str, str]) -> Answers:
        """Ask what accounts, by id, may do on a repository.

        What the forge answers is in KnownAccess afterwards, unless it was forgotten meanwhile. Raises
        StorageUnavailable.
        """
        batch = list(asks.items())[:MAX_ASKED]
        found = await asyncio.gather(*(self._answer(source, repository, number, account) for number, account in batch))
        refused: dict[str, AccountAccess] = {}
        postponed: dict[str, Postponed] = {}
        for (number, _), answer in zip(batch, found, strict=True):
            if isinstance(answer, Postponed):
                postponed[number] = answer
            elif answer is not None and answer.level is None:
                refused[number] = answer
        return Answers(refused, postponed)

    async def ask_once(self, needed: PermissionsNeeded, refused: dict[str, AccountAccess]) -> str | None:
        """Ask what is needed and add what the forge refuses to tell to `refused`; return why it does not answer."""
        answers = await self.ask(needed.source, needed.repository, needed.asks)
        refused |= answers.refused
        return None if answers.next_try is None else answers.next_try.reason

    async def _answer(
        self, source: str, repository: str, account_id: str, account: str
    ) -> AccountAccess | Postponed | None:
        """Return what was asked, by whoever asked it first."""
        question = _Question(source, repository.lower(), account_id)
        task = self._asked.get(question)
        if task is None:
            known = self.known.of(source, repository).get(account_id)
            if known is not None:
                return known
            task = asyncio.create_task(self._ask(question, repository, account))
            self._asked[question] = task
            task.add_done_callback(lambda _: self._asked.pop(question, None))
        return await asyncio.shield(task)

    async def _ask(self, question: _Question, repository: str, account: str) -> AccountAccess | Postponed | None:
        """Ask the forge, unless it is too early to ask again; None where the answer may be out of date already."""
        tries, postponed = self._postponed.get(question, (0, None))
        asked_at, generation = self._now(), self.known.generation(question.source)
        if postponed is not None and postponed.at > asked_at:
            return postponed
        wanted = ForgeAccount(question.account_id, account.partition(":")[2])
        answer = await _ask(self._apis[question.source], RepositoryRef(repository), wanted, tries + 1, asked_at)
        if isinstance(answer, Postponed):
            log.warning("the permission of %s on %s is not known yet: %s", account, repository, answer.reason)
            self._postponed[question] = tries + 1, answer
            return answer
        self._postponed.pop(question, None)
        if answer.level is None:
            log.warning("the permission of %s on %s: %s", account, repository, answer.failure)
            return answer
        if self.known.generation(question.source) != generation:
            return None
        await self.known.keep(question.source, repository, question.account_id, answer.level, asked_at)
        return answer


async def _ask(
    api: ForgeApi, repository: RepositoryRef, account: ForgeAccount, tries: int, now: int
) -> AccountAccess | Postponed:
    """Return what the forge says that an account may do, or why nothing is granted."""
    try:
        outcome = await _get_access(api, repository, account, tries)
    except AccountChanged as changed:
        return AccountAccess(None, now, f"{ACCOUNT_CHANGED}: {changed}")
    except InvalidReference as error:
        return AccountAccess(None, now, f"{PERMISSION_UNKNOWN}: {error}")
    match outcome:
        case Done(access):
            return AccountAccess(access.level.name.lower(), now)
        case Rejected(_, detail, hint):
            return AccountAccess(None, now, f"{PERMISSION_UNKNOWN}: {detail}", hint)
        case Hold(_, reason, "credential"):
            return AccountAccess(None, now, f"{PERMISSION_UNKNOWN}: {reason}")
        case Hold(at, reason, _) | RetryAt(at, reason):
            return Postponed(at, reason)


async def _get_access(api: ForgeApi, repository: RepositoryRef, account: ForgeAccount, tries: int) -> Outcome[Access]:
    """Return the access of an account; if nobody has its login any more, look for its present one.

    An account of which the delivery had only the id is written `#id`.
    """
    outcome = await api.perform(api.forge.get_access(repository, account), tries)
    none = isinstance(outcome, Done) and outcome.value.level is AccessLevel.NONE
    if not none or account.login.startswith("#"):
        return outcome
    found = await api.perform(api.forge.get_account(repository, account.id), tries)
    if not isinstance(found, Done) or found.value is None or found.value.login.lower() == account.login.lower():
        return outcome
    return await api.perform(api.forge.get_access(repository, found.value), tries)
