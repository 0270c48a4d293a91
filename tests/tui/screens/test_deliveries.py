"""The screen of deliveries, by keys: the list, the pages of one, and its replay."""

from typing import Any

import pytest

from tests.tui import documents
from tests.tui.fake_daemon import FakeDaemon
from tests.tui.screens.screen import MakeApp, screen_text, wait_for_text, wait_until
from tui.screens.deliveries import DeliveriesScreen
from tui.screens.dialogs import ConfirmDialog
from tui.screens.why import WhyScreen


@pytest.fixture
def deliveries(daemon: FakeDaemon) -> None:
    for number in range(250):
        delivery = {**documents.DELIVERY, "id": f"0199f3a1-5c2e-7d11-9a44-{number:012x}"}
        daemon.deliveries.insert(0, {**delivery, "headers": {"X-GitHub-Event": "issue_comment"}})


async def test_list_pages_and_new_deliveries(daemon: FakeDaemon, deliveries: Any, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("D")
        await wait_for_text(pilot, "000000f9  ✗ denied", "to allow it")
        await pilot.press("2")
        await wait_for_text(pilot, '"action": "created"')
        await pilot.press("3")
        await wait_for_text(pilot, "X-GitHub-Event: issue_comment")
        await pilot.press("end")
        screen = pilot.app.screen
        assert isinstance(screen, DeliveriesScreen)
        await wait_until(pilot, lambda: screen.deliveries.count == 200)
        await pilot.press("home", "down")
        new = {**documents.DELIVERY, "id": f"0199f3a1-5c2e-7d11-9a44-{999:012x}", "verdict": "allowed"}
        daemon.deliveries.insert(0, new)
        daemon.commit_event("delivery.received")
        await wait_until(pilot, lambda: screen.deliveries.count == 201)
        assert screen.deliveries.delivery
        assert screen.deliveries.delivery.id.endswith("f8")


async def test_each_width_shows_the_age_and_the_sender_once(daemon: FakeDaemon, make_app: MakeApp) -> None:
    reason = "no trigger wants it"
    daemon.deliveries.append({**documents.DELIVERY, "reason": reason})
    for columns, row in (
        (80, f"octo-org/api#480 2m github:drive-by {reason}"),
        (100, f"github:drive-by octo-org/api#480 2m {reason}"),
        (130, f"github:drive-by issue_comment.created octo-org/api#480 2m {reason}"),
    ):
        async with make_app().run_test(size=(columns, 24)) as pilot:
            await pilot.press("D")
            await wait_for_text(pilot, "7f3a1c02  ✗ denied")
            line = next(line for line in screen_text(pilot.app).splitlines() if "✗ denied" in line)
            assert f"7f3a1c02 ✗ denied {row}".startswith(" ".join(line.split()).rstrip("…"))
            assert " 2m " in line


async def test_a_replay_begins_with_a_dry_run(daemon: FakeDaemon, deliveries: Any, make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.press("D")
        await wait_for_text(pilot, "✗ denied")
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        text = screen_text(pilot.app)
        assert "then  denied: who: github:drive-by" in text
        assert "now   allowed: replayed" in text
        assert "a job starts" in text
        await pilot.press("y")
        await wait_until(
            pilot,
            lambda: isinstance(pilot.app.screen, DeliveriesScreen) and "allowed: replayed" in screen_text(pilot.app),
        )
        bodies = [body for path, body in daemon.requests if path.endswith("/replay")]
        assert bodies == [{"dryRun": True}, {"dryRun": False}]


async def test_an_unconfirmed_replay_stays_a_dry_run(
    daemon: FakeDaemon,
    deliveries: Any,
    make_app: MakeApp,
) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("D")
        await wait_for_text(pilot, "✗ denied")
        await pilot.press("r")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, ConfirmDialog))
        await pilot.press("n")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, DeliveriesScreen))
        assert [body for path, body in daemon.requests if path.endswith("/replay")] == [{"dryRun": True}]


async def test_no_deliveries_yet(make_app: MakeApp) -> None:
    async with make_app().run_test(size=(120, 40)) as pilot:
        await pilot.press("D")
        await wait_for_text(pilot, "nothing came in yet")


async def test_ages_move(deliveries: Any, make_app: MakeApp) -> None:
    app = make_app()
    now = [app.session.clock()]
    app.session.clock = lambda: now[0]
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("D")
        await wait_for_text(pilot, " 2m ")
        now[0] += 3_600_000
        await wait_for_text(pilot, " 1h ", absent=" 2m ")


async def test_a_delivery_is_shown_undecided_and_then_with_its_decision(daemon: FakeDaemon, make_app: MakeApp) -> None:
    asking = "asking github for the permission of github:octocat on octo-org/api"
    undecided = {**documents.DECISION, "verdict": "deciding", "reason": asking, "checks": [], "remedy": None}
    delivery = {**documents.DELIVERY, "verdict": "deciding", "reason": asking, "decision": undecided}
    daemon.deliveries.append(delivery)

    def decide(reason: str) -> None:
        decided = {**delivery["decision"], "verdict": "denied", "reason": reason}
        daemon.deliveries[0] = {**delivery, "verdict": "denied", "reason": reason, "decision": decided}
        daemon.commit_event("delivery.decided", deliveryId=delivery["id"], verdict="denied", reason=reason)

    async with make_app().run_test(size=(140, 40)) as pilot:
        await pilot.press("D")
        await wait_for_text(pilot, "7f3a1c02  ◷ deciding", "DECIDING", asking)
        decide("who: it has read")
        await wait_for_text(pilot, "✗ denied", "DENIED", "who: it has read")
        daemon.deliveries[0] = delivery
        daemon.commit_event("delivery.received", deliveryId=delivery["id"])
        await wait_for_text(pilot, "◷ deciding")
        await pilot.press("enter")
        await wait_until(pilot, lambda: isinstance(pilot.app.screen, WhyScreen))
        await wait_for_text(pilot, "DECIDING")
        decide("who: it has none")
        await wait_for_text(pilot, "DENIED", "who: it has none")
