"""Masks configured secret values in the output of agents, gates and git, before it is stored or shown."""

import re
from collections.abc import Iterable
from typing import Any

REDACTION_MASK = b"[secret]"


class Redaction:
    """The secret values to mask in the output of every job."""

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._secrets = sorted(set(secrets), key=len, reverse=True)
        self._pattern = re.compile(b"|".join(re.escape(secret) for secret in self._secrets)) if self._secrets else None

    def mask(self, data: bytes) -> bytes:
        """Return the data with every secret masked."""
        return data if self._pattern is None else self._pattern.sub(REDACTION_MASK, data)

    def mask_text(self, text: str) -> str:
        """Return the text with every secret masked, and with `?` for what UTF-8 cannot encode."""
        return self.mask(text.encode("utf-8", "replace")).decode("utf-8", "replace")

    def mask_payload(self, value: Any) -> Any:
        """Return JSON data with every secret in its strings masked."""
        match value:
            case str():
                return self.mask_text(value)
            case dict():
                return {self.mask_text(key): self.mask_payload(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self.mask_payload(inner) for inner in value]
        return value

    def mask_complete(self, data: bytes) -> tuple[bytes, bytes]:
        """Return (masked data that no later bytes can change, the held-back rest).

        However output is cut into pieces, the masked pieces together equal the whole output masked.
        """
        if self._pattern is None:
            return data, b""
        end = len(data) - self._possible_prefix(data)
        masked, position = [], 0
        for found in self._pattern.finditer(data):
            if found.start() >= end:  # it may be the beginning of a longer secret
                break
            masked += [data[position : found.start()], REDACTION_MASK]
            position = found.end()
        end = max(end, position)
        return b"".join([*masked, data[position:end]]), data[end:]

    def _possible_prefix(self, data: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret."""
        longest = min(len(data), len(self._secrets[0]) - 1) if self._secrets else 0
        for length in range(longest, 0, -1):
            end = data[-length:]
            if any(secret.startswith(end) for secret in self._secrets):
                return length
        return 0


class RedactedStream:
    """One stream of output, masked as it arrives, also where a secret is cut in two."""

    def __init__(self, redaction: Redaction) -> None:
        self._redaction = redaction
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Add a piece of output and return what can be shown now."""
        masked, self._rest = self._redaction.mask_complete(self._rest + data)
        return masked

    def end(self) -> bytes:
        """Return the held-back rest."""
        rest, self._rest = self._rest, b""
        return self._redaction.mask(rest)
