"""Which events bring a new text, which of these may command, and what is refused because the bot wrote it."""

from stitcherd.sources.names import is_bot

COMMANDED = frozenset({"issue.comment", "change.comment", "change.review", "change.review_comment"})
WRITTEN = COMMANDED | {"issue.opened", "change.opened"}


def own_text(name: str | None, bot: str | None, *accounts: str | None) -> str | None:
    """Return why an event is refused if one of `accounts`, who sent or wrote its text, is the bot, else None."""
    own = name in WRITTEN and any(is_bot(account, bot) for account in accounts)
    return f"written by {bot} itself" if own else None
