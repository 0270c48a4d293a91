"""Takes configured secret values out of what agents, gates and git print, before it is stored or shown."""

import re
from collections.abc import Iterable

MASK = b"[secret]"


class Redaction:
    """The secret values that must not be seen, in any output of any job."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(re.escape(secret) for secret in self._secrets)) if self._secrets else None

    def clean(self, data: bytes) -> bytes:
        """Return the data with every secret masked."""
        return data if self._pattern is None else self._pattern.sub(MASK, data)

    def text(self, text: str) -> str:
        """Return the text with every secret masked."""
        return self.clean(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def held(self, data: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret, and must wait for what follows."""
        longest = min(len(data), len(self._secrets[0]) - 1) if self._secrets else 0
        for length in range(longest, 0, -1):
            end = data[-length:]
            if any(secret.startswith(end) for secret in self._secrets):
                return length
        return 0


class RedactedStream:
    """One stream of output, cleaned as it comes, also where a secret lies across two pieces."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Take a piece and return what can be shown now."""
        data = self._redaction.clean(self._rest + data)
        held = self._redaction.held(data)
        self._rest = data[len(data) - held :]
        return data[: len(data) - held]

    def end(self) -> bytes:
        """Return what was held back."""
        rest, self._rest = self._rest, b""
        return rest
