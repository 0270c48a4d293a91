"""The table [[notify]]: events, and a command or a URL that is told of them."""

import fnmatch
import re
import shutil
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from shared.signing_keys import signing_key
from stitcherd.config import types
from stitcherd.config.errors import invalid_value, missing_key, require_listed, unknown_name
from stitcherd.config.secrets import Secret

FREQUENT_EVENTS = ("step.output", "step.progress", "ai.tool_called", "ai.tokens_used")  # many a second
NOTIFIED_EVENTS = (
    *(f"job.{each}" for each in ("created", "queued", "started", "completed", "failed", "cancelled", "retried")),
    *(f"job.{each}" for each in ("waiting", "approved", "denied", "recovered")),
    *(f"step.{each}" for each in ("started", "completed", "failed", "skipped")),
    *("gate.started", "gate.passed", "gate.failed", "ai.tool_denied", "ai.artifact_created"),
    *("rails.reloaded", "rails.rejected", "delivery.received", "delivery.decided"),
    *("answer.sent", "answer.failed", "source.held", "source.resumed", "account.accepted"),
    *("daemon.joined", "daemon.gone"),
)
PLACEHOLDERS = ("summary", "type", "event", "time", "workspace", "job", "repository", "url", "source")
PLACEHOLDER = re.compile(r"\{(\w*)\}")  # other braces, such as those of JSON, are text


def _event(value: str) -> str:
    if value in FREQUENT_EVENTS:
        raise ValueError(f"of {value} there may be many a second: nobody can be told of each")
    if "*" in value:
        matching = fnmatch.filter(NOTIFIED_EVENTS, value)
        raise ValueError("takes no patterns: write each event by its name" + (f", {matching[0]} …" if matching else ""))
    return require_listed(value, NOTIFIED_EVENTS)


def _not_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise ValueError("must not be empty")
    return value


def _command(value: tuple[str, ...]) -> tuple[str, ...]:
    if ("/" in value[0] and not value[0].startswith("/")) or PLACEHOLDER.search(value[0]):
        raise invalid_value("must be the name of a program on PATH, or an absolute path", (0,))
    for index, word in enumerate(value):
        for name in PLACEHOLDER.findall(word):
            if name not in PLACEHOLDERS:
                raise invalid_value(unknown_name("placeholder", name, PLACEHOLDERS), (index,))
    return value


def _hook_url(value: str) -> str:
    return types.https_url(value, "what is told")


def _signing_secret(value: bytes) -> bytes:
    if not signing_key(value):
        raise invalid_value("whsec_ must be followed by the key in base64")
    return value


NotifiedEvent = Annotated[types.Text, AfterValidator(_event)]
NotifyCommand = Annotated[types.Argv, AfterValidator(_command)]
HookUrl = Annotated[types.Text, AfterValidator(_hook_url), WithJsonSchema(types.written_as("uri"))]
SigningSecret = Annotated[Secret, AfterValidator(_signing_secret)]


class NotifySettings(types.Table):
    """`[[notify]]`: events that a command or a URL is told."""

    on: Annotated[tuple[NotifiedEvent, ...], AfterValidator(_not_empty)] = Field(
        description="which events, each type written whole"
    )
    run: NotifyCommand | None = Field(
        None, description="a program with its arguments, without a shell, and with the placeholders of an event"
    )
    url: HookUrl | None = Field(None, description="instead of run: where a Standard Webhook is sent to, by https")
    secret: SigningSecret | None = Field(
        None, repr=False, description="what the webhook is signed with, required with url"
    )
    workspace: types.SingleWord | None = Field(
        None, description="only events of this workspace, and those that belong to none; without it, all"
    )

    @model_validator(mode="after")
    def _require_one_target(self) -> Self:
        if self.run is not None and self.url is not None:
            raise invalid_value("run and url exclude each other: write one of them", ("url",))
        if self.run is None and self.url is None:
            raise invalid_value("needs run or url")
        if self.url is not None and self.secret is None:
            raise missing_key("secret")
        if self.run is not None and self.secret is not None:
            raise invalid_value("run has no secret: what is sent to a url is signed with it", ("secret",))
        return self

    @property
    def missing_program(self) -> str | None:
        """The program of the command, if there is none of that name on PATH, or at that path."""
        return self.run[0] if self.run and shutil.which(self.run[0]) is None else None

    @property
    def label(self) -> str:
        """What it is called: the name of the program, or the host, since the rest of a URL may be a secret."""
        return Path(self.run[0]).name if self.run else urlsplit(self.url or "").hostname or ""
