"""Accounts, names and commands in the text of a webhook."""

import re
from collections.abc import Iterable
from functools import lru_cache

from msgspec.structs import replace

from stitcherd.sources.fields import is_unreadable_login
from stitcherd.sources.hidden_text import visible_text
from stitcherd.sources.markdown import plain_lines
from stitcherd.sources.trigger import Command, Trigger

COMMENT_MAX = 65_536  # characters, GitHub's limit
_MENTION_MAX = 40  # characters shown after a mention that is no command
COMMAND_EVENTS = frozenset({"issue.comment", "change.comment", "change.review", "change.review_comment"})
TEXT_EVENTS = COMMAND_EVENTS | {"issue.opened", "change.opened"}  # events that bring a new text

_DELETED_LOGIN = "ghost"  # GitHub, Gitea and GitLab show this account in place of a deleted one


@lru_cache(maxsize=1024)  # a delivery names the same few accounts several times
def qualified_account(source: str, login: str | None) -> str | None:
    """Return `source:login`, or None if there is no login that can be read, or the account was deleted."""
    if not login or login.lower() == _DELETED_LOGIN or is_unreadable_login(login):
        return None
    return f"{source}:{login}"


def ids_by_account(accounts: Iterable[tuple[str | None, int | None]]) -> dict[str, tuple[str, ...]]:
    """Return the ids by account in lower case; accounts and ids that are missing are left out."""
    found: dict[str, tuple[str, ...]] = {}
    for account, number in accounts:
        if account and number:
            known = found.get(account.lower(), ())
            found[account.lower()] = known if str(number) in known else (*known, str(number))
    return found


@lru_cache(maxsize=1024)
def is_bot(account: str | None, bot: str | None) -> bool:
    """Return whether `account`, with or without its source, is the bot, as a user or as an app (`bot[bot]`)."""
    if account is None or bot is None:
        return False
    login = account.rpartition(":")[2]
    return mention_name(login).lower() == mention_name(bot).lower()


def mention_name(login: str) -> str:
    """Return the name by which an account is mentioned: an app's login without its `[bot]`."""
    return login.removesuffix("[bot]")


def bot_text_reason(name: str | None, bot: str | None, *accounts: str | None) -> str | None:
    """Return why an event is ignored if one of `accounts`, its sender and author, is the bot, else None."""
    own = name in TEXT_EVENTS and any(is_bot(account, bot) for account in accounts)
    return f"written by {bot} itself" if own else None


def ignore_own_text(trigger: Trigger, own_id: str | None, bot: str) -> Trigger:
    """Return a trigger that is ignored if an account with our own id, whatever its login, sent or wrote its text."""
    if own_id is None or trigger.unusable is not None or trigger.name not in TEXT_EVENTS:
        return trigger
    accounts = (account.lower() for account in (trigger.sender, trigger.author) if account)
    if any(own_id in trigger.account_ids.get(account, ()) for account in accounts):
        return replace(trigger, unusable=f"written by {bot} itself")
    return trigger


def safe_url(text: object) -> str | None:
    """Return `text` if it is a printable http or https URL, else None."""
    if isinstance(text, str) and text.startswith(("https://", "http://")) and text.isprintable():
        return text
    return None


def parse_commands(text: str, bot: str | None) -> tuple[Command, ...]:
    """Return the commands of a comment in order: plain lines `@bot verb free text`, not quoted, coded or hidden.

    Takes time linear in the text; a text longer than `COMMENT_MAX` has no commands.
    """
    if bot is None or len(text) > COMMENT_MAX or f"@{mention_name(bot)}".lower() not in text.lower():
        return ()
    pattern = _command_pattern(mention_name(bot))
    matches = (pattern.fullmatch(line) for line in plain_lines(text))
    return tuple(Command(match[1].lower(), _task(match[2] or "")) for match in matches if match)


def find_mention(text: str, bot: str | None) -> str | None:
    """Return the text from the first mention of the bot to the end of its line, shortened; None without a mention.

    Takes time linear in the text.
    """
    if bot is None or f"@{mention_name(bot)}".lower() not in text.lower():
        return None
    found = _mention_pattern(mention_name(bot)).search(text)
    return _task(found[0]) if found else None


def _task(text: str) -> str:
    return visible_text(text, marked=False).text.replace("\n", " ").strip()


@lru_cache(maxsize=32)
def _command_pattern(bot: str) -> re.Pattern[str]:
    # ASCII: look-alike and invisible letters must not match.
    return re.compile(
        rf" {{0,3}}@{re.escape(bot)}[:,]?[ \t]+([a-z][a-z0-9_-]*)(?:[ \t]+(.*))?", re.ASCII | re.IGNORECASE
    )


@lru_cache(maxsize=32)
def _mention_pattern(bot: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.@/-])@{re.escape(bot)}(?![\w/-])[^\r\n]{{0,{_MENTION_MAX}}}", re.ASCII | re.IGNORECASE)
