"""Types of single values in rails.yaml, each with a sentence for invalid ones."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, core_schema

from shared import units
from stitcherd.config.errors import invalid_value

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
OUTPUT_PATTERN_MAX = 200  # characters
GLOB_MAX = 255  # characters
STARS_MAX = 16  # of one glob
GLOBS_MAX = 1000  # of one list
Consequence = Literal["allow", "require-approval", "deny"]


class _TextForm:
    """A form that a text must have: a pattern, also part of the JSON Schema, and its description for people."""

    def __init__(self, pattern: str, description: str) -> None:
        self._pattern = re.compile(pattern, re.ASCII)
        self._description = description

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "pattern": f"^(?:{self._pattern.pattern})$"}

    def _check(self, text: str) -> str:
        if not self._pattern.fullmatch(text):
            raise invalid_value(f"{text[:80]!r} is not {self._description}")
        return text


def _duration(text: str) -> str:
    try:
        seconds = units.parse_duration(text)
    except ValueError as error:
        raise invalid_value(str(error)) from error
    if seconds <= 0:
        raise invalid_value(f"{text!r} must be more than 0: write a duration like 10m")
    return text


def _size(text: str) -> str:
    try:
        total = units.parse_size(text)
    except ValueError as error:
        raise invalid_value(str(error)) from error
    if total <= 0:
        raise invalid_value(f"{text!r} must be more than 0: write a size like 512MiB")
    return text


def _glob(pattern: str) -> str:
    stars = len(re.findall(r"\*+", pattern))
    if stars > STARS_MAX:
        raise invalid_value(f"a glob may have {STARS_MAX} stars, and this one has {stars}")
    return pattern


def _globs(patterns: tuple[str, ...]) -> tuple[str, ...]:
    if any(pattern in {"", "!"} for pattern in patterns):
        raise invalid_value("a glob must not be empty: * matches anything")
    if patterns and all(pattern.startswith("!") for pattern in patterns):
        raise invalid_value('globs that only exclude match nothing: put "*" before them')
    return patterns


def _output_pattern(text: str) -> str:
    if len(text) > OUTPUT_PATTERN_MAX:
        raise invalid_value(f"a pattern may have {OUTPUT_PATTERN_MAX} characters, and this one has {len(text)}")
    try:
        re.compile(text)
        shortest, _ = re._parser.parse(text).getwidth()  # noqa: SLF001 (matching may take forever)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise invalid_value(f"{text[:80]!r} is not a regular expression: {error}") from error
    if not shortest:
        raise invalid_value(
            f"{text[:80]!r} matches also where nothing is printed: write what only a passed gate prints"
        )
    return text


def _version(number: int) -> int:
    if number != 1:
        raise invalid_value(f"version must be 1, not the number {number}")
    return number


def _assignee(text: str) -> str:
    if text != "@bot" and not re.fullmatch(_ACCOUNT, text, re.ASCII):
        raise invalid_value(f"{text[:80]!r} is not an assignee: write @bot, or source:login like github:octocat")
    return text


_ACCOUNT = r"[a-z0-9][a-z0-9_-]*:[^\s:#]+"

Name = Annotated[str, _TextForm(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", "a name: use letters, digits, - and _")]
Command = Annotated[
    str, _TextForm(r"[a-z][a-z0-9_-]*", "a command: use lowercase letters, digits, - and _, and start with a letter")
]
Account = Annotated[
    str,
    _TextForm(
        rf"{_ACCOUNT}(?:#[1-9][0-9]{{0,18}})?",
        "an account: write source:login, like github:octocat, or source:login#id",
    ),
]
Assignee = Annotated[str, AfterValidator(_assignee)]
EnvName = Annotated[str, _TextForm(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")]
RateText = Annotated[str, _TextForm(r"[1-9][0-9]{0,8}/[smhd]", "a rate: write it like 6/h, per s, m, h or d")]
RepositoryPath = Annotated[
    str, _TextForm(r"(?!/|-)(?!(.*/)?\.\.(/|$)).+", "a path inside the repository, like pyproject.toml")
]
Mount = Annotated[str, _TextForm(r"[/~].*", "an absolute path")]
StatusName = Annotated[
    str,
    _TextForm(
        r"(?:[^{}\x00-\x1f]|\{job\}){1,100}", "the name of a status: {job} in it, and no other {}, is the type of job"
    ),
]
NonEmptyText = Annotated[str, Field(min_length=1)]
Argument = Annotated[str, _TextForm(r"[^\0]*", "an argument: it contains a NUL character")]
DurationText = Annotated[str, AfterValidator(_duration)]
SizeText = Annotated[str, AfterValidator(_size)]
OutputPattern = Annotated[
    str,
    AfterValidator(_output_pattern),
    WithJsonSchema({"format": "regex", "maxLength": OUTPUT_PATTERN_MAX, "minLength": 1, "type": "string"}),
]
Glob = Annotated[str, Field(max_length=GLOB_MAX), AfterValidator(_glob)]
Globs = Annotated[tuple[Glob, ...], Field(max_length=GLOBS_MAX), AfterValidator(_globs)]
Version = Annotated[int, AfterValidator(_version), WithJsonSchema({"maximum": 1, "minimum": 1, "type": "integer"})]
Fact = Annotated[bool, WithJsonSchema({"const": True, "type": "boolean"})]  # false is refused where all are looked at
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Money = Annotated[float, Field(gt=0, le=1_000_000, allow_inf_nan=False)]
