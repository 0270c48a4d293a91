"""Single fields of webhook bodies: the form that each must have, and what is read of names in another form."""

import re
from typing import Annotated

from msgspec import Meta

EVENT_MAX = 100  # characters of an event's name, and of its action, that are stored
UNKNOWN_EVENT = "unknown"

_LOGIN = r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,99}(?:\[bot\])?"
# An owner must not look like an option. A repository may, at Gitea: settings.repository never finds it.
_NOT_DOTS = r"(?!\.{1,2}(?:/|\Z))"
_OWNER = rf"{_NOT_DOTS}[A-Za-z0-9_.][A-Za-z0-9_.-]*"
_NAME = rf"{_NOT_DOTS}[A-Za-z0-9_.-]+"
_ACCOUNT = rf"\A(?:[a-z0-9][a-z0-9_-]{{0,99}}:)?{_LOGIN}\Z"  # github:octocat, octocat
_REPOSITORY = rf"\A{_OWNER}/{_NAME}\Z"
_PROJECT = rf"\A{_OWNER}(?:/{_OWNER})*/{_NAME}\Z"  # GitLab nests groups
# The rules of git-check-ref-format that matter on a command line or in a path.
_REF = r"\A(?!-)(?!.*\.\.)[^\x00-\x20\x7f~^:?*\[\\]{1,255}\Z"
_SHA = r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})?\Z"  # empty: there is none
_DIGITS = r"\A[0-9]{1,19}\Z"

Account = Annotated[str, Meta(pattern=_ACCOUNT)]
RepositoryName = Annotated[str, Meta(pattern=_REPOSITORY, max_length=255)]
ProjectPath = Annotated[str, Meta(pattern=_PROJECT, max_length=255)]
AccountId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
ThreadNumber = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Digits = Annotated[str, Meta(pattern=_DIGITS)]
Ref = Annotated[str, Meta(pattern=_REF)]
Sha = Annotated[str, Meta(pattern=_SHA)]

# What a field with one of these patterns must be, for people.
FORMS = {
    _ACCOUNT: "a login, or source:login",
    _REPOSITORY: "the name of a repository, owner/name, of letters, digits, dots, dashes and underscores",
    _PROJECT: "the path of a project, group/name, of letters, digits, dots, dashes and underscores",
    _REF: "a name that a branch can have",
    _SHA: "a commit id of 40 or 64 hexadecimal digits",
    _DIGITS: "a number of at most 19 digits",
}

_OPEN_STATES = frozenset({"open", "opened", "reopened"})
_login_pattern = re.compile(_LOGIN)


def is_unreadable_login(login: str | None) -> bool:
    """Say whether a login has not the form that forges give them: it is not read, as if it were missing."""
    return bool(login) and _login_pattern.fullmatch(login or "") is None


def is_closed(state: str | None) -> bool | None:
    """Return whether a thread is in a state that is not open, None if there is no state."""
    return state.lower() not in _OPEN_STATES if state else None


def commit_id(sha: str | None) -> str | None:
    """Return the id of a commit, or None where there is none: zeros stand for a deleted branch."""
    return sha if sha and sha.strip("0") else None


def comment_id(value: object) -> str | None:
    """Return the id of a comment as text, None unless it is a positive number."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def event_text(name: str | None) -> str:
    """Return the name of an event in a form that can be stored and shown; other characters than ASCII become `?`."""
    readable = "".join(each if each.isascii() and each.isprintable() else "?" for each in (name or "")[:EVENT_MAX])
    return readable.strip() or UNKNOWN_EVENT


def action_text(action: str | None) -> str | None:
    """Return the action of an event as it is stored: as the sender wrote it, shortened."""
    return action[:EVENT_MAX] if action else None
