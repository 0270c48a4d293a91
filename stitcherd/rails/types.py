"""The kinds of single values in rails.yaml, each with the sentence that a wrong one earns."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from shared import units

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


def invalid_text(sentence: str) -> PydanticCustomError:
    """Return the error whose text is said as it stands; braces in it are not a template's."""
    return PydanticCustomError("rails", "{sentence}", {"sentence": sentence})


class _TextForm:
    """A form that a text must have: a pattern for programs, which JSON Schema gets too, and words for people."""

    def __init__(self, pattern: str, wanted: str) -> None:
        self._pattern = re.compile(pattern, re.ASCII)
        self._wanted = wanted

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^(?:{self._pattern.pattern})$"}

    def _check(self, text: str) -> str:
        if not self._pattern.fullmatch(text):
            raise invalid_text(f"{text[:80]!r} is not {self._wanted}")
        return text


def _duration(text: str) -> str:
    try:
        seconds = units.parse_duration(text)
    except ValueError as error:
        raise invalid_text(str(error)) from error
    if seconds <= 0:
        raise invalid_text(f"{text!r} is no time at all: write a duration like 10m")
    return text


def _size(text: str) -> str:
    try:
        total = units.parse_size(text)
    except ValueError as error:
        raise invalid_text(str(error)) from error
    if total <= 0:
        raise invalid_text(f"{text!r} is no room at all: write a size like 512MiB")
    return text


def _globs(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if any(pattern in {"", "!"} for pattern in patterns):
        raise invalid_text("a glob is empty: * matches anything")
    if patterns and all(pattern.startswith("!") for pattern in patterns):
        raise invalid_text('globs that only take away match nothing: put "*" before them')
    return patterns


def _assignee(text: str) -> str:
    if text != "@bot" and not re.fullmatch(_ACCOUNT, text, re.ASCII):
        raise invalid_text(f"{text[:80]!r} is not an assignee: write @bot, or source:login like github:octocat")
    return text


_ACCOUNT = r"[a-z0-9][a-z0-9_-]*:[^\s:]+"

Name = Annotated[str, _TextForm(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "a name: use letters, digits, - and _")]
Command = Annotated[
    str, _TextForm(r"[a-z][a-z0-9_-]*", "a command: use small letters, digits, - and _, a letter first")
]
Account = Annotated[str, _TextForm(_ACCOUNT, "an account: write source:login, like github:octocat")]
Assignee = Annotated[str, AfterValidator(_assignee)]
EnvName = Annotated[str, _TextForm(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")]
RateText = Annotated[str, _TextForm(r"[1-9][0-9]{0,8}/[smhd]", "a rate: write it like 6/h, per s, m, h or d")]
RepositoryPath = Annotated[
    str, _TextForm(r"(?!/|-)(?!(.*/)?\.\.(/|$)).+", "a path inside the repository, like pyproject.toml")
]
Mount = Annotated[str, _TextForm(r"[/~].*", "an absolute path")]
NonEmptyText = Annotated[str, Field(min_length=1)]
Argument = Annotated[str, _TextForm(r"[^\0]*", "an argument: it holds a NUL character")]
DurationText = Annotated[str, AfterValidator(_duration)]
SizeText = Annotated[str, AfterValidator(_size)]
Globs = Annotated[tuple[str, ...], AfterValidator(_globs)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Money = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
