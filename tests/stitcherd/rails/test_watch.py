"""The watcher on a real disk."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from stitcherd.rails.watch import watch_rails
from tests.stitcherd.rails.watched_rails import RailsOnDisk, anew, by_rename, in_place, numbered, until, with_backup


@pytest.mark.parametrize("save", [in_place, by_rename, with_backup, anew])
async def test_every_way_of_saving_is_noticed_repeatedly(disk: RailsOnDisk, small: str, save: Any) -> None:
    edition = numbered(small)
    async with disk.watched():
        for _ in range(3):
            text = next(edition)
            save(disk.path, text)
            await disk.until_in_force(text)
    assert disk.error is None


async def test_a_recreated_directory_is_watched_again(disk: RailsOnDisk, small: str) -> None:
    edition = numbered(small)
    async with disk.watched():
        for _ in range(2):
            shutil.rmtree(disk.path.parent)
            await until(lambda: disk.error is not None)
            assert disk.error is not None
            assert "is gone" in disk.error
            disk.path.parent.mkdir()
            text = next(edition)
            disk.path.write_text(text)
            await disk.until_in_force(text)
            assert disk.error is None


async def test_symbolic_links_are_followed(disk: RailsOnDisk, small: str, tmp_path: Path) -> None:
    edition = numbered(small)
    versions = [tmp_path / name for name in ("one", "two")]
    written = []
    for version in versions:
        version.mkdir()
        written.append(next(edition))
        (version / "rails.yaml").write_text(written[-1])
    current = disk.path.parent / "..data"
    current.symlink_to(versions[0])
    disk.path.unlink()
    disk.path.symlink_to("..data/rails.yaml")
    async with disk.watched():
        await until(lambda: disk.text == written[0])
        (disk.path.parent / "..new").symlink_to(versions[1])
        (disk.path.parent / "..new").rename(current)  # how mounted configuration is swapped
        await until(lambda: disk.text == written[1])
        text = next(edition)
        (versions[1] / "rails.yaml").write_text(text)
        await disk.until_in_force(text)


async def test_a_file_open_for_writing_is_read_when_it_is_closed(disk: RailsOnDisk, small: str) -> None:
    async with disk.watched():
        with disk.path.open("w") as file:
            file.write(small)
            file.flush()
            disk.rails.reload_requested.set()
            await until(lambda: not disk.rails.reload_requested.is_set())
            file.write("# and this\n")
        await until(lambda: disk.text == small + "# and this\n")


async def test_a_requested_reload_is_immediate(disk: RailsOnDisk) -> None:
    async with disk.watched():
        calls = 0
        reload = disk.rails.reload

        async def counted() -> bool:
            nonlocal calls
            calls += 1
            return await reload()

        again = asyncio.Event()
        task = asyncio.create_task(watch_rails(disk.path, again, counted))
        await until(lambda: calls == 1)
        again.set()
        await until(lambda: calls >= 2)
        task.cancel()
        await asyncio.wait([task])
