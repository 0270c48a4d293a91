"""Sends one answer to its forge, so that it is there once, whatever became of earlier tries."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from shared.models import Failure, Status
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.base import AccountChanged, Call
from stitcherd.forges.models import (
    Account,
    Change,
    CheckRun,
    Comment,
    CommitState,
    CommitStatus,
    NewChange,
    Reaction,
    ReactionTarget,
    RepositoryRef,
    ThreadRef,
)
from stitcherd.forges.outcome import Done, Hold, Outcome, Rejected, RetryAt
from stitcherd.forges.paths import InvalidReference
from stitcherd.reporting import wording
from stitcherd.reporting.contents import (
    ChangeContent,
    CommentContent,
    ReactionContent,
    StatusContent,
    decode_content,
)
from stitcherd.store.outbox import TakenAnswer

SEARCH_MARGIN = 86_400_000  # milliseconds that the clock of a forge may be behind ours when comments are searched
PAGES_MAX = 100  # of comments that are searched
_STATES = {
    Status.PENDING: CommitState.PENDING,
    Status.QUEUED: CommitState.PENDING,
    Status.RUNNING: CommitState.RUNNING,
    Status.COMPLETED: CommitState.SUCCESS,
    Status.FAILED: CommitState.FAILURE,
    Status.CANCELLED: CommitState.ERROR,
}


class Delivered(Struct, frozen=True):
    """An answer is at its forge, under this id and at this URL, as far as the forge has them."""

    remote_id: str | None = None
    url: str | None = None


Value = TypeVar("Value")
SendResult: TypeAlias = Delivered | RetryAt | Hold | Failure


class Sender:
    """Sends the answers of one source; `mask` returns a text with the secrets of the settings masked."""

    def __init__(self, api: ForgeApi, instance: str, mask: Callable[[str], str]) -> None:
        self._api = api
        self._forge = api.forge
        self._instance = instance
        self._mask = mask
        self.account: Account | None = None

    async def identify(self) -> Outcome[Account]:
        """Return the account that acts, asked once."""
        if self.account is not None:
            return Done(self.account)
        found = await self._api.identify()
        if isinstance(found, Done):
            self.account = found.value
        return found

    async def probe(self) -> Outcome[Account]:
        """Ask the forge who acts: whether it answers, and accepts the credential."""
        self.account = None
        return await self.identify()

    async def send(self, taken: TakenAnswer) -> SendResult:
        """Send an answer and return what became of it."""
        try:
            content = decode_content(taken.kind, taken.desired)
        except msgspec.ValidationError as error:
            return Failure("refused", f"this version cannot read what is to be sent: {error}")
        try:
            match content:
                case ReactionContent():
                    return await self._send_reaction(taken, content)
                case CommentContent():
                    return await self._send_comment(taken, content)
                case StatusContent():
                    return await self._send_status(taken, content)
                case ChangeContent():
                    return await self._send_change(taken, content)
        except (InvalidReference, AccountChanged) as error:
            return Failure("refused", str(error))

    def marker(self, taken: TakenAnswer) -> str:
        """Return the hidden mark of an answer; that of another row for the same place is another one."""
        return wording.marker(self._instance, f"{taken.source}/{taken.repository.lower()}/{taken.slot}/{taken.id}")

    async def _send_reaction(self, taken: TakenAnswer, content: ReactionContent) -> SendResult:
        account = await self.identify()
        if not isinstance(account, Done):
            return _unsent(account)
        thread = ThreadRef(content.thread_kind, content.thread_number)
        target = ReactionTarget(thread, content.comment, content.review)
        reaction = Reaction(content.reaction)
        call = self._forge.add_reaction(_place(taken), target, reaction, account.value)
        outcome = await self._perform(taken, call)
        return Delivered() if isinstance(outcome, Done) else _unsent(outcome)

    async def _send_comment(self, taken: TakenAnswer, content: CommentContent) -> SendResult:
        mark = self.marker(taken)
        body = wording.comment_body(content, mark, self._mask)
        thread = ThreadRef(content.thread_kind, content.thread_number)
        remote_id, url = taken.remote_id, None
        if remote_id is None and taken.uncertain:
            found = await self._find_comments(taken, thread, mark)
            if not isinstance(found, Done):
                return await self._explained(taken, thread, _unsent(found))
            if found.value:
                kept, *others = found.value
                remote_id, url = kept.id, kept.url
                for other in others:
                    deleted = await self._perform(taken, self._forge.delete_comment(_place(taken), thread, other.id))
                    if isinstance(deleted, RetryAt | Hold):
                        return deleted
        if remote_id is not None:
            edited = await self._perform(taken, self._forge.edit_comment(_place(taken), thread, remote_id, body))
            return Delivered(remote_id, url) if isinstance(edited, Done) else _unsent(edited)
        created = await self._perform(taken, self._forge.create_comment(_place(taken), thread, body))
        if isinstance(created, Done):
            return Delivered(created.value.id, created.value.url)
        return await self._explained(taken, thread, _unsent(created))

    async def _find_comments(self, taken: TakenAnswer, thread: ThreadRef, mark: str) -> Outcome[list[Comment]]:
        """Return the comments of a thread with a mark that our own account wrote, the oldest first."""
        account = await self.identify()
        if not isinstance(account, Done):
            return account
        ours: list[Comment] = []
        page: int | None = 1
        while page is not None and page <= PAGES_MAX:
            call = self._forge.list_comments(_place(taken), thread, taken.created_at - SEARCH_MARGIN, page)
            found = await self._perform(taken, call)
            if not isinstance(found, Done):
                return found
            ours += [each for each in found.value.comments if mark in each.body and _is_by(each, account.value)]
            page = found.value.next_page
        return Done(sorted(ours, key=lambda each: (each.created_at, int(each.id))))

    async def _explained(self, taken: TakenAnswer, thread: ThreadRef, result: SendResult) -> SendResult:
        """Return the result of writing to a thread; if the forge does not have it any more, whether it was moved."""
        if not isinstance(result, Failure) or result.code not in {"gone", "redirected"}:
            return result
        found = await self._perform(taken, self._forge.get_thread(_place(taken), thread))
        if not isinstance(found, Done):
            return result
        where = found.value.repository
        if not found.value.moved and (where is None or where.lower() == taken.repository.lower()):
            return result
        about = f"{taken.repository}#{thread.number}"
        return Failure("moved", f"{about} was moved to {where}" if where else f"{about} was moved: {found.value.url}")

    async def _send_status(self, taken: TakenAnswer, content: StatusContent) -> SendResult:
        description, state = wording.status_description(content), _STATES[content.state]
        if taken.kind == "check":
            return await self._send_check(taken, content, description, state)
        status = CommitStatus(state=state, context=content.context, description=description, branch=content.branch)
        outcome = await self._perform(taken, self._forge.set_status(_place(taken), content.sha, status))
        return Delivered() if isinstance(outcome, Done) else _unsent(outcome)

    async def _send_check(
        self, taken: TakenAnswer, content: StatusContent, description: str, state: CommitState
    ) -> SendResult:
        checks = self._forge.checks
        if checks is None:
            return Failure("refused", f"{self._forge.kind} has no check runs")
        check = CheckRun(
            name=content.context, state=state, external_id=content.job, title=description, summary=description
        )
        remote_id = taken.remote_id
        if remote_id is None and taken.uncertain:  # it may have been made, though no response arrived
            found = await self._perform(taken, checks.find(_place(taken), content.sha, check))
            if not isinstance(found, Done):
                return _unsent(found)
            remote_id = next(iter(found.value), None)
        if remote_id is not None:
            updated = await self._perform(taken, checks.update(_place(taken), remote_id, check))
            return Delivered(remote_id) if isinstance(updated, Done) else _unsent(updated)
        created = await self._perform(taken, checks.create(_place(taken), content.sha, check))
        return Delivered(created.value) if isinstance(created, Done) else _unsent(created)

    async def _send_change(self, taken: TakenAnswer, content: ChangeContent) -> SendResult:
        if taken.remote_id is not None:  # it is opened once; people may have edited it since
            return Delivered(taken.remote_id)
        account = await self.identify()
        if not isinstance(account, Done):
            return _unsent(account)
        opened = await self._open_change(taken, content, account.value)
        if not isinstance(opened, Done):
            return _unsent(opened)
        change = opened.value
        if not _is_by(change, account.value):
            return Failure("refused", f"another account opened a change of {content.head}: {change.url}")
        return Delivered(str(change.number), change.url)

    async def _open_change(self, taken: TakenAnswer, content: ChangeContent, account: Account) -> Outcome[Change]:
        """Open a change, unless an earlier try has opened it, whatever people have done with it since."""
        if taken.uncertain:
            found = await self._perform(taken, self._forge.find_change(_place(taken), content.head, content.base))
            if not isinstance(found, Done):
                return found
            if found.value is not None and _is_by(found.value, account):
                return Done(found.value)
        new = NewChange(
            title=wording.change_title(content),
            body=wording.change_body(content, self.marker(taken), self._mask),
            base=content.base,
            head=content.head,
            draft=content.draft,
        )
        return await self._perform(taken, self._forge.create_change(_place(taken), new))

    async def _perform(self, taken: TakenAnswer, call: Call[Value]) -> Outcome[Value]:
        return await self._api.perform(call, taken.tries)


def _is_by(written: Comment | Change, account: Account) -> bool:
    return written.author is not None and written.author.id == account.id


def _place(taken: TakenAnswer) -> RepositoryRef:
    return RepositoryRef(taken.repository)


def _unsent(outcome: RetryAt | Hold | Rejected) -> RetryAt | Hold | Failure:
    return Failure(outcome.code, outcome.detail, outcome.hint) if isinstance(outcome, Rejected) else outcome
