"""The file on a real disk, the watcher and the rails in force together."""

import asyncio
import itertools
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from stitcherd.daemon import reload_rails
from stitcherd.rails.decide import NO_RAILS, decide
from stitcherd.rails.live import LiveRails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.rails.watch import watch_rails
from stitcherd.sources.trigger import Trigger
from stitcherd.store import events
from stitcherd.store.revisions import StoredRevisions
from stitcherd.store.sqlite import Store
from stitcherd.store.writer import StorageUnavailable
from tests.stitcherd.rails.contexts import CONTEXT

EDITS = int(os.environ.get("STITCHER_RAILS_EDITS", "500"))
LIMIT = 15.0  # seconds, far above anything that is waited for

Events = Callable[[], Any]


class House:
    def __init__(self, store: Store, path: Path) -> None:
        self.store = store
        self.path = path
        self.rails = LiveRails(path, StoredRevisions(store), CONTEXT)

    @property
    def text(self) -> str | None:
        return self.rails.current.text if self.rails.current else None

    @property
    def error(self) -> str | None:
        error = self.rails.state().error
        return error.message if error else None

    async def takes(self, text: str) -> None:
        await until(lambda: self.text == text)

    async def events(self) -> list[str]:
        async with self.store.reading() as db:
            return [event.type for event, _ in await events.events_after(db, 0, 500)]

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        task = asyncio.create_task(
            watch_rails(self.path, self.rails.reload_requested, partial(reload_rails, self.rails))
        )
        try:
            await until(lambda: self.text is not None or self.error is not None)
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT):
        while not holds():  # noqa: ASYNC110 (what is waited for tells nobody)
            await asyncio.sleep(0.01)


def texts(small: str) -> Any:
    return (f"# edition {number}\n{small}" for number in itertools.count())


