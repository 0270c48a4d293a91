"""Connects the daemon's side of a forge to a fake of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from stitcherd.forges import FORGES
from stitcherd.forges.api import ForgeApi
from stitcherd.forges.client import DEADLINE, ForgeClient
from stitcherd.forges.credentials import Credentials, FixedToken
from stitcherd.forges.outcome import Done, Outcome
from stitcherd.forges.rate_limit import WRITE_INTERVAL
from tests.forges.fake import START, FakeForge
from tests.forges.fake_gitea import FakeGitea
from tests.forges.fake_github import FakeGitHub
from tests.forges.fake_gitlab import FakeGitLab

FAKES: dict[str, type[FakeForge]] = {"gitea": FakeGitea, "github": FakeGitHub, "gitlab": FakeGitLab}
TOKEN = "good-token"
Value = TypeVar("Value")


class Clock:
    """A clock that moves on by the pace of writes whenever it is read, so that no test waits for it."""

    def __init__(self) -> None:
        self.now = int(START.timestamp() * 1000)

    def __call__(self) -> int:
        self.now += WRITE_INTERVAL
        return self.now


@asynccontextmanager
async def serving(fake: FakeForge) -> AsyncIterator[None]:
    """Serve a fake; at the end it must have seen and said only what its API allows."""
    server = await fake.running()
    try:
        yield
    finally:
        await server.close()
    assert not fake.violations, fake.violations


@asynccontextmanager
async def connected(
    fake: FakeForge,
    kind: str,
    *,
    deadline: float = DEADLINE,
    credentials: Callable[[ForgeClient], Credentials] | None = None,
    now: Callable[[], int] | None = None,
) -> AsyncIterator[ForgeApi]:
    """Serve a fake and yield the daemon's connection to it, by default with a valid token."""
    async with serving(fake), ForgeClient(FORGES[kind], fake.api, deadline=deadline) as client:
        given = credentials(client) if credentials else FixedToken(client.forge, TOKEN)
        yield ForgeApi(client, given, now or Clock())


def value_of(outcome: Outcome[Value]) -> Value:
    assert isinstance(outcome, Done), outcome
    return outcome.value
