"""Decides who is told of events: one notification for each event and target of [[notify]]."""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from shared.ids import now_ms
from stitcherd.config.notify import NotifySettings
from stitcherd.reporting.notices import Notice, notice_of
from stitcherd.reporting.planner import logged
from stitcherd.store import reports
from stitcherd.store.answers import DesiredAnswer
from stitcherd.store.events import FollowedEvent
from stitcherd.store.reports import StoredReport
from stitcherd.store.store import Store

KIND = "notification"
AGE_MAX = 86_400_000  # milliseconds since an event, after which it is no news
_NOWHERE = "default"  # the workspace of a notification about no workspace, to a target of none


class NotificationPlanner:
    """Plans the notifications for targets, by their names."""

    def __init__(self, store: Store, targets: Mapping[str, NotifySettings], now: Callable[[], int] = now_ms) -> None:
        self._store = store
        self._targets = targets
        self._now = now
        self.followed = frozenset(type_ for target in targets.values() for type_ in target.on)

    async def plan(self, events: Sequence[FollowedEvent]) -> list[DesiredAnswer]:
        """Return the notifications that some events cause."""
        oldest = self._now() - AGE_MAX
        news = [event for event in events if event.at >= oldest and not _is_about_notification(event)]
        found = await self._read([event.job for event in news if event.job])
        wanted: list[DesiredAnswer] = []
        for event in news:
            with logged(f"event {event.id}"):
                about = found.get(event.job or "")
                notice = notice_of(event, about.job, about.source) if about else notice_of(event, None)
                wanted += [
                    _notification(name, target, notice)
                    for name, target in self._targets.items()
                    if event.type in target.on and _is_of_interest(notice, target)
                ]
        return wanted

    async def _read(self, job_ids: Sequence[str]) -> dict[str, StoredReport]:
        if not job_ids:
            return {}
        async with self._store.reading() as db:
            return {found.job.id: found for found in await reports.read_reports(db, dict.fromkeys(job_ids))}


def _is_about_notification(event: FollowedEvent) -> bool:
    """Say whether an event tells what became of a notification, which would be told without end."""
    return event.type.startswith("answer.") and msgspec.json.decode(event.payload).get("kind") == KIND


def _is_of_interest(notice: Notice, target: NotifySettings) -> bool:
    """Say whether a notice belongs to the workspace of a target; one without a workspace belongs to all."""
    return target.workspace is None or notice.workspace in {None, target.workspace}


def _notification(name: str, target: NotifySettings, notice: Notice) -> DesiredAnswer:
    return DesiredAnswer(
        source=name,
        workspace=notice.workspace or target.workspace or _NOWHERE,
        repository=notice.repository or "",
        slot=f"{KIND}:{notice.type}/{notice.event}",
        kind=KIND,
        desired=msgspec.json.encode(notice).decode(),
        job_id=notice.job,
        delivery_id=notice.delivery,
    )
