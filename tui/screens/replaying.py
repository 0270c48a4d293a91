"""A delivery again through today's rails: first dry, then as it was asked for, and what came of it."""

from typing import TYPE_CHECKING

import msgspec

from shared import ids
from shared.models import Decision, Delivery, Verdict
from tui.client import Daemon, decode, delivery_path
from tui.plain import plain
from tui.reasons import headline
from tui.screens.confirm import Confirm
from tui.screens.room import REFUSALS
from tui.widgets.paint import Line
from tui.wording import place

if TYPE_CHECKING:
    from tui.app import StitcherApp

STARTS = "It goes through today's rails as if it came now: a job starts."
WAITS = "It goes through today's rails as if it came now: a job waits for an approval."
NOTHING = "Nothing would run; it is only recorded once more."


class _Replayed(msgspec.Struct, rename="camel"):
    delivery_id: str
    verdict: Verdict
    reason: str
    job_id: str | None = None
    decision: Decision | None = None


async def replay(app: "StitcherApp", delivery: Delivery) -> str | None:
    """Say what would come of it, ask, and do it; returns the id of the new delivery, or None."""
    try:
        rehearsed = await app.ask(_replay, app.daemon, delivery.id, True)
        title = f"Replay delivery {plain(ids.short(delivery.id))}?"
        if not await app.push_screen_wait(Confirm(title, _told(delivery, rehearsed))):
            return None
        done = await app.ask(_replay, app.daemon, delivery.id, False)
    except REFUSALS as said:
        app.say(str(said), wrong=True)
        return None
    job = f"; job {ids.short(done.job_id)}" if done.job_id else ""
    app.say(f"{done.verdict.value}: {done.reason}{job}")
    return done.delivery_id


def _replay(daemon: Daemon, delivery_id: str, dry_run: bool) -> _Replayed:  # noqa: FBT001 (as above)
    return decode(daemon.post(f"{delivery_path(delivery_id)}/replay", {"dryRun": dry_run}), _Replayed)


def _told(delivery: Delivery, rehearsed: _Replayed) -> list[Line]:
    """Return what was decided when it came, what would be decided now, and what that means."""
    word, colour = headline(rehearsed.verdict)
    meaning = {Verdict.ALLOWED: STARTS, Verdict.DECIDING: STARTS, Verdict.WAITING: WAITS}.get(
        rehearsed.verdict, NOTHING
    )
    lines: list[Line] = [
        [(f"{plain(delivery.event)} on {place(delivery.repository, delivery.thread)}", "")],
        [("then  ", "dim"), (f"{delivery.verdict.value}: {plain(delivery.reason)}", "")],
        [("now   ", "dim"), (f"{word.lower()}", colour), (f": {plain(rehearsed.reason)}", "")],
    ]
    remedy = rehearsed.decision and rehearsed.decision.remedy
    if remedy:
        lines.append([("      to allow it: ", "dim"), (plain(remedy.text), "")])
    return [*lines, [], [(meaning, "dim")]]
