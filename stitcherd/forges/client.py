"""Sends requests to one forge: with a deadline, a limit of the response's size, and redirects only where they are safe.

Proxies of the environment are not used: aiohttp would take credentials from ~/.netrc with them, and everything that
is sent belongs to exactly one origin.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote

import aiohttp
import msgspec
from yarl import URL

from shared import VERSION
from stitcherd.forges.base import Forge, Request, RequestFailed, Response, UnexpectedResponse

DEADLINE = 10.0  # seconds for a request with all its redirects
RESPONSE_MAX = 2 * 2**20  # bytes
_REDIRECTS_MAX = 3
_MOVED = frozenset({301, 302})  # a client may send a GET instead of what it sent
_SAME_METHOD = frozenset({307, 308})
_TEXT_MAX = 4096  # characters of an error that are kept


class ForgeClient:
    """The connections to the API of one forge; `api` is its URL, and `deadline` is in seconds.

    `on_response` is called with each response that is not a redirect.
    """

    def __init__(
        self,
        forge: Forge,
        api: str,
        *,
        deadline: float = DEADLINE,
        on_response: Callable[[Response], None] | None = None,
    ) -> None:
        self.forge = forge
        self._on_response = on_response
        self._api = URL(api.rstrip("/"))
        self._deadline = deadline
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None),  # one deadline for everything, below
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": f"stitcherd/{VERSION}", **forge.headers},
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Close its connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def send(self, request: Request, token: str | None) -> Response:
        """Send a request and return its response, whatever its status.

        A write that is answered 301 or 302 is sent again to the present name of its repository; the response to the
        question for that name is returned if there is none. After one that was redirected and accepted, the response
        has the present name if the forge tells it. Raises RequestFailed, and InvalidReference if the
        repository has no name that can be asked for.
        """
        try:
            async with asyncio.timeout(self._deadline):
                return await self._send(request, token)
        except TimeoutError:
            detail = f"{self._api.host} did not answer within {self._deadline:g} s"
            raise RequestFailed("unreachable", detail, uncertain=True) from None
        except (aiohttp.ClientConnectorCertificateError, ssl.SSLCertVerificationError) as error:
            raise RequestFailed("certificate", f"{self._api.host} has no valid certificate: {_words(error)}") from None
        except (aiohttp.ClientError, OSError) as error:
            detail = f"{self._api.host} cannot be reached: {_words(error)}"
            connected = not isinstance(error, aiohttp.ClientConnectorError)
            raise RequestFailed("unreachable", detail, uncertain=connected) from None

    async def _send(self, request: Request, token: str | None) -> Response:
        response = await self._follow(request, self._url_of(request), token)
        if response.redirected and request.writes and response.status < 300:
            return await self._with_present_name(request, response, token)
        if response.status not in _MOVED or not request.writes:
            return response
        if request.repository is None or request.absolute:
            raise RequestFailed("redirected", f"{self._api.host} redirects {request.method} {request.path}")
        call = self.forge.get_repository(request.repository)
        found = await self._follow(call.request, self._url_of(call.request), token)
        if found.status not in call.expected:
            return found
        try:
            repository = call.read(found)
        except UnexpectedResponse:
            detail = f"{self._api.host} redirects {request.repository.name}, but not to a repository"
            raise RequestFailed("redirected", detail) from None
        request = msgspec.structs.replace(request, repository=repository.ref)
        response = await self._follow(request, self._url_of(request), token)
        if response.status in _MOVED:
            raise RequestFailed("redirected", f"{self._api.host} redirects also {repository.name}")
        return msgspec.structs.replace(response, repository=repository)

    async def _with_present_name(self, request: Request, response: Response, token: str | None) -> Response:
        """Return a response with the repository that the request has reached, if the forge tells that."""
        if request.repository is None or request.absolute:
            return response
        call = self.forge.get_repository(request.repository)
        with suppress(RequestFailed, UnexpectedResponse, aiohttp.ClientError, OSError):
            found = await self._follow(call.request, self._url_of(call.request), token)
            if found.status in call.expected:
                return msgspec.structs.replace(response, repository=call.read(found))
        return response

    def _url_of(self, request: Request) -> URL:
        repository = None if request.absolute else request.repository
        prefix = "" if repository is None else self.forge.repository_path(repository)
        return URL(f"{str(self._api).rstrip('/')}{prefix}{request.path}", encoded=True).update_query(request.query)

    async def _follow(self, request: Request, url: URL, token: str | None) -> Response:
        """Send a request to a URL of the forge and follow redirects that keep the method; return any other response."""
        body = None if request.body is None else msgspec.json.encode(request.body)
        headers = dict(request.headers)
        if token is not None:
            headers["Authorization"] = self.forge.authorization(token)
        if body is not None:
            headers["Content-Type"] = "application/json"
        allowed = 1 if request.writes else _REDIRECTS_MAX
        for redirects in range(allowed + 1):
            async with self._session.request(
                request.method, url, data=body, headers=headers, allow_redirects=False
            ) as response:
                followed = _SAME_METHOD if request.writes else _SAME_METHOD | _MOVED
                if response.status not in followed:
                    complete = msgspec.structs.replace(await _read(response), redirected=redirects > 0)
                    if self._on_response is not None:
                        self._on_response(complete)
                    return complete
                url = self._redirect(url, response.headers.get("Location", ""))
        raise RequestFailed("redirected", f"{self._api.host} redirects more than {allowed} times")

    def _redirect(self, url: URL, location: str) -> URL:
        """Return where a redirect leads, if that is the same API."""
        target = None
        with suppress(ValueError):
            target = url.join(URL(location))
        if target is None or not location or not self._is_ours(target):
            shown = "elsewhere" if target is None or target.host is None else f"to {target.origin()}"
            raise RequestFailed("redirected", f"{self._api.host} redirects {shown}: not followed")
        return target.with_fragment(None)

    def _is_ours(self, url: URL) -> bool:
        if url.host is None or url.user is not None or url.password is not None:
            return False
        inside = url.raw_path.startswith(f"{self._api.raw_path.rstrip('/')}/")
        climbs = not {".", ".."}.isdisjoint(unquote(url.raw_path).split("/"))  # some servers decode before they route
        return url.origin() == self._api.origin() and inside and not climbs


async def _read(response: aiohttp.ClientResponse) -> Response:
    """Read a response to its end, or to the limit of its size."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > RESPONSE_MAX:
            detail = f"{response.host} answered with more than {RESPONSE_MAX} bytes"
            raise RequestFailed("invalid", detail, uncertain=True)
    succeeded = 200 <= response.status < 300
    content = _decode(bytes(body), response, lenient=not succeeded)
    text = "" if succeeded else bytes(body[: 4 * _TEXT_MAX]).decode("utf-8", "replace")[:_TEXT_MAX]
    return Response(response.status, response.headers, content, text)


def _decode(body: bytes, response: aiohttp.ClientResponse, *, lenient: bool) -> Any:
    """Return the JSON of a response, None for an empty one; only a success has to be JSON."""
    if not body:
        return None
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if lenient:
            return None
        shown = response.headers.get("Content-Type", "no content type")[:40]
        detail = f"{response.host} answered {response.status} without JSON ({shown})"
        raise RequestFailed("invalid", detail, uncertain=True) from None


def _words(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
