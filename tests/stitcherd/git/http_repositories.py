"""Repositories over HTTP: `git http-backend` behind Basic authentication, with redirects and outages on demand."""

import asyncio
import base64
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from aiohttp import web


class ReceivedRequest(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    authorization: str | None


class GitServer:
    """The repositories below `root`, for one account; `requests` has all requests so far, in order."""

    def __init__(self, root: Path, username: str, password: str) -> None:
        self.requests: list[ReceivedRequest] = []
        self.redirect: str | None = None  # the origin that is named in every answer
        self.down = False
        self.forbidden: str | None = None  # a service that is answered 403
        self.origin = ""
        self._root = root
        self._expected = f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"

    def url(self, name: str) -> str:
        """Return the URL of a repository."""
        return f"{self.origin}/{name}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request of git."""
        authorization = request.headers.get("Authorization")
        self.requests.append(ReceivedRequest(request.method, request.path_qs, authorization))
        if self.down:
            return web.Response(status=502, text="<html>bad gateway</html>")
        if self.redirect:
            return web.Response(status=302, headers={"Location": self.redirect + request.path_qs})
        if authorization != self._expected:
            return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        if self.forbidden and self.forbidden in request.path_qs:
            return web.Response(status=403)
        return await self._run_backend(request)

    async def _run_backend(self, request: web.Request) -> web.Response:
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query_string,
            "REQUEST_METHOD": request.method,
            "CONTENT_TYPE": request.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "account",
        }
        body = await request.read()
        backend = await asyncio.create_subprocess_exec(
            "git", "http-backend", env=environment, stdin=-1, stdout=-1, start_new_session=True
        )
        try:
            output, _ = await backend.communicate(body)
        finally:
            with suppress(ProcessLookupError):  # a hook may still run
                os.killpg(backend.pid, signal.SIGKILL)
            await backend.communicate()  # to the end of its pipes
        head, _, body = output.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        status = int(headers.pop("Status", "200").split()[0])
        return web.Response(status=status, headers=headers, body=body)


@asynccontextmanager
async def serve_repositories(
    root: Path, username: str = "bot", password: str = "a-password"
) -> AsyncIterator[GitServer]:
    """Serve the repositories below a directory on a port of the loopback address."""
    server = GitServer(root, username, password)
    app = web.Application(client_max_size=2**26)
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()