@pytest.fixture
async def house(tmp_path: Path, small: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    for name, quicker in {"STEP_MS": 50, "BURST_MS": 100, "CHECK_SECONDS": 0.1}.items():
        monkeypatch.setattr(f"stitcherd.rails.watch.{name}", quicker)
    store = await Store.open(tmp_path / "stitcher.db")
    path = tmp_path / "config" / "rails.yaml"
    path.parent.mkdir()
    path.write_text(small)
    yield House(store, path)
    await store.close()


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def by_rename(path: Path, text: str) -> None:
    new = path.with_name(".rails.yaml.swp")
    new.write_text(text)
    new.rename(path)


def with_backup(path: Path, text: str) -> None:
    path.rename(path.with_name("rails.yaml~"))
    path.write_text(text)


def anew(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


@pytest.mark.parametrize("save", [in_place, by_rename, with_backup, anew])
async def test_every_way_of_saving_is_seen_again_and_again(house: House, small: str, save: Any) -> None:
    edition = texts(small)
    async with house.watched():
        for _ in range(3):
            text = next(edition)
            save(house.path, text)
            await house.takes(text)
    assert house.error is None


async def test_a_directory_that_goes_and_comes_back_is_watched_again(house: House, small: str) -> None:
    edition = texts(small)
    async with house.watched():
        for _ in range(2):
            shutil.rmtree(house.path.parent)
            await until(lambda: house.error is not None)
            assert house.error is not None
            assert "is gone" in house.error
            house.path.parent.mkdir()
            text = next(edition)
            house.path.write_text(text)
            await house.takes(text)
            assert house.error is None


async def test_links_are_followed_wherever_they_lead(house: House, small: str, tmp_path: Path) -> None:
    edition = texts(small)
    versions = [tmp_path / name for name in ("one", "two")]
    written = []
    for version in versions:
        version.mkdir()
        written.append(next(edition))
        (version / "rails.yaml").write_text(written[-1])
    current = house.path.parent / "..data"
    current.symlink_to(versions[0])
    house.path.unlink()
    house.path.symlink_to("..data/rails.yaml")
    async with house.watched():
        await until(lambda: house.text == written[0])
        (house.path.parent / "..new").symlink_to(versions[1])
        (house.path.parent / "..new").rename(current)  # how mounted configuration is swapped
        await until(lambda: house.text == written[1])
        text = next(edition)
        (versions[1] / "rails.yaml").write_text(text)
        await house.takes(text)


async def test_the_last_good_rails_outlive_every_fault_and_each_fault_is_told_once(house: House, small: str) -> None:
    async with house.watched():
        house.path.write_text(small + "guards: [\n")
        await until(lambda: house.error is not None)
        assert "not YAML" in (house.error or "")
        before = house.rails.state().error
        for _ in range(3):
            by_rename(house.path, small + "guards: [\n")
            await house.rails.reload()
        assert house.rails.state().error == before
        house.path.write_text("")
        await until(lambda: (house.error or "").startswith("empty"))
        house.path.unlink()
        await until(lambda: "is gone" in (house.error or ""))
        assert house.text == small
        house.path.write_text(small)
        await until(lambda: house.error is None)
    assert house.text == small
    kinds = await house.events()
    assert kinds == ["rails.reloaded", *["rails.rejected"] * 3, "rails.reloaded"]


async def test_the_same_text_again_is_no_event(house: House, small: str) -> None:
    await house.rails.reload()
    before = house.rails.current
    for save in (in_place, by_rename, with_backup):
        save(house.path, small)
        assert await house.rails.reload()
    assert house.rails.current is before
    assert await house.events() == ["rails.reloaded"]


async def test_a_file_that_is_being_written_is_not_read(house: House, small: str, monkeypatch: Any) -> None:
    await house.rails.reload()
    longer = small + "guards:\n  - {id: no, if: {labels_any: [x]}, then: deny}\n"
    with house.path.open("w") as file:
        file.write(longer[: longer.index("guards")])
        file.flush()
        assert await house.rails.reload() is False
        assert (house.text, house.error) == (small, None)
        monkeypatch.setattr("stitcherd.rails.live.WRITING_SECONDS", -1.0)
        assert await house.rails.reload() is False
        assert house.error == "another process is still writing it"
        file.write(longer[longer.index("guards") :])
    assert await house.rails.reload()
    assert house.text == longer
    assert house.rails.state().error is None


async def test_a_file_that_is_being_written_is_read_when_it_is_closed(house: House, small: str) -> None:
    async with house.watched():
        with house.path.open("w") as file:
            file.write(small)
            file.flush()
            house.rails.reload_requested.set()
            await until(lambda: not house.rails.reload_requested.is_set())
            file.write("# and this\n")
        await until(lambda: house.text == small + "# and this\n")


async def test_whoever_asks_has_it_read_at_once(house: House) -> None:
    async with house.watched():
        calls = 0
        reload = house.rails.reload

        async def counted() -> bool:
            nonlocal calls
            calls += 1
            return await reload()

        again = asyncio.Event()
        task = asyncio.create_task(watch_rails(house.path, again, counted))
        await until(lambda: calls == 1)
        again.set()
        await until(lambda: calls >= 2)
        task.cancel()
        await asyncio.wait([task])


async def test_rails_that_cannot_be_stored_do_not_come_into_force_until_they_can(
    house: House, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.watched():
        write, refused = house.store.write, 0

        async def full(*args: Any, **more: Any) -> Any:
            nonlocal refused
            refused += 1
            raise StorageUnavailable("database or disk is full")

        monkeypatch.setattr(house.store, "write", full)
        house.path.write_text(small + "# new\n")
        await until(lambda: refused >= 2)
        assert house.text == small
        monkeypatch.setattr(house.store, "write", write)
        await until(lambda: house.text == small + "# new\n")


async def test_no_file_at_the_start_is_said_and_one_that_comes_is_taken(house: House, small: str) -> None:
    house.path.unlink()
    async with house.watched():
        assert (house.text, house.error) == (None, "cannot be read: no such file or directory")
        house.path.write_text(small)
        await until(lambda: house.text == small)


def scribble(path: Path, small: str, seed: int, whole: set[str], done: threading.Event) -> None:
    """Save many texts, whole and broken, in every way there is; note each whole one before it can be read."""
    random = Random(seed)
    for number in range(EDITS):
        text = f"# edition {number} of {seed}\n{small}guards: []\n"
        if random.random() < 0.3:
            cut = random.randrange(len(text))
            text = text[:cut] + random.choice(["", "[", "\t", "x", text[cut + 3 :]])
        whole.add(text)
        way = random.randrange(4)
        if way == 0:
            by_rename(path, text)
        elif way == 1:
            path.unlink(missing_ok=True)
            done.wait(random.random() * 0.002)
            path.write_text(text)
        else:
            with path.open("w") as file:  # in pieces, many of which would load
                lines = text.splitlines(keepends=True)
                for line in lines:
                    file.write(line)
                    file.flush()
                    if random.random() < 0.1:
                        done.wait(random.random() * 0.004)
    path.write_text(small)
    whole.add(small)
    done.set()


async def test_whatever_is_done_to_the_file_whole_rails_stay_in_force(
    house: House, small: str, facts: RuntimeFacts, comment: Callable[..., Trigger]
) -> None:
    whole, done, seen = {small}, threading.Event(), set()
    await house.rails.reload()
    thread = threading.Thread(target=scribble, args=(house.path, small, 20261122, whole, done))
    thread.start()
    while not done.is_set():
        await house.rails.reload()
        assert house.text is not None
        assert house.text in whole
        for _ in range(3):  # deliveries that come meanwhile
            decision = decide(comment(), house.rails.current, facts).decision
            assert house.rails.current is not None
            assert decision.rails_revision == house.rails.current.revision
            assert decision.reason != NO_RAILS
            await asyncio.sleep(0)
        seen.add(house.text)
    thread.join()
    async with house.watched():
        await until(lambda: house.text == small and house.error is None)
    assert len(seen) > 10
