"""What a webhook says, in one vocabulary for every sender; the only form in which it passes the door."""

from msgspec import Struct

from shared.models import Thread


class Command(Struct, frozen=True):
    """A line `@bot verb free text` of a comment; `verb` in lower case."""

    verb: str
    text: str


class Quote(Struct, frozen=True):
    """A piece of text from the thread: data for the agent, never instructions."""

    author: str | None  # source:login
    kind: str  # title | body | comment
    text: str


class Trigger(Struct, frozen=True, kw_only=True):
    """One delivery, normalised; `name` is None where Stitcher has no word for what happened.

    Accounts are written `source:login`. `refused` is a reason known before any rail is asked: the bot's own
    comment, a ping.
    """

    source: str
    event: str  # the sender's own word: issue_comment
    action: str | None = None  # the sender's own word: created
    name: str | None = None  # ours: issue.comment
    refused: str | None = None
    sender: str | None = None
    by_source: bool = False  # the sender is the source itself: a mosaic body without an author
    author: str | None = None  # who wrote the newest text
    repository: str | None = None
    thread: Thread | None = None
    labels: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()  # who was assigned by this event, or, where the sender does not say, all
    reviewers: tuple[str, ...] = ()  # who was asked for a review by this event
    commands: tuple[Command, ...] = ()
    quotes: tuple[Quote, ...] = ()
    from_fork: bool | None = None  # None: not a change, or not known
    ref: str | None = None  # the branch that a change wants to go into
    head_sha: str | None = None
