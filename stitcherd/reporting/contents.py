"""What is to be at a forge, as structured fields: words are made of them when they are sent."""

from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from shared.models import Status

GateOutcome = Literal["pending", "running", "passed", "failed", "skipped"]


class GateReport(Struct, frozen=True):
    """What a gate of a job has said of its newest commit; a gate that is not required only warns."""

    name: str
    outcome: GateOutcome
    required: bool = True


class FailedOutput(Struct, frozen=True):
    """The last lines of the step that a job failed in."""

    step: str
    text: str


class JobReport(Struct, frozen=True, kw_only=True):
    """What is said of a job; `asker` is a login, `try_` the current try, and `waiting` the guards of its approval."""

    id: str
    type: str
    status: Status
    asker: str
    attempt: int
    try_: int
    tries_max: int
    gates: tuple[GateReport, ...] = ()
    held: str | None = None
    waiting: tuple[str, ...] = ()
    approvers: tuple[str, ...] = ()
    expires_at: str | None = None
    commit: str | None = None
    branch: str | None = None
    summary: str | None = None
    error: str | None = None
    hint: str | None = None
    output: FailedOutput | None = None


class DenialReport(Struct, frozen=True):
    """Why nothing runs for a delivery, and what would allow it; `at` is in milliseconds since 1970."""

    delivery: str
    sender: str
    reason: str
    remedy: str | None
    at: int


class HintReport(Struct, frozen=True):
    """A command that does not exist, and those that do; `at` is in milliseconds since 1970."""

    sender: str
    written: str
    verbs: tuple[str, ...]
    at: int


class HelpReport(Struct, frozen=True, tag="help"):
    """The commands that comments may have, each with the type of job that it starts, or what else it does.

    `sender` asked for it; `at`, here and below, is in milliseconds since 1970.
    """

    sender: str
    commands: tuple[tuple[str, str], ...]
    at: int


class StatusReport(Struct, frozen=True, tag="status"):
    """Who asked for the state of the jobs of a thread; `found` says whether it has any."""

    sender: str
    found: bool
    at: int


class WhyReport(Struct, frozen=True, tag="why"):
    """Why the newest request on a thread was decided as it was; `delivery` is None where there was none.

    `failed` is the check that decided it: its id, what it saw, what was wanted, and the line of the rails behind it.
    """

    sender: str
    at: int
    delivery: str | None = None
    verdict: str = ""
    reason: str = ""
    failed: tuple[str, str, str, int | None] | None = None
    remedy: str | None = None


Reply: TypeAlias = HelpReport | StatusReport | WhyReport


class ReactionContent(Struct, frozen=True, kw_only=True):
    """A reaction to a thread, or to one of its comments; `review`: a comment on a line of a change."""

    thread_kind: str
    thread_number: int
    comment: str | None
    review: bool
    reaction: Literal["eyes", "-1"]


class CommentContent(Struct, frozen=True, kw_only=True):
    """The comment on a thread, with its newest jobs, the newest first; `reply` answers the last question."""

    thread_kind: str
    thread_number: int
    jobs: tuple[JobReport, ...] = ()
    denial: DenialReport | None = None
    hint: HintReport | None = None
    reply: Reply | None = None


class StatusContent(Struct, frozen=True, kw_only=True):
    """The status of a commit, or the check run of a GitHub App; `context` is its name."""

    sha: str
    context: str
    job: str
    state: Status
    error: str | None = None
    branch: str | None = None


class ChangeContent(Struct, frozen=True, kw_only=True):
    """A change to open for the branch of a job; `closes` is the issue that its merge closes."""

    job: JobReport
    head: str
    base: str
    draft: bool
    about: int | None = None
    closes: bool = False


Content: TypeAlias = ReactionContent | CommentContent | StatusContent | ChangeContent

_CONTENTS: dict[str, type[Content]] = {
    "reaction": ReactionContent,
    "comment": CommentContent,
    "status": StatusContent,
    "check": StatusContent,
    "change": ChangeContent,
}


def encode_content(content: Content) -> str:
    """Return the JSON of a content, the same for equal contents."""
    return msgspec.json.encode(content).decode()


def decode_content(kind: str, text: str) -> Content:
    """Return the content of an answer of a kind; raises msgspec.ValidationError for that of another version."""
    content: Content = msgspec.json.decode(text, type=_CONTENTS[kind])
    return content
