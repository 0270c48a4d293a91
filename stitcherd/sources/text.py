"""Names that come from outside: what they may look like, whose they are, and who is the bot."""

import re
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from stitcherd.sources.markdown import plain_lines
from stitcherd.sources.trigger import Command

# merged from stitcherd.sources.commands: The command grammar: a line `@bot verb free text`, in the plain text
# of a comment.
# merged from stitcherd.sources.texts: Which events bring a new text, which of these may command, and what is
# refused because the bot wrote it.

_LOGIN = r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}(?:\[bot\])?"
_PART = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9_.][A-Za-z0-9_.-]*"

Login = Annotated[str, Meta(pattern=rf"\A{_LOGIN}\Z")]
Account = Annotated[str, Meta(pattern=rf"\A(?:[a-z0-9][a-z0-9_-]{{0,99}}:)?{_LOGIN}\Z")]  # github:octocat, octocat
RepositoryName = Annotated[str, Meta(pattern=rf"\A{_PART}/{_PART}\Z", max_length=255)]
ProjectPath = Annotated[str, Meta(pattern=rf"\A{_PART}(?:/{_PART})+\Z", max_length=255)]  # GitLab nests groups
ThreadNumber = Annotated[int, Meta(ge=1, le=2**63 - 1)]
# What git allows in a name (git-check-ref-format), as far as it could hurt on a command line or in a path.
Ref = Annotated[str, Meta(pattern=r"\A(?!-)(?!.*\.\.)[^\x00-\x20\x7f~^:?*\[\\]{1,255}\Z")]
Sha = Annotated[str, Meta(pattern=r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")]

_DELETED_LOGIN = "ghost"  # GitHub, Gitea and GitLab put an account of this name in the place of one that is gone


def qualified_account(source: str, login: str | None) -> str | None:
    """Return `source:login`, None where there is no login or its account was deleted."""
    return f"{source}:{login}" if login and login.lower() != _DELETED_LOGIN else None


def is_bot(account: str | None, bot: str | None) -> bool:
    """Say whether `account`, with or without its source, is the bot's, as a user or as an app (`bot[bot]`)."""
    if account is None or bot is None:
        return False
    login = account.rpartition(":")[2]
    return mention_name(login).lower() == mention_name(bot).lower()


def mention_name(login: str) -> str:
    """Return how an account is mentioned: an app's login ends in `[bot]`, its mention does not."""
    return login.removesuffix("[bot]")


def safe_url(text: object) -> str | None:
    """Return `text` where it is an http or https URL that is safe to show as one, else None."""
    if isinstance(text, str) and text.startswith(("https://", "http://")) and text.isprintable():
        return text
    return None


COMMENT_MAX = 65_536  # characters; GitHub's own limit of a comment


def parse_commands(text: str, bot: str | None) -> tuple[Command, ...]:
    """Return the commands of a comment in order; quoted, coded and hidden lines hold none.

    Takes time linear in the text; one that is longer than `LONGEST` holds no commands.
    """
    if bot is None or len(text) > COMMENT_MAX or f"@{mention_name(bot)}".lower() not in text.lower():
        return ()
    line_pattern = _line_pattern(mention_name(bot))
    found = (line_pattern.fullmatch(line) for line in plain_lines(text))
    return tuple(Command(match[1].lower(), (match[2] or "").strip()) for match in found if match)


@lru_cache(maxsize=32)
def _line_pattern(bot: str) -> re.Pattern[str]:
    # ASCII: a look-alike letter or an invisible one must not make a match.
    return re.compile(
        rf" {{0,3}}@{re.escape(bot)}[:,]?[ \t]+([a-z][a-z0-9_-]*)(?:[ \t]+(.*))?", re.ASCII | re.IGNORECASE
    )


COMMAND_EVENTS = frozenset({"issue.comment", "change.comment", "change.review", "change.review_comment"})
TEXT_EVENTS = COMMAND_EVENTS | {"issue.opened", "change.opened"}


def bot_text_reason(name: str | None, bot: str | None, *accounts: str | None) -> str | None:
    """Return why an event is refused if one of `accounts`, who sent or wrote its text, is the bot, else None."""
    own = name in TEXT_EVENTS and any(is_bot(account, bot) for account in accounts)
    return f"written by {bot} itself" if own else None
