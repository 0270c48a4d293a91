"""What API functions return: documents that are decoded on demand, and texts of any size."""

from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Generic, TypeVar

from msgspec import Raw

from tui.client.http import DaemonClient, DaemonUnreachable, Query, decode

T = TypeVar("T")

DOWNLOAD_TIMEOUT = 60.0  # seconds without a byte
CHUNK_BYTES = 256 * 1024


class Reply(Generic[T]):
    """A response as received (`raw`, with fields that this client does not know) and decoded (`value`)."""

    def __init__(self, raw: bytes, type_: type[T]) -> None:
        self.raw = raw
        self._type = type_

    @property
    def value(self) -> T:
        """Decode the response; raises InvalidResponse."""
        return decode(self.raw, self._type)

    def field(self, name: str) -> bytes:
        """Return one field of a JSON object as received, or null; raises InvalidResponse."""
        return bytes(decode(self.raw, dict[str, Raw]).get(name, b"null"))


class RemoteText:
    """A text of the daemon of any size: read whole, by ranges, by chunks or by lines."""

    def __init__(self, client: DaemonClient, path: str, query: Query = ()) -> None:
        self._client = client
        self._path = path
        self._query = tuple(query)

    def read(self) -> bytes:
        """Return the whole text."""
        return self._client.get(self._path, self._query)

    def read_range(self, span: str) -> tuple[bytes, int]:
        """Return the bytes of an HTTP range, `0-99` or `-100`, and the size of the whole text."""
        return self._client.get_range(self._path, self._query, span)

    def chunks(self) -> Iterator[bytes]:
        """Yield the text in chunks of up to CHUNK_BYTES."""
        with self._client.open(self._path, self._query, DOWNLOAD_TIMEOUT) as response:
            while chunk := self._read(response):
                yield chunk

    def _read(self, response: HTTPResponse) -> bytes:
        try:
            return response.read(CHUNK_BYTES)
        except (OSError, HTTPException) as error:
            raise DaemonUnreachable(self._client.path, f"it ended the response early: {error}") from error

    def lines(self) -> Iterator[bytes]:
        """Yield the text line by line, without line ends."""
        rest = b""
        for chunk in self.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
        if rest:
            yield rest
