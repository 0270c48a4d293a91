"""Sends one answer to its forge, so that it is there once, whatever became of earlier tries."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

import msgspec
from msgspec import Struct, structs

from shared.models import Failure, Status
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.base import AccountChanged, Call
from stitcherd.forges.models import (
    Change,
    CheckRun,
    Comment,
    CommitState,
    CommitStatus,
    ForgeAccount,
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
_MAY_BE_MOVED = frozenset({"deleted", "gone", "redirected"})
_STATES = {
    Status.PENDING: CommitState.PENDING,
    Status.QUEUED: CommitState.PENDING,
    Status.RUNNING: CommitState.RUNNING,
    Status.COMPLETED: CommitState.SUCCESS,
    Status.FAILED: CommitState.FAILURE,
    Status.CANCELLED: CommitState.ERROR,
}


class Delivered(Struct, frozen=True):
    """An answer is at its forge, under this id and at this URL, as far as the forge has them.

    `repository` and `slot` are where, None for where it was sent to.
    """

    remote_id: str | None = None
    url: str | None = None
    repository: str | None = None
    slot: str | None = None


Value = TypeVar("Value")
SendResult: TypeAlias = Delivered | RetryAt | Hold | Failure
MayMove: TypeAlias = Callable[[TakenAnswer, str, str], Awaitable[bool]]  # to this repository and slot


class Sender:
    """Sends the answers of one source.

    `mask` returns a text with the secrets of the settings masked. `may_move` says whether an answer may follow its
    issue.
    """

    def __init__(self, api: ForgeApi, instance: str, mask: Callable[[str], str], may_move: MayMove) -> None:
        self._api = api
        self._forge = api.forge
        self._instance = instance
        self._mask = mask
        self._may_move = may_move
        self.account: ForgeAccount | None = None

    async def identify(self) -> Outcome[ForgeAccount]:
        """Return the account that acts, asked once."""
        if self.account is not None:
            return Done(self.account)
        found = await self._api.identify()
        if isinstance(found, Done):
            self.account = found.value
        return found

    async def probe(self) -> Outcome[ForgeAccount]:
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
        return _sent(taken, await self._perform(taken, call))

    async def _send_comment(self, taken: TakenAnswer, content: CommentContent) -> SendResult:
        thread = ThreadRef(content.thread_kind, int(taken.present_slot.rpartition("/")[2]))
        result = await self._write_comment(taken, content, _place(taken), thread, search=taken.uncertain)
        if not isinstance(result, Failure) or result.code not in _MAY_BE_MOVED:
            return result
        return await self._follow_thread(taken, content, thread, result)

    async def _write_comment(
        self, taken: TakenAnswer, content: CommentContent, place: RepositoryRef, thread: ThreadRef, *, search: bool
    ) -> SendResult:
        """Write the comment on a thread; if it may be there under an id that is not known, it is searched first."""
        mark, moved = self.marker(taken), place != _place(taken)
        body = wording.comment_body(content, mark, self._mask)
        remote_id, url = None if moved else taken.remote_id, None
        if remote_id is None and search:
            found = await self._find_comments(taken, place, thread, mark)
            if not isinstance(found, Done):
                return _unsent(found)
            if found.value:
                kept, *others = found.value
                remote_id, url = kept.id, kept.url
                for other in others:
                    deleted = await self._perform(taken, self._forge.delete_comment(place, thread, other.id))
                    if isinstance(deleted, RetryAt | Hold):
                        return deleted
        if remote_id is not None:
            edited = await self._perform(taken, self._forge.edit_comment(place, thread, remote_id, body))
            return _sent(taken, edited, remote_id, url)
        if moved and taken.remote_id is not None:
            return Failure("deleted", f"{place.name}#{thread.number} does not have the comment that was moved with it")
        created = await self._perform(taken, self._forge.create_comment(place, thread, body))
        if not isinstance(created, Done):
            return _unsent(created)
        return _sent(taken, created, created.value.id, created.value.url)

    async def _find_comments(
        self, taken: TakenAnswer, place: RepositoryRef, thread: ThreadRef, mark: str
    ) -> Outcome[list[Comment]]:
        """Return the comments of a thread with a mark that our own account wrote, the oldest first."""
        account = await self.identify()
        if not isinstance(account, Done):
            return account
        ours: list[Comment] = []
        page: int | None = 1
        while page is not None and page <= PAGES_MAX:
            call = self._forge.list_comments(place, thread, taken.created_at - SEARCH_MARGIN, page)
            found = await self._perform(taken, call)
            if not isinstance(found, Done):
                return found
            ours += [each for each in found.value.comments if mark in each.body and _is_by(each, account.value)]
            page = found.value.next_page
        return Done(sorted(ours, key=lambda each: (each.created_at, int(each.id))))

    async def _follow_thread(
        self, taken: TakenAnswer, content: CommentContent, thread: ThreadRef, failure: Failure
    ) -> SendResult:
        """Write the comment where its thread was moved to, if it may be there; otherwise return the failure."""
        found = await self._perform(taken, self._forge.get_thread(_place(taken), thread))
        if isinstance(found, RetryAt | Hold):
            return found
        if not isinstance(found, Done):
            return failure
        where, here = found.value.repository, taken.present_repository
        is_elsewhere = where is not None and where.lower() != here.lower()
        if not found.value.moved and not is_elsewhere:
            return failure
        about, slot = f"{here}#{thread.number}", f"comment:{thread.kind}/{found.value.number}"
        if where is None or not is_elsewhere:
            return Failure("moved", f"{about} was moved: {found.value.url}")
        if not await self._may_move(taken, where, slot):
            return Failure("moved", f"{about} was moved to {where}")
        moved = ThreadRef(thread.kind, found.value.number)
        result = await self._write_comment(taken, content, RepositoryRef(where), moved, search=True)
        return (
            structs.replace(result, repository=result.repository or where, slot=slot)
            if isinstance(result, Delivered)
            else result
        )

    async def _send_status(self, taken: TakenAnswer, content: StatusContent) -> SendResult:
        description, state = wording.status_description(content), _STATES[content.state]
        if taken.kind == "check":
            return await self._send_check(taken, content, description, state)
        status = CommitStatus(state=state, context=content.context, description=description, branch=content.branch)
        return _sent(taken, await self._perform(taken, self._forge.set_status(_place(taken), content.sha, status)))

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
            return _sent(taken, updated, remote_id)
        created = await self._perform(taken, checks.create(_place(taken), content.sha, check))
        return _sent(taken, created, created.value if isinstance(created, Done) else None)

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
        return _sent(taken, opened, str(change.number), change.url)

    async def _open_change(self, taken: TakenAnswer, content: ChangeContent, account: ForgeAccount) -> Outcome[Change]:
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


def _is_by(written: Comment | Change, account: ForgeAccount) -> bool:
    return written.author is not None and written.author.id == account.id


def _place(taken: TakenAnswer) -> RepositoryRef:
    return RepositoryRef(taken.present_repository)


def _sent(
    taken: TakenAnswer, outcome: Outcome[Value], remote_id: str | None = None, url: str | None = None
) -> SendResult:
    """Return what a write has come to; a repository that was found under another name is kept."""
    if not isinstance(outcome, Done):
        return _unsent(outcome)
    name = outcome.repository.name if outcome.repository else taken.present_repository
    return Delivered(remote_id, url, None if name.lower() == taken.present_repository.lower() else name)


def _unsent(outcome: RetryAt | Hold | Rejected) -> RetryAt | Hold | Failure:
    return Failure(outcome.code, outcome.detail, outcome.hint) if isinstance(outcome, Rejected) else outcome
