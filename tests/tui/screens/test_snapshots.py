"""Snapshots of the screens, each as a picture and as readable text; the clock stands still.

What all screens share, the title and the key hints, is hidden in the pictures, but for those in docs/, and compared in
one test: a new global key changes few files.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest
from textual.pilot import Pilot

from shared.api import SimulationResult
from tests.tui import documents
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.busy_daemon import break_rails, fill_busy_daemon
from tests.tui.screens.screen import MakeApp, screen_text, stitcher_app, wait_for_text, wait_until

TEXTS = Path(__file__).parents[1] / "snapshots"
Keys = tuple[str, ...]

Step = tuple[Keys, str]  # keys, and a text that is on the screen then

SCREENS: dict[str, tuple[Step, ...]] = {
    "jobs": ((("down", "down", "space"), "1 selected"),),
    "waiting": ((("3",), "1 of 7"),),
    "approve": ((("3",), "1 of 7"), (("a",), "any other key")),
    "job": ((("down", "down"), "r retry"), (("enter",), "AssertionError")),
    "diff": ((("down", "down"), "r retry"), (("enter", "3"), "@@ -4,7")),
    "why": ((("3",), "1 of 7"), (("w",), "to allow it")),
    "tail": ((("t",), "gate.failed"),),
    "deliveries": ((("D",), "DENIED"),),
    "rails": ((("R",), "kept r-4f2a91c0"),),
    "insights": ((("i",), "252 jobs ended"),),
    "insights-repositories": ((("i",), "252 jobs ended"), (("r",), "(none)")),
    "changes": ((("R",), "kept r-4f2a91c0"), (("2",), "+++ r-4f2a91c0")),
    "simulation": (((), "reason 1"),),
    "dispatch": ((("plus",), "Dispatch a job"),),
    "help": ((("question_mark",), "Keys of this screen"),),
    "lost": (((), "daemon not reachable"),),
    "confirm": ((("down",), "c cancel"), (("c",), "any other key")),
}
BROKEN_RAILS = {"rails", "changes", "tail"}  # the screens that are shown with an error in the rails
SIZES = [(120, 40), (80, 24)]
PICTURES = [*((name, size) for name in SCREENS for size in SIZES), ("jobs", (60, 15)), ("insights", (60, 15))]
IN_DOCS = [("jobs", (120, 40)), ("job", (120, 40))]  # see tools/pictures.py


@pytest.fixture
def busy(daemon: FakeDaemon) -> FakeDaemon:
    """A daemon with a job in every state; the newest failed its gate twice."""
    fill_busy_daemon(daemon)
    return daemon


def _simulation() -> SimulationResult:
    """Return a simulation that changes two deliveries."""
    decision = {**documents.DECISION, "reason": "reason 1"}
    about = {
        **{key: documents.DELIVERY[key] for key in ("receivedAt", "event", "action", "sender", "repository")},
        "thread": None,
        "decision": decision,
    }
    changed = [{"deliveryId": f"0199f3a1-5c2e-7d11-9a44-{at:012x}", "before": "allowed", "after": "denied", **about}
               for at in (1, 2)]  # fmt: skip
    found = {
        "revision": "r-51bc0000",
        "warnings": [],
        "deliveries": 1000,
        "changed": changed,
        "counts": {"allowed→denied": 2},
        "skipped": {},
    }
    return msgspec.convert(found, SimulationResult)


@pytest.mark.parametrize(("name", "size"), PICTURES, ids=[f"{name}-{size[0]}x{size[1]}" for name, size in PICTURES])
def test_screen(
    busy: FakeDaemon,
    make_app: MakeApp,
    snap_compare: Callable[..., bool],
    request: pytest.FixtureRequest,
    name: str,
    size: tuple[int, int],
) -> None:
    text = ""
    file = TEXTS / f"{name}-{size[0]}x{size[1]}.txt"
    update = bool(request.config.getoption("update_snapshots"))

    async def show(pilot: Pilot[None]) -> None:
        nonlocal text
        await _show_screen(pilot, busy, name)
        if (name, size) not in IN_DOCS:
            _hide_shared_bars(pilot)
        text = await _wait_for_snapshot(pilot, partial(_whole_screen, pilot), file, update=update)

    same_picture = snap_compare(make_app(pauses=(60.0,)), terminal_size=size, run_before=show)
    _compare(file, text, update=update)
    assert same_picture


@pytest.mark.parametrize("size", SIZES, ids=[f"{columns}x{rows}" for columns, rows in SIZES])
async def test_titles_and_key_hints(
    busy: FakeDaemon, make_app: MakeApp, request: pytest.FixtureRequest, size: tuple[int, int]
) -> None:
    file = TEXTS / f"bars-{size[0]}x{size[1]}.txt"
    update = bool(request.config.getoption("update_snapshots"))
    wanted = {} if update else dict(block.split("\n", 1) for block in file.read_text("utf-8").split("\n\n"))
    found = {}
    for name in SCREENS:
        async with make_app(pauses=(60.0,)).run_test(size=size) as pilot:
            await _show_screen(pilot, busy, name)
            found[name] = await _wait_for(pilot, partial(_shared_bars, pilot), wanted.get(name, "").rstrip("\n"))
        busy.unreachable = False
    _compare(file, "\n\n".join(f"{name}\n{bars}" for name, bars in found.items()) + "\n", update=update)


async def _show_screen(pilot: Pilot[None], daemon: FakeDaemon, name: str) -> None:
    """Lead the app to a screen."""
    await wait_for_text(pilot, "octo-org/api#479", "rails r-4f2a")
    if name in BROKEN_RAILS:
        break_rails(daemon)
        daemon.commit_event("rails.rejected", line=34, column=17, message="unknown capability 'git:comit'")
        await wait_for_text(pilot, "▲ rails r-4f2a")
    await wait_until(pilot, lambda: "queue 3" in screen_text(pilot.app) or pilot.app.size.width < 80)
    if name == "simulation":
        stitcher_app(pilot).session.open("simulation", _simulation(), "rails.new.yaml")
    if name == "lost":
        daemon.disconnect()
    for keys, text in SCREENS[name]:
        await pilot.press(*keys)
        await wait_for_text(pilot, text)


def _hide_shared_bars(pilot: Pilot[None]) -> None:
    for screen in pilot.app.screen_stack:
        screen.query("#title, #hints").set(visible=False)


def _shared_bars(pilot: Pilot[None]) -> str:
    lines = screen_text(pilot.app).split("\n")
    return f"{lines[0]}\n{lines[-1]}"


def _whole_screen(pilot: Pilot[None]) -> str:
    return f"{screen_text(pilot.app).rstrip()}\n"


async def _wait_for_snapshot(pilot: Pilot[None], read: Callable[[], str], file: Path, *, update: bool) -> str:
    return await _wait_for(pilot, read, "" if update else file.read_text("utf-8"))


async def _wait_for(pilot: Pilot[None], read: Callable[[], str], wanted: str) -> str:
    """Return what is read once it is as wanted, or after a while; messages may still change the screen until then."""
    text = ""
    for _ in range(600 if wanted else 40):
        text = read()
        if text == wanted:
            break
        await pilot.pause(0.05)
    await pilot.pause()
    return text


def _compare(file: Path, text: str, *, update: bool) -> None:
    if update:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
    assert text == file.read_text("utf-8")
