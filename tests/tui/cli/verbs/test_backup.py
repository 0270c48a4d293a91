"""`stitcher backup`."""

import json
from pathlib import Path

import pytest

from tests.tui import documents
from tests.tui.fake_api import FakeApi, RunStitcher

MADE = {"path": "/backups/a\x1b.db", "bytes": 2_097_152}


def test_the_path_is_made_absolute_and_printed(
    api: FakeApi, stitcher: RunStitcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    api.answers["POST /backup"] = (201, MADE)
    code, out, err = stitcher("backup", "a.db")
    assert (code, out) == (0, "/backups/a\\x1b.db\n")
    assert err == "2 MiB; put it back with: stitcherd restore FILE, while no daemon runs\n"
    assert json.loads(stitcher("backup", "/b.db", "--json")[1]) == MADE
    assert api.requests == [
        ("POST /backup", {"path": str(tmp_path / "a.db")}),
        ("POST /backup", {"path": "/b.db"}),
    ]


def test_a_file_that_exists(api: FakeApi, stitcher: RunStitcher) -> None:
    api.answers["POST /backup"] = (409, documents.problem(409, "conflict", "/b.db exists already"))
    code, _, err = stitcher("backup", "/b.db")
    assert (code, "exists already" in err) == (1, True)
