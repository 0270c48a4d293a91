"""A stateful forge: one aiohttp application with repositories, a log of all requests, and faults on demand."""

import asyncio
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from urllib.parse import urlencode

from aiohttp import web
from aiohttp.test_utils import TestServer

START = datetime(2026, 11, 22, 14, 0, tzinfo=UTC)


@dataclass
class FakeAccount:
    id: int
    login: str


@dataclass
class FakeComment:
    id: int
    author: FakeAccount
    body: str
    created: datetime
    updated: datetime
    reactions: set[tuple[int, str]] = field(default_factory=set)
    system: bool = False
    internal: bool = False
    type: str | None = None  # at GitLab, of a note in a discussion


@dataclass
class FakeReview:
    """A review of a change at GitHub, with its comments on lines; it is visible once it is submitted."""

    id: int
    author: FakeAccount
    body: str
    submitted: datetime | None
    state: str = "COMMENTED"
    comments: list[FakeComment] = field(default_factory=list)


@dataclass
class FakeThread:
    number: int
    kind: str
    author: FakeAccount
    title: str = "Pagination drops the last row"
    body: str = ""
    locked: bool = False
    is_open: bool = True
    merged: bool = False
    deleted: bool = False
    draft: bool = False
    confidential: bool = False
    moved_to: int | None = None
    moved_number: int | None = None  # the same one by default
    head: str = "feature"
    base: str = "main"
    head_sha: str = "a" * 40
    source_repository: int | None = 0  # 0: the same; None: the fork was deleted
    created: datetime = START
    updated: datetime = START
    comments: list[FakeComment] = field(default_factory=list)
    reviews: list[FakeReview] = field(default_factory=list)
    reactions: set[tuple[int, str]] = field(default_factory=set)


@dataclass
class FakeEvent:
    """An event of a thread: assigned, labeled, review_requested, reopened, closed."""

    id: int
    event: str
    number: int
    actor: FakeAccount
    at: datetime
    whom: FakeAccount | None = None
    label: str | None = None


@dataclass
class FakeRepository:
    id: int
    name: str
    levels: dict[int, str] = field(default_factory=dict)  # by account: read, write, admin
    threads: dict[int, FakeThread] = field(default_factory=dict)
    statuses: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    checks: dict[int, dict[str, Any]] = field(default_factory=dict)
    hooks: list[dict[str, Any]] = field(default_factory=list)
    events: list[FakeEvent] = field(default_factory=list)
    deleted_branches: set[str] = field(default_factory=set)
    archived: bool = False


@dataclass
class Sent:
    """One request, as the forge received it."""

    method: str
    path: str  # as it was sent, percent-encoded, without the base of the API
    query: dict[str, str]
    token: str | None
    body: Any
    etag: str | None = None  # of a conditional request
    status: int = 0

    @property
    def query_text(self) -> str:
        """The query as it follows a path; redirects keep it."""
        return f"?{urlencode(self.query)}" if self.query else ""


@dataclass
class Answer:
    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


Fault: TypeAlias = Answer | bytes | float  # bytes: sent as they are, then closed; float: seconds of silence
Handler: TypeAlias = Callable[..., Answer]


class Refused(Exception):
    def __init__(self, status: int, message: object = "") -> None:
        self.answer = Answer(status, {"message": message})


