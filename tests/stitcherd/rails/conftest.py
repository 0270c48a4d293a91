from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from shared.models import Thread
from stitcherd.rails.compiled import CompiledRails
from stitcherd.rails.load import parse_rails
from stitcherd.rails.requirements import RuntimeFacts
from stitcherd.sources.trigger import Command, Quote, Trigger
from tests.stitcherd.rails.contexts import CAPABLE, CONTEXT, SMALL
from tests.stitcherd.rails.watched_rails import RailsOnDisk
from tests.stores import open_store


@pytest.fixture(scope="session")
def every_word() -> str:
    return (Path(__file__).parent / "every_word.yaml").read_text()


@pytest.fixture(scope="session")
def book(every_word: str) -> CompiledRails:
    return parse_rails(every_word, CONTEXT)


@pytest.fixture(scope="session")
def small() -> str:
    return SMALL


@pytest.fixture(scope="session")
def facts() -> RuntimeFacts:
    return RuntimeFacts(executors={"smith": CAPABLE}, sandboxes={}, gates={"diff-rules": None}, bot="mosaic")


@pytest.fixture(scope="session")
def comment() -> Callable[..., Trigger]:
    """A comment `@mosaic mend the roof` by its sender, forge:ann, on her own issue, with other fields as given."""

    def make(**fields: Any) -> Trigger:
        usual: dict[str, Any] = {
            "source": "forge",
            "event": "issue_comment",
            "action": "created",
            "name": "issue.comment",
            "sender": "forge:ann",
            "author": fields.get("sender") or "forge:ann",
            "repository": "acme/roof",
            "thread": Thread("issue", 7, author="forge:ann"),
            "commands": (Command("mend", "the roof"),),
            "quotes": (Quote("forge:ann", "body", "it leaks"),),
        }
        return Trigger(**usual | fields)

    return make


@pytest.fixture
async def disk(tmp_path: Path, small: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RailsOnDisk]:
    for name, quicker in {"STEP_MS": 50, "BURST_MS": 100, "CHECK_SECONDS": 0.1}.items():
        monkeypatch.setattr(f"stitcherd.rails.watch.{name}", quicker)
    store = await open_store(tmp_path / "stitcher.db")
    path = tmp_path / "config" / "rails.yaml"
    path.parent.mkdir()
    path.write_text(small)
    yield RailsOnDisk(store, path)
    await store.close()
