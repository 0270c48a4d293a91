"""The rails in force, with a real file and a real store."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from shared.api import RailsChange
from stitcherd.rails.decide import NO_RAILS, decide
from stitcherd.rails.live import AmbiguousRevision, LiveRails
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Trigger
from stitcherd.store import events
from stitcherd.store.errors import StorageUnavailable
from stitcherd.store.revisions import StoredRevisions
from tests.stitcherd.rails.contexts import CONTEXT
from tests.stitcherd.rails.watched_rails import RailsOnDisk, by_rename, in_place, until, with_backup
from tests.stores import open_store

EDITS = int(os.environ.get("STITCHER_RAILS_EDITS", "500"))


async def test_the_last_valid_rails_stay_and_each_fault_is_reported_once(disk: RailsOnDisk, small: str) -> None:
    async with disk.watched():
        disk.path.write_text(small + "guards: [\n")
        await until(lambda: disk.error is not None)
        assert "not YAML" in (disk.error or "")
        before = disk.rails.state().error
        for _ in range(3):
            by_rename(disk.path, small + "guards: [\n")
            await disk.rails.reload()
        assert disk.rails.state().error == before
        disk.path.write_text("")
        await until(lambda: (disk.error or "").startswith("empty"))
        disk.path.unlink()
        await until(lambda: "is gone" in (disk.error or ""))
        assert disk.text == small
        disk.path.write_text(small)
        await until(lambda: disk.error is None)
    assert disk.text == small
    kinds = await disk.events()
    assert kinds == ["rails.reloaded", *["rails.rejected"] * 3, "rails.reloaded"]


async def test_the_same_text_makes_no_event(disk: RailsOnDisk, small: str) -> None:
    await disk.rails.reload()
    before = disk.rails.current
    for save in (in_place, by_rename, with_backup):
        save(disk.path, small)
        assert await disk.rails.reload()
    assert disk.rails.current is before
    assert await disk.events() == ["rails.reloaded"]


async def test_a_file_open_for_writing_is_not_read(disk: RailsOnDisk, small: str, monkeypatch: Any) -> None:
    await disk.rails.reload()
    longer = small + "guards:\n  - {id: no, if: {labels_any: [x]}, then: deny}\n"
    with disk.path.open("w") as file:
        file.write(longer[: longer.index("guards")])
        file.flush()
        assert await disk.rails.reload() is False
        assert (disk.text, disk.error) == (small, None)
        monkeypatch.setattr("stitcherd.rails.live.WRITING_SECONDS", -1.0)
        assert await disk.rails.reload() is False
        assert disk.error == "another process is still writing it"
        file.write(longer[longer.index("guards") :])
    assert await disk.rails.reload()
    assert disk.text == longer
    assert disk.rails.state().error is None


async def test_rails_come_into_force_only_when_they_are_stored(
    disk: RailsOnDisk, small: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with disk.watched():
        write, refused = disk.store.write, 0

        async def full(*args: Any, **more: Any) -> Any:
            nonlocal refused
            refused += 1
            raise StorageUnavailable("database or disk is full")

        monkeypatch.setattr(disk.store, "write", full)
        disk.path.write_text(small + "# new\n")
        await until(lambda: refused >= 2)
        assert disk.text == small
        monkeypatch.setattr(disk.store, "write", write)
        await until(lambda: disk.text == small + "# new\n")


async def test_a_missing_file_is_reported_and_loaded_when_it_appears(disk: RailsOnDisk, small: str) -> None:
    disk.path.unlink()
    async with disk.watched():
        assert (disk.text, disk.error) == (None, "cannot be read: no such file or directory")
        disk.path.write_text(small)
        await until(lambda: disk.text == small)


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


async def test_only_complete_texts_come_into_force(
    disk: RailsOnDisk, small: str, facts: RuntimeFacts, comment: Callable[..., Trigger]
) -> None:
    whole, done, seen = {small}, threading.Event(), set()
    await disk.rails.reload()
    thread = threading.Thread(target=scribble, args=(disk.path, small, 20261122, whole, done))
    thread.start()
    while not done.is_set():
        await disk.rails.reload()
        assert disk.text is not None
        assert disk.text in whole
        for _ in range(3):  # deliveries that come meanwhile
            decision = decide(comment(), disk.rails.current, facts).decision
            assert disk.rails.current is not None
            assert decision.rails_revision == disk.rails.current.revision
            assert decision.reason != NO_RAILS
            await asyncio.sleep(0)
        seen.add(disk.text)
    thread.join()
    async with disk.watched():
        await until(lambda: disk.text == small and disk.error is None)
    assert len(seen) > 10


async def test_the_state_and_the_event_list_the_changes(tmp_path: Path, small: str) -> None:
    store = await open_store(tmp_path / "stitcher.db")
    rails = LiveRails(tmp_path / "rails.yaml", StoredRevisions(store), CONTEXT)
    more = small.replace("[issue.comment, change.comment]", "[issue.comment]")
    for text in (small, "version: 2", more):
        rails.path.write_text(text)
        await rails.reload()
    first, state = parse_rails(small, CONTEXT).revision, rails.state()
    changed = RailsChange("trigger word", "changed", ("on",), 9)
    assert (state.before, state.changes) == (first, (changed,))
    async with store.reading() as db:
        stored = [event for event, _ in await events.events_after(db, 0, 9)]
    payloads = [event.payload for event in stored if event.type == "rails.reloaded"]
    newest = payloads[-1]
    assert (payloads[0]["before"], payloads[0]["changes"], payloads[0]["summary"]) == (None, [], "")
    assert newest["summary"] == "trigger word changed (on)"
    assert (newest["changed"], newest["changes"]) == (
        1,
        [{"what": "trigger word", "change": "changed", "keys": ["on"], "line": 9}],
    )
    assert (newest["before"], newest["revision"]) == (first, parse_rails(more, CONTEXT).revision)
    against = await rails.state_against(first)
    assert (against.before_text, against.changes) == (small, (changed,))
    for unknown in ("r-00000000", "r-0", "\ud800", f"r-{'0' * 65}"):
        with pytest.raises(LookupError):
            await rails.state_against(unknown)
    digest = parse_rails(small, CONTEXT).digest
    assert (state.before_digest, (await rails.state_against(f"r-{digest}")).before_text) == (digest, small)
    other = digest[:8] + "".join("1" if digit == "0" else "0" for digit in digest[8:])
    await StoredRevisions(store).save(other, small + "# another\n", 1)
    with pytest.raises(AmbiguousRevision):
        await rails.state_against(first)
    assert (await rails.state_against(f"r-{digest}")).before_text == small
    await store.close()


async def test_a_daemon_follows_what_another_one_puts_in_force(disk: RailsOnDisk, small: str, tmp_path: Path) -> None:
    other = RailsOnDisk(disk.store, tmp_path / "other.yaml")
    disk.path.write_text(small)
    other.path.write_text(small + "# other\n")
    await disk.rails.start(follow=False)
    await other.rails.start(follow=True)
    assert (other.text, other.rails.differs, disk.rails.differs) == (small, True, False)
    assert "differs" in other.rails.state().warnings[0].message
    await other.rails.reload()
    assert other.text == small, "its file has not changed since"
    other.path.write_text(small + "# changed\n")
    await other.rails.reload()
    await disk.rails.follow()
    assert disk.text == other.text == small + "# changed\n"
    assert (other.rails.differs, disk.rails.differs) == (False, True)
    await disk.rails.reload()
    assert (disk.text, disk.rails.differs) == (small + "# changed\n", True)
    disk.rails.request_reload()
    await disk.rails.reload()
    await other.rails.follow()
    assert other.text == small
    assert (await disk.events()).count("rails.reloaded") == 3


async def test_a_daemon_that_cannot_use_what_is_in_force_puts_its_own_older_file_in_force_only_when_it_is_told_to(
    disk: RailsOnDisk, small: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk.path.write_text(small.replace("executor: smith", "executor: smith, env: [DEPLOY_TOKEN]"))
    await disk.rails.start(follow=False)
    in_force = disk.text
    context = CONTEXT._replace(secret_names=frozenset({"DEPLOY_TOKEN"}))
    other = RailsOnDisk(disk.store, tmp_path / "other.yaml", context)
    other.path.write_text(small)
    await other.rails.start(follow=True)
    for _ in range(2):
        await other.rails.follow()
        await other.rails.reload()
    await disk.rails.follow()
    assert (disk.text, other.text) == (in_force, None)
    assert "which another daemon put in force, cannot be used" in (other.rails.unusable or "")
    assert caplog.text.count("cannot be used") == 1
    other.rails.request_reload()
    await other.rails.reload()
    await disk.rails.follow()
    assert (disk.text, other.text, other.rails.unusable) == (small, small, None)


async def test_a_daemon_that_cannot_use_what_is_in_force_does_not_overwrite_what_follows(
    disk: RailsOnDisk, small: str, tmp_path: Path
) -> None:
    disk.path.write_text(small.replace("executor: smith", "executor: smith, env: [DEPLOY_TOKEN]"))
    await disk.rails.start(follow=False)
    context = CONTEXT._replace(secret_names=frozenset({"DEPLOY_TOKEN"}))
    other = RailsOnDisk(disk.store, tmp_path / "other.yaml", context)
    await other.rails.start(follow=True)
    disk.path.write_text(small + "# one\n")
    await disk.rails.reload()
    other.path.write_text(small + "# two\n")
    await other.rails.reload()
    await other.rails.follow()
    assert disk.text == other.text == small + "# one\n"


async def test_of_two_changes_at_once_the_first_is_in_force(disk: RailsOnDisk, small: str, tmp_path: Path) -> None:
    other = RailsOnDisk(disk.store, tmp_path / "other.yaml")
    for each in (disk, other):
        each.path.write_text(small)
    await disk.rails.start(follow=False)
    await other.rails.start(follow=True)
    disk.path.write_text(small + "# one\n")
    other.path.write_text(small + "# two\n")
    await disk.rails.reload()
    await other.rails.reload()
    await other.rails.follow()
    assert disk.text == other.text == small + "# one\n"
    assert other.rails.differs


async def test_a_start_without_valid_rails_leaves_none_in_force(disk: RailsOnDisk, small: str, tmp_path: Path) -> None:
    disk.path.write_text(small)
    await disk.rails.start(follow=False)
    assert await StoredRevisions(disk.store).in_force() is not None
    broken = RailsOnDisk(disk.store, tmp_path / "broken.yaml")
    await broken.rails.start(follow=False)
    assert await StoredRevisions(disk.store).in_force() is None
    await disk.rails.follow()
    assert disk.text is None
