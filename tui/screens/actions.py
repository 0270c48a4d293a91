"""What is done from the screens: each asks first, is sent, and tells what came of it."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from shared import ids
from shared.house import Pause
from shared.models import RunnerJob
from tui.client import decode
from tui.plain import plain
from tui.screens import answering
from tui.screens.confirm import Confirm
from tui.screens.exporting import export_jobs
from tui.screens.outcome import Outcome, told
from tui.screens.room import REFUSALS
from tui.screens.steering import APPROVE, DENY, Act, bulk, question, question_all, send
from tui.wording import count

if TYPE_CHECKING:
    from tui.app import StitcherApp


async def steer(app: "StitcherApp", act: Act, jobs: list[RunnerJob]) -> None:
    """Ask, and do it; what becomes of it is told by the event."""
    if not jobs:
        return
    body: dict[str, str] = {}
    if act in (APPROVE, DENY):
        try:
            about = await answering.about(app, jobs)
        except REFUSALS as said:
            app.say(str(said), wrong=True)
            return
        title, lines = question(act, jobs)
        reason = await app.push_screen_wait(answering.Answer(title, [*about, *lines], needed=act is DENY))
        if reason is None:
            return
        body = {"reason": reason} if reason else {}
    elif not await app.push_screen_wait(Confirm(*question(act, jobs))):
        return
    app.acted.update(job.id for job in jobs)
    for complaint in await send(app.daemon, act, jobs, body):
        app.say(complaint, wrong=True)


async def steer_all(app: "StitcherApp", act: Act, q: str) -> None:
    """Ask, and do it to every job that a filter means; which those are is settled by the daemon."""
    try:
        found = await asyncio.to_thread(bulk, app.daemon, act, q, dry_run=True)
        if not any(item.ok for item in found.items):
            app.say(f"there is nothing to {act.verb}")
        elif await app.push_screen_wait(Confirm(*question_all(act, q, found))):
            done = await asyncio.to_thread(bulk, app.daemon, act, q, dry_run=False)
            app.say(f"{act.verb}: {count(sum(item.ok for item in done.items), 'job')}")
            if not all(item.ok for item in done.items):
                app.push_screen(Outcome(f"{act.verb.capitalize()}: what became of each", told(act.verb, done)))
    except REFUSALS as said:
        app.say(str(said), wrong=True)


async def switch(app: "StitcherApp") -> None:
    """Let nothing new start, or let jobs start again."""
    pulse = app.vitals.pulse
    if pulse is None:
        return
    if pulse.paused:
        why = f" ({pulse.reason})" if pulse.reason else ""
        said = plain(f"Paused by {pulse.paused_by or 'somebody'}{why}; {count(pulse.queued, 'job')} in the queue.")
        if not await app.push_screen_wait(Confirm("Let jobs start again?", [[(said, "")]])):
            return
        route, body = "/resume", {}
    else:
        said = "What runs goes on; what comes in is stored, and waits until somebody resumes."
        reason = await app.push_screen_wait(answering.Answer("Let nothing new start?", [[(said, "")]]))
        if reason is None:
            return
        route, body = "/pause", {"reason": reason} if reason else {}
    try:
        state = decode(await app.ask(app.daemon.post, route, body), Pause)
    except REFUSALS as said_no:
        app.say(str(said_no), wrong=True)
        return
    on = f"{len(state.running):,} running, {state.queued:,} queued"
    app.say(f"paused: {on}" if state.paused else f"jobs start again: {on}")
    app.ear.feel()


async def dispatch(app: "StitcherApp") -> None:
    """Start a job by hand, and open it."""
    from tui.screens.dispatch import DispatchScreen  # noqa: PLC0415 (the form is not needed for the first paint)

    job_id = await app.push_screen_wait(DispatchScreen(app.daemon))
    if job_id:
        app.open_job(job_id)


async def export(app: "StitcherApp", query: tuple[tuple[str, str], ...]) -> None:
    """Write the jobs of a list to a file in the present directory."""
    path = Path(f"stitcher-jobs-{ids.stamp(app.clock())[:19].replace(':', '')}.jsonl")
    try:
        number = await asyncio.to_thread(export_jobs, app.daemon, query, path)
    except (OSError, *REFUSALS) as said:
        app.say(str(said), wrong=True)
    else:
        app.say(f"{count(number, 'job')} in {path}")