class FakeForge(ABC):
    """The state of a forge and its API. `violations` has whatever its description does not allow."""

    base = ""  # the path of the API

    def __init__(self) -> None:
        self.bot = FakeAccount(1, "mosaic")
        self.accounts = {1: self.bot, 2: FakeAccount(2, "octocat"), 3: FakeAccount(3, "drive-by")}
        self.tokens = {"good-token": self.bot}
        self.repositories = {7: FakeRepository(7, "octo-org/api", {1: "admin", 2: "write"})}
        self.renamed: dict[str, int] = {}
        self.log: list[Sent] = []
        self.violations: list[str] = []
        self.faults: list[Fault] = []
        self.git: Callable[[web.Request], Awaitable[web.StreamResponse]] | None = None  # answers for the repositories
        self.redirects: list[int] = []  # the statuses of the next redirects, instead of the usual ones
        self.url = ""
        self.headers: dict[str, str] = {}  # of all answers
        self._ids = iter(range(991, 10_000))
        self._times = iter(START + timedelta(seconds=second) for second in range(10_000))
        repository = self.repositories[7]
        repository.threads[479] = FakeThread(479, "issue", self.accounts[2])
        repository.threads[480] = FakeThread(480, "change", self.accounts[2])

    @property
    def repository(self) -> FakeRepository:
        return self.repositories[7]

    @property
    def api(self) -> str:
        return self.url + self.base

    def thread(self, number: int = 479) -> FakeThread:
        return self.repository.threads[number]

    def now(self) -> datetime:
        return next(self._times)

    def next_id(self) -> int:
        return next(self._ids)

    def sent(self) -> list[str]:
        """Return the log as `METHOD path status`."""
        return [f"{each.method} {each.path} {each.status}" for each in self.log]

    def add_comment(self, thread: FakeThread, author: FakeAccount, body: str) -> FakeComment:
        now = self.now()
        comment = FakeComment(self.next_id(), author, body, now, now)
        thread.comments.append(comment)
        return comment

    def add_event(
        self, event: str, number: int, actor: FakeAccount, whom: FakeAccount | None = None, label: str | None = None
    ) -> FakeEvent:
        added = FakeEvent(self.next_id(), event, number, actor, self.now(), whom, label)
        self.repository.events.append(added)
        return added

    def find_comment(self, repository: FakeRepository, id_: int) -> tuple[FakeThread, FakeComment]:
        for thread in repository.threads.values():
            for comment in thread.comments:
                if comment.id == id_:
                    return thread, comment
        raise Refused(404, "Not Found")

    @abstractmethod
    def answer(self, sent: Sent) -> Answer:
        """Return the answer to an authenticated request, or raise Refused."""

    @abstractmethod
    def check(self, sent: Sent, answer: Answer | None) -> Iterator[str]:
        """Yield what of a request, and of an answer of ours, the description of the API does not allow."""

    async def running(self) -> TestServer:
        app = web.Application(client_max_size=2**26)  # packs of git
        app.router.add_route("*", "/{tail:.*}", self._handle)
        server = TestServer(app)
        await server.start_server()
        self.url = str(server.make_url("")).rstrip("/")
        return server

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if self.git is not None and ".git/" in request.path:
            return await self.git(request)
        raw = await request.read()
        path = request.rel_url.raw_path
        _, _, token = request.headers.get("Authorization", "").partition(" ")
        sent = Sent(
            request.method,
            path.removeprefix(self.base),
            dict(request.query),
            token or None,
            json.loads(raw) if raw else None,
            request.headers.get("If-None-Match"),
        )
        self.log.append(sent)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            self.violations += self.check(sent, None)
            return await self._fail(request, sent, fault)
        answer = self.answered(sent)
        sent.status = answer.status
        self.violations += self.check(sent, answer)
        content = b"" if answer.content is None else json.dumps(answer.content).encode()
        return web.Response(
            status=answer.status,
            body=content,
            headers={**self.headers, **answer.headers},
            content_type="application/json",
        )

    def answered(self, sent: Sent) -> Answer:
        """Return the answer to any request."""
        if sent.token is not None and not self.accepts(sent.token):
            return Answer(401, {"message": "Bad credentials"})
        try:
            return self.answer(sent)
        except Refused as refused:
            return refused.answer

    def accepts(self, token: str) -> bool:
        return token in self.tokens

    async def _fail(self, request: web.Request, sent: Sent, fault: Fault) -> web.StreamResponse:
        if isinstance(fault, float):
            await asyncio.sleep(fault)
            return web.Response()
        if isinstance(fault, bytes):
            assert request.transport is not None
            request.transport.write(fault)
            request.transport.close()
            return web.Response()
        sent.status = fault.status
        body = fault.content if isinstance(fault.content, bytes) else json.dumps(fault.content).encode()
        return web.Response(status=fault.status, body=body, headers=fault.headers)


def time_text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def dispatch(routes: Mapping[str, Handler], sent: Sent, path: str, *arguments: Any) -> Answer:
    """Call the handler of `METHOD /path/{name}`, with the parts in braces after the arguments, as numbers or text."""
    for route, handler in routes.items():
        pattern = re.sub(r"\\\{[^}]*\\\}", "([^/]+)", re.escape(route))
        if found := re.fullmatch(pattern, f"{sent.method} {path}"):
            parts = [int(part) if part.isdecimal() and len(part) < 20 else part for part in found.groups()]
            return handler(*arguments, *parts)
    raise Refused(404, "404 page not found")
