"""Takes configured secret values out of what agents, gates and git print, before it is stored or shown."""

import re
from collections.abc import Iterable
from typing import Any

REDACTION_MASK = b"[secret]"


class Redaction:
    """The secret values that must not be seen, in any output of any job."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(re.escape(secret) for secret in self._secrets)) if self._secrets else None

    def clean(self, data: bytes) -> bytes:
        """Return the data with every secret masked."""
        return data if self._pattern is None else self._pattern.sub(REDACTION_MASK, data)

    def text(self, text: str) -> str:
        """Return the text with every secret masked, and with `?` for what UTF-8 cannot say."""
        return self.clean(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def payload(self, value: Any) -> Any:
        """Return JSON with every secret in its texts masked."""
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): self.payload(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self.payload(inner) for inner in value]
        return value

    def settle(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what of the data is sure whatever follows, masked, and the rest, which must wait.

        However a text is cut into pieces, the pieces come out as the whole text would.
        """
        if self._pattern is None:
            return data, b""
        end = len(data) - self._held(data)
        shown, position = [], 0
        for found in self._pattern.finditer(data):
            if found.start() >= end:  # it may be the beginning of a longer secret
                break
            shown += [data[position : found.start()], REDACTION_MASK]
            position = found.end()
        end = max(end, position)
        return b"".join([*shown, data[position:end]]), data[end:]

    def _held(self, data: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret."""
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
        shown, self._rest = self._redaction.settle(self._rest + data)
        return shown

    def end(self) -> bytes:
        """Return what was held back."""
        rest, self._rest = self._rest, b""
        return self._redaction.clean(rest)
