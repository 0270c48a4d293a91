"""The normalised form of a webhook, the same for every sender."""

from collections.abc import Mapping

from msgspec import Struct

from shared.models import Thread


class Command(Struct, frozen=True):
    """A line `@bot verb free text` of a comment; `verb` in lower case, `text` without what was hidden in it."""

    verb: str
    text: str


class Quote(Struct, frozen=True):
    """The visible part of a text from the thread: data for the agent, never instructions."""

    author: str | None  # source:login
    kind: str  # title | body | comment
    text: str


class Trigger(Struct, frozen=True, kw_only=True):
    """One normalised delivery; `name` is None for events that no rails can refer to.

    Accounts are written `source:login`. `account_ids` has the ids that the delivery gives for its sender and authors,
    by account in lower case; several ids mean that several accounts have the same login. `unusable` is the reason why
    the delivery is ignored before the rails are evaluated: the bot's own comment, a ping, a confidential thread.
    `comment_id` is the forge's id of the comment that it brings. `subject` is the key of the event, which is
    the same by whatever way it arrives; None where nothing in the delivery would be.
    """

    source: str
    event: str  # as the sender calls it: issue_comment
    action: str | None = None  # as the sender calls it: created
    name: str | None = None  # as rails call it: issue.comment
    unusable: str | None = None
    sender: str | None = None
    by_source: bool = False  # the sender is the source itself: a mosaic body without an author
    author: str | None = None  # of the newest text
    unread_login: bool = (
        False  # one of the two has a login that cannot be read: it is None, as that of a deleted account
    )
    account_ids: Mapping[str, tuple[str, ...]] = {}
    repository: str | None = None
    thread: Thread | None = None
    comment_id: str | None = None
    subject: str | None = None
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()  # added by this event, or, if the sender does not say, all of them
    reviewers: tuple[str, ...] = ()  # requested by this event
    commands: tuple[Command, ...] = ()
    quotes: tuple[Quote, ...] = ()
    hidden: tuple[str, ...] = ()  # what was removed from the texts: bidi controls in the comment
    from_fork: bool | None = None  # None: not a change, or unknown
    draft: bool | None = None  # None here and below: no thread, or the sender does not say
    closed: bool | None = None  # or merged
    locked: bool | None = None  # only some people may comment
    ref: str | None = None  # the target branch of a change
    head_sha: str | None = None
