"""Counts and logs webhooks with a wrong signature, in one line a minute for each source: there can be many."""

import logging

LOG_INTERVAL_MS = 60_000

log = logging.getLogger(__name__)


class RefusedSignatures:
    """Counts refused webhooks of each source since the daemon's start, in `counts`."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}
        self._logged_at: dict[str, int] = {}

    def note(self, source: str, reason: str, now: int) -> None:
        """Count a webhook that was refused at a time (ms), and log it unless that was done within the last minute."""
        self.counts[source] = self.counts.get(source, 0) + 1
        if now - self._logged_at.get(source, 0) >= LOG_INTERVAL_MS:
            self._logged_at[source] = now
            total = self.counts[source]
            log.warning(
                "source %s: %s: %d webhooks refused since the start; compare the secrets", source, reason, total
            )
