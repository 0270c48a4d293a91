"""Screens whose data is requested again when it may have changed."""

import asyncio
from time import monotonic
from typing import ClassVar

from textual import work

from tui.client.http import DaemonUnreachable
from tui.screens.base import BaseScreen
from tui.screens.session import DAEMON_ERRORS, Session


class RefreshingScreen(BaseScreen):
    """Requests its data by one request at a time, again whenever it is stale, and once the daemon is back."""

    REPEAT_SECONDS: ClassVar[float] = 0.0  # between the starts of two requests

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._stale = True
        self._loading = False
        self._requested_at = 0.0

    async def load(self, *, stale: bool) -> None:
        """Request and show the data once; unless it is `stale`, only what is missing. Raises DAEMON_ERRORS."""
        raise NotImplementedError

    @property
    def is_incomplete(self) -> bool:
        """Whether data is missing that is not stale."""
        return False

    def load_failed(self, error: Exception) -> None:
        """Show that the data cannot be requested."""
        self.show_error(error)

    def refresh_data(self) -> None:
        """Request the data again."""
        self._stale = True
        self.load_missing()

    def load_missing(self) -> None:
        """Request what is stale or missing, unless that is being done."""
        if (self._stale or self.is_incomplete) and not self._loading and self.session.connection.live:
            self._loading = True
            self._load()

    def show_session(self) -> None:
        """Request what is missing once the daemon is back."""
        super().show_session()
        self.load_missing()

    @work(group="data")
    async def _load(self) -> None:
        try:
            while self._stale or self.is_incomplete:
                await asyncio.sleep(self._requested_at + self.REPEAT_SECONDS - monotonic())
                stale, self._stale, self._requested_at = self._stale, False, monotonic()
                await self.load(stale=stale)
        except DaemonUnreachable:
            self._stale = True  # requested again once the daemon is back
        except DAEMON_ERRORS as error:
            self.load_failed(error)
        finally:
            self._loading = False
