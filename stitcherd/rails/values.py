"""The kinds of single values in rails.yaml, each with the sentence that a wrong one earns."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from stitcherd import units

Capability = Literal[
    "repo:read",
    "repo:write",
    "issue:read",
    "issue:comment",
    "git:commit",
    "exec:run",
    "net:forge",
    "net:any",
    "status:set",
    "change:open",
]
EventName = Literal[
    "issue.opened",
    "issue.assigned",
    "issue.labeled",
    "issue.comment",
    "change.opened",
    "change.updated",
    "change.labeled",
    "change.review_requested",
    "change.review",
    "change.review_comment",
    "change.comment",
    "push",
    "check.completed",
]
Consequence = Literal["allow", "require-approval", "deny"]


def fault(sentence: str) -> PydanticCustomError:
    """Return the error whose text is said as it stands; braces in it are not a template's."""
    return PydanticCustomError("rails", "{sentence}", {"sentence": sentence})


def _text(pattern: str, wanted: str) -> AfterValidator:
    compiled = re.compile(pattern, re.ASCII)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise fault(f"{text[:80]!r} is not {wanted}")
        return text

    return AfterValidator(check)


def _duration(text: str) -> str:
    try:
        seconds = units.duration(text)
    except ValueError as error:
        raise fault(str(error)) from error
    if seconds <= 0:
        raise fault(f"{text!r} is no time at all: write a duration like 10m")
    return text


def _size(text: str) -> str:
    try:
        total = units.size(text)
    except ValueError as error:
        raise fault(str(error)) from error
    if total <= 0:
        raise fault(f"{text!r} is no room at all: write a size like 512MiB")
    return text


def _globs(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if any(pattern in {"", "!"} for pattern in patterns):
        raise fault("a glob is empty: * matches anything")
    if patterns and all(pattern.startswith("!") for pattern in patterns):
        raise fault('globs that only take away match nothing: put "*" before them')
    return patterns


def _assignee(text: str) -> str:
    if text != "@bot" and not re.fullmatch(_ACCOUNT, text, re.ASCII):
        raise fault(f"{text[:80]!r} is not an assignee: write @bot, or source:login like github:octocat")
    return text


_ACCOUNT = r"[a-z0-9][a-z0-9_-]*:[^\s:]+"

Name = Annotated[str, _text(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "a name: use letters, digits, - and _")]
Command = Annotated[str, _text(r"[a-z][a-z0-9_-]*", "a command: use small letters, digits, - and _, a letter first")]
Account = Annotated[str, _text(_ACCOUNT, "an account: write source:login, like github:octocat")]
Assignee = Annotated[str, AfterValidator(_assignee)]
EnvName = Annotated[str, _text(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")]
Rate = Annotated[str, _text(r"[1-9][0-9]{0,8}/[smhd]", "a rate: write it like 6/h, per s, m, h or d")]
RepositoryPath = Annotated[
    str, _text(r"(?!/|-)(?!(.*/)?\.\.(/|$)).+", "a path inside the repository, like pyproject.toml")
]
Mount = Annotated[str, _text(r"[/~].*", "an absolute path")]
Text = Annotated[str, Field(min_length=1)]
Argument = Annotated[str, _text(r"[^\0]*", "an argument: it holds a NUL character")]
Duration = Annotated[str, AfterValidator(_duration)]
Size = Annotated[str, AfterValidator(_size)]
Globs = Annotated[tuple[str, ...], AfterValidator(_globs)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Money = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
