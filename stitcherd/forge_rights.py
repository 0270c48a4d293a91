"""Checks whether the credential of a source has each right that the rails need, on each of its repositories.

All requests only read: what an account may do is told by the repository, what an App may by the tokens that it gets,
and whether it may push by `git push --dry-run`.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from shared.checks import CheckResult, info, ok, problem, warning
from shared.ids import now_ms
from stitcherd.forges.base import Call, Forge
from stitcherd.forges.connections import ForgeConnection
from stitcherd.forges.models import (
    AccessLevel,
    CheckRun,
    CommitState,
    CommitStatus,
    ForgeAccount,
    Hook,
    NewChange,
    Reaction,
    ReactionTarget,
    RepositoryRef,
    ThreadRef,
)
from stitcherd.forges.outcome import Done, Hold, Outcome, Rejected, RetryAt
from stitcherd.git import Git, GitError
from stitcherd.git.remote import Remote
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.report import report_of
from stitcherd.rails.requirements import COMMIT_CAPABILITIES

ACTIONS = {
    "get_access": "look up what others may do",
    "add_reaction": "add reactions",
    "create_comment": "comment",
    "set_status": "set statuses",
    "create_check": "create check runs",
    "create_change": "open changes",
    "push": "push",
    "list_news": "ask what happened",
}
PUSH_TIMEOUT = 10.0  # seconds
_NO_BRANCH = "refs/heads/stitcher/doctor"  # that a dry run says it would delete: there is none
_SHA = "0" * 40
_WEBHOOKS = "/stitcher/webhook"


class RepositoryToCheck(Struct, frozen=True):
    """A repository of a source: its name `owner/name`, where it is cloned from, and whether its forge is polled."""

    name: str
    clone: str
    polled: bool = False


def needed_calls(forge: Forge, rails: CompiledRails, account: ForgeAccount, name: str, *, app: bool) -> list[Call[Any]]:
    """Return one call for each right that the rails need on a repository; they are examples, and not to be sent."""
    repository = RepositoryRef(name)
    reports = [report_of(rails, job) for job in rails.jobs.values()]
    threads = ThreadRef("issue", 1), ThreadRef("change", 1)
    calls: list[Call[Any]] = []
    if any(group.permission for group in rails.groups.values()):
        calls.append(forge.get_access(repository, account))
    if any(report.acknowledge for report in reports):
        calls += [forge.add_reaction(repository, ReactionTarget(each), Reaction.EYES, account) for each in threads]
    if any(report.comment for report in reports):
        calls += [forge.create_comment(repository, each, "") for each in threads]
    if any(report.status for report in reports):
        if app and forge.checks is not None:
            check = CheckRun(name="stitcher", state=CommitState.PENDING, external_id="", title="", summary="")
            calls.append(forge.checks.create(repository, _SHA, check))
        else:
            calls.append(forge.set_status(repository, _SHA, CommitStatus(state=CommitState.PENDING, context="")))
    if any(report.change for report in reports):
        calls.append(forge.create_change(repository, NewChange(title="", body="", base="main", head="stitcher/x")))
    return calls


def needs_push(rails: CompiledRails) -> bool:
    """Say whether any type of job publishes commits."""
    return any(job.profile.capabilities & COMMIT_CAPABILITIES for job in rails.jobs.values())


class RightsCheck:
    """The checks of one source, as `account`; `scratch` is an empty directory for a repository without commits."""

    def __init__(
        self,
        source: str,
        connection: ForgeConnection,
        rails: CompiledRails,
        account: ForgeAccount,
        scratch: Path,
    ) -> None:
        self.name = f"forge {source}"
        self._source = source
        self._connection = connection
        self._api = connection.api
        self._forge = connection.api.forge
        self._rails = rails
        self._account = account
        self._scratch = scratch
        self._app = connection.app is not None

    async def repository(self, repository: RepositoryToCheck) -> AsyncIterator[CheckResult]:
        """Yield what is missing on a repository, or that nothing is, and what is known of its webhook."""
        level = await self._api.perform(self._forge.get_own_level(RepositoryRef(repository.name)))
        if not isinstance(level, Done):
            remedy = (
                f"install the App on {repository.name}" if self._app else f"give {self._account.login} access to it"
            )
            yield self._problem(repository, "it cannot be read", level, remedy)
            return
        able, faults = await self._rights(repository, None if self._app else level.value)
        if needs_push(self._rails) and self._connection.serves(repository.clone):
            fault = await self._push(repository)
            faults += [fault] if fault else []
            able.append(ACTIONS["push"])
        if repository.polled:
            fault = await self._lists(repository)
            faults += [fault] if fault else []
            able.append(ACTIONS["list_news"])
        for result in faults:
            yield result
        if not faults:
            yield ok(self.name, f"{repository.name}: {self._account.login} can {', '.join(able) or 'read it'}")
        if not self._app:  # it has one webhook of its own for all
            async for result in self._webhooks(repository):
                yield result

    async def _rights(
        self, repository: RepositoryToCheck, level: AccessLevel | None
    ) -> tuple[list[str], list[CheckResult]]:
        able, faults = dict[str, None](), dict[str, CheckResult]()
        calls = needed_calls(self._forge, self._rails, self._account, repository.name, app=self._app)
        for call in calls:
            action, right = ACTIONS[call.operation], self._forge.rights[call.operation]
            able[action] = None
            if level is not None and level < self._forge.levels.get(call.operation, AccessLevel.READ):
                detail = f"{repository.name}: {self._account.login} cannot {action}: it has {level.name.lower()} access"
                faults[action] = problem(self.name, detail, f"it needs {right}")
                continue
            asked = await self._api.authorize(call.request)
            if isinstance(asked, Done) and call.operation == "get_access" and not self._app:
                asked = await self._api.perform(call)
            if not isinstance(asked, Done):
                faults[action] = self._problem(repository, f"cannot {action}", asked, f"it needs {right}")
        return list(able), list(faults.values())

    async def _lists(self, repository: RepositoryToCheck) -> CheckResult | None:
        """Return which of the lists that a poller reads cannot be read; None where all can."""
        for feed in self._forge.feeds(RepositoryRef(repository.name)):
            asked = await self._api.perform(feed.list(now_ms(), 1, None))
            if not isinstance(asked, Done):
                what = f"cannot {ACTIONS['list_news']}: {feed.name.partition(':')[0]}"
                return self._problem(repository, what, asked, f"it needs {self._forge.rights['list_news']}")
        return None

    async def _push(self, repository: RepositoryToCheck) -> CheckResult | None:
        git = Git.with_home(self._scratch / "home")
        empty = self._scratch / "empty.git"
        try:
            await git("init", "--bare", "-q", str(empty))
            remote = Remote(git, repository.clone, self._connection.git_credential)
            words = ("push", "--dry-run", "-q", "--no-verify")
            await remote.run(*words, arguments=(f":{_NO_BRANCH}",), repository=empty, timeout=PUSH_TIMEOUT)
        except GitError as error:
            detail = f"{repository.name}: {self._account.login} cannot push: {error}"
            return problem(self.name, detail, f"it needs {self._forge.rights['push']}")
        return None

    async def _webhooks(self, repository: RepositoryToCheck) -> AsyncIterator[CheckResult]:
        found = await self._api.perform(self._forge.list_hooks(RepositoryRef(repository.name)))
        if isinstance(found, Done):
            for result in self._hook_results(repository, found.value):
                yield result
        elif isinstance(found, Rejected):
            detail = f"{repository.name}: its webhooks cannot be read with this credential, which nothing else needs"
            yield info(self.name, detail)

    def _hook_results(self, repository: RepositoryToCheck, hooks: tuple[Hook, ...]) -> Iterator[CheckResult]:
        for hook in hooks:
            path = urlsplit(hook.url).path.rstrip("/")
            if not path.endswith((_WEBHOOKS, f"{_WEBHOOKS}/{self._source}")):
                continue
            what = f"{repository.name}: the webhook to {path}"
            if hook.error is not None:
                yield warning(self.name, f"{what} failed last: {hook.error}", "look at its deliveries at the forge")
            elif not hook.active:
                yield warning(self.name, f"{what} is not active", "activate it at the forge")

    def _problem(self, repository: RepositoryToCheck, what: str, outcome: Outcome[Any], remedy: str) -> CheckResult:
        detail, hint = failure(outcome)
        return problem(self.name, f"{repository.name}: {what}: {detail}", hint or remedy)


def failure(outcome: Outcome[Any]) -> tuple[str, str | None]:
    """Return why something was not done, and what to do about it if that is known."""
    match outcome:
        case Rejected(_, detail, hint):
            return detail, hint
        case RetryAt(_, reason) | Hold(_, reason):
            return reason, None
        case Done():
            raise ValueError("it was done")
