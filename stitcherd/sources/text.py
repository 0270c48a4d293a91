"""Names that come from outside: what they may look like, whose they are, and who is the bot."""

from typing import Annotated

from msgspec import Meta

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

_DELETED = "ghost"  # GitHub, Gitea and GitLab put an account of this name in the place of one that is gone


def account_of(source: str, login: str | None) -> str | None:
    """Return `source:login`, None where there is no login or its account was deleted."""
    return f"{source}:{login}" if login and login.lower() != _DELETED else None


def is_bot(account: str | None, bot: str | None) -> bool:
    """Say whether `account`, with or without its source, is the bot's, as a user or as an app (`bot[bot]`)."""
    if account is None or bot is None:
        return False
    login = account.rpartition(":")[2]
    return mention(login).lower() == mention(bot).lower()


def mention(login: str) -> str:
    """Return how an account is mentioned: an app's login ends in `[bot]`, its mention does not."""
    return login.removesuffix("[bot]")


def web_address(text: object) -> str | None:
    """Return `text` where it is an http or https URL that is safe to show as one, else None."""
    if isinstance(text, str) and text.startswith(("https://", "http://")) and text.isprintable():
        return text
    return None
