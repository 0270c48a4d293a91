"""The work of the leader: what one of the daemons that share a store does; a daemon without others is the leader."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial

from shared.models import RunnerJob
from stitcherd.git.checkout import Checkouts
from stitcherd.http.state import AppState
from stitcherd.jobs.accounts import KeptAccounts
from stitcherd.jobs.deciding import Deciding
from stitcherd.jobs.head_pins import pin_heads
from stitcherd.jobs.queue_upkeep import keep_queue
from stitcherd.jobs.retention import run_retention_of_rows
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.rulings import Ruling, Undecided
from stitcherd.supervision import running_parts

ACCOUNTS_SECONDS = 15.0  # between two looks for accounts that other daemons have stored
OUTBOX_SECONDS = 5.0  # between two looks for answers whose retry was requested at another daemon
DECIDING_SECONDS = 10.0  # between two looks for deliveries that a daemon has left undecided


async def do_leaders_work(
    state: AppState,
    *,
    deciding: Deciding,
    rule: Callable[[RunnerJob], Awaitable[Ruling | Undecided | None]],
    checkouts: Checkouts,
) -> None:
    """Report, poll, delete what is past its retention, and keep what waits in order; until cancelled."""
    store, settings = state.store, state.settings
    parts: dict[str, Callable[[], Awaitable[None]]] = {
        "the expiry of approvals": state.approvals.expire_forever,
        "the pins of heads": partial(pin_heads, store, settings, checkouts),
        "retention of rows": partial(run_retention_of_rows, store, settings.retention),
    }
    if settings.store.is_shared:
        parts |= {
            "the queue's upkeep": partial(keep_queue, store, state.rails, rule, state.health.away),
            "answers": partial(_every, OUTBOX_SECONDS, state.reporter.look),
            "undecided deliveries": partial(_every, DECIDING_SECONDS, deciding.take_up),
        }
    async with AsyncExitStack() as stack:
        for part in (
            state.reporter.running(state.supervision),
            state.pollers.running(state.intake.take, state.supervision),
            running_parts(state.supervision, parts),
        ):
            await stack.enter_async_context(part)
        await asyncio.Event().wait()


async def refresh_accounts(accounts: KeptAccounts) -> None:
    """Read what other daemons have stored of accounts, for ever."""
    await _every(ACCOUNTS_SECONDS, accounts.load)


async def _every(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        with suppress(StorageUnavailable):
            await look()
