"""How a target is told: signed webhooks, and commands that leave nothing behind; until it is told, or for a day."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from shared.ids import now_ms
from stitcherd.config.notify import NotifySettings
from stitcherd.processes import tree
from stitcherd.reporting.notices import Notice
from stitcherd.reporting.notification_sender import NotificationSender
from stitcherd.reporting.outbox import SEARCH_DELAY, Outbox
from stitcherd.store import answers, outbox
from stitcherd.store.store import Store
from tests.e2e.harness import free_port
from tests.stores import open_store
from tests.webhook_receiver import SECRET, Receiver

NOTICE = Notice(event=7, type="job.failed", at=1_764_000_000_000, workspace="default", subject="fix", reason="x: y")
DAY = 86_400_000


class Target(Struct):
    """An outbox of one target; `now` moves only when a test moves it."""

    store: Store
    directory: Path
    settings: NotifySettings
    now: int
    seconds: float = 5.0
    outbox: Outbox = None  # type: ignore[assignment]

    def start(self) -> None:
        """Replace the outbox by that of another daemon."""
        sender = NotificationSender(
            self.settings, lambda text: text.replace("hunter2", "[secret]"), self.directory, self.clock, self.seconds
        )
        self.outbox = Outbox(self.store, "notify:it", "", sender, self._no_account, self.clock)

    def clock(self) -> int:
        return self.now

    async def _no_account(self, source: str, account: str) -> None:
        raise AssertionError((source, account))

    async def tell(self, event: int = 7) -> None:
        wanted = answers.DesiredAnswer(
            source="notify:it",
            workspace="default",
            repository="",
            slot=f"notification:job.failed/{event}",
            kind="notification",
            desired=msgspec.json.encode(msgspec.structs.replace(NOTICE, event=event)).decode(),
        )
        await self.store.write(answers.put_answers, (wanted,), 0, self.now)

    async def send_due(self) -> None:
        """Send what is due, after the time has moved to when the next one is."""
        async with self.store.reading() as db:
            self.now = max(self.now, await outbox.next_due(db, "notify:it") or 0)
        while await self.outbox.send_next():
            pass

    async def rows(self) -> list[dict[str, Any]]:
        async with self.store.reading() as db:
            return [dict(row) for row in await db.execute_fetchall("SELECT * FROM answers ORDER BY key")]


@asynccontextmanager
async def target(path: Path, **settings: Any) -> AsyncIterator[Target]:
    store = await open_store(path / "stitcher.db")
    try:
        made = NotifySettings.model_construct(on=("job.failed",), **settings)
        found = Target(store, path / "notify", made, now_ms())
        found.start()
        yield found
    finally:
        await store.close()


def hook(path: Path, url: str) -> AbstractAsyncContextManager[Target]:
    return target(path, url=url, secret=SECRET.encode())


async def test_a_webhook_is_signed_and_sent_once(tmp_path: Path) -> None:
    with Receiver() as receiver:
        async with hook(tmp_path, receiver.url) as told:
            await told.tell()
            await told.send_due()
            await told.send_due()
            (row,) = await told.rows()
    (received,) = receiver.received
    assert (received.id, received.body["data"]["summary"]) == (row["id"], "fix failed: x: y")
    assert row["state"] == "delivered"


@pytest.mark.parametrize("status", [500, 404, 401, 302])
async def test_a_refused_webhook_is_sent_again_under_its_id(tmp_path: Path, status: int) -> None:
    with Receiver(status, headers={"Location": "/elsewhere"}) as receiver:
        async with hook(tmp_path, receiver.url) as told:
            await told.tell()
            await told.send_due()
            (row,) = await told.rows()
            assert (row["state"], row["tries"]) == ("pending", 1)
            assert row["due_at"] > told.now
            await told.send_due()
            (row,) = await told.rows()
    assert row["state"] == "delivered"
    assert [each.id for each in receiver.received] == [row["id"]] * 2


async def test_a_receiver_says_when_and_that_it_wants_no_more(tmp_path: Path) -> None:
    with Receiver(503, 410, headers={"Retry-After": "120"}) as receiver:
        async with hook(tmp_path, receiver.url) as told:
            await told.tell()
            await told.send_due()
            (row,) = await told.rows()
            assert row["due_at"] == told.now + 120_000
            await told.send_due()
            (row,) = await told.rows()
    assert (row["state"], '"code":"gone"' in row["error"]) == ("failed", True)


async def test_a_receiver_that_is_away_is_tried_for_a_day_and_delays_nobody(tmp_path: Path) -> None:
    async with hook(tmp_path, f"http://127.0.0.1:{free_port()}/hook?key=hidden-part") as told:
        await told.tell(1)
        began = told.now
        while (await told.rows())[0]["state"] == "pending":
            await told.send_due()
        (row,) = await told.rows()
        assert began + DAY <= told.now < began + DAY + 1_200_000
        assert '"code":"gave_up"' in row["error"]
        assert "127.0.0.1 cannot be reached" in row["error"]
        assert "hidden-part" not in row["error"]
        await told.tell(2)
        await told.tell(3)
        await told.send_due()
        assert [each["tries"] for each in await told.rows()][1:] == [1, 1]
        async with told.store.reading() as db:
            (failed,) = await db.execute_fetchall("SELECT payload FROM events WHERE type = 'answer.failed'")
        assert '"kind":"notification"' in failed["payload"]


async def test_a_try_that_a_crash_interrupted_is_repeated_under_its_id(tmp_path: Path) -> None:
    with Receiver() as receiver:
        async with hook(tmp_path, receiver.url) as told:
            await told.tell()
            taken = await told.store.write(outbox.take_answer, "notify:it", told.now)
            assert taken is not None
            await told.outbox._sender.send(taken)  # and the daemon ends before that is stored
            await told.store.write(outbox.recover_answers, "notify:it", SEARCH_DELAY, told.now)
            told.start()
            await told.send_due()
            await told.send_due()
    assert [each.id for each in receiver.received] == [taken.id] * 2


async def test_a_command_gets_its_words_and_no_shell(tmp_path: Path) -> None:
    said = tmp_path / "said"
    script = f'printf "%s|" "$@" >> {said}; pwd >> {said}'
    async with target(tmp_path, run=("sh", "-c", script, "sh", "{summary}", "$(id) {type}", "{url}")) as told:
        await told.tell()
        await told.send_due()
        (row,) = await told.rows()
        assert said.read_text() == f"fix failed: x: y|$(id) job.failed||{told.directory / row['id']}\n"
        assert row["state"] == "delivered"
        assert list(told.directory.iterdir()) == []


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        (("sh", "-c", "echo first; echo hunter2 >&2; exit 3"), "sh ended with exit code 3: [secret]"),
        (("no-such-program",), "no-such-program cannot be started: there is no such program."),
        (("sh", "-c", "kill -9 $$"), "sh was ended by SIGKILL"),
    ],
)
async def test_a_command_that_fails_is_run_again(tmp_path: Path, argv: tuple[str, ...], reason: str) -> None:
    async with target(tmp_path, run=argv) as told:
        await told.tell()
        await told.send_due()
        (row,) = await told.rows()
        assert (row["state"], row["tries"]) == ("pending", 1)
        told.now += DAY
        await told.send_due()
        (row,) = await told.rows()
        assert f"tried 2 times in 24 h: {reason}" in row["error"]


async def test_a_command_that_hangs_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    started = tmp_path / "started"
    script = f"setsid sh -c 'echo $$ > {started}; exec sleep 60' & sleep 60"
    async with target(tmp_path, run=("sh", "-c", script)) as told:
        told.seconds = 0.5
        told.start()
        await told.tell()
        began = time.monotonic()
        await told.send_due()
        assert time.monotonic() - began < 8
        (row,) = await told.rows()
    assert row["state"] == "pending"
    assert tree.read_process(int(started.read_text())) is None


async def test_what_an_earlier_daemon_started_is_ended_before_the_command_runs_again(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    async with target(tmp_path, run=("sh", "-c", f"echo $$ >> {pids}; test -e {tmp_path}/again || sleep 60")) as told:
        await told.tell()
        taken = await told.store.write(outbox.take_answer, "notify:it", told.now)
        assert taken is not None
        left = await asyncio.create_subprocess_exec("sleep", "60", env={**os.environ, "STITCHER_JOB_ID": taken.id})
        await told.store.write(outbox.recover_answers, "notify:it", SEARCH_DELAY, told.now)
        (tmp_path / "again").touch()
        told.start()
        await told.send_due()
        assert await left.wait() < 0
        assert [each["state"] for each in await told.rows()] == ["delivered"]
        assert len(pids.read_text().splitlines()) == 1
