"""Draws attention to jobs that fail or begin to wait while nobody looks: by a desktop notice, by the bell, or not."""

import os
from collections.abc import Callable, Iterable

from textual.app import App

from shared.models import JobEvent
from tui.client.preferences import AlertSettings, load_alerts, save_alerts
from tui.screens.session import Session
from tui.text.alerts import ALERTED, alert_text, desktop_notice

PAUSE_SECONDS = 2.0  # between two notices: what happens meanwhile is told in one
_BELL = "\a"


class Alerts:
    """Alerts of one app; `write` writes to its terminal."""

    def __init__(self, app: App[None], session: Session, write: Callable[[str], None]) -> None:
        self._app = app
        self._session = session
        self._write = write
        self.settings = load_alerts(session.config)
        self._pending: list[JobEvent] = []
        self._pausing = False

    def tell(self, events: Iterable[JobEvent]) -> None:
        """Alert to those of some new events that need it, now or after the pause."""
        self._pending += [event for event in events if event.type in ALERTED and event.job_id]
        if self._pending and not self._pausing:
            self._tell_pending()

    def select(self, settings: AlertSettings) -> None:
        """Alert in another way from now on, also after the next start."""
        self.settings = settings
        try:
            save_alerts(self._session.config, settings)
        except OSError as error:
            self._session.notify(f"the alerts cannot be saved: {error}", error=True)

    def _tell_pending(self) -> None:
        self._pausing = bool(self._pending)
        if not self._pending:
            return
        text, self._pending = alert_text(self._pending), []
        if self.settings.notices:
            self._write(desktop_notice(text, os.environ))
        if self.settings.bell:
            self._write(_BELL)
        self._app.set_timer(PAUSE_SECONDS, self._tell_pending)
